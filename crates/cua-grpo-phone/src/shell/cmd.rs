//! `cmd SERVICE …`.

use super::{
    line::ShellOutput,
    replies::{missing, thrown, word},
};
use crate::{
    Phone,
    state::{State, Toggle, Window, data::Notification},
};

/// Runs a command of a service.
pub fn cmd(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let [service, rest @ ..] = arguments else {
        return ShellOutput::fail(20, "cmd: No service specified; use -l to list all services");
    };
    match *service {
        "wifi" => wifi(phone.state_mut(), rest),
        "bluetooth_manager" => bluetooth(phone.state_mut(), rest),
        "connectivity" => match rest {
            ["airplane-mode"] => word(if phone.state().on(Toggle::Airplane) {
                "enabled"
            } else {
                "disabled"
            }),
            ["airplane-mode", how @ ("enable" | "disable")] => turn(phone, Toggle::Airplane, *how == "enable"),
            _ => missing(rest),
        },
        "location" => match rest {
            ["set-location-enabled", on @ ("true" | "false"), ..] => turn(phone, Toggle::Location, *on == "true"),
            ["is-location-enabled", ..] => word(&phone.state().on(Toggle::Location).to_string()),
            _ => missing(rest),
        },
        "uimode" => uimode(phone, rest),
        "notification" => notification(phone.state_mut(), rest),
        "media_session" => match rest {
            ["volume", rest @ ..] => super::sound::volume(phone, rest),
            _ => missing(rest),
        },
        "audio" => super::sound::audio(phone.state_mut(), rest),
        "battery" => super::sound::battery(phone.state_mut(), rest),
        "power" => match rest {
            ["set-mode", on] => turn(phone, Toggle::BatterySaver, *on == "1"),
            _ => missing(rest),
        },
        "alarm" => alarm(phone.state_mut(), rest),
        "statusbar" => {
            let state = phone.state_mut();
            match rest {
                ["expand-notifications"] => state.pull_shade(1),
                ["expand-settings"] => state.pull_shade(2),
                ["collapse"] => state.pull_shade(0),
                _ => return missing(rest),
            }
            ShellOutput::default()
        }
        "role" => role(phone.state_mut(), rest),
        "package" => super::activity::package(phone, rest),
        "activity" => super::activity::am(phone, rest),
        "nfc" => match rest {
            ["enable-nfc"] => turn(phone, Toggle::Nfc, true),
            ["disable-nfc"] => turn(phone, Toggle::Nfc, false),
            _ => word(if phone.state().on(Toggle::Nfc) { "on" } else { "off" }),
        },
        "window" => super::input::wm(phone, rest),
        "overlay" | "appops" | "jobscheduler" => ShellOutput::default(),
        other => ShellOutput::fail(20, format!("cmd: Can't find service: {other}")),
    }
}

fn turn(phone: &mut Phone, toggle: Toggle, on: bool) -> ShellOutput {
    phone.state_mut().turn(toggle, on);
    ShellOutput::default()
}

