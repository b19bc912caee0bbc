//! The form of an event.

use crate::{
    draw::geom::Rect,
    state::{
        State, Toggle,
        data::Event,
        time::{Civil, DAY},
    },
    ui::{Button, End, FieldLook, Row, Ui, pickers, sp},
};
use std::sync::Arc;

pub fn edit(state: &mut State, event: &Event) {
    state.open("form");
    let place = state.page_mut();
    place.set("id", event.id.to_string());
    place.fill("title", event.title.as_str());
    place.fill("place", event.place.as_str());
    place.fill("text", event.text.as_str());
    place.set("start", event.start.to_string());
    place.set("end", event.end.to_string());
    place.set("all_day", if event.all_day { "1" } else { "" });
    place.set("calendar", event.calendar.to_string());
}

pub fn form(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let number = |name: &str| ui.place.number(name).unwrap_or(0);
    let (start, end, all_day) = (number("start"), number("end"), ui.place.var("all_day") == "1");
    let rect = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0);
    ui.scroll("form", rect, |ui, top| {
        ui.edit(
            Rect::new(area.x + 68.0, top + 4.0, area.w - 84.0, 56.0),
            &FieldLook::new("title", "Add title")
                .style(sp(26.0))
                .submit(|state| state.keyboard.hidden = true),
        );
        ui.fill(Rect::new(area.x, top + 68.0, area.w, 1.0), 0.0, theme.outline_variant);
        let row = Row::new("All-day").icon("access_time").end(End::Switch(all_day));
        let mut y = ui.row(
            top + 70.0,
            row.tap(|state| {
                let on = state.page().var("all_day") == "1";
                state.page_mut().set("all_day", if on { "" } else { "1" });
            }),
        );
        for (name, at) in [("start", start), ("end", end)] {
            let civil = Civil::new(state.local(at));
            let day = format!(
                "{}, {} {}, {}",
                &civil.weekday_name()[..3],
                &civil.month_name()[..3],
                civil.day,
                civil.year
            );
            let local = state.local(at);
            let left = Rect::new(area.x + 60.0, y, 190.0, 52.0);
            ui.label_in(left.inset(8.0, 0.0), sp(16.0), theme.on_surface, &day);
            ui.node(left)
                .class("android.widget.Button")
                .text(day)
                .desc(format!("{name} date"))
                .tap(move |state| {
                    pickers::ask_day(
                        state.page_mut(),
                        if name == "start" { "start_day" } else { "end_day" },
                        local,
                    );
                });
            if !all_day {
                let right = Rect::new(area.right() - 116.0, y, 100.0, 52.0);
                let time = state.clock(civil.hour, civil.minute);
                ui.label_in(right.inset(8.0, 0.0), sp(16.0).right(), theme.on_surface, &time);
                ui.node(right)
                    .class("android.widget.Button")
                    .text(time)
                    .desc(format!("{name} time"))
                    .tap(move |state| {
                        let dialog = if name == "start" { "start_time" } else { "end_time" };
                        pickers::ask_time(state.page_mut(), dialog, civil.hour, civil.minute);
                    });
            }
            y += 52.0;
        }
        for (key, hint, icon) in [
            ("place", "Add location", "location_on_o"),
            ("text", "Add description", "subject"),
        ] {
            ui.fill(Rect::new(area.x, y + 4.0, area.w, 1.0), 0.0, theme.outline_variant);
            ui.icon(
                icon,
                Rect::new(area.x + 24.0, y + 8.0, 24.0, 56.0),
                24.0,
                theme.on_variant,
            );
            ui.edit(
                Rect::new(area.x + 68.0, y + 8.0, area.w - 84.0, 56.0),
                &FieldLook::new(key, hint).submit(|state| state.keyboard.hidden = true),
            );
            y += 64.0;
        }
        y + 40.0
    });
    ui.fill(Rect::new(0.0, area.y, area.w, 64.0), 0.0, theme.surface);
    ui.icon_button(area.x + 4.0, area.y + 8.0, "close", "Cancel", State::close_page);
    ui.button(
        Rect::new(area.right() - 96.0, area.y + 12.0, 80.0, 40.0),
        Button::Filled,
        "Save",
        save,
    );
    picker(state, ui, start, end);
}

fn picker(state: &State, ui: &mut Ui, start: i64, end: i64) {
    let full = state.on(Toggle::FullDay);
    let dialog = ui.place.var("dialog").to_owned();
    let (first, at) = (
        dialog.starts_with("start"),
        if dialog.starts_with("start") { start } else { end },
    );
    let local = state.local(at);
    let offset = state.local(0);
    let set = move |state: &mut State, local: i64| {
        let utc = local - offset;
        let place = state.page_mut();
        if first {
            // The end moves along, as in the app.
            place.set("start", utc.to_string());
            place.set("end", (utc + (end - start).max(0)).to_string());
        } else {
            place.set("end", utc.max(start).to_string());
        }
    };
    match dialog.as_str() {
        "start_day" | "end_day" => {
            ui.day_picker(Arc::new(move |state: &mut State, day| {
                set(state, day + local.rem_euclid(DAY))
            }));
        }
        "start_time" | "end_time" => ui.time_picker(
            full,
            Arc::new(move |state: &mut State, hour, minute| {
                let day = local - local.rem_euclid(DAY);
                set(state, day + i64::from(hour * 60 + minute) * 60_000);
            }),
        ),
        _ => {}
    }
}

fn save(state: &mut State) {
    let place = state.page().clone();
    let typed = |key: &str| place.typed(key).trim().to_owned();
    let known = place.number("id").map(|id| id as u32);
    let id = known.unwrap_or_else(|| state.fresh_id());
    let title = typed("title");
    let event = Event {
        id,
        title: if title.is_empty() {
            "(No title)".to_owned()
        } else {
            title
        },
        start: place.number("start").unwrap_or(state.now),
        end: place.number("end").unwrap_or(state.now),
        all_day: place.var("all_day") == "1",
        place: typed("place"),
        text: typed("text"),
        calendar: place.number("calendar").unwrap_or(1) as u32,
    };
    state.events.retain(|other| other.id != id);
    state.events.push(event);
    state.events.sort_by_key(|event| (event.start, event.id));
    state.close_page();
    state.say(if known.is_some() {
        "Event updated"
    } else {
        "Event saved"
    });
}
