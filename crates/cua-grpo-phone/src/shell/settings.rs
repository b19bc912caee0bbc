//! `settings`, `svc`, `locksettings`, `ime`.

use super::line::ShellOutput;
use crate::{
    Phone,
    state::{Table, Toggle},
};

/// `settings get|put|delete|list`.
pub fn settings(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let words: Vec<&str> = match arguments {
        ["--user", _, rest @ ..] => rest.to_vec(),
        [verb, "--user", _, rest @ ..] => [&[*verb], rest].concat(),
        other => other.to_vec(),
    };
    let [verb, rest @ ..] = words.as_slice() else {
        return ShellOutput::fail(255, "Bad arguments");
    };
    if !matches!(*verb, "get" | "put" | "delete" | "list" | "reset") {
        return ShellOutput::fail(255, format!("Invalid command: {verb}"));
    }
    let [namespace, rest @ ..] = rest else {
        return ShellOutput::fail(255, "Bad arguments");
    };
    let Some(table) = Table::parse(namespace) else {
        return ShellOutput::fail(255, format!("Invalid namespace '{namespace}'"));
    };
    let state = phone.state_mut();
    match (*verb, rest) {
        ("get", [key]) => ShellOutput::ok(format!("{}\n", state.settings.read(table, key).unwrap_or("null"))),
        ("put", [key, value] | [key, value, "default"]) => {
            if !state.settings.write(table, key, value) {
                return super::replies::thrown("put", "java.lang.IllegalStateException: database or disk is full");
            }
            if *key == "airplane_mode_on" && !state.settings.as_device {
                state.turn(Toggle::Airplane, *value != "0");
            }
            ShellOutput::default()
        }
        ("delete", [key]) => ShellOutput::ok(format!("Deleted {} rows\n", state.settings.delete(table, key))),
        ("list", []) => {
            let rows = state
                .settings
                .rows(table)
                .map(|(key, value)| format!("{key}={value}\n"));
            ShellOutput::ok(rows.collect::<String>())
        }
        ("get" | "delete", [_, _, ..]) | ("put", [_, _, _, ..]) | ("list", [_, ..]) => {
            ShellOutput::fail(255, "Too many arguments")
        }
        _ => ShellOutput::fail(255, "Bad arguments"),
    }
}

/// `svc wifi|data|bluetooth|nfc|power`.
pub fn svc(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let state = phone.state_mut();
    match arguments {
        [
            what @ ("wifi" | "data" | "bluetooth" | "nfc"),
            verb @ ("enable" | "disable"),
        ] => {
            let toggle = match *what {
                "wifi" => Toggle::Wifi,
                "data" => Toggle::MobileData,
                "nfc" => Toggle::Nfc,
                _ => Toggle::Bluetooth,
            };
            state.turn(toggle, *verb == "enable");
            ShellOutput::default()
        }
        ["power", "stayon", how] => {
            state.turn(Toggle::StayAwake, *how != "false");
            ShellOutput::default()
        }
        [what @ ("wifi" | "data" | "bluetooth" | "nfc"), ..] => ShellOutput::ok(format!(
            "Control the {what} manager\n\nusage: svc {what} [enable|disable]\n"
        )),
        _ => ShellOutput::ok(
            "Available commands:\n    help     Show information about the subcommands\n    power    Control the power manager\n    data     Control mobile data connectivity\n    wifi     Control the Wi-Fi manager\n    nfc      Control NFC functions\n    bluetooth Control Bluetooth service\n",
        ),
    }
}

/// `locksettings set-pin|clear|set-disabled|get-disabled|verify`.
pub fn lock(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let state = phone.state_mut();
    let (old, words): (Option<&str>, Vec<&str>) = match arguments {
        [verb, "--old", old, rest @ ..] => (Some(old), [&[*verb], rest].concat()),
        other => (None, other.to_vec()),
    };
    if matches!(words.as_slice(), ["verify"]) && old.is_some() && state.pin.is_empty() {
        return ShellOutput::ok("Old password provided but user has no password\n");
    }
    if !state.pin.is_empty()
        && old != Some(state.pin.as_str())
        && matches!(words.first(), Some(&("set-pin" | "clear" | "verify")))
    {
        return ShellOutput::ok(format!("Old password '{}' didn't match\n", old.unwrap_or("null")));
    }
    match words.as_slice() {
        ["set-pin", pin] if pin.len() >= 4 && pin.bytes().all(|byte| byte.is_ascii_digit()) => {
            state.pin = (*pin).to_owned();
            state.lock_enabled = true;
            ShellOutput::ok(format!("Pin set to '{pin}'\n"))
        }
        ["set-pin", pin] => ShellOutput::ok(format!("New credential '{pin}' doesn't satisfy admin policies\n")),
        ["clear"] => {
            state.pin.clear();
            ShellOutput::ok("Lock credential cleared\n")
        }
        ["set-disabled", on] => {
            state.lock_enabled = *on != "true";
            state.locked &= state.lock_enabled;
            ShellOutput::ok(format!("Lock screen disabled set to {}\n", *on == "true"))
        }
        ["get-disabled"] => ShellOutput::ok(format!("{}\n", !state.lock_enabled)),
        ["verify"] => ShellOutput::ok("Lock credential verified successfully\n"),
        _ => ShellOutput::fail(255, "lockSettings service commands:"),
    }
}

/// `ime list|set`.
pub fn ime(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    const GBOARD: &str = "com.google.android.inputmethod.latin/com.android.inputmethod.latin.LatinIME";
    let state = phone.state_mut();
    match arguments {
        ["list", "-s", ..] | ["list", _, "-s"] => ShellOutput::ok(format!("{GBOARD}\n")),
        ["list", ..] => ShellOutput::ok(format!("{GBOARD}:\n  mId={GBOARD}\n")),
        ["set", id] if *id == GBOARD => {
            state.settings.put(Table::Secure, "default_input_method", *id);
            ShellOutput::ok(format!("Input method {id} selected for user #0\n"))
        }
        ["set" | "enable", id] => {
            ShellOutput::fail(255, format!("Unknown input method {id} cannot be selected for user #0"))
        }
        _ => ShellOutput::fail(255, "ime <command>:"),
    }
}