fn wifi(state: &mut State, rest: &[&str]) -> ShellOutput {
    match rest {
        ["set-wifi-enabled", how @ ("enabled" | "disabled")] => {
            state.turn(Toggle::Wifi, *how == "enabled");
            ShellOutput::default()
        }
        ["status"] => {
            if !state.on(Toggle::Wifi) {
                return ShellOutput::ok("Wifi is disabled\nWifi scanning is only available when wifi is enabled\n");
            }
            match state.network() {
                Some(network) => ShellOutput::ok(format!(
                    "Wifi is enabled\nWifi scanning is always available\n==== Primary ClientModeManager instance ====\n\
                     Wifi is connected to \"{0}\"\nWifiInfo: SSID: \"{0}\", BSSID: 02:15:b2:00:01:00, Supplicant state: COMPLETED, RSSI: -50\n",
                    network.ssid
                )),
                None => ShellOutput::ok("Wifi is enabled\nWifi is not connected\n"),
            }
        }
        ["list-networks"] => {
            let saved = state.networks.iter().filter(|network| network.saved).enumerate();
            let rows = saved.map(|(id, network)| {
                let kind = if network.secured { "wpa2-psk" } else { "open" };
                format!("{id:<12} {:<32} {kind}\n", network.ssid)
            });
            ShellOutput::ok(format!(
                "Network Id   SSID                             Security type\n{}",
                rows.collect::<String>()
            ))
        }
        ["list-scan-results"] => {
            let rows = state.networks.iter().map(|network| {
                let level = -90 + 10 * i32::from(network.level);
                format!("  02:15:b2:00:01:00  2437  {level}  10.0  {}  [ESS]\n", network.ssid)
            });
            let rows: String = rows.collect();
            ShellOutput::ok(format!(
                "    BSSID              Frequency      RSSI           Age(sec)     SSID           Flags\n{rows}"
            ))
        }
        ["start-scan"] => ShellOutput::default(),
        ["connect-network", ssid, ..] => {
            let known = state.networks.iter().any(|network| network.ssid == *ssid);
            if known {
                state.props.insert("wifi.ssid".to_owned(), (*ssid).to_owned());
                state.turn(Toggle::Wifi, true);
                return ShellOutput::ok("Connection initiated\n");
            }
            ShellOutput::fail(255, "Network not found")
        }
        ["forget-network", id] => {
            let index = id.parse::<usize>().ok();
            let saved: Vec<String> = state
                .networks
                .iter()
                .filter(|network| network.saved)
                .map(|network| network.ssid.clone())
                .collect();
            if let Some(ssid) = index.and_then(|index| saved.get(index)) {
                state
                    .networks
                    .iter_mut()
                    .filter(|network| network.ssid == *ssid)
                    .for_each(|network| network.saved = false);
                if state.props.get("wifi.ssid") == Some(ssid) {
                    state.props.remove("wifi.ssid");
                }
                return ShellOutput::ok("Forget successful\n");
            }
            ShellOutput::fail(255, "No network with that id")
        }
        ["start-softap", ..] => {
            state.turn(Toggle::Hotspot, true);
            ShellOutput::default()
        }
        ["stop-softap"] => {
            state.turn(Toggle::Hotspot, false);
            ShellOutput::default()
        }
        _ => missing(rest),
    }
}

fn bluetooth(state: &mut State, rest: &[&str]) -> ShellOutput {
    match rest {
        [how @ ("enable" | "disable")] => {
            state.turn(Toggle::Bluetooth, *how == "enable");
            ShellOutput::ok(format!("BluetoothShellCommand: Exec {how}\n{how}: Success\n"))
        }
        [wait] if wait.starts_with("wait-for-state:") => {
            let on = if state.on(Toggle::Bluetooth) {
                "STATE_ON"
            } else {
                "STATE_OFF"
            };
            let right = wait.ends_with(on);
            ShellOutput::ok(format!(
                "BluetoothShellCommand: Exec {wait}\n{wait}: {}\n",
                if right { "Success" } else { "Failed" }
            ))
        }
        _ => missing(rest),
    }
}

fn uimode(phone: &mut Phone, rest: &[&str]) -> ShellOutput {
    match rest {
        [
            "night",
            how @ ("yes" | "no" | "auto" | "custom_schedule" | "custom_bedtime"),
        ] => {
            phone.state_mut().turn(Toggle::Dark, *how == "yes");
            word(&format!("Night mode: {how}"))
        }
        ["night"] => word(&format!(
            "Night mode: {}",
            if phone.state().dark() { "yes" } else { "no" }
        )),
        _ => missing(rest),
    }
}

fn notification(state: &mut State, rest: &[&str]) -> ShellOutput {
    match rest {
        ["set_dnd", how] => {
            let value = match *how {
                "off" | "all" => "0",
                "priority" => "1",
                "on" | "none" => "2",
                "alarms" => "3",
                other => return ShellOutput::fail(255, format!("Unknown dnd mode: {other}")),
            };
            state.settings.put(crate::state::Table::Global, "zen_mode", value);
            ShellOutput::default()
        }
        ["list"] => ShellOutput::ok(
            state
                .notifications
                .iter()
                .map(|n| format!("{}\n", key(n)))
                .collect::<String>(),
        ),
        ["get", wanted] => match state.notifications.iter().find(|n| key(n) == *wanted) {
            Some(n) => ShellOutput::ok(super::dump::notification_record(n)),
            None => ShellOutput::fail(255, format!("No active notification matching key: {wanted}")),
        },
        ["post", rest @ ..] => post(state, rest),
        ["allow_listener" | "disallow_listener", _] => ShellOutput::default(),
        _ => missing(rest),
    }
}

