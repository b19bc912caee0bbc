//! System, date and time, languages, gestures, developer options.

use super::kit::{ask, link, switch, tell};
use crate::{
    state::{State, Table, Toggle, time},
    ui::{End, Row, Ui},
};

/// System.
pub fn system(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let zone = time::zone_gmt(state.zone());
    let backup = if state.on(Toggle::Backup) { "On" } else { "Off" };
    let mut y = link(ui, y, "language", "Languages", "English (United States)", "languages");
    y = link(ui, y, "keyboard_o", "Keyboard", "Gboard", "keyboard");
    y = link(ui, y, "gesture", "Gestures", "", "gestures");
    y = link(ui, y, "access_time", "Date & time", &zone, "date");
    y = link(ui, y, "cloud_upload_o", "Backup", backup, "backup");
    y = link(ui, y, "system_update", "System update", "Update available", "update");
    y = ui.row(
        y,
        Row::new("Multiple users")
            .icon("people_outline")
            .summary("Signed in as Owner")
            .tap(|_| ()),
    );
    if state.on(Toggle::Developer) {
        y = link(ui, y, "data_object", "Developer options", "", "developer");
    }
    link(ui, y, "restore", "Reset options", "", "reset")
}

/// Languages.
pub fn languages(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let now = state.props.get("persist.sys.locale").cloned().unwrap_or_default();
    let list = [
        ("en-US", "English (United States)"),
        ("es-ES", "Espa\u{f1}ol (Espa\u{f1}a)"),
        ("fr-FR", "Fran\u{e7}ais (France)"),
        ("de-DE", "Deutsch (Deutschland)"),
    ];
    let mut y = ui.category(y - 12.0, "System languages");
    for (locale, name) in list {
        y = ui.row(
            y,
            Row::new(name).end(End::Radio(now == locale)).tap(move |state| {
                state.props.insert("persist.sys.locale".to_owned(), locale.to_owned());
                state.settings.put(Table::System, "system_locales", locale);
            }),
        );
    }
    ui.paragraph(y, "Apps on this phone show their texts in English")
}

/// Keyboard.
pub fn keyboard(_state: &State, ui: &mut Ui, y: f32) -> f32 {
    let y = tell(ui, y, "On-screen keyboard", "Gboard");
    let y = tell(ui, y, "Physical keyboard", "Not connected");
    let y = tell(ui, y, "Spell checker", "Gboard");
    tell(ui, y, "Personal dictionary", "")
}

/// Gestures.
pub fn gestures(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let mode = if state.has_buttons() {
        "3-button navigation"
    } else {
        "Gesture navigation"
    };
    let y = link(ui, y, "", "Navigation mode", mode, "navigation");
    let y = switch(state, ui, y, "Lift to check phone", "", Toggle::Lift);
    tell(ui, y, "Quickly open camera", "On")
}

/// The navigation mode.
pub fn navigation(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let buttons = state.has_buttons();
    let gesture = "To go Home, swipe up from the bottom of the screen. To switch apps, swipe up from the bottom, hold, then release.";
    let row = Row::new("Gesture navigation")
        .summary(gesture)
        .end(End::Radio(!buttons));
    let y = ui.row(
        y,
        row.tap(|state| state.settings.put(Table::Secure, "navigation_mode", "2")),
    );
    let three = "Go back, Home, and switch apps with 3 buttons at the bottom of your screen.";
    let row = Row::new("3-button navigation").summary(three).end(End::Radio(buttons));
    ui.row(
        y,
        row.tap(|state| state.settings.put(Table::Secure, "navigation_mode", "0")),
    )
}

/// Date & time.
pub fn date(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let now = state.civil();
    let (auto_time, auto_zone) = (state.on(Toggle::AutoTime), state.on(Toggle::AutoZone));
    let day = format!("{} {}, {}", now.month_name(), now.day, now.year);
    let clock = state.clock(now.hour, now.minute);
    let zone = zone_words(state.zone());
    let mut y = switch(state, ui, y, "Automatic date and time", "", Toggle::AutoTime);
    let row = Row::new("Date").summary(&day).enabled(!auto_time);
    y = ui.row(y, row.tap(|state| state.page_mut().set("dialog", "set_date")));
    let row = Row::new("Time").summary(&clock).enabled(!auto_time);
    y = ui.row(y, row.tap(|state| state.page_mut().set("dialog", "set_time")));
    y = ui.category(y, "Time zone");
    y = switch(state, ui, y, "Automatic time zone", "", Toggle::AutoZone);
    let row = Row::new("Time zone").summary(&zone).enabled(!auto_zone);
    y = ui.row(y, row.tap(super::kit::to("zone")));
    y = ui.category(y, "Time format");
    let example = if state.on(Toggle::FullDay) { "13:00" } else { "1:00 PM" };
    switch(state, ui, y, "Use 24-hour format", example, Toggle::FullDay)
}

/// `GMT+01:00 Central European Standard Time`.
pub fn zone_words(id: &str) -> String {
    let name = time::ZONES.iter().find(|zone| zone.0 == id).map_or(id, |zone| zone.2);
    format!("{} {name}", time::zone_gmt(id))
}

/// Backup.
pub fn backup(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::Backup);
    let y = ui.main_switch(y, "Back up to cloud", on, |state| state.flip(Toggle::Backup));
    tell(ui, y, "Account storage", "alex@example.com")
}

/// System update.
pub fn update(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let patch = state
        .props
        .get("ro.build.version.security_patch")
        .cloned()
        .unwrap_or_default();
    let y = tell(
        ui,
        y,
        "Your system is up to date",
        &format!("Security patch of {patch}"),
    );
    ui.row(
        y,
        Row::new("Check for update").tap(|state| state.say("Your system is up to date")),
    )
}

/// Developer options.
pub fn developer(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::Developer);
    let mut y = ui.main_switch(y, "Use developer options", on, |state| state.flip(Toggle::Developer));
    let text = "Screen will never sleep while charging";
    y = switch(state, ui, y, "Stay awake", text, Toggle::StayAwake);
    y = switch(
        state,
        ui,
        y,
        "USB debugging",
        "Debug mode when USB is connected",
        Toggle::Adb,
    );
    for (title, key) in [
        ("Window animation scale", "window_animation_scale"),
        ("Transition animation scale", "transition_animation_scale"),
        ("Animator duration scale", "animator_duration_scale"),
    ] {
        let value = state.settings.get(Table::Global, key).unwrap_or("1.0").to_owned();
        let word = if value.starts_with("0.0") {
            "Animation off".to_owned()
        } else {
            format!("Animation scale {value}x")
        };
        y = tell(ui, y, title, &word);
    }
    y
}

/// Reset options.
pub fn reset(_state: &State, ui: &mut Ui, y: f32) -> f32 {
    let y = tell(ui, y, "Reset Bluetooth & Wi-Fi", "");
    let y = tell(ui, y, "Reset app preferences", "");
    tell(ui, y, "Erase all data (factory reset)", "")
}

/// Tips & support.
pub fn tips(_state: &State, ui: &mut Ui, y: f32) -> f32 {
    let y = ui.paragraph(y, "Help articles need a connection to the support server.");
    ask(ui, y, "Send feedback", "", "feedback")
}
