//! Paints the widgets of a phone onto an image.

use super::{
    canvas::{Canvas, Colour, Font, mix},
    glyph::{WHITE, glyph},
    icon::{SIDE, app_icon},
    theme::Theme,
};
use crate::{
    phone::{HEIGHT, Phone, ROW, Screen, WIDTH},
    screens::{self, TRACK},
    widget::{Glyph, Look, Rect, Trailing, Widget},
};
use cua_grpo_android::names::{App, Toggle};
use image::RgbImage;

/// Draws what the phone shows now, 192 x 384 pixels.
pub(crate) fn paint(phone: &Phone) -> RgbImage {
    let theme = Theme::of(phone);
    let mut canvas = Canvas::new();
    let home = phone.screen() == Screen::Launcher;
    if home {
        canvas.gradient(theme.wallpaper.0, theme.wallpaper.1);
    } else {
        canvas.fill(Rect::new(0, 0, WIDTH, HEIGHT), theme.background);
        canvas.fill(Rect::new(0, 0, WIDTH, ROW), theme.bar);
    }
    let open_dialog = phone.startup().is_some() || phone.is_choosing_timeout();
    for widget in screens::back(phone) {
        draw(&mut canvas, &theme, &widget);
    }
    status(&mut canvas, &theme, phone);
    if open_dialog {
        canvas.darken(0.55);
        canvas.rounded(screens::dialog_bounds(phone), 10.0, theme.panel);
    }
    // Without a dialog the front is the screen itself, drawn already: only the bar at the bottom is new.
    let front = screens::front(phone);
    let bar = Rect::new(0, HEIGHT - ROW, WIDTH, ROW);
    canvas.fill(
        bar,
        if home {
            mix(theme.wallpaper.1, [0, 0, 0], 0.25)
        } else {
            theme.bar
        },
    );
    for widget in front {
        if open_dialog || matches!(widget.look, Look::NavBack | Look::NavHome) {
            draw(&mut canvas, &theme, &widget);
        }
    }
    canvas.into_image()
}

/// Clock and, on the launcher, what the radios do.
fn status(canvas: &mut Canvas, theme: &Theme, phone: &Phone) {
    let clock = &phone.appearance.clock;
    if phone.screen() != Screen::Launcher {
        canvas.text(clock, WIDTH - 36, 11, Font::Small, theme.faint);
        return;
    }
    canvas.text(clock, 10, 10, Font::Bold, WHITE);
    let mut x = WIDTH - 16;
    let signs = [
        (Toggle::Wifi, Glyph::Waves),
        (Toggle::Bluetooth, Glyph::Rune),
        (Toggle::Airplane, Glyph::Plane),
        (Toggle::DoNotDisturb, Glyph::Minus),
    ];
    for (toggle, sign) in signs {
        if phone.settings.is_on(toggle) {
            glyph(canvas, sign, (x as f32, 16.0), 0.75, WHITE, theme.wallpaper.0);
            x -= 18;
        }
    }
}

