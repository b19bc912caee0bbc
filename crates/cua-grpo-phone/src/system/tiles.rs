//! The tiles of the quick settings.

use crate::{
    draw::geom::{Color, Rect},
    state::{Place, State, Toggle},
    ui::{Ui, sp},
};

/// A tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tile {
    /// Wi-Fi and mobile data: opens the page.
    Internet,
    /// Something that is on or off.
    Switch(Toggle, &'static str, &'static str),
    /// The next alarm: opens the clock.
    Alarm,
    /// Opens the page of cast devices.
    Cast,
}

/// All tiles in their order.
pub const TILES: [Tile; 12] = [
    Tile::Internet,
    Tile::Switch(Toggle::Bluetooth, "Bluetooth", "bluetooth"),
    Tile::Switch(Toggle::Dnd, "Do Not Disturb", "do_not_disturb_on_o"),
    Tile::Switch(Toggle::Flashlight, "Flashlight", "flashlight_on"),
    Tile::Switch(Toggle::Airplane, "Airplane mode", "flight"),
    Tile::Switch(Toggle::AutoRotate, "Auto-rotate", "screen_rotation"),
    Tile::Alarm,
    Tile::Switch(Toggle::BatterySaver, "Battery Saver", "battery_saver"),
    Tile::Switch(Toggle::Dark, "Dark theme", "dark_mode"),
    Tile::Switch(Toggle::NightLight, "Night Light", "nightlight"),
    Tile::Switch(Toggle::Location, "Location", "location_on_o"),
    Tile::Cast,
];

/// Draws a tile with its node.
pub fn tile(state: &State, ui: &mut Ui, rect: Rect, tile: Tile) {
    let (icon, label, sub, on): (&'static str, &str, String, bool) = match tile {
        Tile::Internet => internet(state),
        Tile::Switch(toggle, label, icon) => {
            let on = state.on(toggle);
            let connected = state.devices.iter().find(|device| device.connected);
            let sub = match (toggle, connected) {
                (Toggle::Bluetooth, Some(device)) if on => device.name.clone(),
                (Toggle::BatterySaver, _) if state.battery.plugged => "Charging".to_owned(),
                _ => if on { "On" } else { "Off" }.to_owned(),
            };
            (icon, label, sub, on)
        }
        Tile::Alarm => {
            let next = state.next_alarm();
            let sub = next.map_or("No alarm set".to_owned(), |(_, at)| {
                let day = crate::state::time::Civil::new(state.local(at)).weekday_name();
                format!("{} {}", &day[..3], state.clock_of(at))
            });
            ("alarm", "Alarm", sub, next.is_some())
        }
        Tile::Cast => ("cast", "Screen Cast", "Unavailable".to_owned(), false),
    };
    let (back, front) = if on {
        (Color::hex(0xC6_D5FA), Color::hex(0x14_1B2C))
    } else {
        (Color::hex(0x2F_3036), Color::hex(0xE6_E5EC))
    };
    ui.fill(rect, 26.0, back);
    ui.icon(icon, Rect::new(rect.x + 18.0, rect.y, 24.0, rect.h), 22.0, front);
    let width = rect.w - 68.0;
    let (_, first) = ui.measure(label, sp(14.0).medium(), width);
    let (_, second) = ui.measure(&sub, sp(13.0), width);
    let top = rect.y + (rect.h - first - second) / 2.0;
    ui.draw_text(rect.x + 56.0, top, width, sp(14.0).medium(), front, label);
    ui.draw_text(rect.x + 56.0, top + first, width, sp(13.0), front.alpha(0.85), &sub);
    let node = ui.node(rect);
    node.class("android.widget.Switch")
        .desc(format!("{label},{sub}"))
        .check(on);
    match tile {
        Tile::Internet => node.tap(|state| {
            state.start(
                "com.android.settings",
                Place::new("com.android.settings.SubSettings", "internet"),
            );
        }),
        Tile::Switch(toggle, ..) => node.tap(move |state| state.flip(toggle)),
        Tile::Alarm => node.tap(|state| state.launch("com.google.android.deskclock")),
        Tile::Cast => node.tap(|state| state.say("No devices found")),
    };
    if let Tile::Switch(toggle, ..) = tile {
        node.long(move |state| {
            let page = match toggle {
                Toggle::Bluetooth => "connected",
                Toggle::Dnd => "dnd",
                Toggle::Airplane => "network",
                Toggle::BatterySaver => "battery_saver",
                Toggle::Location => "location",
                _ => "display",
            };
            state.start(
                "com.android.settings",
                Place::new("com.android.settings.SubSettings", page),
            );
        });
    }
}

fn internet(state: &State) -> (&'static str, &'static str, String, bool) {
    let plane = state.on(Toggle::Airplane);
    match state.network() {
        Some(network) => ("signal_wifi_4_bar", "Internet", network.ssid.clone(), true),
        None if state.on(Toggle::MobileData) && !plane => {
            ("signal_cellular_4_bar", "Internet", "T-Mobile".to_owned(), true)
        }
        None if plane => ("flight", "Internet", "Airplane mode".to_owned(), false),
        None if state.on(Toggle::Wifi) => ("signal_wifi_4_bar", "Internet", "Networks available".to_owned(), false),
        None => ("wifi_off", "Internet", "Unavailable".to_owned(), false),
    }
}
