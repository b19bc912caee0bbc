//! Alarms.

use crate::{
    draw::geom::Rect,
    state::{State, Toggle, data::Alarm, time},
    ui::{FieldLook, Ui, act, pickers, sp},
};
use std::sync::Arc;

const DAYS: [(&str, &str); 7] = [
    ("M", "Monday"),
    ("T", "Tuesday"),
    ("W", "Wednesday"),
    ("T", "Thursday"),
    ("F", "Friday"),
    ("S", "Saturday"),
    ("S", "Sunday"),
];

/// The list of alarms.
pub fn build(state: &State, ui: &mut Ui) {
    let area = ui.area;
    let list = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0);
    if state.alarms.is_empty() {
        ui.nothing_here("alarm", "No alarms");
    }
    ui.scroll("list", list, |ui, top| {
        let mut y = top;
        for alarm in &state.alarms {
            y = card(state, ui, y, alarm) + 8.0;
        }
        y + 120.0
    });
    let rect = Rect::new(area.x + area.w / 2.0 - 48.0, area.bottom() - 112.0, 96.0, 96.0);
    ui.fab_at(rect, 28.0, "add", "Add alarm", |state| {
        let now = state.civil();
        pickers::ask_time(state.page_mut(), "new_alarm", (now.hour + 1) % 24, 0);
    });
}

/// When an alarm rings, in words.
fn days(state: &State, alarm: &Alarm) -> String {
    match alarm.days {
        0 if alarm.enabled => {
            let at = state
                .next_ring(alarm.hour, alarm.minute, 0, state.now)
                .unwrap_or(state.now);
            let today = state.local(state.now).div_euclid(time::DAY);
            if state.local(at).div_euclid(time::DAY) == today {
                "Today"
            } else {
                "Tomorrow"
            }
            .to_owned()
        }
        0 => "Not scheduled".to_owned(),
        0b111_1111 => "Every day".to_owned(),
        mask => {
            let names = DAYS.iter().enumerate().filter(|(bit, _)| mask & 1 << bit != 0);
            names.map(|(_, (_, name))| &name[..3]).collect::<Vec<_>>().join(", ")
        }
    }
}

fn card(state: &State, ui: &mut Ui, y: f32, alarm: &Alarm) -> f32 {
    let theme = ui.theme;
    let id = alarm.id;
    let open = ui.place.var("open") == id.to_string();
    let height = if open { 338.0 } else { 128.0 } + if alarm.label.is_empty() || open { 0.0 } else { 18.0 };
    let rect = Rect::new(ui.area.x + 16.0, y, ui.area.w - 32.0, height);
    ui.fill(
        rect,
        28.0,
        if alarm.enabled {
            theme.secondary_container
        } else {
            theme.container
        },
    );
    let time = state.clock(alarm.hour, alarm.minute);
    let spoken = format!("{time} Alarm");
    ui.node(rect)
        .class("androidx.cardview.widget.CardView")
        .desc(spoken)
        .tap(move |state| {
            let shown = state.page().var("open") == id.to_string();
            state
                .page_mut()
                .set("open", if shown { String::new() } else { id.to_string() });
        });
    ui.open();
    let (x, width) = (rect.x + 20.0, rect.w - 40.0);
    let mut top = rect.y + 14.0;
    if open {
        let word = if alarm.label.is_empty() {
            "Add label"
        } else {
            &alarm.label
        };
        ui.icon("label_o", Rect::new(x, top, 22.0, 24.0), 20.0, theme.on_variant);
        ui.label(x + 32.0, top + 1.0, width - 90.0, sp(15.0), theme.on_surface, word);
        let label = alarm.label.clone();
        let node = ui.node(Rect::new(x, top - 6.0, width - 60.0, 34.0));
        node.class("android.widget.TextView")
            .id("edit_label")
            .text(word)
            .tap(move |state| {
                let place = state.page_mut();
                place.set("about", id.to_string());
                place.fill("label", label.as_str());
                place.focus("label");
                place.set("dialog", "label");
            });
        top += 30.0;
    } else if !alarm.label.is_empty() {
        ui.label(x, top, width - 60.0, sp(14.0), theme.on_surface, &alarm.label);
        top += 20.0;
    }
    let (digits, half) = time.split_once(' ').unwrap_or((&time, ""));
    let color = if alarm.enabled {
        theme.on_surface
    } else {
        theme.on_variant
    };
    let (wide, _) = ui.measure(digits, sp(52.0), width);
    ui.draw_text(x, top, width, sp(52.0), color, digits);
    ui.draw_text(x + wide + 6.0, top + 28.0, 60.0, sp(20.0), color, half);
    let (hour, minute) = (alarm.hour, alarm.minute);
    ui.node(Rect::new(x, top, wide + 50.0, 60.0))
        .class("android.widget.TextView")
        .id("digital_clock")
        .text(time.clone())
        .tap(move |state| {
            state.page_mut().set("about", id.to_string());
            pickers::ask_time(state.page_mut(), "move_alarm", hour, minute);
        });
    let low = top + 66.0;
    ui.label(x, low + 6.0, width - 80.0, sp(15.0), color, &days(state, alarm));
    if let Some(node) = ui.last() {
        node.id("days_of_week");
    }
    let arrow = Rect::new(rect.right() - 56.0, rect.y + 8.0, 44.0, 40.0);
    ui.fill(arrow.middle(32.0, 32.0), 16.0, theme.container_highest);
    ui.icon(
        if open { "expand_less" } else { "expand_more" },
        arrow,
        22.0,
        theme.on_surface,
    );
    let word = if open { "Collapse" } else { "Expand" };
    ui.node(arrow)
        .class("android.widget.ImageButton")
        .id("arrow")
        .desc(format!("{word} {time} alarm"))
        .tap(move |state| {
            let next = if open { String::new() } else { id.to_string() };
            state.page_mut().set("open", next);
        });
    let part = Rect::new(rect.right() - 76.0, low, 60.0, 40.0);
    ui.draw_switch(part, alarm.enabled, true);
    let node = ui.node(part);
    node.class("android.widget.Switch")
        .id("onoff")
        .desc(spoken_switch(&time))
        .check(alarm.enabled);
    node.tap(move |state| {
        if let Some(alarm) = state.alarms.iter_mut().find(|alarm| alarm.id == id) {
            alarm.enabled = !alarm.enabled;
        }
    });
    if open {
        details(ui, alarm, x, low + 48.0, width);
    }
    ui.close();
    rect.bottom()
}

