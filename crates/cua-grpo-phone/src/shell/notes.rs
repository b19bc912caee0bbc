//! Rows of notes and alarms. These two tables are the simulator's own: no provider of a real phone has them.

use super::people::{Row, text};
use crate::state::{
    State,
    data::{Alarm, Note},
};

/// A note: the items of a checklist stand one a line behind their ticks.
pub fn note(note: &Note) -> Row {
    let item = |(item, done): &(String, bool)| format!("[{}] {item}", if *done { "x" } else { " " });
    let items: Vec<String> = note.items.iter().map(item).collect();
    vec![
        ("_id", text(note.id)),
        ("title", Some(note.title.clone())),
        ("body", Some(note.body.clone())),
        ("items", Some(items.join("\n"))),
        ("pinned", text(u8::from(note.pinned))),
        ("color", text(note.color)),
    ]
}

/// An alarm; `daysofweek` has bit 0 for Monday, as the clock keeps it.
pub fn alarm(alarm: &Alarm) -> Row {
    vec![
        ("_id", text(alarm.id)),
        ("hour", text(alarm.hour)),
        ("minutes", text(alarm.minute)),
        ("daysofweek", text(alarm.days)),
        ("enabled", text(u8::from(alarm.enabled))),
        ("vibrate", text(u8::from(alarm.vibrate))),
        ("label", Some(alarm.label.clone())),
    ]
}

/// Writes a note, or a new one.
pub fn write_note(state: &mut State, id: Option<u32>, value: &dyn Fn(&str) -> Option<String>) {
    let id = id.unwrap_or_else(|| {
        let id = state.fresh_id();
        let fresh = Note { id, ..Note::default() };
        state.notes.insert(0, fresh);
        id
    });
    let now = state.now;
    if let Some(note) = state.notes.iter_mut().find(|note| note.id == id) {
        note.title = value("title").unwrap_or(std::mem::take(&mut note.title));
        note.body = value("body").unwrap_or(std::mem::take(&mut note.body));
        note.pinned = value("pinned").map_or(note.pinned, |pinned| pinned == "1");
        if let Some(items) = value("items") {
            let item = |line: &str| match line.strip_prefix("[x] ") {
                Some(item) => (item.to_owned(), true),
                None => (line.strip_prefix("[ ] ").unwrap_or(line).to_owned(), false),
            };
            note.items = items.lines().map(item).collect();
        }
        note.changed = now;
    }
}

/// Writes an alarm, or a new one. An error says what is missing.
pub fn write_alarm(state: &mut State, id: Option<u32>, value: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    let number = |name: &str, limit: u32| -> Result<Option<u32>, String> {
        let wrong = || format!("IllegalArgumentException: {name} must be a number below {limit}");
        let read = |text: String| text.parse().ok().filter(|number| *number < limit).ok_or_else(wrong);
        value(name).map(read).transpose()
    };
    let (hour, minute, days) = (number("hour", 24)?, number("minutes", 60)?, number("daysofweek", 128)?);
    let id = match id {
        Some(id) => id,
        None => {
            let (Some(hour), Some(minute)) = (hour, minute) else {
                return Err("IllegalArgumentException: hour and minutes are needed".to_owned());
            };
            let id = state.fresh_id();
            state.alarms.push(Alarm {
                id,
                hour,
                minute,
                enabled: true,
                days: 0,
                label: String::new(),
                vibrate: true,
            });
            id
        }
    };
    if let Some(alarm) = state.alarms.iter_mut().find(|alarm| alarm.id == id) {
        alarm.hour = hour.unwrap_or(alarm.hour);
        alarm.minute = minute.unwrap_or(alarm.minute);
        alarm.days = days.map_or(alarm.days, |days| days as u8);
        alarm.enabled = value("enabled").map_or(alarm.enabled, |on| on != "0");
        alarm.vibrate = value("vibrate").map_or(alarm.vibrate, |on| on != "0");
        alarm.label = value("label").unwrap_or(std::mem::take(&mut alarm.label));
    }
    state.alarms.sort_by_key(|alarm| (alarm.hour, alarm.minute, alarm.id));
    Ok(())
}
