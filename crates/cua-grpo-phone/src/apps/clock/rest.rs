//! World clock, timer, stopwatch.

use crate::{
    draw::geom::Rect,
    state::{
        State,
        data::Timer,
        time::{Civil, ZONES, zone_offset},
    },
    ui::{Act, Ui, sp},
};
use std::sync::Arc;

/// The clock of here and of other cities.
pub fn world(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let now = state.civil();
    let time = state.clock(now.hour, now.minute);
    let (digits, half) = time.split_once(' ').unwrap_or((&time, ""));
    let y = area.y + 76.0;
    ui.label(area.x + 24.0, y, area.w, sp(72.0), theme.on_surface, digits);
    let (wide, _) = ui.measure(digits, sp(72.0), area.w);
    ui.draw_text(area.x + 30.0 + wide, y + 44.0, 60.0, sp(24.0), theme.on_surface, half);
    ui.label(
        area.x + 26.0,
        y + 88.0,
        area.w,
        sp(16.0),
        theme.on_variant,
        &now.short_date(),
    );
    let mut top = y + 140.0;
    for city in &state.cities {
        let rect = Rect::new(area.x + 16.0, top, area.w - 32.0, 84.0);
        ui.fill(rect, 24.0, theme.container);
        let zone = ZONES.iter().find(|zone| zone.0 == city);
        let name = zone.map_or(city.as_str(), |zone| zone.1);
        let at = Civil::new(state.now + zone_offset(city));
        let hours = (zone_offset(city) - state.local(0)) as f64 / 3_600_000.0;
        let ahead = match hours {
            h if h > 0.0 => format!("{h} hrs ahead"),
            h if h < 0.0 => format!("{} hrs behind", -h),
            _ => "Same time".to_owned(),
        };
        let clock = state.clock(at.hour, at.minute);
        let gone = city.clone();
        ui.node(rect)
            .class("android.view.ViewGroup")
            .desc(name)
            .long(move |state| state.cities.retain(|city| *city != gone));
        ui.open();
        ui.label(rect.x + 20.0, rect.y + 16.0, 200.0, sp(18.0), theme.on_surface, name);
        ui.label(rect.x + 20.0, rect.y + 44.0, 200.0, sp(14.0), theme.on_variant, &ahead);
        ui.label_in(
            Rect::new(rect.x + 140.0, rect.y, rect.w - 160.0, rect.h),
            sp(32.0).right(),
            theme.on_surface,
            &clock,
        );
        ui.close();
        top += 92.0;
    }
    let rect = Rect::new(area.x + area.w / 2.0 - 48.0, area.bottom() - 112.0, 96.0, 96.0);
    ui.fab_at(rect, 28.0, "add", "Add city", |state| {
        state.page_mut().set("dialog", "city")
    });
}

