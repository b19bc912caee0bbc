//! Notifications and quick settings.

use super::{
    STATUS, SYSTEM_UI,
    bars::{small_icon, status_icons},
    tiles::{TILES, tile},
};
use crate::{
    draw::geom::{Color, Rect},
    state::{Place, State, Window, brightness_to_slider, data::Notification, slider_to_brightness},
    ui::{Ui, Way, sp},
};
use std::sync::Arc;

/// Builds what is pulled down.
pub fn build(state: &State, ui: &mut Ui) {
    let whole = ui.screen;
    ui.fill(whole, 0.0, Color::BLACK.alpha(0.955));
    ui.modal();
    ui.window(Window::Shade, SYSTEM_UI, state.place(Window::Shade));
    let level = state.shade;
    let node = ui.node(whole);
    node.class("android.widget.FrameLayout").id("notification_shade");
    node.tap(|state| state.pull_shade(0));
    node.swipe(move |state, way| match way {
        Way::Up => state.pull_shade(level - 1),
        Way::Down => state.pull_shade(2),
        _ => {}
    });
    ui.open();
    let end = if level == 1 {
        header(state, ui)
    } else {
        quick_settings(state, ui)
    };
    if level == 1 {
        notifications(state, ui, end);
    }
    ui.close();
}

fn header(state: &State, ui: &mut Ui) -> f32 {
    let now = state.civil();
    let clock = state.clock(now.hour, now.minute);
    let clock = clock.trim_end_matches(" AM").trim_end_matches(" PM");
    ui.label(24.0, STATUS + 8.0, 200.0, sp(32.0), Color::WHITE, clock);
    if let Some(node) = ui.last() {
        node.id("clock");
    }
    let date = now.short_date();
    ui.label(24.0, STATUS + 50.0, 240.0, sp(15.0), Color::WHITE, &date);
    status_icons(state, ui, ui.screen.w - 24.0, STATUS + 40.0, Color::WHITE);
    let (width, gap) = ((ui.screen.w - 32.0 - 8.0) / 2.0, 8.0);
    let top = STATUS + 86.0;
    for (index, kind) in TILES.iter().take(4).enumerate() {
        let x = 16.0 + (index % 2) as f32 * (width + gap);
        let y = top + (index / 2) as f32 * 68.0;
        tile(state, ui, Rect::new(x, y, width, 60.0), *kind);
    }
    top + 2.0 * 68.0 + 8.0
}

