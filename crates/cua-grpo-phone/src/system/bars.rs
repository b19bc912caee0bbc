//! The status bar and the navigation bar.

use super::{STATUS, SYSTEM_UI};
use crate::{
    draw::geom::{Color, Rect},
    state::{State, Toggle, Window},
    ui::{Ui, sp},
};

/// Height of the navigation bar in dp.
pub fn navigation_height(state: &State) -> f32 {
    if state.has_buttons() { 48.0 } else { 24.0 }
}

/// Clock, notifications, radios and battery along the upper edge.
pub fn status_bar(state: &State, ui: &mut Ui, color: Color) {
    ui.window(Window::System, SYSTEM_UI, state.place(Window::System));
    let bar = Rect::new(0.0, 0.0, ui.screen.w, STATUS);
    let scale = std::mem::replace(&mut ui.font_scale, 1.0);
    ui.node(bar).class("android.widget.FrameLayout").id("status_bar");
    ui.open();
    let now = state.civil();
    let clock = state.clock(now.hour, now.minute);
    let clock = clock.trim_end_matches(" AM").trim_end_matches(" PM");
    let (width, height) = ui.measure(clock, sp(14.0).medium(), 100.0);
    ui.label(
        24.0,
        (STATUS - height) / 2.0 + 2.0,
        width + 2.0,
        sp(14.0).medium(),
        color,
        clock,
    );
    if let Some(node) = ui.last() {
        node.id("clock");
    }
    let mut left = 24.0 + width + 8.0;
    for icon in notification_icons(state).into_iter().take(4) {
        ui.icon(icon, Rect::new(left, 2.0, 18.0, STATUS), 16.0, color);
        left += 21.0;
    }
    let right = status_icons(state, ui, ui.screen.w - 20.0, 2.0, color);
    let _ = right;
    ui.close();
    ui.font_scale = scale;
}

/// One small icon for each app that has a notification.
fn notification_icons(state: &State) -> Vec<&'static str> {
    let mut seen: Vec<&str> = Vec::new();
    let mut icons = Vec::new();
    for notification in state.notifications.iter().filter(|n| !n.silent) {
        if !seen.contains(&notification.package.as_str()) {
            seen.push(&notification.package);
            icons.push(small_icon(&notification.package));
        }
    }
    icons
}

/// The icon of one colour that an app uses in notifications.
pub fn small_icon(package: &str) -> &'static str {
    match package {
        "com.google.android.apps.messaging" => "chat",
        "com.google.android.dialer" => "phone_missed",
        "com.google.android.deskclock" => "alarm",
        "com.google.android.calendar" => "event",
        "com.android.settings" => "settings",
        "com.google.android.gm" => "mail",
        "com.android.vending" => "download_done",
        _ => "android",
    }
}

