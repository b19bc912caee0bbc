//! Calendar: the schedule and an event.

mod form;

use crate::{
    app::{App, Icon, Intent, Layer},
    draw::geom::{Color, Rect},
    state::{
        Place, State,
        data::{Event, Info},
        time::{Civil, DAY},
    },
    ui::{Ui, act, pickers, sp},
};
use std::sync::Arc;

const ACTIVITY: &str = "com.android.calendar.AllInOneActivity";

/// Calendar.
pub struct Calendar;

impl App for Calendar {
    fn info(&self) -> Info {
        Info {
            package: "com.google.android.calendar",
            label: "Calendar",
            activity: ACTIVITY,
            permissions: &[
                "READ_CALENDAR",
                "READ_CONTACTS",
                "ACCESS_FINE_LOCATION",
                "POST_NOTIFICATIONS",
            ],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xFF_FFFF,
            layers: &[
                Layer::Block(0x42_85F4, 0.58, 0.58, 0.0, 0.0, 0.10),
                Layer::Block(0xFF_FFFF, 0.46, 0.46, 0.0, 0.0, 0.04),
                Layer::Word("31", 0x1A_73E8, 0.30),
            ],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        match ui.place.page.as_str() {
            "event" => event(state, ui),
            "form" => form::form(state, ui),
            _ => schedule(state, ui),
        }
    }

    fn intent(&self, state: &mut State, intent: &Intent) -> Option<Place> {
        if !intent.action.ends_with(".INSERT") {
            return None;
        }
        let mut place = Place::new("com.android.calendar.event.EditEventActivity", "form");
        place.fill("title", intent.extra("title").unwrap_or_default());
        let begin = intent.extra("beginTime").and_then(|value| value.parse().ok());
        let start = begin.unwrap_or_else(|| next_hour(state));
        place.set("start", start.to_string());
        place.set("end", (start + 3_600_000).to_string());
        Some(place)
    }
}

fn next_hour(state: &State) -> i64 {
    (state.now / 3_600_000 + 1) * 3_600_000
}

fn color(calendar: u32) -> Color {
    Color::hex(if calendar == 2 { 0x0B_8043 } else { 0x03_9BE5 })
}

/// `8:00 – 9:00 AM`.
fn span(state: &State, event: &Event) -> String {
    if event.all_day {
        return "All day".to_owned();
    }
    let (start, end) = (state.clock_of(event.start), state.clock_of(event.end));
    let same = start.split_once(' ').map(|(_, half)| half) == end.split_once(' ').map(|(_, half)| half);
    let start = if same {
        start.split(' ').next().unwrap_or(&start).to_owned()
    } else {
        start
    };
    format!("{start} \u{2013} {end}")
}

fn schedule(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let today = state.local(state.now).div_euclid(DAY);
    let mut list: Vec<Event> = state.events.clone();
    list.sort_by_key(|event| (event.start, event.id));
    let rect = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0);
    let shown = ui.place.number("from").unwrap_or(today);
    ui.scroll("list", rect, |ui, top| {
        let mut y = top + 8.0;
        let mut month = 0;
        let mut days: Vec<i64> = list
            .iter()
            .map(|event| state.local(event.start).div_euclid(DAY))
            .collect();
        days.push(today);
        days.sort_unstable();
        days.dedup();
        for day in days.into_iter().filter(|day| *day >= shown) {
            let at = Civil::new(day * DAY);
            if at.month != month {
                month = at.month;
                let banner = Rect::new(area.x, y, area.w, 96.0);
                let tint = [0x9F_C3E4, 0xB9_D8B4, 0xE7_C5A8, 0xC7_B0E0][month as usize % 4];
                ui.fill(
                    banner,
                    0.0,
                    theme
                        .container
                        .mix(Color::hex(tint), if theme.dark { 0.25 } else { 0.55 }),
                );
                let title = format!("{} {}", at.month_name(), at.year);
                ui.label(area.x + 72.0, y + 16.0, 260.0, sp(20.0), theme.on_surface, &title);
                y += 104.0;
            }
            let events: Vec<&Event> = list
                .iter()
                .filter(|event| state.local(event.start).div_euclid(DAY) == day)
                .collect();
            let circle = Rect::new(area.x + 14.0, y + 22.0, 40.0, 40.0);
            let front = if day == today { theme.primary } else { theme.on_variant };
            ui.label(
                area.x + 14.0,
                y + 4.0,
                40.0,
                sp(12.0).medium().center(),
                front,
                &at.weekday_name()[..3],
            );
            if day == today {
                ui.fill(circle, 20.0, theme.primary);
            }
            let number = if day == today {
                theme.on_primary
            } else {
                theme.on_surface
            };
            ui.label_in(circle, sp(22.0).center(), number, &at.day.to_string());
            let mut line = y + 4.0;
            if events.is_empty() {
                ui.label(
                    area.x + 72.0,
                    line + 20.0,
                    260.0,
                    sp(15.0),
                    theme.on_variant,
                    "Nothing planned. Tap to create.",
                );
                line += 58.0;
            }
            for event in events {
                line = card(state, ui, line, event) + 6.0;
            }
            y = line.max(y + 66.0) + 10.0;
        }
        y + 96.0
    });
    ui.top_bar("", false);
    let at = Civil::new(today * DAY);
    ui.icon(
        "menu",
        Rect::new(area.x + 12.0, area.y, 40.0, 64.0),
        24.0,
        theme.on_variant,
    );
    ui.label_in(
        Rect::new(area.x + 64.0, area.y, 200.0, 64.0),
        sp(22.0),
        theme.on_surface,
        at.month_name(),
    );
    ui.icon_button(area.right() - 104.0, area.y + 8.0, "search", "Search", |state| {
        state.say("Search needs an account")
    });
    ui.icon_button(
        area.right() - 56.0,
        area.y + 8.0,
        "today_o",
        "Jump to date",
        move |state| {
            let now = state.local(state.now);
            pickers::ask_day(state.page_mut(), "jump", now);
        },
    );
    ui.fab("add", "Create new event", |state| {
        let start = next_hour(state);
        state.open("form");
        let place = state.page_mut();
        place.set("start", start.to_string());
        place.set("end", (start + 3_600_000).to_string());
        place.focus("title");
    });
    if ui.place.var("dialog") == "jump" {
        ui.day_picker(Arc::new(|state: &mut State, day| {
            state.page_mut().set("from", day.div_euclid(DAY).to_string());
            state.page_mut().scroll.clear();
        }));
    }
}

