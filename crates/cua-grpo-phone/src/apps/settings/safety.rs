//! Accessibility, security, privacy, location, accounts.

use super::kit::{icon_switch, link, switch, tell, to};
use crate::{
    state::{State, Toggle},
    ui::{End, Row, Ui},
};

/// Accessibility.
pub fn accessibility(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let mut y = tell(ui, y, "TalkBack", "Off / Speak items on screen");
    y = ui.category(y, "Display");
    y = link(ui, y, "format_size", "Display size and text", "", "text_size");
    y = link(ui, y, "palette_o", "Color and motion", "", "color_motion");
    y = tell(ui, y, "Magnification", "Off");
    y = ui.category(y, "Interaction controls");
    y = tell(ui, y, "Accessibility Menu", "Off / Control device via large menu");
    y = tell(ui, y, "Switch Access", "Off / Control device with switches");
    y = icon_switch(
        state,
        ui,
        y,
        "screen_rotation",
        "Auto-rotate screen",
        Toggle::AutoRotate,
    );
    y = ui.category(y, "Audio");
    y = tell(ui, y, "Live Caption", "Off");
    tell(ui, y, "Audio adjustment", "")
}

/// Color and motion.
pub fn color(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let y = tell(ui, y, "Color correction", "Off");
    let y = switch(
        state,
        ui,
        y,
        "Color inversion",
        "Turns light screens dark",
        Toggle::Inversion,
    );
    switch(state, ui, y, "Dark theme", "", Toggle::Dark)
}

/// Security & privacy.
pub fn security(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let lock = match (state.lock_enabled, state.pin.is_empty()) {
        (false, _) => "None",
        (true, true) => "Swipe",
        (true, false) => "PIN",
    };
    let mut y = ui.row(
        y,
        Row::new("Looks good")
            .icon("verified_user_o")
            .summary("No issues found")
            .tap(|_| ()),
    );
    y = ui.row(
        y,
        Row::new("App security")
            .icon("gpp_good_o")
            .summary("No harmful apps found")
            .tap(|_| ()),
    );
    y = link(ui, y, "lock_o", "Device unlock", lock, "screen_lock");
    y = ui.row(
        y,
        Row::new("Find My Device")
            .icon("location_searching")
            .summary("On")
            .tap(|_| ()),
    );
    y = link(
        ui,
        y,
        "visibility_o",
        "Privacy",
        "Permissions, account activity, personal data",
        "privacy",
    );
    ui.row(
        y,
        Row::new("More security settings")
            .icon("settings_o")
            .summary("Encryption, credentials")
            .tap(|_| ()),
    )
}

/// The lock of the screen.
pub fn screen_lock(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let pin = !state.pin.is_empty();
    let none = Row::new("None").end(End::Radio(!state.lock_enabled && !pin));
    let mut y = ui.row(
        y,
        none.tap(|state| {
            state.pin.clear();
            state.lock_enabled = false;
        }),
    );
    let swipe = Row::new("Swipe")
        .summary("No security")
        .end(End::Radio(state.lock_enabled && !pin));
    y = ui.row(
        y,
        swipe.tap(|state| {
            state.pin.clear();
            state.lock_enabled = true;
        }),
    );
    let row = Row::new("PIN").summary("Medium to high security").end(End::Radio(pin));
    ui.row(
        y,
        row.tap(|state| {
            let place = state.page_mut();
            place.fill("new_pin", "");
            place.focus("new_pin");
            place.set("dialog", "set_pin");
        }),
    )
}

/// Privacy.
pub fn privacy(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let mut y = tell(ui, y, "Privacy dashboard", "Show which apps recently used permissions");
    y = tell(ui, y, "Permission manager", "Apps using location, camera, microphone");
    let text = "Display characters briefly as you type";
    y = switch(state, ui, y, "Show passwords", text, Toggle::ShowPasswords);
    switch(
        state,
        ui,
        y,
        "Notifications on lock screen",
        "Show all notification content",
        Toggle::LockNotifications,
    )
}

/// Location.
pub fn location(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::Location);
    let mut y = ui.main_switch(y, "Use location", on, |state| state.flip(Toggle::Location));
    y = ui.category(y, "Recent access");
    let mut users = 0;
    for (name, package) in &state.packages {
        if on && package.permissions.get("ACCESS_FINE_LOCATION") == Some(&Some(true)) {
            users += 1;
            y = ui.row(
                y,
                Row::new(&package.label)
                    .icon("location_on_o")
                    .summary(&format!("{} min. ago", users * 4))
                    .tap(super::kit::about_app("app_info", name)),
            );
        }
    }
    if users == 0 {
        y = ui.paragraph(y, "No apps have requested location recently");
    }
    y = link(
        ui,
        y,
        "",
        "App location permissions",
        "4 of 12 apps have access to location",
        "all_apps",
    );
    y = ui.row(
        y,
        Row::new("Location services")
            .summary("Accuracy, scanning")
            .tap(to("location_services")),
    );
    ui.paragraph(y, "Location may use sources like GPS, Wi-Fi, mobile networks, and sensors to help estimate your device\u{2019}s location.")
}

/// Location services.
pub fn services(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let wifi = "Allow apps and services to scan for Wi-Fi networks at any time, even when Wi-Fi is off.";
    let y = switch(state, ui, y, "Wi-Fi scanning", wifi, Toggle::WifiScan);
    let text = "Allow apps and services to scan for nearby devices at any time, even when Bluetooth is off.";
    switch(state, ui, y, "Bluetooth scanning", text, Toggle::BluetoothScan)
}

/// Safety & emergency.
pub fn emergency(_state: &State, ui: &mut Ui, y: f32) -> f32 {
    let y = tell(ui, y, "Medical information", "Name, blood type, and more");
    let y = tell(ui, y, "Emergency contacts", "No information");
    let y = tell(ui, y, "Emergency SOS", "Off");
    tell(ui, y, "Wireless emergency alerts", "")
}

/// Passwords & accounts.
pub fn accounts(_state: &State, ui: &mut Ui, y: f32) -> f32 {
    let mut y = ui.category(y - 12.0, "Passwords");
    y = tell(ui, y, "Google", "0 passwords");
    y = ui.category(y, "Accounts for Owner");
    y = ui.row(
        y,
        Row::new("alex@example.com")
            .icon("account_circle_o")
            .summary("Google")
            .tap(|_| ()),
    );
    ui.row(
        y,
        Row::new("Add account")
            .icon("add")
            .tap(|state| state.say("No connection to the account server")),
    )
}

/// Digital Wellbeing.
pub fn wellbeing(_state: &State, ui: &mut Ui, y: f32) -> f32 {
    let y = tell(ui, y, "Dashboard", "1 hr 12 min today");
    let y = tell(ui, y, "Bedtime mode", "Off");
    let y = tell(ui, y, "Focus mode", "Off");
    tell(ui, y, "Parental controls", "Set up")
}
