//! Phone: favourites, calls, people, the pad, and the call itself.

use super::people::{call, person_row, search_bar, sorted, text};
use crate::{
    app::{App, Icon, Intent, Layer},
    draw::geom::{Color, Rect},
    state::{
        Place, State,
        data::{Call, Info},
        time::{Civil, DAY},
    },
    ui::{Ui, act, sp},
};

const ACTIVITY: &str = "com.google.android.dialer.extensions.GoogleDialtactsActivity";

/// Phone.
pub struct Dialer;

impl App for Dialer {
    fn info(&self) -> Info {
        Info {
            package: "com.google.android.dialer",
            label: "Phone",
            activity: ACTIVITY,
            permissions: &["CALL_PHONE", "READ_CONTACTS", "POST_NOTIFICATIONS"],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xFF_FFFF,
            layers: &[Layer::Glyph("call", 0x1A_73E8, 0.58, 0.0, 0.0)],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        if let Some((number, since)) = &state.call {
            super::call::talking(state, ui, number, *since);
            return;
        }
        let tab = ui.place.number("tab").unwrap_or(1).clamp(0, 2) as usize;
        let whole = ui.area;
        let typing = state.keyboard_shown();
        let pad_open = ui.place.var("mode") == "pad";
        if !typing {
            ui.keep_above(whole.bottom() - 80.0);
        }
        match tab {
            0 => favourites(state, ui),
            1 => recents(state, ui),
            _ => people(state, ui),
        }
        search_bar(ui, "Search contacts & places");
        ui.icon_button(
            whole.right() - 108.0,
            whole.y + 12.0,
            "more_vert",
            "More options",
            |state| state.page_mut().set("menu", "more"),
        );
        if !typing && !pad_open {
            ui.fab("dialpad", "key pad", |state| state.page_mut().set("mode", "pad"));
        }
        ui.area = whole;
        if !typing {
            ui.bottom_bar(
                &[
                    ("star_border", "Favorites"),
                    ("access_time", "Recents"),
                    ("people_outline", "Contacts"),
                ],
                tab,
            );
        }
        if pad_open {
            pad(state, ui);
        }
        if ui.place.var("menu") == "more" {
            let history = act(|state: &mut State| state.page_mut().set("dialog", "clear"));
            ui.menu(whole.right() - 8.0, whole.y + 8.0, &[("Clear call history", history)]);
        }
        if ui.place.var("dialog") == "clear" {
            let yes = act(|state: &mut State| {
                state.calls.clear();
                state.notifications.retain(|n| n.package != "com.google.android.dialer");
            });
            let text = "This will delete all calls from your history";
            ui.dialog(
                "Clear call history?",
                text,
                &[("Cancel", act(|_: &mut State| ())), ("OK", yes)],
            );
        }
    }

    fn intent(&self, state: &mut State, intent: &Intent) -> Option<Place> {
        let number = intent.data.strip_prefix("tel:")?.to_owned();
        let mut place = Place::new(ACTIVITY, "");
        if intent.action.ends_with(".CALL") {
            state.dial(&number);
        } else {
            place.set("mode", "pad");
            place.set("number", number);
        }
        Some(place)
    }
}

fn favourites(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let list: Vec<_> = sorted(state)
        .into_iter()
        .filter(|contact| contact.starred)
        .cloned()
        .collect();
    if list.is_empty() {
        ui.nothing_here("star_border", "No favorites yet. Add a favorite to see it here.");
        return;
    }
    let cell = area.w / 3.0;
    for (index, contact) in list.iter().enumerate() {
        let rect = Rect::new(
            area.x + (index % 3) as f32 * cell,
            area.y + 88.0 + (index / 3) as f32 * 128.0,
            cell,
            120.0,
        );
        ui.avatar(Rect::new(rect.center().0 - 36.0, rect.y, 72.0, 72.0), &contact.name());
        ui.draw_text(
            rect.x,
            rect.y + 80.0,
            cell,
            sp(14.0).center(),
            theme.on_surface,
            &contact.first,
        );
        let number = contact
            .phones
            .first()
            .map(|(number, _)| number.clone())
            .unwrap_or_default();
        ui.node(rect)
            .class("android.widget.FrameLayout")
            .desc(contact.name())
            .tap(move |state| call(state, &number));
    }
}

fn when(state: &State, date: i64) -> String {
    let (today, day) = (
        state.local(state.now).div_euclid(DAY),
        state.local(date).div_euclid(DAY),
    );
    match today - day {
        0 => state.clock_of(date),
        1 => "Yesterday".to_owned(),
        _ => Civil::new(state.local(date)).short_date(),
    }
}

fn recents(state: &State, ui: &mut Ui) {
    let area = ui.area;
    if state.calls.is_empty() {
        ui.nothing_here("history", "Your call history is empty");
        return;
    }
    let list = Rect::new(area.x, area.y + 72.0, area.w, area.h - 72.0);
    ui.scroll("calls", list, |ui, top| {
        let mut y = top + 4.0;
        let mut last = String::new();
        for call_ in &state.calls {
            let day = match state.local(state.now).div_euclid(DAY) - state.local(call_.date).div_euclid(DAY) {
                0 => "Today",
                1 => "Yesterday",
                _ => "Older",
            };
            if day != last {
                ui.label(
                    area.x + 24.0,
                    y + 10.0,
                    200.0,
                    sp(14.0).medium(),
                    ui.theme.on_variant,
                    day,
                );
                y += 38.0;
                last = day.to_owned();
            }
            y = call_row(state, ui, y, call_);
        }
        y + 96.0
    });
}

fn call_row(state: &State, ui: &mut Ui, y: f32, entry: &Call) -> f32 {
    let theme = ui.theme;
    let name = state.name_of(&entry.number);
    let open = ui.place.var("open") == entry.id.to_string();
    let kind = if state.contact_of(&entry.number).is_some() {
        "Mobile"
    } else {
        "Unknown"
    };
    let below = format!("     {kind} \u{2022} {}", when(state, entry.date));
    let id = entry.id;
    let end = person_row(ui, y, &name, &below, entry.kind == 3, move |state| {
        let shown = state.page().var("open") == id.to_string();
        state
            .page_mut()
            .set("open", if shown { String::new() } else { id.to_string() });
    });
    let (icon, color) = match entry.kind {
        1 => ("call_received", theme.primary),
        2 => ("call_made", theme.primary),
        _ => ("call_missed", theme.error),
    };
    ui.icon(icon, Rect::new(ui.area.x + 70.0, y + 36.0, 20.0, 20.0), 15.0, color);
    let number = entry.number.clone();
    ui.icon_button(
        ui.area.right() - 60.0,
        y + 12.0,
        "phone_o",
        &format!("Call {name}"),
        move |state| call(state, &number),
    );
    if !open {
        return end;
    }
    let words: [(&'static str, &str); 2] = [("chat_o", "Message"), ("delete_o", "Delete")];
    for (index, (icon, word)) in words.into_iter().enumerate() {
        let rect = Rect::new(ui.area.x + 72.0 + index as f32 * 130.0, end, 124.0, 44.0);
        ui.fill(rect, 22.0, theme.container);
        ui.icon(
            icon,
            Rect::new(rect.x + 12.0, rect.y, 24.0, rect.h),
            20.0,
            theme.on_variant,
        );
        ui.draw_text_in(
            Rect::new(rect.x + 42.0, rect.y, 80.0, rect.h),
            sp(14.0),
            theme.on_surface,
            word,
        );
        let number = entry.number.clone();
        ui.node(rect)
            .class("android.widget.Button")
            .text(word)
            .tap(move |state| {
                if index == 0 {
                    text(state, &number);
                } else {
                    state.calls.retain(|call| call.id != id);
                }
            });
    }
    end + 52.0
}

fn people(state: &State, ui: &mut Ui) {
    let area = ui.area;
    let wanted = ui.place.typed("search").trim().to_lowercase();
    let list = Rect::new(area.x, area.y + 72.0, area.w, area.h - 72.0);
    ui.scroll("people", list, |ui, top| {
        let found = sorted(state)
            .into_iter()
            .filter(|contact| contact.name().to_lowercase().contains(&wanted));
        found.fold(top + 8.0, |y, contact| {
            let number = contact
                .phones
                .first()
                .map(|(number, _)| number.clone())
                .unwrap_or_default();
            person_row(ui, y, &contact.name(), "", false, move |state| call(state, &number))
        }) + 96.0
    });
}

fn pad(state: &State, ui: &mut Ui) {
    let theme = ui.theme;
    let number = ui.place.var("number").to_owned();
    let height = 480.0;
    let rect = Rect::new(0.0, ui.screen.h - height, ui.screen.w, height);
    ui.shadow(rect, 24.0, 6.0);
    ui.fill_corners(rect, [28.0, 28.0, 0.0, 0.0], theme.container);
    ui.node(rect)
        .class("android.widget.LinearLayout")
        .id("dialpad_view")
        .tap(|_| ());
    ui.open();
    let line = Rect::new(24.0, rect.y + 14.0, rect.w - 48.0, 52.0);
    ui.draw_text_in(line.inset(44.0, 0.0), sp(32.0).center(), theme.on_surface, &number);
    ui.node(line.inset(44.0, 0.0))
        .class("android.widget.EditText")
        .id("digits")
        .text(number.clone());
    ui.icon_button(line.right() - 44.0, line.y + 2.0, "backspace_o", "backspace", |state| {
        let mut number = state.page().var("number").to_owned();
        number.pop();
        state.page_mut().set("number", number);
    });
    if state.contact_of(&number).is_some() {
        ui.label(
            0.0,
            line.bottom() - 4.0,
            rect.w,
            sp(13.0).center(),
            theme.on_variant,
            &state.name_of(&number),
        );
    }
    const KEYS: [(&str, &str); 12] = [
        ("1", ""),
        ("2", "ABC"),
        ("3", "DEF"),
        ("4", "GHI"),
        ("5", "JKL"),
        ("6", "MNO"),
        ("7", "PQRS"),
        ("8", "TUV"),
        ("9", "WXYZ"),
        ("*", ""),
        ("0", "+"),
        ("#", ""),
    ];
    let cell = rect.w / 3.0;
    for (index, (key, letters)) in KEYS.into_iter().enumerate() {
        let place = Rect::new(
            (index % 3) as f32 * cell,
            line.bottom() + 14.0 + (index / 3) as f32 * 74.0,
            cell,
            70.0,
        );
        let round = place.middle(cell - 22.0, 62.0);
        ui.fill(round, 31.0, theme.container_highest);
        let shift = if letters.is_empty() { 0.0 } else { -8.0 };
        ui.draw_text_in(round.offset(0.0, shift), sp(28.0).center(), theme.on_surface, key);
        ui.draw_text(
            round.x,
            round.y + 41.0,
            round.w,
            sp(11.0).center(),
            theme.on_variant,
            letters,
        );
        ui.node(place)
            .class("android.widget.FrameLayout")
            .desc(format!(
                "{key}{}",
                if letters.is_empty() {
                    String::new()
                } else {
                    format!(",{letters}")
                }
            ))
            .tap(move |state| {
                let next = format!("{}{key}", state.page().var("number"));
                if next.len() <= 24 {
                    state.page_mut().set("number", next);
                }
            });
    }
    let green = Rect::new(rect.w / 2.0 - 72.0, rect.bottom() - 92.0, 144.0, 56.0);
    ui.fill(green, 28.0, Color::hex(0x1E_8E3E));
    ui.icon(
        "call",
        Rect::new(green.x + 28.0, green.y, 24.0, 56.0),
        24.0,
        Color::WHITE,
    );
    ui.draw_text_in(
        Rect::new(green.x + 62.0, green.y, 70.0, 56.0),
        sp(16.0).medium(),
        Color::WHITE,
        "Call",
    );
    ui.node(green).class("android.widget.Button").desc("dial").tap(|state| {
        let number = state.page().var("number").to_owned();
        state.page_mut().close_over();
        state.page_mut().set("number", "");
        state.dial(&number);
    });
    ui.icon_button(24.0, green.y + 4.0, "expand_more", "Close dial pad", |state| {
        state.page_mut().close_over();
    });
    ui.close();
}