fn draw(canvas: &mut Canvas, theme: &Theme, widget: &Widget) {
    let bounds = widget.bounds;
    let (x, y) = (bounds.x, bounds.y);
    match &widget.look {
        Look::Hidden => {}
        Look::Title => canvas.text(&widget.label, 10, 10, Font::Bold, theme.text),
        Look::Plain => canvas.text(&widget.label, x + 12, y + 11, Font::Bold, theme.text),
        Look::AppIcon(app) => {
            app_icon(canvas, *app, x + (bounds.w - SIDE) / 2, y + 4);
            canvas.centred(&widget.label, Rect::new(x, y + 48, bounds.w, 12), Font::Small, WHITE);
        }
        Look::Row { icon, trailing } => row(canvas, theme, widget, *icon, trailing),
        Look::Track(level) => track(canvas, theme, y, *level),
        Look::Button => {
            canvas.rounded(inset(bounds, 8, 4), 12.0, theme.accent);
            canvas.centred(&widget.label, bounds, Font::Bold, WHITE);
        }
        Look::FlatButton => canvas.centred(&widget.label, bounds, Font::Bold, theme.accent),
        Look::Field { text, focused } => field(canvas, theme, bounds, text, *focused),
        Look::Key => {
            canvas.rounded(inset(bounds, 1, 3), 4.0, mix(theme.bar, theme.background, 0.7));
            let letter = widget.label.strip_prefix("Key ").unwrap_or_default();
            canvas.centred(letter, bounds, Font::Body, theme.text);
        }
        Look::Panel if bounds.w == WIDTH => canvas.fill(bounds, theme.bar),
        Look::Panel => {}
        Look::Splash(app) => splash(canvas, theme, bounds, *app),
        Look::Dots { page, pages } => {
            let first = WIDTH / 2 - 8 * (*pages as i32 - 1);
            for dot in 0..*pages {
                let centre = ((first + 16 * dot as i32) as f32, (y + ROW / 2) as f32);
                let faint = mix(theme.wallpaper.1, [0, 0, 0], 0.35);
                let (radius, colour) = if dot == *page { (4.0, WHITE) } else { (3.0, faint) };
                canvas.disc(centre.0, centre.1, radius, colour);
            }
        }
        Look::Scrollbar { offset, visible, total } => {
            let part = |rows: usize| bounds.h * rows as i32 / *total as i32;
            canvas.rounded(Rect::new(x, y + part(*offset), 3, part(*visible)), 1.5, theme.faint);
        }
        Look::NavBack => {
            let (cx, cy) = (bounds.centre().0 as f32, bounds.centre().1 as f32);
            canvas.polygon(
                &[(cx - 7.0, cy), (cx + 5.0, cy - 7.0), (cx + 5.0, cy + 7.0)],
                nav_colour(theme),
            );
        }
        Look::NavHome => {
            let (cx, cy) = (bounds.centre().0 as f32, bounds.centre().1 as f32);
            canvas.ring(cx, cy, 6.0, 2.4, nav_colour(theme));
        }
    }
}

fn nav_colour(theme: &Theme) -> Colour {
    mix(theme.faint, theme.text, 0.4)
}

fn inset(rect: Rect, dx: i32, dy: i32) -> Rect {
    Rect::new(rect.x + dx, rect.y + dy, rect.w - 2 * dx, rect.h - 2 * dy)
}

fn row(canvas: &mut Canvas, theme: &Theme, widget: &Widget, icon: Option<(Glyph, Colour)>, trailing: &Trailing) {
    let Rect { x, y, w, .. } = widget.bounds;
    let end = x + w;
    let mut left = x + 12;
    if let Some((picture, colour)) = icon {
        let centre = ((x + 16) as f32, (y + 16) as f32);
        canvas.disc(centre.0, centre.1, 12.0, colour);
        glyph(canvas, picture, centre, 1.0, WHITE, colour);
        left = x + 35;
        canvas.fill(Rect::new(left, y + ROW - 1, end - left - 4, 1), theme.line);
    }
    let (character, _) = Font::Body.cell();
    let taken = match trailing {
        Trailing::Nothing => 4,
        Trailing::Chevron => 14,
        Trailing::Switch(_) => 36,
        Trailing::Radio(_) => 26,
        Trailing::Value(value) => value.chars().count() as i32 * 6 + 8,
    };
    let fits = ((end - taken - left) / character).max(0) as usize;
    let label = clipped(&widget.label, fits);
    canvas.text(&label, left, y + 10, Font::Body, theme.text);
    match trailing {
        Trailing::Nothing => {}
        Trailing::Chevron => {
            let (tip_x, tip_y) = ((end - 7) as f32, (y + 16) as f32);
            canvas.line((tip_x - 4.0, tip_y - 4.0), (tip_x, tip_y), 1.8, theme.faint);
            canvas.line((tip_x - 4.0, tip_y + 4.0), (tip_x, tip_y), 1.8, theme.faint);
        }
        Trailing::Switch(on) => {
            let slot = Rect::new(end - 32, y + 9, 26, 14);
            canvas.rounded(slot, 7.0, if *on { theme.accent } else { theme.off_track });
            let (knob_x, colour) = if *on {
                (slot.x + slot.w - 7, WHITE)
            } else {
                (slot.x + 7, theme.off_knob)
            };
            canvas.disc(knob_x as f32, (y + 16) as f32, 5.2, colour);
        }
        Trailing::Radio(chosen) => {
            let centre = ((end - 16) as f32, (y + 16) as f32);
            canvas.ring(
                centre.0,
                centre.1,
                7.0,
                2.0,
                if *chosen { theme.accent } else { theme.faint },
            );
            if *chosen {
                canvas.disc(centre.0, centre.1, 4.0, theme.accent);
            }
        }
        Trailing::Value(value) => canvas.text(value, end - taken + 4, y + 12, Font::Small, theme.faint),
    }
}

