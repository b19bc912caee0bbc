//! The keyboard on the screen.

use super::IME;
use crate::{
    draw::geom::{Color, Rect},
    state::{State, Window},
    ui::{Ui, sp},
};

/// Height of the keyboard with its strip of suggestions and the bar below, in dp.
pub const HEIGHT: f32 = 44.0 + 4.0 * 54.0 + 8.0 + 38.0;

const LETTERS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
const SYMBOLS: [&str; 3] = ["1234567890", "@#$_&-+()/", "*\"':;!?"];
const MORE: [&str; 3] = [
    "~`|\u{2022}\u{221a}\u{3c0}\u{f7}\u{d7}\u{b6}\u{2206}",
    "\u{a3}\u{20ac}$\u{a2}^\u{b0}={}\\",
    "%\u{a9}\u{ae}\u{2122}[]<",
];

/// Builds the keyboard along the lower edge.
pub fn build(state: &State, ui: &mut Ui) {
    let theme = ui.theme;
    let (back, key, special) = if theme.dark {
        (Color::hex(0x1E_1F25), Color::hex(0x38_3940), Color::hex(0x2B_3350))
    } else {
        (Color::hex(0xEA_EAF3), Color::hex(0xFD_FCFF), Color::hex(0xD5_DBF0))
    };
    let scale = std::mem::replace(&mut ui.font_scale, 1.0);
    let top = ui.screen.h - HEIGHT;
    ui.window(Window::Ime, IME, state.place(Window::Ime));
    let whole = Rect::new(0.0, top, ui.screen.w, HEIGHT);
    ui.fill(whole, 0.0, back);
    ui.node(whole)
        .class("android.widget.FrameLayout")
        .id("keyboard_area")
        .tap(|_| ());
    ui.open();
    strip(state, ui, top);
    let rows = match state.keyboard.layer {
        0 => LETTERS,
        1 => SYMBOLS,
        _ => MORE,
    };
    let capital = state.keyboard.layer == 0 && capital(state);
    let unit = (ui.screen.w - 6.0) / 10.0;
    let mut y = top + 44.0;
    for (index, letters) in rows.iter().enumerate() {
        let count = letters.chars().count() as f32;
        let mut x = 3.0 + (10.0 - count) / 2.0 * unit;
        if index == 2 {
            shift_key(state, ui, Rect::new(3.0, y, x - 3.0, 54.0), special);
            let right = x + count * unit;
            let rect = Rect::new(right, y, ui.screen.w - 3.0 - right, 54.0);
            press(ui, rect, special, "backspace_o", "Delete", |state| state.backspace());
        }
        for letter in letters.chars() {
            let letter = if capital { letter.to_ascii_uppercase() } else { letter };
            let rect = Rect::new(x, y, unit, 54.0);
            ui.fill(rect.inset(2.5, 4.5), 7.0, key);
            ui.draw_text_in(rect, sp(22.0).center(), ui.theme.on_surface, &letter.to_string());
            if index == 0 && state.keyboard.layer == 0 {
                let hint = SYMBOLS[0]
                    .chars()
                    .nth(((x - 3.0) / unit).round() as usize)
                    .unwrap_or(' ');
                let color = ui.theme.on_variant;
                ui.draw_text(
                    rect.x,
                    rect.y + 5.0,
                    unit - 6.0,
                    sp(10.0).right(),
                    color,
                    &hint.to_string(),
                );
            }
            ui.node(rect)
                .class("android.inputmethodservice.Keyboard$Key")
                .desc(letter.to_string())
                .tap(move |state| {
                    type_key(state, &letter.to_string());
                });
            x += unit;
        }
        y += 54.0;
    }
    lower_row(state, ui, y, unit, key, special);
    ui.icon(
        "keyboard_arrow_down",
        Rect::new(20.0, ui.screen.h - 40.0, 40.0, 36.0),
        26.0,
        theme.on_variant,
    );
    ui.node(Rect::new(16.0, ui.screen.h - 42.0, 48.0, 40.0))
        .class("android.widget.ImageView")
        .desc("Hide keyboard")
        .tap(|state| state.keyboard.hidden = true);
    ui.icon(
        "language",
        Rect::new(ui.screen.w - 60.0, ui.screen.h - 40.0, 40.0, 36.0),
        22.0,
        theme.on_variant,
    );
    ui.close();
    ui.font_scale = scale;
}

/// Fields in which a sentence begins with a capital.
const SENTENCES: [&str; 9] = [
    "body", "title", "first", "last", "company", "label", "text", "place", "subject",
];

/// Whether the next letter is a capital: by the key, or because a sentence begins.
fn capital(state: &State) -> bool {
    let keyboard = &state.keyboard;
    keyboard.shift || keyboard.caps || (begins(state) && !keyboard.plain)
}

/// Whether the cursor stands where a sentence begins, in a field that minds.
fn begins(state: &State) -> bool {
    let window = state.focused_window();
    let key = window.and_then(|window| state.place(window).focus.as_deref());
    let minds = key.is_some_and(|key| SENTENCES.contains(&key));
    let before = state.focused().and_then(|field| field.text.get(..field.cursor));
    minds
        && before.is_some_and(|text| {
            text.is_empty() || text.ends_with(['\n']) || [". ", "! ", "? "].iter().any(|end| text.ends_with(end))
        })
}