fn quick_settings(state: &State, ui: &mut Ui) -> f32 {
    let now = state.civil();
    let clock = state.clock(now.hour, now.minute);
    ui.label(24.0, STATUS - 8.0, 160.0, sp(16.0), Color::WHITE, &clock);
    let date = now.short_date();
    ui.label(24.0, STATUS + 16.0, 200.0, sp(14.0), Color::WHITE.alpha(0.8), &date);
    let operator = if state.on(crate::state::Toggle::Airplane) {
        "Airplane mode"
    } else {
        "T-Mobile"
    };
    status_icons(state, ui, ui.screen.w - 24.0, STATUS + 4.0, Color::WHITE);
    ui.draw_text(
        ui.screen.w - 224.0,
        STATUS - 8.0,
        200.0,
        sp(14.0).right(),
        Color::WHITE.alpha(0.8),
        operator,
    );
    let y = STATUS + 56.0;
    let bar = Rect::new(16.0, y, ui.screen.w - 32.0, 48.0);
    let value = brightness_to_slider(state.brightness());
    ui.fill(bar, 24.0, Color::hex(0x2F_3036));
    let filled = Rect::new(bar.x, bar.y, (bar.w * value).max(48.0), bar.h);
    ui.fill(filled, 24.0, Color::hex(0xC6_D5FA));
    ui.icon(
        "brightness_6",
        Rect::new(filled.right() - 44.0, y, 40.0, 48.0),
        22.0,
        Color::hex(0x14_1B2C),
    );
    let node = ui.node(bar);
    node.class("android.widget.SeekBar")
        .id("slider")
        .desc("Display brightness")
        .text(format!("{:.1}", value * 100.0));
    node.slide = Some(Arc::new(|state: &mut State, at| {
        let level = slider_to_brightness(at);
        state
            .settings
            .put(crate::state::Table::System, "screen_brightness", level.to_string());
    }));
    let page = state.place(Window::Shade).number("page").unwrap_or(0).clamp(0, 1) as usize;
    let (width, top) = ((ui.screen.w - 40.0) / 2.0, y + 64.0);
    let pager = Rect::new(0.0, top, ui.screen.w, 4.0 * 88.0);
    ui.node(pager)
        .class("androidx.viewpager.widget.ViewPager")
        .id("qs_pager")
        .swipe(move |state, way| match way {
            Way::Left => state.place_mut(Window::Shade).set("page", "1"),
            Way::Right => state.place_mut(Window::Shade).set("page", ""),
            Way::Up => state.pull_shade(1),
            Way::Down => {}
        });
    for (index, kind) in TILES.iter().skip(page * 8).take(8).enumerate() {
        let x = 16.0 + (index % 2) as f32 * (width + 8.0);
        tile(
            state,
            ui,
            Rect::new(x, top + (index / 2) as f32 * 88.0, width, 80.0),
            *kind,
        );
    }
    let dots = top + 4.0 * 88.0 + 8.0;
    for index in 0..2 {
        let x = ui.screen.w / 2.0 - 9.0 + index as f32 * 12.0;
        let color = Color::WHITE.alpha(if index == page { 1.0 } else { 0.4 });
        ui.fill(Rect::new(x, dots, 6.0, 6.0), 3.0, color);
    }
    let foot = Rect::new(0.0, dots + 20.0, ui.screen.w, 60.0);
    let buttons: [(&'static str, &str); 3] = [
        ("edit_o", "Edit"),
        ("settings_o", "Settings"),
        ("power_settings_new", "Power menu"),
    ];
    for (index, (icon, desc)) in buttons.into_iter().enumerate() {
        let cell = Rect::new(ui.screen.w - 16.0 - 56.0 * (3 - index) as f32, foot.y + 8.0, 44.0, 44.0);
        ui.fill(cell, 22.0, Color::hex(if index == 2 { 0xC6_D5FA } else { 0x2F_3036 }));
        ui.icon(
            icon,
            cell,
            22.0,
            if index == 2 {
                Color::hex(0x14_1B2C)
            } else {
                Color::WHITE
            },
        );
        ui.node(cell)
            .class("android.widget.ImageButton")
            .desc(desc)
            .tap(move |state| match index {
                1 => state.start("com.android.settings", Place::new("com.android.settings.Settings", "")),
                2 => state.sleep(),
                _ => state.say("Hold and drag to rearrange tiles"),
            });
    }
    ui.label(
        24.0,
        foot.y + 20.0,
        200.0,
        sp(13.0),
        Color::WHITE.alpha(0.7),
        &format!(
            "Android {}",
            state.props.get("ro.build.version.release").map_or("14", String::as_str)
        ),
    );
    foot.bottom()
}

fn notifications(state: &State, ui: &mut Ui, top: f32) {
    let list = Rect::new(0.0, top, ui.screen.w, ui.screen.h - top - 16.0);
    if state.notifications.is_empty() {
        ui.label(
            0.0,
            top + 60.0,
            ui.screen.w,
            sp(16.0).center(),
            Color::WHITE.alpha(0.8),
            "No notifications",
        );
        return;
    }
    ui.scroll("list", list, |ui, top| {
        let mut y = top + 4.0;
        let loud: Vec<&Notification> = state.notifications.iter().filter(|n| !n.silent).collect();
        let silent: Vec<&Notification> = state.notifications.iter().filter(|n| n.silent).collect();
        y = group(state, ui, y, &loud);
        if !silent.is_empty() {
            ui.label(32.0, y + 10.0, 200.0, sp(14.0).medium(), Color::WHITE, "Silent");
            y = group(state, ui, y + 40.0, &silent);
        }
        let (manage, clear) = (
            Rect::new(16.0, y + 8.0, 112.0, 40.0),
            Rect::new(ui.screen.w - 128.0, y + 8.0, 112.0, 40.0),
        );
        for (rect, word) in [(manage, "Manage"), (clear, "Clear all")] {
            ui.fill(rect, 20.0, Color::hex(0x2F_3036));
            ui.draw_text_in(rect, sp(14.0).medium().center(), Color::WHITE, word);
            ui.node(rect)
                .class("android.widget.Button")
                .text(word)
                .tap(move |state| {
                    if word == "Manage" {
                        state.start(
                            "com.android.settings",
                            Place::new("com.android.settings.SubSettings", "notifications"),
                        );
                    } else {
                        for id in state.notifications.iter().map(|n| n.id).collect::<Vec<_>>() {
                            state.dismiss(id);
                        }
                        state.pull_shade(0);
                    }
                });
        }
        y + 64.0
    });
}

fn group(state: &State, ui: &mut Ui, top: f32, list: &[&Notification]) -> f32 {
    let mut y = top;
    for (index, notification) in list.iter().enumerate() {
        let (first, last) = (index == 0, index + 1 == list.len());
        y = card(state, ui, y, notification, first, last);
    }
    y + 6.0
}

/// A notification as a card; gives its lower edge.
pub fn card(state: &State, ui: &mut Ui, y: f32, notification: &Notification, first: bool, last: bool) -> f32 {
    let theme = ui.theme;
    let open = ui.place.var(&format!("open{}", notification.id)) == "1";
    let width = ui.screen.w - 32.0 - 64.0 - 56.0;
    let lines = if open { 8 } else { 1 };
    let text_height = ui.measure(&notification.text, sp(14.0).lines(lines), width).1;
    let height = 58.0 + text_height + 12.0;
    let rect = Rect::new(16.0, y, ui.screen.w - 32.0, height);
    let (up, down) = (if first { 28.0 } else { 4.0 }, if last { 28.0 } else { 4.0 });
    ui.fill_corners(
        rect,
        [up, up, down, down],
        if theme.dark { theme.container } else { theme.surface },
    );
    let id = notification.id;
    let node = ui.node(rect);
    node.class("android.widget.FrameLayout").id("expandableNotificationRow");
    node.tap(move |state| state.open_notification(id));
    node.swipe(move |state, way| match way {
        Way::Left | Way::Right => state.dismiss(id),
        Way::Up if state.shade > 0 => state.pull_shade(0),
        Way::Down if state.shade > 0 => state.pull_shade(2),
        _ => {}
    });
    ui.open();
    let round = Rect::new(rect.x + 16.0, rect.y + 16.0, 24.0, 24.0);
    let back = state.icon(&notification.package);
    let color = if back.back > 0xD0_D0D0 {
        theme.primary
    } else {
        Color::hex(back.back)
    };
    ui.fill(round, 12.0, color);
    ui.icon(
        small_icon(&notification.package),
        round,
        15.0,
        if theme.dark && color == theme.primary {
            theme.on_primary
        } else {
            Color::WHITE
        },
    );
    let app = state.label(&notification.package);
    let age = (state.now - notification.date) / 60_000;
    let age = match age {
        ..1 => "now".to_owned(),
        1..60 => format!("{age}m"),
        60..1440 => format!("{}h", age / 60),
        _ => format!("{}d", age / 1440),
    };
    let x = rect.x + 56.0;
    ui.label(
        x,
        rect.y + 14.0,
        width,
        sp(12.0),
        theme.on_variant,
        &format!("{app} \u{2022} {age}"),
    );
    ui.label(
        x,
        rect.y + 34.0,
        width,
        sp(15.0).medium(),
        theme.on_surface,
        &notification.title,
    );
    if let Some(node) = ui.last() {
        node.id("android:id/title");
    }
    ui.label(
        x,
        rect.y + 57.0,
        width,
        sp(14.0).lines(lines),
        theme.on_variant,
        &notification.text,
    );
    if let Some(node) = ui.last() {
        node.id("android:id/text");
    }
    let arrow = Rect::new(rect.right() - 44.0, rect.y + 16.0, 28.0, 24.0);
    ui.fill(arrow.middle(26.0, 22.0), 11.0, theme.container_high);
    ui.icon(
        if open { "expand_less" } else { "expand_more" },
        arrow,
        18.0,
        theme.on_variant,
    );
    let window = ui.current_window();
    ui.node(arrow.middle(40.0, 36.0))
        .class("android.widget.Button")
        .id("android:id/expand_button")
        .desc(if open { "Collapse" } else { "Expand" })
        .tap(move |state| {
            let place = state.place_mut(window);
            place.set(&format!("open{id}"), if open { "" } else { "1" });
        });
    ui.close();
    y + height + 2.0
}
