//! The dialogs of all pages, and the titles that follow from what a page is about.

use super::{apps_more, apps_pages, kit::TIMEOUTS, network, zones};
use crate::{
    draw::geom::{Color, Rect},
    state::{State, Table, brightness_to_slider, slider_to_brightness},
    ui::{Act, FieldLook, Ui, act},
};
use std::sync::Arc;

/// The title of a page; those about an app or a role have their own.
pub fn title(state: &State, ui: &Ui, title: &str) -> String {
    match ui.place.page.as_str() {
        "app_notifications" | "app_permission" => state.label(ui.place.var("package")),
        "default_app" => apps_more::role_title(ui.place.var("role")).to_owned(),
        _ => title.to_owned(),
    }
}

/// A dialog that writes one of several values of a key.
fn choose(state: &State, ui: &mut Ui, title: &str, table: Table, key: &'static str, values: &[(&'static str, &str)]) {
    let now = state.settings.get(table, key).unwrap_or_default().to_owned();
    let options: Vec<(String, bool, Act)> = values
        .iter()
        .map(|(value, word)| {
            let value = *value;
            let write: Act = Arc::new(move |state: &mut State| state.settings.put(table, key, value));
            ((*word).to_owned(), now == value, write)
        })
        .collect();
    ui.radio_dialog(title, &options);
}

/// The dialog that is open, if any.
pub fn dialogs(state: &State, ui: &mut Ui) {
    let dialog = ui.place.var("dialog").to_owned();
    match dialog.as_str() {
        "timeout" => choose(
            state,
            ui,
            "Screen timeout",
            Table::System,
            "screen_off_timeout",
            &TIMEOUTS,
        ),
        "dns" => {
            let values = [
                ("off", "Off"),
                ("opportunistic", "Automatic"),
                ("hostname", "Private DNS provider hostname"),
            ];
            choose(
                state,
                ui,
                "Select private DNS mode",
                Table::Global,
                "private_dns_mode",
                &values,
            );
        }
        "brightness" => brightness(state, ui),
        "device_name" => {
            let look = FieldLook::new("device_name", "Device name");
            ui.field_dialog(
                "Device name",
                &look,
                "OK",
                act(|state| {
                    let name = state.page().typed("device_name").trim().to_owned();
                    if !name.is_empty() {
                        state.settings.put(Table::Global, "device_name", name.as_str());
                        state.settings.put(Table::Secure, "bluetooth_name", name);
                    }
                }),
            );
        }
        "password" => {
            let ssid = ui.place.var("ssid").to_owned();
            let look = FieldLook::new("password", "Password");
            let name = ssid.clone();
            ui.field_dialog(
                &ssid,
                &look,
                "Connect",
                act(move |state| {
                    if state.page().typed("password").len() >= 8 {
                        network::connect(state, &name);
                    } else {
                        state.say("Password must have at least 8 characters");
                    }
                }),
            );
        }
        "stop" | "clear" | "uninstall" => apps_pages::dialogs(ui, &dialog),
        "set_pin" => {
            let look = FieldLook::new("new_pin", "PIN");
            ui.field_dialog(
                "Set a PIN",
                &look,
                "Confirm",
                act(|state| {
                    let pin = state.page().typed("new_pin").to_owned();
                    if pin.len() >= 4 && pin.chars().all(|c| c.is_ascii_digit()) {
                        state.pin = pin;
                        state.lock_enabled = true;
                    } else {
                        state.say("PIN must be at least 4 digits");
                    }
                }),
            );
        }
        "set_date" | "set_time" => zones::date_dialog(ui, &dialog),
        _ => {}
    }
}

/// The slider of the brightness at the upper edge.
fn brightness(state: &State, ui: &mut Ui) {
    ui.scrim();
    let rect = Rect::new(16.0, ui.area.y + 8.0, ui.screen.w - 32.0, 56.0);
    let value = brightness_to_slider(state.brightness());
    ui.fill(rect, 28.0, Color::hex(0x2F_3036));
    let filled = Rect::new(rect.x, rect.y, (rect.w * value).max(56.0), rect.h);
    ui.fill(filled, 28.0, Color::hex(0xC6_D5FA));
    ui.icon(
        "brightness_6",
        Rect::new(filled.right() - 48.0, rect.y, 40.0, 56.0),
        24.0,
        Color::hex(0x14_1B2C),
    );
    let node = ui.node(rect);
    node.class("android.widget.SeekBar")
        .id("slider")
        .desc("Display brightness")
        .text(format!("{:.1}", value * 100.0));
    node.slide(|state, at| {
        let level = slider_to_brightness(at);
        state
            .settings
            .put(Table::System, "screen_brightness", level.to_string());
    });
}
