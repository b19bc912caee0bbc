//! What the system lays over everything: messages, prompts, volume.

use super::{STATUS, SYSTEM_UI, shade};
use crate::{
    draw::geom::{Color, Rect},
    state::{Prompt, State, Stream, Window},
    ui::{Ui, sp},
};
use std::sync::Arc;

/// The package that asks for permissions.
pub const PERMISSIONS: &str = "com.google.android.permissioncontroller";

/// Builds all that lies over the screen now.
pub fn build(state: &State, ui: &mut Ui) {
    if let Some((id, _)) = state.heads_up
        && state.shade == 0
        && let Some(notification) = state.notifications.iter().find(|n| n.id == id)
    {
        ui.window(Window::System, SYSTEM_UI, state.place(Window::System));
        ui.shadow(Rect::new(16.0, STATUS, ui.screen.w - 32.0, 84.0), 28.0, 8.0);
        shade::card(state, ui, STATUS, notification, true, true);
    }
    if let Some(prompt) = &state.prompt {
        permission(state, ui, prompt);
    }
    if state.volume_panel.is_some() {
        volume(state, ui);
    }
    if let Some((text, _)) = &state.toast {
        toast(state, ui, text);
    }
}

fn toast(state: &State, ui: &mut Ui, text: &str) {
    let theme = ui.theme;
    ui.window(Window::System, SYSTEM_UI, state.place(Window::System));
    let (width, height) = ui.measure(text, sp(14.0).lines(2), 240.0);
    let rect = Rect::new(
        (ui.screen.w - width - 48.0) / 2.0,
        ui.screen.h - 84.0 - height,
        width + 48.0,
        height + 24.0,
    );
    ui.shadow(rect, rect.h / 2.0, 3.0);
    ui.fill(
        rect,
        rect.h / 2.0,
        if theme.dark {
            theme.container_highest
        } else {
            theme.surface
        },
    );
    ui.draw_text(
        rect.x + 24.0,
        rect.y + 12.0,
        width + 1.0,
        sp(14.0).lines(2),
        theme.on_surface,
        text,
    );
    ui.node(rect).class("android.widget.Toast").text(text);
}

fn volume(state: &State, ui: &mut Ui) {
    let theme = ui.theme;
    ui.window(Window::System, SYSTEM_UI, state.place(Window::System));
    let rect = Rect::new(ui.screen.w - 72.0, ui.screen.h * 0.32, 60.0, 260.0);
    ui.shadow(rect, 30.0, 4.0);
    ui.fill(rect, 30.0, theme.surface);
    let (least, most) = Stream::Media.range();
    let part = (state.volume(Stream::Media) - least) as f32 / (most - least) as f32;
    let track = Rect::new(rect.x + 8.0, rect.y + 52.0, 44.0, 160.0);
    ui.icon(
        "notifications_o",
        Rect::new(rect.x, rect.y + 8.0, 60.0, 40.0),
        22.0,
        theme.on_variant,
    );
    ui.fill(track, 22.0, theme.container_highest);
    let height = (track.h * part).max(44.0);
    ui.fill(
        Rect::new(track.x, track.bottom() - height, 44.0, height),
        22.0,
        theme.primary,
    );
    ui.icon(
        "music_note",
        Rect::new(track.x, track.bottom() - 44.0, 44.0, 44.0),
        20.0,
        theme.on_primary,
    );
    let node = ui.node(track);
    node.class("android.widget.SeekBar")
        .desc("Media volume")
        .text(format!("{:.1}", part * 100.0));
    let more = Rect::new(rect.x + 8.0, rect.bottom() - 46.0, 44.0, 40.0);
    ui.icon("more_horiz", more, 22.0, theme.on_variant);
    ui.node(more)
        .class("android.widget.ImageButton")
        .desc("Settings")
        .tap(|state| {
            state.volume_panel = None;
            let page = crate::state::Place::new("com.android.settings.SubSettings", "sound");
            state.start("com.android.settings", page);
        });
}