fn strip(state: &State, ui: &mut Ui, top: f32) {
    let color = ui.theme.on_variant;
    let icons: [&'static str; 5] = ["apps", "emoji_emotions_o", "content_paste", "settings_o", "mic_none"];
    let cell = ui.screen.w / 5.0;
    for (index, icon) in icons.into_iter().enumerate() {
        let rect = Rect::new(index as f32 * cell, top, cell, 44.0);
        ui.icon(icon, rect, 21.0, color);
        if icon == "content_paste" && !state.clipboard.is_empty() {
            ui.node(rect)
                .class("android.widget.ImageView")
                .desc("Clipboard")
                .tap(State::paste);
        }
    }
}

fn shift_key(state: &State, ui: &mut Ui, rect: Rect, special: Color) {
    match state.keyboard.layer {
        0 => {
            let (shift, caps) = (capital(state), state.keyboard.caps);
            let icon = if caps { "keyboard_capslock" } else { "upgrade" };
            let back = if shift || caps {
                ui.theme.primary_container
            } else {
                special
            };
            press(ui, rect, back, icon, "Shift", |state| {
                if begins(state) && !state.keyboard.shift && !state.keyboard.caps {
                    state.keyboard.plain = !state.keyboard.plain;
                    return;
                }
                let keyboard = &mut state.keyboard;
                (keyboard.shift, keyboard.caps) = match (keyboard.shift, keyboard.caps) {
                    (false, false) => (true, false),
                    (true, false) => (false, true),
                    _ => (false, false),
                };
            });
        }
        layer => {
            let word = if layer == 1 { "=\\<" } else { "?123" };
            word_key(ui, rect, special, word, move |state| state.keyboard.layer = 3 - layer);
        }
    }
}

fn lower_row(state: &State, ui: &mut Ui, y: f32, unit: f32, key: Color, special: Color) {
    let letters = state.keyboard.layer == 0;
    let mut x = 3.0;
    let word = if letters { "?123" } else { "ABC" };
    word_key(ui, Rect::new(x, y, unit * 1.5, 54.0), special, word, move |state| {
        state.keyboard.layer = u8::from(letters);
    });
    x += unit * 1.5;
    for (text, width) in [(",", 1.0), ("", 1.0), (" ", 4.0), (".", 1.0)] {
        let rect = Rect::new(x, y, unit * width, 54.0);
        x += unit * width;
        if text.is_empty() {
            ui.fill(rect.inset(2.5, 4.5), 7.0, special);
            ui.icon("emoji_emotions_o", rect, 20.0, ui.theme.on_surface);
            continue;
        }
        ui.fill(rect.inset(2.5, 4.5), 7.0, if text == " " { key } else { special });
        let shown = if text == " " { "English (US)" } else { text };
        let style = if text == " " {
            sp(13.0).center()
        } else {
            sp(20.0).center()
        };
        let color = if text == " " {
            ui.theme.on_variant
        } else {
            ui.theme.on_surface
        };
        ui.draw_text_in(rect, style, color, shown);
        let desc = if text == " " { "Space" } else { text };
        ui.node(rect)
            .class("android.inputmethodservice.Keyboard$Key")
            .desc(desc)
            .tap(move |state| type_key(state, text));
    }
    let rect = Rect::new(x, y, unit * 1.5, 54.0);
    ui.fill(rect.inset(2.5, 4.5), 22.5, ui.theme.primary);
    let (icon, desc) = enter_look(state, ui);
    ui.icon(icon, rect, 22.0, ui.theme.on_primary);
    // Enter acts as the field says: the phone looks it up, as for the key of the shell.
    ui.node(rect)
        .class("android.inputmethodservice.Keyboard$Key")
        .id("key_enter")
        .desc(desc)
        .tap(|_| ());
}

fn enter_look(state: &State, ui: &Ui) -> (&'static str, &'static str) {
    let Some(window) = state.focused_window() else {
        return ("keyboard_return", "Enter");
    };
    let key = state.place(window).focus.clone().unwrap_or_default();
    let node = ui
        .scene
        .nodes
        .iter()
        .rev()
        .find_map(|node| node.field.as_ref().filter(|field| field.key == key));
    match node {
        Some(field) if field.multiline => ("keyboard_return", "Enter"),
        Some(field) if field.submit.is_some() && key.contains("search") => ("search", "Search"),
        _ => ("check", "Done"),
    }
}

fn press(
    ui: &mut Ui,
    rect: Rect,
    back: Color,
    icon: &'static str,
    desc: &str,
    act: impl Fn(&mut State) + Send + Sync + 'static,
) {
    ui.fill(rect.inset(2.5, 4.5), 7.0, back);
    ui.icon(icon, rect, 22.0, ui.theme.on_surface);
    ui.node(rect)
        .class("android.inputmethodservice.Keyboard$Key")
        .desc(desc)
        .tap(act);
}

fn word_key(ui: &mut Ui, rect: Rect, back: Color, word: &str, act: impl Fn(&mut State) + Send + Sync + 'static) {
    ui.fill(rect.inset(2.5, 4.5), 7.0, back);
    ui.draw_text_in(rect, sp(15.0).center(), ui.theme.on_surface, word);
    let desc = match word {
        "?123" => "Symbols",
        "ABC" => "Letters",
        other => other,
    };
    ui.node(rect)
        .class("android.inputmethodservice.Keyboard$Key")
        .text(word)
        .desc(desc)
        .tap(act);
}

fn type_key(state: &mut State, text: &str) {
    state.type_text(text);
    state.keyboard.shift = false;
    state.keyboard.plain = false;
    if text == " " && state.keyboard.layer > 0 {
        state.keyboard.layer = 0;
    }
}
