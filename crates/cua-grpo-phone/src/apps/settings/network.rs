//! Network, Internet, Bluetooth and what belongs to them.

use super::kit::{icon_switch, link, switch, tell, to};
use crate::{
    state::{State, Table, Toggle},
    ui::{End, Row, Ui},
};

/// Network & internet.
pub fn network(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let internet = match state.network() {
        Some(network) => network.ssid.clone(),
        None if state.on(Toggle::Airplane) && !state.on(Toggle::Wifi) => "Airplane mode is on".to_owned(),
        None if state.on(Toggle::Wifi) => "Networks available".to_owned(),
        None if state.on(Toggle::MobileData) => "T-Mobile".to_owned(),
        None => "Off".to_owned(),
    };
    let saver = if state.on(Toggle::DataSaver) { "On" } else { "Off" };
    let dns = match state.settings.get(Table::Global, "private_dns_mode") {
        Some("off") => "Off",
        Some("hostname") => "Private DNS provider hostname",
        _ => "Automatic",
    };
    let hotspot = if state.on(Toggle::Hotspot) { "On" } else { "Off" };
    let mut y = link(ui, y, "wifi", "Internet", &internet, "internet");
    y = ui.row(
        y,
        Row::new("Calls & SMS").icon("phone_o").summary("T-Mobile").tap(|_| ()),
    );
    y = link(ui, y, "sim_card_o", "SIMs", "T-Mobile", "sims");
    y = icon_switch(state, ui, y, "airplanemode_active", "Airplane mode", Toggle::Airplane);
    y = link(ui, y, "wifi_tethering", "Hotspot & tethering", hotspot, "hotspot");
    y = link(ui, y, "data_saver_off", "Data Saver", saver, "data_saver");
    y = link(ui, y, "vpn_key_o", "VPN", "None", "vpn");
    let row = Row::new("Private DNS").summary(dns).indented();
    ui.row(y, row.tap(|state| state.page_mut().set("dialog", "dns")))
}

/// Connects to a network that is known or whose password was given.
pub fn connect(state: &mut State, ssid: &str) {
    if let Some(network) = state.networks.iter_mut().find(|network| network.ssid == ssid) {
        network.saved = true;
        state.props.insert("wifi.ssid".to_owned(), ssid.to_owned());
        state.turn(Toggle::Wifi, true);
    }
}

/// Internet: mobile data, Wi-Fi and networks.
pub fn internet(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let data = state.on(Toggle::MobileData);
    let wifi = state.on(Toggle::Wifi);
    let connected = state.network().cloned();
    let summary = match (data, &connected) {
        (false, _) => "Mobile data won\u{2019}t auto-connect",
        (true, Some(_)) => "Temporarily not used",
        (true, None) => "Connected / 5G",
    };
    let row = Row::new("T-Mobile").icon("signal_cellular_4_bar").summary(summary);
    let row = row
        .end(End::Split(data))
        .tap(to("sims"))
        .end_tap(|state| state.flip(Toggle::MobileData));
    let mut y = ui.row(y, row);
    y = switch(state, ui, y, "Wi-Fi", "", Toggle::Wifi);
    if wifi {
        if let Some(network) = &connected {
            let row = Row::new(&network.ssid).icon("signal_wifi_4_bar").summary("Connected");
            y = ui.row(
                y,
                row.end(End::Icon("settings_o"))
                    .tap(|state| state.say("Connected, no internet sharing")),
            );
        }
        for network in &state.networks {
            if connected.as_ref() == Some(network) {
                continue;
            }
            let icon = match network.level {
                4 => "signal_wifi_4_bar",
                3 => "network_wifi_3_bar",
                2 => "network_wifi_2_bar",
                _ => "network_wifi_1_bar",
            };
            let end = if network.secured {
                End::Icon("lock_o")
            } else {
                End::None
            };
            let (ssid, free) = (network.ssid.clone(), network.saved || !network.secured);
            let summary = if network.saved { "Saved" } else { "" };
            let row = Row::new(&network.ssid).icon(icon).summary(summary).end(end);
            y = ui.row(
                y,
                row.tap(move |state| {
                    if free {
                        connect(state, &ssid);
                    } else {
                        let place = state.page_mut();
                        place.set("ssid", ssid.as_str());
                        place.set("dialog", "password");
                        place.fill("password", "");
                        place.focus("password");
                    }
                }),
            );
        }
        y = ui.row(
            y,
            Row::new("Add network")
                .icon("add")
                .tap(|state| state.say("Scan a code to add a network")),
        );
    }
    let saved = state.networks.iter().filter(|network| network.saved).count();
    y = tell(
        ui,
        y,
        "Network preferences",
        if wifi { "Wi-Fi turns back on automatically" } else { "" },
    );
    y = tell(ui, y, "Saved networks", &format!("{saved} networks"));
    tell(ui, y, "Non-carrier data usage", "3.42 GB used Mar 1 - 29")
}

