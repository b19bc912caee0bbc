//! Battery, storage, and what the phone is.

use super::kit::{link, switch, tell};
use crate::{
    draw::geom::{Color, Rect},
    state::{State, Table, Toggle},
    ui::{Row, Ui, sp},
};

/// Battery.
pub fn battery(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let theme = ui.theme;
    let level = format!("{}%", state.battery.level);
    let x = ui.area.x + 24.0;
    ui.label(x, y, 200.0, sp(57.0), theme.on_surface, &level);
    let word = if state.battery.plugged {
        "Charging"
    } else {
        "About 14 hr left"
    };
    ui.label(x, y + 72.0, 240.0, sp(14.0), theme.on_variant, word);
    let bar = Rect::new(x, y + 104.0, ui.area.w - 48.0, 10.0);
    ui.fill(bar, 5.0, theme.container_highest);
    let part = state.battery.level as f32 / 100.0;
    let color = if state.battery.level <= 15 {
        theme.error
    } else {
        theme.primary
    };
    ui.fill(Rect::new(bar.x, bar.y, bar.w * part, bar.h), 5.0, color);
    let mut y = y + 132.0;
    y = link(ui, y, "", "Battery usage", "View usage for past 24 hr", "battery_usage");
    let saver = if state.on(Toggle::BatterySaver) { "On" } else { "Off" };
    y = link(ui, y, "", "Battery Saver", saver, "battery_saver");
    let adaptive = "Extends battery life based on your phone use";
    y = switch(state, ui, y, "Adaptive Battery", adaptive, Toggle::AdaptiveBattery);
    y = tell(ui, y, "Battery Share", "Off");
    y = switch(
        state,
        ui,
        y,
        "Battery percentage",
        "Show battery percentage in status bar",
        Toggle::BatteryPercent,
    );
    ui.paragraph(y, "Battery remaining is approximate and can change based on usage")
}

/// Battery Saver.
pub fn saver(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::BatterySaver);
    let mut y = ui.main_switch(y, "Use Battery Saver", on, |state| {
        if state.battery.plugged {
            state.say("Battery Saver can't be turned on while charging");
        }
        state.flip(Toggle::BatterySaver);
    });
    y = tell(ui, y, "Set a schedule", "No schedule");
    ui.paragraph(
        y,
        "Battery Saver turns on Dark theme and limits or turns off background activity, some visual effects and certain features.",
    )
}

/// What used the battery.
pub fn usage(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let mut list: Vec<(&str, u64)> = state
        .packages
        .values()
        .filter(|package| !package.activity.is_empty())
        .map(|package| (package.label.as_ref(), 1 + package.size.1 % 23))
        .collect();
    list.sort_by_key(|(label, share)| (std::cmp::Reverse(*share), *label));
    let mut y = ui.category(y, "Usage for past 24 hr");
    for (label, share) in list.iter().take(8) {
        y = tell(ui, y, label, &format!("{share}%"));
    }
    y
}

/// Bytes in use.
pub fn used(state: &State) -> u64 {
    let apps: u64 = state
        .packages
        .values()
        .map(|package| package.size.0 + package.size.1)
        .sum();
    let files: u64 = state.files.values().map(|file| file.size).sum();
    18_600_000_000 + apps + files
}

