//! What is on the screen: all windows, from below to above.

use crate::{
    apps,
    draw::{
        geom::{Color, Rect},
        text::TextEngine,
    },
    state::{State, Window},
    system::{STATUS, bars, home, keyboard, lock, panels, recents, shade},
    ui::{Frame, Scene, Theme, Ui},
};

/// Builds the screen of a state.
pub fn scene(state: &State, engine: &mut TextEngine) -> Scene {
    let k = state.display.scale();
    let screen = Rect::new(
        0.0,
        0.0,
        state.display.width as f32 / k,
        state.display.height as f32 / k,
    );
    let theme = Theme::new(state.dark());
    let frame = Frame { k, x: 0.0, y: 0.0 };
    let mut ui = Ui::new(engine, theme, screen, frame, state.place(Window::Home));
    if !state.awake {
        ui.fill(screen, 0.0, Color::BLACK);
        return ui.finish();
    }
    ui.font_scale = state.font_scale();
    let typing = state.keyboard_shown();
    let navigation = bars::navigation_height(state);
    let below = if typing { keyboard::HEIGHT } else { navigation };
    ui.area = Rect::new(0.0, STATUS, screen.w, (screen.h - STATUS - below).max(80.0));
    // Light symbols on the wallpaper and on dark pages.
    let mut symbols = if theme.dark {
        Color::hex(0xE6_E5EC)
    } else {
        Color::hex(0x2A_2B31)
    };
    if state.locked {
        lock::build(state, &mut ui);
        symbols = Color::WHITE;
    } else if state.recents {
        recents::build(state, &mut ui);
        symbols = Color::WHITE;
    } else if state.in_app && !state.tasks.is_empty() {
        let package = state.front_package().to_owned();
        ui.fill(screen, 0.0, theme.surface);
        ui.window(Window::App, &package, state.page());
        ui.node(screen)
            .class("android.widget.FrameLayout")
            .id("android:id/content");
        ui.open();
        match apps::app(&package) {
            Some(app) => app.build(state, &mut ui),
            // An app that was installed has a name, and nothing to show.
            None => {
                let y = ui.top_bar(&state.label(&package), false);
                ui.paragraph(y + 16.0, &package);
            }
        }
        // A page that is dark whatever the theme has light symbols above it.
        if ui.theme.dark {
            symbols = Color::hex(0xE6_E5EC);
        }
        ui.theme = theme;
    } else {
        home::build(state, &mut ui);
        if state.place(Window::Home).var("drawer").is_empty() {
            symbols = Color::WHITE;
        }
    }
    if typing {
        // A dialog leaves the keyboard in reach.
        let (first, modal) = (ui.scene.nodes.len(), ui.scene.modal);
        keyboard::build(state, &mut ui);
        if modal > 0 && first < ui.scene.nodes.len() {
            ui.scene.modal = modal;
        }
    }
    if state.shade > 0 {
        shade::build(state, &mut ui);
        symbols = Color::WHITE;
    }
    if state.shade == 0 {
        bars::status_bar(state, &mut ui, symbols);
    }
    let pill = if typing && !theme.dark {
        Color::hex(0x2A_2B31)
    } else {
        symbols
    };
    bars::navigation_bar(state, &mut ui, pill);
    panels::build(state, &mut ui);
    ui.finish()
}