/// `01:05:09` of milliseconds.
fn clock_face(ms: i64) -> String {
    let seconds = (ms + 999) / 1000;
    if seconds >= 3600 {
        format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    } else {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

/// The timer: a pad to set it, or what is left.
pub fn timer(state: &State, ui: &mut Ui) {
    if state.timer.length > 0 {
        running(state, ui);
        return;
    }
    let (area, theme) = (ui.area, ui.theme);
    let typed = ui.place.var("digits").to_owned();
    let padded = format!("{typed:0>6}");
    let y = area.y + 84.0;
    let parts = [(&padded[0..2], "h"), (&padded[2..4], "m"), (&padded[4..6], "s")];
    let color = if typed.is_empty() {
        theme.on_variant
    } else {
        theme.primary
    };
    let spoken = format!("{} hours, {} minutes, {} seconds", parts[0].0, parts[1].0, parts[2].0);
    for (index, (digits, unit)) in parts.into_iter().enumerate() {
        let x = area.x + area.w / 2.0 - 156.0 + index as f32 * 106.0;
        let (wide, _) = ui.measure(digits, sp(54.0), 90.0);
        ui.draw_text(x, y, 90.0, sp(54.0), color, digits);
        ui.draw_text(x + wide + 3.0, y + 32.0, 30.0, sp(22.0), color, unit);
    }
    ui.node(Rect::new(area.x + 40.0, y, area.w - 80.0, 70.0))
        .class("android.widget.TextView")
        .id("timer_setup_time")
        .text(format!("{}h {}m {}s", parts[0].0, parts[1].0, parts[2].0))
        .desc(spoken);
    let top = y + 92.0;
    let room = (area.bottom() - top - 112.0) / 4.0;
    let size = (room - 8.0).min(84.0);
    let keys = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "00", "0", "x"];
    for (index, key) in keys.into_iter().enumerate() {
        let x = area.x + area.w / 2.0 + ((index % 3) as f32 - 1.0) * (size + 14.0) - size / 2.0;
        let rect = Rect::new(x, top + (index / 3) as f32 * (size + 8.0), size, size);
        let back = if key == "x" {
            theme.primary_container
        } else {
            theme.container_high
        };
        ui.fill(rect, size / 2.0, back);
        if key == "x" {
            ui.icon("backspace_o", rect, 26.0, theme.on_primary_container);
        } else {
            ui.draw_text_in(rect, sp(30.0).center(), theme.on_surface, key);
        }
        let desc = if key == "x" { "Delete" } else { key };
        let node = ui.node(rect);
        node.class("android.widget.Button")
            .text(if key == "x" { "" } else { key })
            .desc(desc)
            .tap(move |state| {
                let place = state.page_mut();
                let mut digits = place.var("digits").to_owned();
                if key == "x" {
                    digits.pop();
                } else if digits.len() + key.len() <= 6 && !(digits.is_empty() && key.starts_with('0')) {
                    digits.push_str(key);
                }
                place.set("digits", digits);
            });
    }
    if !typed.is_empty() {
        let rect = Rect::new(area.x + area.w / 2.0 - 48.0, area.bottom() - 108.0, 96.0, 96.0);
        ui.fab_at(rect, 28.0, "play_arrow", "Start", move |state| {
            let number = |range: std::ops::Range<usize>| padded[range].parse::<i64>().unwrap_or(0);
            let length = (number(0..2) * 3600 + number(2..4) * 60 + number(4..6)) * 1000;
            state.timer = Timer {
                length,
                left: length,
                ends: Some(state.now + length),
            };
            state.page_mut().set("digits", "");
        });
    }
}

fn running(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let timer = &state.timer;
    let left = timer.ends.map_or(timer.left, |ends| (ends - state.now).max(0));
    let ring = Rect::new(area.x + area.w / 2.0 - 130.0, area.y + 110.0, 260.0, 260.0);
    ui.arc(ring, 10.0, 0.0, 360.0, theme.container_highest);
    let part = left as f32 / timer.length.max(1) as f32;
    if part > 0.0 {
        ui.arc(ring, 10.0, 0.0, -360.0 * part, theme.primary);
    }
    ui.label_in(ring, sp(52.0).center(), theme.on_surface, &clock_face(left));
    if let Some(node) = ui.last() {
        node.id("timer_text");
    }
    let y = ring.bottom() + 36.0;
    let going = timer.ends.is_some();
    let buttons: [(&'static str, &str, f32); 3] = [
        ("close", "Delete", 64.0),
        (
            if going { "pause" } else { "play_arrow" },
            if going { "Pause" } else { "Start" },
            96.0,
        ),
        ("add", "+1:00", 64.0),
    ];
    let mut x = area.x + area.w / 2.0 - 128.0;
    for (index, (icon, word, size)) in buttons.into_iter().enumerate() {
        let rect = Rect::new(x, y + (96.0 - size) / 2.0, size, size);
        ui.fab_at(rect, size * 0.3, icon, word, move |state| match index {
            0 => state.timer = Timer::default(),
            1 => match state.timer.ends.take() {
                Some(ends) => state.timer.left = (ends - state.now).max(0),
                None => {
                    let left = if state.timer.left > 0 {
                        state.timer.left
                    } else {
                        state.timer.length
                    };
                    state.timer.ends = Some(state.now + left);
                }
            },
            _ => {
                state.timer.length += 60_000;
                state.timer.left += 60_000;
                state.timer.ends = state.timer.ends.map(|ends| ends + 60_000);
            }
        });
        x += size + 16.0;
    }
}

/// The stopwatch.
pub fn stopwatch(state: &State, ui: &mut Ui) {
    let (area, theme) = (ui.area, ui.theme);
    let watch = &state.stopwatch;
    let shown = watch.shown(state.now);
    let ring = Rect::new(area.x + area.w / 2.0 - 130.0, area.y + 96.0, 260.0, 260.0);
    ui.arc(ring, 10.0, 0.0, 360.0, theme.container_highest);
    ui.arc(
        ring,
        10.0,
        0.0,
        360.0 * (shown % 60_000) as f32 / 60_000.0,
        theme.primary,
    );
    let seconds = shown / 1000;
    let main = if seconds >= 60 {
        format!("{}:{:02}", seconds / 60, seconds % 60)
    } else {
        seconds.to_string()
    };
    let text = format!("{main}.{:02}", shown % 1000 / 10);
    ui.label_in(ring, sp(52.0).center(), theme.on_surface, &text);
    if let Some(node) = ui.last() {
        node.id("stopwatch_time_text");
    }
    let mut y = ring.bottom() + 20.0;
    for (index, lap) in watch.laps.iter().enumerate().rev().take(4) {
        let line = format!("# {}     {}.{:02}", index + 1, lap / 1000, lap % 1000 / 10);
        y += ui.label(area.x, y, area.w, sp(15.0).center(), theme.on_variant, &line);
    }
    let going = watch.since.is_some();
    let rect = Rect::new(area.x + area.w / 2.0 - 48.0, area.bottom() - 112.0, 96.0, 96.0);
    let (icon, word) = if going {
        ("pause", "Pause")
    } else {
        ("play_arrow", "Start")
    };
    ui.fab_at(rect, 28.0, icon, word, |state| {
        let now = state.now;
        let watch = &mut state.stopwatch;
        match watch.since.take() {
            Some(since) => watch.before += now - since,
            None => watch.since = Some(now),
        }
    });
    if shown > 0 {
        let left = Rect::new(rect.x - 80.0, rect.y + 16.0, 64.0, 64.0);
        ui.fab_at(left, 20.0, "restart_alt", "Reset", |state| {
            state.stopwatch = crate::state::data::Stopwatch::default()
        });
    }
    if going {
        let right = Rect::new(rect.right() + 16.0, rect.y + 16.0, 64.0, 64.0);
        ui.fab_at(right, 20.0, "timer_o", "Lap", |state| {
            let shown = state.stopwatch.shown(state.now);
            state.stopwatch.laps.push(shown);
        });
    }
}

/// The choice of a city.
pub fn dialogs(state: &State, ui: &mut Ui) {
    if ui.place.var("dialog") != "city" {
        return;
    }
    let free = ZONES
        .iter()
        .filter(|zone| !state.cities.iter().any(|city| city == zone.0));
    let options: Vec<(String, bool, Act)> = free
        .map(|zone| {
            let id = zone.0;
            let add: Act = Arc::new(move |state: &mut State| state.cities.push(id.to_owned()));
            (zone.1.to_owned(), false, add)
        })
        .collect();
    ui.radio_dialog("Add a city", &options);
}