/// `1.2 GB`, `34 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Storage.
pub fn storage(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let theme = ui.theme;
    let total = used(state);
    let x = ui.area.x + 24.0;
    ui.label(
        x,
        y,
        260.0,
        sp(36.0),
        theme.on_surface,
        &format!("{:.1} GB", total as f64 / 1e9),
    );
    ui.label(x, y + 48.0, 260.0, sp(14.0), theme.on_variant, "used of 128 GB");
    let bar = Rect::new(x, y + 80.0, ui.area.w - 48.0, 12.0);
    ui.fill(bar, 6.0, theme.container_highest);
    ui.fill(
        Rect::new(bar.x, bar.y, bar.w * total as f32 / 128e9, bar.h),
        6.0,
        theme.primary,
    );
    let under = |part: &str| -> u64 {
        let inside = state.files.iter().filter(|(path, _)| path.contains(part));
        inside.map(|(_, file)| file.size).sum()
    };
    let apps: u64 = state
        .packages
        .values()
        .map(|package| package.size.0 + package.size.1)
        .sum();
    let rows: [(&'static str, &str, u64); 6] = [
        ("android", "System", 18_600_000_000),
        ("apps", "Apps", apps),
        ("image_o", "Images", under("/DCIM/") + under("/Pictures/")),
        ("music_note", "Audio", under("/Music/") + under("/Recordings/")),
        (
            "description_o",
            "Documents & other",
            under("/Documents/") + under("/Download/"),
        ),
        ("delete_o", "Trash", 0),
    ];
    let mut y = y + 112.0;
    for (icon, title, bytes) in rows {
        let act = move |state: &mut State| match title {
            "Apps" => super::kit::to("all_apps")(state),
            "Images" => state.launch("com.google.android.apps.photos"),
            "System" => {}
            _ => state.launch("com.google.android.documentsui"),
        };
        y = ui.row(y, Row::new(title).icon(icon).summary(&size(bytes)).tap(act));
    }
    y
}

/// About phone.
pub fn about(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let prop = |key: &str| state.props.get(key).cloned().unwrap_or_default();
    let name = state
        .settings
        .get(Table::Global, "device_name")
        .unwrap_or("Pixel 7")
        .to_owned();
    let theme = ui.theme;
    let circle = Rect::new(ui.area.x + ui.area.w / 2.0 - 36.0, y, 72.0, 72.0);
    ui.fill(circle, 36.0, Color::hex(0x3D_DC84));
    ui.icon("android", circle, 44.0, Color::WHITE);
    ui.label(
        ui.area.x,
        y + 80.0,
        ui.area.w,
        sp(20.0).center(),
        theme.on_surface,
        &name,
    );
    let mut y = ui.category(y + 104.0, "Basic info");
    let named = name.clone();
    y = ui.row(
        y,
        Row::new("Device name").summary(&name).tap(move |state| {
            let place = state.page_mut();
            place.fill("device_name", named.as_str());
            place.focus("device_name");
            place.set("dialog", "device_name");
        }),
    );
    y = tell(ui, y, "Phone number (sim slot 1)", "+1 555-010-0123");
    y = ui.category(y, "Legal & regulatory");
    y = tell(ui, y, "Legal information", "");
    y = tell(ui, y, "Regulatory labels", "");
    y = ui.category(y, "Device details");
    y = tell(ui, y, "SIM status (sim slot 1)", "T-Mobile");
    y = tell(ui, y, "Model", &prop("ro.product.model"));
    y = tell(ui, y, "IMEI (sim slot 1)", "35 824005 1111116");
    y = tell(ui, y, "Android version", &prop("ro.build.version.release"));
    y = ui.category(y, "Device identifiers");
    let address = "Unavailable";
    y = tell(
        ui,
        y,
        "IP address",
        if state.network().is_some() {
            "192.168.1.57"
        } else {
            address
        },
    );
    y = tell(ui, y, "Wi-Fi MAC address", "To view, choose saved network");
    y = tell(
        ui,
        y,
        "Bluetooth address",
        if state.on(Toggle::Bluetooth) {
            "D4:3A:2C:11:9E:07"
        } else {
            address
        },
    );
    let up = (state.now - state.booted) / 1000;
    y = tell(
        ui,
        y,
        "Up time",
        &format!("{:02}:{:02}:{:02}", up / 3600, up / 60 % 60, up % 60),
    );
    let build = prop("ro.build.display.id");
    ui.row(
        y,
        Row::new("Build number").summary(&build).tap(|state| {
            let taps = state.page().number("build").unwrap_or(0) + 1;
            state.page_mut().set("build", taps.to_string());
            if state.on(Toggle::Developer) {
                state.say("No need, you are already a developer.");
            } else if taps >= 7 {
                state.turn(Toggle::Developer, true);
                state.say("You are now a developer!");
            }
        }),
    )
}