/// The mobile network.
pub fn sims(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let mut y = ui.main_switch(y, "Use SIM", true, |state| state.say("SIM stays on"));
    y = tell(ui, y, "Calls preference", "T-Mobile");
    y = tell(ui, y, "SMS preference", "T-Mobile");
    y = switch(
        state,
        ui,
        y,
        "Mobile data",
        "Access data using mobile network",
        Toggle::MobileData,
    );
    y = tell(ui, y, "App data usage", "1.17 GB used Mar 1 - 29");
    tell(ui, y, "Preferred network type", "5G (recommended)")
}

/// The hotspot.
pub fn hotspot(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let mut y = switch(
        state,
        ui,
        y,
        "Wi-Fi hotspot",
        "Share internet with other devices",
        Toggle::Hotspot,
    );
    let name = state
        .settings
        .get(Table::Global, "device_name")
        .unwrap_or("Pixel")
        .to_owned();
    y = tell(ui, y, "Hotspot name", &name);
    y = tell(ui, y, "Security", "WPA2/WPA3-Personal");
    y = ui.row(
        y,
        Row::new("USB tethering")
            .summary("Not connected")
            .end(End::Switch(false))
            .enabled(false),
    );
    ui.row(
        y,
        Row::new("Bluetooth tethering").end(End::Switch(false)).enabled(false),
    )
}

/// Data Saver.
pub fn data_saver(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::DataSaver);
    let y = ui.main_switch(y, "Use Data Saver", on, |state| state.flip(Toggle::DataSaver));
    ui.paragraph(
        y,
        "To help reduce data usage, Data Saver prevents some apps from sending or receiving data in the background.",
    )
}

/// VPN.
pub fn vpn(_state: &State, ui: &mut Ui, y: f32) -> f32 {
    ui.paragraph(y, "No VPNs added")
}

/// Connected devices.
pub fn connected(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let mut y = ui.row(
        y,
        Row::new("Pair new device").icon("add").tap(|state| {
            state.turn(Toggle::Bluetooth, true);
            to("pair")(state);
        }),
    );
    y = ui.category(y, "Saved devices");
    for (index, device) in state.devices.iter().enumerate() {
        let summary = if device.connected && state.on(Toggle::Bluetooth) {
            "Active"
        } else {
            ""
        };
        let row = Row::new(&device.name)
            .icon(device.icon)
            .summary(summary)
            .end(End::Icon("settings_o"));
        y = ui.row(
            y,
            row.tap(move |state| {
                state.turn(Toggle::Bluetooth, true);
                if let Some(device) = state.devices.get_mut(index) {
                    device.connected = !device.connected;
                }
            }),
        );
    }
    link(
        ui,
        y,
        "settings_o",
        "Connection preferences",
        "Bluetooth, Android Auto, NFC",
        "preferences",
    )
}

/// The search for devices.
pub fn pair(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let name = state
        .settings
        .get(Table::Secure, "bluetooth_name")
        .unwrap_or("Pixel 7")
        .to_owned();
    let mut y = tell(ui, y, "Device name", &name);
    y = ui.category(y, "Available devices");
    for (device, icon) in [
        ("Car kit 2200", "directions_car"),
        ("Keyboard K380", "keyboard"),
        ("Watch 5", "watch"),
    ] {
        if state.devices.iter().any(|known| known.name == device) {
            continue;
        }
        y = ui.row(
            y,
            Row::new(device).icon(icon).tap(move |state| {
                state.devices.push(crate::state::data::Device {
                    name: device.to_owned(),
                    icon,
                    connected: true,
                });
                state.close_page();
            }),
        );
    }
    ui.paragraph(y, "Phone's Bluetooth address: D4:3A:2C:11:9E:07")
}

/// Connection preferences.
pub fn preferences(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let word = |toggle| if state.on(toggle) { "On" } else { "Off" };
    let mut y = link(ui, y, "bluetooth", "Bluetooth", word(Toggle::Bluetooth), "bluetooth");
    y = link(ui, y, "nfc", "NFC", word(Toggle::Nfc), "nfc");
    y = ui.row(y, Row::new("Cast").icon("cast").summary("Not connected").tap(|_| ()));
    y = ui.row(
        y,
        Row::new("Printing")
            .icon("print_o")
            .summary("1 print service on")
            .tap(|_| ()),
    );
    y = ui.row(
        y,
        Row::new("Android Auto")
            .icon("directions_car")
            .summary("Use apps on your car display")
            .tap(|_| ()),
    );
    ui.row(
        y,
        Row::new("Nearby Share")
            .icon("share_o")
            .summary("Hidden from everyone")
            .tap(|_| ()),
    )
}

/// Bluetooth.
pub fn bluetooth(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::Bluetooth);
    let mut y = ui.main_switch(y, "Use Bluetooth", on, |state| state.flip(Toggle::Bluetooth));
    if on {
        y = link(ui, y, "add", "Pair new device", "", "pair");
    }
    ui.paragraph(
        y,
        "When Bluetooth is turned on, your device can communicate with other nearby Bluetooth devices.",
    )
}

/// NFC.
pub fn nfc(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::Nfc);
    let mut y = ui.main_switch(y, "Use NFC", on, |state| state.flip(Toggle::Nfc));
    y = ui.row(
        y,
        Row::new("Contactless payments")
            .summary("Payment default not set")
            .enabled(on),
    );
    ui.paragraph(y, "Allow data exchange when the phone touches another device")
}