fn card(state: &State, ui: &mut Ui, y: f32, event: &Event) -> f32 {
    let height = if event.place.is_empty() { 54.0 } else { 72.0 };
    let rect = Rect::new(ui.area.x + 72.0, y, ui.area.w - 88.0, height);
    ui.fill(rect, 10.0, color(event.calendar));
    let id = event.id;
    let spoken = format!("{}, {}", event.title, span(state, event));
    ui.node(rect)
        .class("android.view.View")
        .desc(spoken)
        .tap(move |state| state.open_about("event", id));
    ui.open();
    let width = rect.w - 24.0;
    ui.label(
        rect.x + 12.0,
        y + 8.0,
        width,
        sp(15.0).medium(),
        Color::WHITE,
        &event.title,
    );
    ui.label(
        rect.x + 12.0,
        y + 29.0,
        width,
        sp(13.0),
        Color::WHITE,
        &span(state, event),
    );
    if !event.place.is_empty() {
        ui.label(rect.x + 12.0, y + 47.0, width, sp(13.0), Color::WHITE, &event.place);
    }
    ui.close();
    y + height
}

fn event(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let id = ui.place.number("id").unwrap_or(0) as u32;
    let Some(event) = state.events.iter().find(|event| event.id == id).cloned() else {
        ui.top_bar("", false);
        ui.icon_button(area.x + 4.0, area.y + 8.0, "close", "Cancel", State::close_page);
        ui.nothing_here("event_busy", "This event is gone");
        return;
    };
    ui.icon_button(area.x + 4.0, area.y + 8.0, "close", "Cancel", State::close_page);
    let edited = event.clone();
    ui.icon_button(area.right() - 104.0, area.y + 8.0, "edit_o", "Edit", move |state| {
        form::edit(state, &edited)
    });
    ui.icon_button(
        area.right() - 56.0,
        area.y + 8.0,
        "more_vert",
        "More options",
        |state| state.page_mut().set("menu", "more"),
    );
    let y = area.y + 76.0;
    ui.fill(
        Rect::new(area.x + 24.0, y + 8.0, 20.0, 20.0),
        5.0,
        color(event.calendar),
    );
    let high = ui.label(
        area.x + 68.0,
        y,
        area.w - 92.0,
        sp(26.0).lines(3),
        theme.on_surface,
        &event.title,
    );
    let at = Civil::new(state.local(event.start));
    let day = format!("{}, {} {}", at.weekday_name(), at.month_name(), at.day);
    let mut y = y + high + 6.0;
    ui.label(
        area.x + 68.0,
        y,
        area.w - 92.0,
        sp(15.0),
        theme.on_variant,
        &format!("{day} \u{2022} {}", span(state, &event)),
    );
    y += 44.0;
    let calendar = state
        .calendars
        .iter()
        .find(|(id, _)| *id == event.calendar)
        .map_or("", |(_, name)| name.as_str());
    let rows: [(&'static str, &str); 4] = [
        ("location_on_o", &event.place),
        ("notifications_o", "30 minutes before"),
        ("subject", &event.text),
        ("event_o", calendar),
    ];
    for (icon, text) in rows.into_iter().filter(|(_, text)| !text.is_empty()) {
        ui.icon(icon, Rect::new(area.x + 22.0, y, 24.0, 48.0), 24.0, theme.on_variant);
        ui.label_in(
            Rect::new(area.x + 68.0, y, area.w - 92.0, 48.0),
            sp(16.0).lines(3),
            theme.on_surface,
            text,
        );
        y += 52.0;
    }
    if ui.place.var("menu") == "more" {
        let ask = act(|state: &mut State| state.page_mut().set("dialog", "delete"));
        let again = event.clone();
        let copy = act(move |state: &mut State| {
            let mut copy = again.clone();
            copy.id = state.fresh_id();
            state.events.push(copy);
        });
        ui.menu(
            area.right() - 8.0,
            area.y + 8.0,
            &[("Delete", ask), ("Duplicate", copy)],
        );
    }
    if ui.place.var("dialog") == "delete" {
        let yes = act(move |state: &mut State| {
            state.events.retain(|event| event.id != id);
            state.close_page();
            state.say("Event deleted");
        });
        ui.dialog(
            "",
            "Delete this event?",
            &[("Cancel", act(|_: &mut State| ())), ("Delete", yes)],
        );
    }
}
