//! Sound, vibration, Do Not Disturb.

use super::kit::{link, switch, tell};
use crate::{
    state::{State, Stream, Toggle},
    ui::Ui,
};
use std::sync::Arc;

/// Sound & vibration.
pub fn sound(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let words: [(Stream, &'static str, &str); 5] = [
        (Stream::Media, "music_note", "Media volume"),
        (Stream::Call, "phone_o", "Call volume"),
        (Stream::Ring, "notifications_o", "Ring volume"),
        (Stream::Notification, "notifications_active_o", "Notification volume"),
        (Stream::Alarm, "alarm", "Alarm volume"),
    ];
    let mut y = y;
    for (stream, icon, title) in words {
        let (least, most) = stream.range();
        let value = (state.volume(stream) - least) as f32 / (most - least) as f32;
        let slide = Arc::new(move |state: &mut State, at: f32| {
            let volume = least + (at * (most - least) as f32).round() as i64;
            state.set_volume(stream, volume);
        });
        y = ui.slider_row(y, Some(icon), title, value, slide);
    }
    let dnd = if state.on(Toggle::Dnd) {
        "On"
    } else {
        "Off / 1 schedule can turn on automatically"
    };
    y = link(ui, y, "", "Do Not Disturb", dnd, "dnd");
    y = tell(ui, y, "Phone ringtone", "Your new adventure");
    y = tell(ui, y, "Live Caption", "Off");
    y = link(
        ui,
        y,
        "",
        "Vibration & haptics",
        if state.on(Toggle::Haptics) { "On" } else { "Off" },
        "vibration",
    );
    y = tell(ui, y, "Default notification sound", "Eureka");
    y = tell(ui, y, "Default alarm sound", "Fresh start");
    y = switch(state, ui, y, "Dial pad tones", "", Toggle::DialTones);
    y = switch(state, ui, y, "Screen locking sound", "", Toggle::LockSound);
    switch(state, ui, y, "Tap & click sounds", "", Toggle::TouchSounds)
}

/// Vibration & haptics.
pub fn vibration(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::Haptics);
    let y = ui.main_switch(y, "Use vibration & haptics", on, |state| state.flip(Toggle::Haptics));
    switch(
        state,
        ui,
        y,
        "Vibrate first then ring gradually",
        "",
        Toggle::VibrateRing,
    )
}

/// Do Not Disturb.
pub fn dnd(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::Dnd);
    let word = if on { "Turn off now" } else { "Turn on now" };
    let rect = crate::draw::geom::Rect::new(ui.area.x + 24.0, y + 8.0, ui.area.w - 48.0, 48.0);
    let kind = if on {
        crate::ui::Button::Tonal
    } else {
        crate::ui::Button::Filled
    };
    ui.button(rect, kind, word, |state| state.flip(Toggle::Dnd));
    let mut y = ui.category(y + 60.0, "What can interrupt Do Not Disturb");
    y = tell(ui, y, "People", "Some people can interrupt");
    y = tell(ui, y, "Apps", "No apps can interrupt");
    y = tell(ui, y, "Alarms & other interruptions", "Alarms and media sounds");
    y = ui.category(y, "General");
    y = tell(ui, y, "Schedules", "1 schedule set");
    tell(ui, y, "Duration for Quick Settings", "Until you turn off")
}
