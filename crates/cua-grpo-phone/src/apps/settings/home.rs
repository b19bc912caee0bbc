//! The first page: search, and what there is.

use super::{
    device,
    kit::{SUB, link},
};
use crate::{
    draw::geom::Rect,
    state::{Place, State, Stream, Table, Toggle, brightness_to_slider},
    ui::{FieldLook, Row, Ui, sp},
};

/// Gives names and titles of pages that hold a word.
pub type Search = fn(&str) -> Vec<(&'static str, &'static str)>;

/// Builds the first page, or the search where it is open.
pub fn build(state: &State, ui: &mut Ui, search: Search) {
    if ui.place.var("search") == "1" {
        find(ui, search);
        return;
    }
    let (area, theme) = (ui.area, ui.theme);
    let list = Rect::new(area.x, area.y, area.w, area.h);
    ui.scroll("list", list, |ui, top| {
        ui.label(
            area.x + 24.0,
            top + 52.0,
            area.w - 48.0,
            sp(36.0),
            theme.on_surface,
            "Settings",
        );
        if let Some(node) = ui.last() {
            node.id("homepage_title");
        }
        let bar = Rect::new(area.x + 16.0, top + 118.0, area.w - 32.0, 56.0);
        ui.fill(bar, 28.0, theme.container_high);
        ui.icon(
            "search",
            Rect::new(bar.x + 16.0, bar.y, 24.0, 56.0),
            24.0,
            theme.on_variant,
        );
        ui.draw_text_in(
            Rect::new(bar.x + 56.0, bar.y, 200.0, 56.0),
            sp(17.0),
            theme.on_variant,
            "Search settings",
        );
        ui.node(bar)
            .class("android.view.ViewGroup")
            .id("search_action_bar")
            .text("Search settings")
            .tap(|state| {
                let place = state.page_mut();
                place.set("search", "1");
                place.focus("search");
            });
        ui.avatar(Rect::new(bar.right() - 46.0, bar.y + 11.0, 34.0, 34.0), "Alex");
        rows(state, ui, bar.bottom() + 12.0) + 16.0
    });
    let shift = ui.place.offset("list");
    if shift > 1.0 {
        ui.fill(Rect::new(0.0, 0.0, area.w, area.y), 0.0, theme.surface);
    }
}

fn rows(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let plane = state.on(Toggle::Airplane);
    let bluetooth = if state.on(Toggle::Bluetooth) {
        "Bluetooth, pairing"
    } else {
        "Bluetooth off"
    };
    let battery = format!(
        "{}%{}",
        state.battery.level,
        if state.battery.plugged {
            " - Charging"
        } else {
            " - Until about 11:30 PM"
        }
    );
    let notifies = state.packages.values().filter(|package| !package.notifies).count();
    let notifies = match notifies {
        0 => "Notification history, conversations".to_owned(),
        off => format!("{off} apps are off"),
    };
    let used: u64 = device::used(state);
    let storage = format!(
        "{}% used - {:.2} GB free",
        used * 100 / 128_000_000_000,
        (128.0 - used as f64 / 1e9).max(0.0)
    );
    let ring = if state.on(Toggle::Dnd) {
        "Do Not Disturb is on".to_owned()
    } else {
        format!(
            "Volume, vibration, Do Not Disturb, ringer {}",
            state.volume(Stream::Ring)
        )
    };
    let bright = format!(
        "{}, {:.0}% brightness",
        if state.dark() { "Dark theme" } else { "Light theme" },
        brightness_to_slider(state.brightness()) * 100.0
    );
    let location = if state.on(Toggle::Location) {
        "On - 4 apps have access to location"
    } else {
        "Off"
    };
    let name = state
        .settings
        .get(Table::Global, "device_name")
        .unwrap_or("Pixel 7")
        .to_owned();
    let network = if plane {
        "Airplane mode is on"
    } else {
        "Mobile, Wi-Fi, hotspot"
    };
    let list: [(&'static str, &str, &str, &'static str); 18] = [
        ("wifi", "Network & internet", network, "network"),
        ("devices_other", "Connected devices", bluetooth, "connected"),
        ("apps", "Apps", "Assistant, recent apps, default apps", "apps"),
        ("notifications_o", "Notifications", &notifies, "notifications"),
        ("battery_full", "Battery", &battery, "battery"),
        ("storage", "Storage", &storage, "storage"),
        ("volume_up_o", "Sound & vibration", &ring, "sound"),
        ("brightness_6_o", "Display", &bright, "display"),
        (
            "palette_o",
            "Wallpaper & style",
            "Colors, themed icons, app grid",
            "wallpaper",
        ),
        (
            "accessibility_new",
            "Accessibility",
            "Display, interaction, audio",
            "accessibility",
        ),
        (
            "lock_o",
            "Security & privacy",
            "App security, device lock, permissions",
            "security",
        ),
        ("location_on_o", "Location", location, "location"),
        (
            "emergency_o",
            "Safety & emergency",
            "Emergency SOS, medical info, alerts",
            "emergency",
        ),
        (
            "vpn_key_o",
            "Passwords & accounts",
            "Saved passwords, autofill, synced accounts",
            "accounts",
        ),
        (
            "favorite_border",
            "Digital Wellbeing & parental controls",
            "Screen time, app timers, bedtime schedules",
            "wellbeing",
        ),
        ("info_o", "System", "Languages, gestures, time, backup", "system"),
        ("smartphone", "About phone", &name, "about"),
        ("help_outline", "Tips & support", "Help articles, phone & chat", "tips"),
    ];
    list.iter().fold(y, |y, (icon, title, summary, page)| {
        link(ui, y, icon, title, summary, page)
    })
}

/// The search: a field, and pages whose titles hold what is typed.
fn find(ui: &mut Ui, search: Search) {
    let (area, theme) = (ui.area, ui.theme);
    let wanted = ui.place.typed("search").trim().to_lowercase();
    let found = if wanted.is_empty() { Vec::new() } else { search(&wanted) };
    let list = Rect::new(area.x, area.y + 64.0, area.w, area.h - 64.0);
    ui.scroll("found", list, |ui, top| {
        found.iter().fold(top, |y, (name, title)| {
            let name = *name;
            ui.row(
                y,
                Row::new(title).icon("search").tap(move |state| {
                    state.push(Place::new(SUB, name));
                }),
            )
        })
    });
    ui.fill(Rect::new(0.0, area.y, area.w, 64.0), 0.0, theme.container);
    ui.icon_button(4.0, area.y + 8.0, "arrow_back", "Back", |state| {
        let place = state.page_mut();
        place.close_over();
        place.fill("search", "");
    });
    let look = FieldLook::new("search", "Search settings")
        .style(sp(17.0))
        .submit(|state| state.keyboard.hidden = true);
    ui.edit(Rect::new(56.0, area.y, area.w - 72.0, 64.0), &look);
}
