//! Apps: their list, what they may do, and which of them opens what.

use super::{
    device::size,
    kit::{about_app, link, tell, to},
};
use crate::{
    draw::geom::Rect,
    state::{State, data::Package},
    ui::{End, Row, Ui, act, sp},
};

/// Apps that can be opened, by name.
pub fn visible(state: &State) -> Vec<(&str, &Package)> {
    let mut list: Vec<(&str, &Package)> = state
        .packages
        .iter()
        .filter(|(_, package)| !package.activity.is_empty())
        .map(|(name, package)| (name.as_str(), package))
        .collect();
    list.sort_by(|(_, a), (_, b)| a.label.cmp(&b.label));
    list
}

/// A row with the icon of an app.
pub fn app_row(state: &State, ui: &mut Ui, y: f32, package: &str, row: Row) -> f32 {
    let bottom = ui.row(y, row.indented());
    let rect = Rect::new(ui.area.x + 20.0, y, 36.0, bottom - y);
    ui.emblem(rect, 36.0, &state.icon(package));
    bottom
}

/// Apps.
pub fn apps(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let mut y = ui.category(y - 12.0, "Recently opened apps");
    for (index, task) in state.tasks.iter().rev().take(4).enumerate() {
        let label = state.label(&task.package);
        let ago = if index == 0 {
            "0 min. ago".to_owned()
        } else {
            format!("{} min. ago", index * 7)
        };
        let row = Row::new(&label).summary(&ago).tap(about_app("app_info", &task.package));
        y = app_row(state, ui, y, &task.package, row);
    }
    let count = visible(state).len();
    y = ui.row(
        y,
        Row::new(&format!("See all {count} apps"))
            .icon("chevron_right")
            .tap(to("all_apps")),
    );
    y = ui.category(y, "General");
    y = link(ui, y, "", "Default apps", "Chrome, Phone, and Messages", "default_apps");
    y = tell(ui, y, "Screen time", "1 hour, 12 minutes today");
    y = tell(ui, y, "Unused apps", "0 unused apps");
    tell(ui, y, "Special app access", "2 apps can use unrestricted data")
}

/// All apps.
pub fn all(state: &State, ui: &mut Ui, y: f32) -> f32 {
    visible(state).into_iter().fold(y, |y, (name, package)| {
        let total = size(package.size.0 + package.size.1);
        app_row(
            state,
            ui,
            y,
            name,
            Row::new(&package.label)
                .summary(&total)
                .tap(about_app("app_info", name)),
        )
    })
}

/// App info.
pub fn info(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let name = ui.place.var("package").to_owned();
    let Some(package) = state.packages.get(&name) else {
        return ui.paragraph(y, "This app is not installed");
    };
    let theme = ui.theme;
    ui.emblem(Rect::new(ui.area.x, y, ui.area.w, 64.0), 64.0, &state.icon(&name));
    ui.label(
        ui.area.x,
        y + 72.0,
        ui.area.w,
        sp(22.0).center(),
        theme.on_surface,
        &package.label,
    );
    let width = (ui.area.w - 48.0) / 3.0;
    let running = state.tasks.iter().any(|task| task.package == name);
    let top = y + 116.0;
    let words: [(&'static str, &str, &'static str); 3] = [
        ("open_in_new", "Open", "open"),
        ("delete_o", "Uninstall", "uninstall"),
        ("warning_amber", "Force stop", "stop"),
    ];
    for (index, (icon, word, deed)) in words.into_iter().enumerate() {
        let rect = Rect::new(ui.area.x + 24.0 + index as f32 * width, top, width - 4.0, 72.0);
        ui.fill(rect, 20.0, theme.container);
        let enabled = deed != "stop" || running;
        let color = if enabled {
            theme.primary
        } else {
            theme.on_variant.alpha(0.4)
        };
        ui.icon(icon, Rect::new(rect.x, rect.y + 8.0, rect.w, 28.0), 22.0, color);
        ui.draw_text(rect.x, rect.y + 42.0, rect.w, sp(14.0).medium().center(), color, word);
        let package = name.clone();
        let node = ui.node(rect);
        node.class("android.widget.Button")
            .text(word)
            .disable(!enabled)
            .tap(move |state| match deed {
                "open" => state.launch(&package),
                other => state.page_mut().set("dialog", other),
            });
    }
    let mut y = top + 88.0;
    let notifies = if package.notifies { "On" } else { "Off" };
    y = ui.row(
        y,
        Row::new("Notifications")
            .summary(notifies)
            .tap(about_app("app_notifications", &name)),
    );
    let allowed: Vec<&str> = package
        .permissions
        .iter()
        .filter(|(_, on)| **on == Some(true))
        .map(|(permission, _)| word(permission))
        .collect();
    let allowed = if allowed.is_empty() {
        "No permissions granted".to_owned()
    } else {
        allowed.join(", ")
    };
    y = ui.row(
        y,
        Row::new("Permissions")
            .summary(&allowed)
            .tap(about_app("app_permissions", &name)),
    );
    let stored = format!("{} used in internal storage", size(package.size.0 + package.size.1));
    y = ui.row(
        y,
        Row::new("Storage & cache")
            .summary(&stored)
            .tap(about_app("app_storage", &name)),
    );
    y = tell(ui, y, "Mobile data & Wi-Fi", "No data used");
    y = tell(ui, y, "Screen time", "0 minutes today");
    y = tell(ui, y, "App battery usage", "0% use since last full charge");
    tell(ui, y, "Open by default", "No default opened links")
}