fn spoken_switch(time: &str) -> String {
    format!("{time} alarm on or off")
}

fn details(ui: &mut Ui, alarm: &Alarm, x: f32, y: f32, width: f32) {
    let theme = ui.theme;
    let id = alarm.id;
    let gap = (width - 7.0 * 36.0) / 6.0;
    for (bit, (letter, name)) in DAYS.into_iter().enumerate() {
        let rect = Rect::new(x + bit as f32 * (36.0 + gap), y, 36.0, 36.0);
        let on = alarm.days & 1 << bit != 0;
        if on {
            ui.fill(rect, 18.0, theme.primary);
        } else {
            ui.stroke(rect, 18.0, 1.0, theme.outline);
        }
        ui.draw_text_in(
            rect,
            sp(15.0).center(),
            if on { theme.on_primary } else { theme.on_surface },
            letter,
        );
        ui.node(rect)
            .class("android.widget.CheckBox")
            .desc(name)
            .check(on)
            .tap(move |state| {
                if let Some(alarm) = state.alarms.iter_mut().find(|alarm| alarm.id == id) {
                    alarm.days ^= 1 << bit;
                    alarm.enabled = true;
                }
            });
    }
    let rows: [(&'static str, &str); 3] = [
        ("notifications_active_o", "Default (Fresh start)"),
        ("vibration", "Vibrate"),
        ("delete_o", "Delete"),
    ];
    for (index, (icon, word)) in rows.into_iter().enumerate() {
        let row = Rect::new(x, y + 46.0 + index as f32 * 44.0, width, 44.0);
        ui.icon(icon, Rect::new(row.x, row.y, 24.0, row.h), 22.0, theme.on_variant);
        ui.label_in(
            Rect::new(row.x + 36.0, row.y, width - 80.0, row.h),
            sp(15.0),
            theme.on_surface,
            word,
        );
        if index == 1 {
            ui.draw_check(Rect::new(row.right() - 36.0, row.y, 24.0, row.h), alarm.vibrate);
        }
        let vibrate = alarm.vibrate;
        let node = ui.node(row);
        node.class("android.widget.TextView").text(word);
        match index {
            1 => node.check(vibrate).tap(move |state| {
                if let Some(alarm) = state.alarms.iter_mut().find(|alarm| alarm.id == id) {
                    alarm.vibrate = !alarm.vibrate;
                }
            }),
            2 => node.tap(move |state| {
                state.alarms.retain(|alarm| alarm.id != id);
                state.say("Alarm deleted");
            }),
            _ => node.tap(|_| ()),
        };
    }
}

/// Adds an alarm that is on, as the app and its intent do.
pub fn add(state: &mut State, hour: u32, minute: u32, label: &str) -> u32 {
    let id = state.fresh_id();
    state.alarms.push(Alarm {
        id,
        hour,
        minute,
        enabled: true,
        days: 0,
        label: label.to_owned(),
        vibrate: true,
    });
    state.alarms.sort_by_key(|alarm| (alarm.hour, alarm.minute));
    let left = state
        .next_ring(hour, minute, 0, state.now)
        .map_or(0, |at| (at - state.now + 59_999) / 60_000);
    let (hours, minutes) = (left / 60, left % 60);
    state.say(format!("Alarm set for {hours} hours and {minutes} minutes from now."));
    id
}

/// The dialogs of this page.
pub fn dialogs(state: &State, ui: &mut Ui) {
    let full = state.on(Toggle::FullDay);
    let about = ui.place.number("about").unwrap_or(0) as u32;
    match ui.place.var("dialog") {
        "new_alarm" => ui.time_picker(
            full,
            Arc::new(|state: &mut State, hour, minute| {
                let id = add(state, hour, minute, "");
                state.page_mut().set("open", id.to_string());
            }),
        ),
        "move_alarm" => ui.time_picker(
            full,
            Arc::new(move |state: &mut State, hour, minute| {
                if let Some(alarm) = state.alarms.iter_mut().find(|alarm| alarm.id == about) {
                    (alarm.hour, alarm.minute, alarm.enabled) = (hour, minute, true);
                }
                state.alarms.sort_by_key(|alarm| (alarm.hour, alarm.minute));
            }),
        ),
        "label" => {
            let set = act(move |state: &mut State| {
                let text = state.page().typed("label").trim().to_owned();
                if let Some(alarm) = state.alarms.iter_mut().find(|alarm| alarm.id == about) {
                    alarm.label = text;
                }
            });
            ui.field_dialog("Add label", &FieldLook::new("label", "Label"), "OK", set);
        }
        _ => {}
    }
}