/// The text, or as much of it as fits with two dots behind.
fn clipped(text: &str, fits: usize) -> String {
    if text.chars().count() <= fits {
        return text.to_owned();
    }
    let kept: String = text.chars().take(fits.saturating_sub(2)).collect();
    format!("{kept}..")
}

fn track(canvas: &mut Canvas, theme: &Theme, y: i32, level: u8) {
    let (start, length) = TRACK;
    let filled = length * i32::from(level) / 255;
    canvas.rounded(Rect::new(start, y + 13, length, 6), 3.0, theme.off_track);
    canvas.rounded(Rect::new(start, y + 13, filled.max(6), 6), 3.0, theme.accent);
    for mark in 1..3 {
        canvas.fill(Rect::new(start + length * mark / 3, y + 8, 1, 16), theme.line);
    }
    canvas.disc((start + filled) as f32, (y + 16) as f32, 8.0, theme.accent);
    canvas.disc((start + filled) as f32, (y + 16) as f32, 3.0, WHITE);
}

fn field(canvas: &mut Canvas, theme: &Theme, bounds: Rect, text: &str, focused: bool) {
    canvas.rounded(
        inset(bounds, 6, 2),
        6.0,
        if focused { theme.accent } else { theme.off_track },
    );
    canvas.rounded(inset(bounds, 8, 4), 4.0, theme.field);
    let (width, height) = Font::Body.cell();
    let (left, top) = (bounds.x + 14, bounds.y + 9);
    if text.is_empty() {
        canvas.text("Note text", left, top, Font::Body, theme.faint);
    }
    // The last three lines of the text, as if the field scrolled.
    let letters: Vec<char> = text.chars().collect();
    let lines: Vec<&[char]> = letters.chunks(23).collect();
    let shown = &lines[lines.len().saturating_sub(3)..];
    for (index, line) in shown.iter().enumerate() {
        let line: String = line.iter().collect();
        canvas.text(&line, left, top + index as i32 * (height + 2), Font::Body, theme.text);
    }
    if focused {
        let column = shown.last().map_or(0, |line| line.len() as i32);
        let line = shown.len().saturating_sub(1) as i32;
        canvas.fill(
            Rect::new(left + column * width, top + line * (height + 2), 1, height),
            theme.accent,
        );
    }
}

fn splash(canvas: &mut Canvas, theme: &Theme, bounds: Rect, app: App) {
    let colour = mix(crate::apps::colour(app), theme.background, 0.55);
    canvas.fill(Rect::new(0, ROW, WIDTH, bounds.h - ROW), colour);
    app_icon(canvas, app, (WIDTH - SIDE) / 2, 130);
    canvas.centred(app.label(), Rect::new(0, 178, WIDTH, 24), Font::Large, theme.text);
}