/// How the question about a permission ends: `Allow <b>App</b> to ...?`
fn question(permission: &str) -> &'static str {
    match permission {
        "ACCESS_FINE_LOCATION" => "access this device's location",
        "CAMERA" => "take pictures and record video",
        "RECORD_AUDIO" => "record audio",
        "READ_CONTACTS" => "access your contacts",
        "READ_CALENDAR" => "access your calendar",
        "CALL_PHONE" => "make and manage phone calls",
        "READ_SMS" => "send and view SMS messages",
        "READ_MEDIA_IMAGES" => "access photos and videos on this device",
        "POST_NOTIFICATIONS" => "send you notifications",
        _ => "use this permission",
    }
}

fn permission(state: &State, ui: &mut Ui, prompt: &Prompt) {
    let theme = ui.theme;
    ui.fill(ui.screen, 0.0, Color::BLACK.alpha(0.5));
    ui.modal();
    ui.window(Window::System, PERMISSIONS, state.place(Window::System));
    let while_using = matches!(
        prompt.permission.as_str(),
        "ACCESS_FINE_LOCATION" | "CAMERA" | "RECORD_AUDIO"
    );
    let words: &[(&str, &str, Option<bool>)] = if while_using {
        &[
            (
                "While using the app",
                "permission_allow_foreground_only_button",
                Some(true),
            ),
            ("Only this time", "permission_allow_one_time_button", Some(true)),
            ("Don\u{2019}t allow", "permission_deny_button", Some(false)),
        ]
    } else {
        &[
            ("Allow", "permission_allow_button", Some(true)),
            ("Don\u{2019}t allow", "permission_deny_button", Some(false)),
        ]
    };
    let text = format!(
        "Allow {} to {}?",
        state.label(&prompt.package),
        question(&prompt.permission)
    );
    let width = ui.screen.w - 64.0;
    let text_height = ui.measure(&text, sp(20.0).center().lines(4), width - 48.0).1;
    let height = 76.0 + text_height + 24.0 + words.len() as f32 * 60.0 + 16.0;
    let rect = Rect::new(32.0, (ui.screen.h - height) / 2.0, width, height);
    ui.fill(rect, 28.0, theme.container_high);
    ui.node(rect).class("android.widget.LinearLayout").id("grant_dialog");
    ui.open();
    let icon = match prompt.permission.as_str() {
        "ACCESS_FINE_LOCATION" => "location_on_o",
        "CAMERA" => "photo_camera_o",
        "RECORD_AUDIO" => "mic_none",
        "READ_CONTACTS" => "contacts_o",
        "POST_NOTIFICATIONS" => "notifications_o",
        _ => "folder_o",
    };
    ui.icon(
        icon,
        Rect::new(rect.x, rect.y + 24.0, rect.w, 28.0),
        26.0,
        theme.primary,
    );
    ui.label(
        rect.x + 24.0,
        rect.y + 66.0,
        width - 48.0,
        sp(20.0).center().lines(4),
        theme.on_surface,
        &text,
    );
    if let Some(node) = ui.last() {
        node.id("permission_message");
    }
    let mut y = rect.y + 66.0 + text_height + 24.0;
    for (index, (word, id, answer)) in words.iter().enumerate() {
        let button = Rect::new(rect.x + 24.0, y, width - 48.0, 56.0);
        let (up, down) = (
            if index == 0 { 28.0 } else { 4.0 },
            if index + 1 == words.len() { 28.0 } else { 4.0 },
        );
        ui.fill_corners(button, [up, up, down, down], theme.primary_container);
        ui.draw_text_in(button, sp(15.0).medium().center(), theme.on_primary_container, word);
        let (prompt, answer) = (prompt.clone(), *answer);
        let act: crate::ui::Act = Arc::new(move |state: &mut State| {
            state.allow(&prompt.package, &prompt.permission, answer);
            state.prompt = None;
        });
        let node = ui.node(button);
        node.class("android.widget.Button").id(id).text(*word);
        node.tap = Some(act);
        y += 58.0;
    }
    let round = Rect::new(rect.x + 20.0, rect.y + 20.0, 36.0, 36.0);
    ui.emblem(round, 32.0, &state.icon(&prompt.package));
    ui.close();
}