/// Radios and battery, ending at a right edge; gives their left edge.
pub fn status_icons(state: &State, ui: &mut Ui, right: f32, y: f32, color: Color) -> f32 {
    let mut x = right;
    let plane = state.on(Toggle::Airplane);
    if state.on(Toggle::BatteryPercent) {
        let text = format!("{}%", state.battery.level);
        let (width, height) = ui.measure(&text, sp(14.0).medium(), 60.0);
        x -= width;
        ui.draw_text(
            x,
            y + (STATUS - height) / 2.0,
            width + 2.0,
            sp(14.0).medium(),
            color,
            &text,
        );
        x -= 3.0;
    }
    battery(
        state,
        ui,
        Rect::new(x - 10.0, y + STATUS / 2.0 - 8.5, 10.0, 17.0),
        color,
    );
    let text = format!("Battery {} percent.", state.battery.level);
    ui.node(Rect::new(x - 12.0, y + 8.0, 14.0, 24.0))
        .id("battery")
        .desc(text);
    x -= 14.0;
    let mut icons: Vec<(&'static str, &'static str)> = Vec::new();
    if plane {
        icons.push(("flight", "Airplane mode."));
    } else {
        icons.push(("signal_cellular_4_bar", "Phone signal full."));
    }
    if state.network().is_some() {
        icons.push(("signal_wifi_4_bar", "Wifi signal full."));
    } else if state.on(Toggle::MobileData) && !plane {
        icons.push(("5g", "5G"));
    }
    if state.on(Toggle::Bluetooth) && state.devices.iter().any(|device| device.connected) {
        icons.push(("bluetooth_connected", "Bluetooth connected."));
    }
    if state.on(Toggle::Hotspot) {
        icons.push(("wifi_tethering", "Hotspot on."));
    }
    if state.on(Toggle::DataSaver) {
        icons.push(("data_saver_on", "Data Saver on."));
    }
    if state.next_alarm().is_some() {
        icons.push(("alarm", "Alarm set."));
    }
    if state.on(Toggle::Dnd) {
        icons.push(("do_not_disturb_on", "Do Not Disturb."));
    } else if state.volume(crate::state::Stream::Ring) == 0 {
        icons.push(("vibration", "Ringer vibrate."));
    }
    for (icon, desc) in icons {
        x -= 18.0;
        let rect = Rect::new(x, y, 16.0, STATUS);
        ui.icon(icon, rect, 16.0, color);
        ui.node(rect.middle(16.0, 24.0))
            .class("android.widget.ImageView")
            .desc(desc);
    }
    x
}

/// A battery that stands upright, filled as far as it is charged.
fn battery(state: &State, ui: &mut Ui, rect: Rect, color: Color) {
    let body = Rect::new(rect.x, rect.y + 2.0, rect.w, rect.h - 2.0);
    ui.fill(Rect::new(rect.x + 3.0, rect.y, rect.w - 6.0, 3.0), 1.0, color);
    ui.fill(body, 2.0, color.alpha(0.35));
    let part = state.battery.level as f32 / 100.0;
    let full = Rect::new(body.x, body.bottom() - body.h * part, body.w, body.h * part);
    ui.clipped(full, 0.0, |ui| ui.fill(body, 2.0, color));
    if state.battery.plugged {
        ui.icon(
            "bolt",
            body,
            12.0,
            if part > 0.5 {
                color
                    .mix(Color::BLACK, if color.r > 128 { 1.0 } else { 0.0 })
                    .mix(Color::WHITE, if color.r > 128 { 0.0 } else { 1.0 })
            } else {
                color
            },
        );
    } else if state.on(Toggle::BatterySaver) {
        ui.icon("add", body, 9.0, Color::hex(0xF2_9900));
    }
}

/// The pill of gestures, or three buttons.
pub fn navigation_bar(state: &State, ui: &mut Ui, color: Color) {
    ui.window(Window::System, SYSTEM_UI, state.place(Window::System));
    let height = navigation_height(state);
    let top = ui.screen.h - height;
    if !state.has_buttons() {
        let pill = Rect::new(ui.screen.w / 2.0 - 54.0, ui.screen.h - 14.0, 108.0, 4.0);
        ui.fill(pill, 2.0, color);
        return;
    }
    let part = ui.screen.w / 3.0;
    for index in 0..3 {
        let rect = Rect::new(part * index as f32, top, part, height);
        let (x, y) = rect.center();
        match index {
            0 => ui.icon("arrow_back_ios_new", rect, 18.0, color),
            1 => ui.fill(Rect::new(x - 8.0, y - 8.0, 16.0, 16.0), 8.0, color),
            _ => ui.fill(Rect::new(x - 7.0, y - 7.0, 14.0, 14.0), 2.0, color),
        }
        let node = ui.node(rect);
        node.class("android.widget.ImageView");
        match index {
            0 => node.id("back").desc("Back").tap(State::back),
            1 => node.id("home").desc("Home").tap(State::home),
            _ => node.id("recent_apps").desc("Overview").tap(State::overview),
        };
    }
}
