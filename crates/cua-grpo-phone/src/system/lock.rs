//! The lock screen.

use super::{SYSTEM_UI, shade};
use crate::{
    draw::{
        geom::{Color, Rect},
        paint::Paint,
    },
    state::{State, Toggle, Window},
    ui::{Ui, Way, sp},
};

/// Builds the lock screen, or the pad for the code.
pub fn build(state: &State, ui: &mut Ui) {
    let place = state.place(Window::Lock);
    ui.paint(Paint::Wallpaper {
        kind: state.wallpaper(),
        dark: true,
    });
    ui.modal();
    ui.window(Window::Lock, SYSTEM_UI, place);
    let node = ui.node(ui.screen);
    node.class("android.widget.FrameLayout").id("keyguard_root_view");
    node.swipe(|state, way| match way {
        Way::Up => state.unlock(),
        Way::Down => state.say("Unlock to see quick settings"),
        _ => {}
    });
    ui.open();
    if place.var("bouncer") == "1" {
        pad(state, ui);
    } else {
        clock(state, ui);
    }
    ui.close();
}

fn clock(state: &State, ui: &mut Ui) {
    let now = state.civil();
    let full = state.on(Toggle::FullDay);
    let hour = if full { now.hour } else { (now.hour + 11) % 12 + 1 };
    let (width, color) = (ui.screen.w, Color::hex(0xE3_E8FA));
    let shown = state.on(Toggle::LockNotifications) && !state.notifications.is_empty();
    if shown {
        ui.label(28.0, 76.0, width, sp(64.0), color, &format!("{hour}:{:02}", now.minute));
        if let Some(node) = ui.last() {
            node.id("lockscreen_clock_view");
        }
        ui.label(30.0, 156.0, width, sp(16.0), Color::WHITE, &now.short_date());
        let mut y = 200.0;
        let (count, list) = (state.notifications.len().min(5), &state.notifications);
        for (index, notification) in list.iter().take(count).enumerate() {
            y = shade::card(state, ui, y, notification, index == 0, index + 1 == count);
        }
    } else {
        ui.label(28.0, 70.0, width, sp(16.0), Color::WHITE, &now.short_date());
        let top = ui.screen.h * 0.24;
        for (line, number) in [format!("{hour:02}"), format!("{:02}", now.minute)].iter().enumerate() {
            ui.label(0.0, top + line as f32 * 148.0, width, sp(160.0).center(), color, number);
            if let Some(node) = ui.last() {
                node.id("lockscreen_clock_view_large");
            }
        }
    }
    let y = ui.screen.h - 76.0;
    ui.icon(
        "lock_o",
        Rect::new(width / 2.0 - 20.0, y - 54.0, 40.0, 40.0),
        26.0,
        Color::WHITE,
    );
    ui.label(
        0.0,
        y + 12.0,
        width,
        sp(13.0).center(),
        Color::WHITE.alpha(0.85),
        "Swipe up to open",
    );
}

fn pad(state: &State, ui: &mut Ui) {
    ui.fill(ui.screen, 0.0, Color::hex(0x12_1318).alpha(0.85));
    let place = state.place(Window::Lock);
    let code = place.var("code").to_owned();
    let width = ui.screen.w;
    let message = if place.var("message").is_empty() {
        "Enter your PIN"
    } else {
        place.var("message")
    };
    let top = ui.screen.h * 0.30;
    ui.label(0.0, top - 70.0, width, sp(18.0).center(), Color::WHITE, message);
    for index in 0..code.len() {
        let x = width / 2.0 + (index as f32 - (code.len() as f32 - 1.0) / 2.0) * 24.0;
        ui.fill(Rect::new(x - 6.0, top - 20.0, 12.0, 12.0), 6.0, Color::WHITE);
    }
    let keys = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "", "0", "OK"];
    for (index, key) in keys.into_iter().enumerate() {
        let (column, row) = ((index % 3) as f32, (index / 3) as f32);
        let x = width / 2.0 + (column - 1.0) * 100.0;
        let cell = Rect::new(x - 42.0, top + 30.0 + row * 98.0, 84.0, 84.0);
        ui.fill(
            cell,
            42.0,
            Color::hex(if index % 12 == 9 || index == 11 {
                0xC6_D5FA
            } else {
                0x3A_3B42
            }),
        );
        let front = if index == 9 || index == 11 {
            Color::hex(0x14_1B2C)
        } else {
            Color::WHITE
        };
        let desc = match index {
            9 => {
                ui.icon("backspace_o", cell, 26.0, front);
                "Delete"
            }
            11 => {
                ui.icon("arrow_forward", cell, 28.0, front);
                "Enter"
            }
            _ => {
                ui.draw_text_in(cell, sp(30.0).center(), front, key);
                key
            }
        };
        let code = code.clone();
        ui.node(cell)
            .class("android.widget.Button")
            .desc(desc)
            .tap(move |state| {
                if index == 11 {
                    state.try_pin(&code);
                    return;
                }
                let mut next = code.clone();
                if index == 9 {
                    next.pop();
                } else if next.len() < 16 {
                    next.push_str(key);
                }
                let place = state.place_mut(Window::Lock);
                place.set("code", next);
                place.set("message", "");
            });
    }
}