/// What a permission is called.
fn word(permission: &str) -> &'static str {
    match permission {
        "ACCESS_FINE_LOCATION" => "Location",
        "CAMERA" => "Camera",
        "RECORD_AUDIO" => "Microphone",
        "READ_CONTACTS" => "Contacts",
        "READ_CALENDAR" => "Calendar",
        "CALL_PHONE" => "Phone",
        "READ_SMS" => "SMS",
        "READ_MEDIA_IMAGES" => "Photos and videos",
        "POST_NOTIFICATIONS" => "Notifications",
        _ => "Other",
    }
}

/// The permissions of an app.
pub fn permissions(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let name = ui.place.var("package").to_owned();
    let Some(package) = state.packages.get(&name) else {
        return y;
    };
    let mut y = y;
    for allowed in [true, false] {
        y = ui.category(y, if allowed { "Allowed" } else { "Not allowed" });
        let list: Vec<&str> = package
            .permissions
            .iter()
            .filter(|(_, on)| (**on == Some(true)) == allowed)
            .map(|(name, _)| *name)
            .collect();
        if list.is_empty() {
            y = ui.paragraph(
                y,
                if allowed {
                    "No permissions allowed"
                } else {
                    "No permissions denied"
                },
            );
        }
        for permission in list {
            let (name, about) = (name.clone(), permission.to_owned());
            y = ui.row(
                y,
                Row::new(word(permission))
                    .icon(permission_icon(permission))
                    .tap(move |state| {
                        about_app("app_permission", &name)(state);
                        state.page_mut().set("permission", about.as_str());
                    }),
            );
        }
    }
    y
}

fn permission_icon(permission: &str) -> &'static str {
    match permission {
        "ACCESS_FINE_LOCATION" => "location_on_o",
        "CAMERA" => "photo_camera_o",
        "RECORD_AUDIO" => "mic_none",
        "READ_CONTACTS" => "contacts_o",
        "READ_CALENDAR" => "event_o",
        "CALL_PHONE" => "phone_o",
        "READ_SMS" => "sms_o",
        "POST_NOTIFICATIONS" => "notifications_o",
        _ => "folder_o",
    }
}

/// One permission of an app.
pub fn permission(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let name = ui.place.var("package").to_owned();
    let permission = ui.place.var("permission").to_owned();
    let known = state
        .packages
        .get(&name)
        .and_then(|package| package.permissions.get(permission.as_str()));
    let now = known.copied().flatten();
    let title = format!("{} access for this app", word(&permission));
    let mut y = ui.category(y, &title);
    let first = match permission.as_str() {
        "ACCESS_FINE_LOCATION" | "CAMERA" | "RECORD_AUDIO" => "Allow only while using the app",
        _ => "Allow",
    };
    let choices = [
        (first, Some(true)),
        ("Ask every time", None),
        ("Don\u{2019}t allow", Some(false)),
    ];
    for (title, answer) in choices {
        if answer.is_none() && first == "Allow" {
            continue;
        }
        let (name, permission) = (name.clone(), permission.clone());
        let row = Row::new(title).end(End::Radio(now == answer));
        y = ui.row(
            y,
            row.tap(move |state| {
                state.allow(&name, &permission, answer);
            }),
        );
    }
    y
}

/// Storage of an app.
pub fn storage(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let name = ui.place.var("package").to_owned();
    let Some(package) = state.packages.get(&name) else {
        return y;
    };
    let y = ui.row(
        y,
        Row::new("Clear storage")
            .icon("delete_o")
            .tap(|state| state.page_mut().set("dialog", "clear")),
    );
    let y = tell(ui, y, "App size", &size(package.size.0));
    let y = tell(ui, y, "User data", &size(package.size.1));
    tell(ui, y, "Total", &size(package.size.0 + package.size.1))
}

/// The dialogs of App info.
pub fn dialogs(ui: &mut Ui, dialog: &str) {
    let name = ui.place.var("package").to_owned();
    let no = act(|_: &mut State| ());
    match dialog {
        "stop" => {
            let yes = act(move |state: &mut State| {
                state.tasks.retain(|task| task.package != name);
                if let Some(package) = state.packages.get_mut(&name) {
                    package.stopped = true;
                }
            });
            ui.dialog(
                "Force stop?",
                "If you force stop an app, it may misbehave.",
                &[("Cancel", no), ("OK", yes)],
            );
        }
        "clear" => {
            let yes = act(move |state: &mut State| state.clear_package(&name));
            let text = "All this app\u{2019}s data will be deleted permanently. This includes all files, settings, accounts, databases, etc.";
            ui.dialog("Delete app data?", text, &[("Cancel", no), ("OK", yes)]);
        }
        _ => {
            ui.dialog(
                "Uninstall?",
                "This app came with the phone and cannot be uninstalled.",
                &[("OK", no)],
            );
        }
    }
}