/// `0|pkg|id|tag|uid`.
fn key(notification: &Notification) -> String {
    let tag = if notification.tag.is_empty() {
        "null"
    } else {
        &notification.tag
    };
    let uid = if notification.package == "com.android.shell" {
        2000
    } else {
        10_000 + notification.package.len()
    };
    format!("0|{}|{}|{tag}|{uid}", notification.package, notification.id)
}

fn post(state: &mut State, rest: &[&str]) -> ShellOutput {
    let mut words: Vec<&str> = Vec::new();
    let mut title = "";
    let mut index = 0;
    while let Some(argument) = rest.get(index) {
        match *argument {
            "-t" | "--title" => {
                title = rest.get(index + 1).copied().unwrap_or_default();
                index += 1;
            }
            "-S" | "--style" | "-i" | "--icon" | "-I" | "-l" | "--line" | "-m" | "--message" | "-p" | "--person" => {
                index += 1
            }
            "-c" | "--content-intent" => index += 2,
            "-h" | "--help" | "-v" | "--verbose" => {}
            other => words.push(other),
        }
        index += 1;
    }
    let [tag, text @ ..] = words.as_slice() else {
        return missing(&["post"]);
    };
    if text.is_empty() {
        return missing(&[tag]);
    }
    state.notify(Notification {
        id: 2020,
        tag: (*tag).to_owned(),
        package: "com.android.shell".to_owned(),
        title: title.to_owned(),
        text: text.join(" "),
        date: state.now,
        silent: false,
        ongoing: false,
        page: String::new(),
        about: String::new(),
    });
    // A number of its own lets the shade tell several of them apart.
    let id = state.fresh_id();
    if let Some(first) = state.notifications.iter_mut().find(|n| n.id == 2020 && n.tag == *tag) {
        first.id = id;
        state.heads_up = state
            .heads_up
            .map(|(shown, until)| (if shown == 2020 { id } else { shown }, until));
    }
    ShellOutput::ok("posting:\n  Notification(channel=shell_cmd shortcut=null contentView=null)\n")
}

fn alarm(state: &mut State, rest: &[&str]) -> ShellOutput {
    match rest {
        ["set-timezone", zone] => {
            if !crate::state::time::ZONES.iter().any(|known| known.0 == *zone) {
                return thrown(
                    "set-timezone",
                    &format!("java.lang.IllegalArgumentException: unknown zone {zone}"),
                );
            }
            state
                .props
                .insert("persist.sys.timezone".to_owned(), (*zone).to_owned());
            ShellOutput::default()
        }
        ["set-time", ms] => match ms.parse() {
            Ok(ms) => {
                state.set_clock(ms);
                ShellOutput::default()
            }
            Err(_) => thrown(
                "set-time",
                &format!("java.lang.NumberFormatException: For input string: \"{ms}\""),
            ),
        },
        _ => missing(rest),
    }
}

fn role(state: &mut State, rest: &[&str]) -> ShellOutput {
    let words: Vec<&str> = rest
        .iter()
        .copied()
        .filter(|word| *word != "--user" && *word != "0")
        .collect();
    let [verb, role, package @ ..] = words.as_slice() else {
        return missing(rest);
    };
    let name = role.trim_start_matches("android.app.role.");
    match (*verb, package) {
        ("add-role-holder", [package, ..]) if state.packages.contains_key(*package) => {
            state.roles.insert(name.to_owned(), (*package).to_owned());
            state.places.remove(&Window::Recents);
            ShellOutput::default()
        }
        ("remove-role-holder", [package, ..]) => {
            if state.roles.get(name).is_some_and(|holder| holder == package) {
                state.roles.remove(name);
            }
            ShellOutput::default()
        }
        ("get-role-holders" | "holders", _) => ShellOutput::ok(
            state
                .roles
                .get(name)
                .map(|holder| format!("{holder}\n"))
                .unwrap_or_default(),
        ),
        _ => missing(rest),
    }
}
