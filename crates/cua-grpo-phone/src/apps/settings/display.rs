//! Display, text size, dark theme, wallpaper.

use super::kit::{ask, link, switch, tell, timeout_word, to};
use crate::{
    draw::{geom::Rect, paint::Paint},
    state::{State, Table, Toggle, brightness_to_slider},
    ui::{End, Row, Ui, sp},
};
use std::sync::Arc;

/// Display.
pub fn display(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let percent = format!("{:.0}%", brightness_to_slider(state.brightness()) * 100.0);
    let timeout = timeout_word(
        state
            .settings
            .get(Table::System, "screen_off_timeout")
            .unwrap_or("60000"),
    );
    let mut y = ui.category(y - 12.0, "Brightness");
    y = ask(ui, y, "Brightness level", &percent, "brightness");
    let adaptive = state.on(Toggle::AdaptiveBrightness);
    let word = if adaptive { "On" } else { "Off" };
    let row = Row::new("Adaptive brightness")
        .summary(word)
        .end(End::Split(adaptive))
        .tap(to("adaptive"));
    y = ui.row(y, row.end_tap(|state| state.flip(Toggle::AdaptiveBrightness)));
    y = ui.category(y, "Lock display");
    y = link(
        ui,
        y,
        "",
        "Lock screen",
        "Show all notification content",
        "lock_display",
    );
    y = ask(
        ui,
        y,
        "Screen timeout",
        &format!("After {timeout} of inactivity"),
        "timeout",
    );
    y = ui.category(y, "Appearance");
    let dark = state.on(Toggle::Dark);
    let word = if dark {
        "Will never turn off automatically"
    } else {
        "Will never turn on automatically"
    };
    let row = Row::new("Dark theme")
        .summary(word)
        .end(End::Split(dark))
        .tap(to("dark"));
    y = ui.row(y, row.end_tap(|state| state.flip(Toggle::Dark)));
    y = link(ui, y, "", "Display size and text", "", "text_size");
    y = ui.category(y, "Color");
    let night = if state.on(Toggle::NightLight) {
        "On"
    } else {
        "Off / Will never turn on automatically"
    };
    y = link(ui, y, "", "Night Light", night, "night_light");
    y = tell(ui, y, "Colors", "Adaptive");
    y = ui.category(y, "Other display controls");
    y = switch(state, ui, y, "Auto-rotate screen", "", Toggle::AutoRotate);
    let smooth = "Automatically raises the refresh rate from 60 to 90 Hz for some content. Increases battery usage.";
    y = switch(state, ui, y, "Smooth display", smooth, Toggle::Smooth);
    tell(ui, y, "Screen saver", "Off")
}

/// Adaptive brightness.
pub fn adaptive(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::AdaptiveBrightness);
    let y = ui.main_switch(y, "Use adaptive brightness", on, |state| {
        state.flip(Toggle::AdaptiveBrightness)
    });
    ui.paragraph(
        y,
        "Your screen brightness will automatically adjust to your environment and activities.",
    )
}

/// Dark theme.
pub fn dark(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::Dark);
    let mut y = ui.main_switch(y, "Use Dark theme", on, |state| state.flip(Toggle::Dark));
    y = tell(ui, y, "Schedule", "None");
    ui.paragraph(
        y,
        "Dark theme uses a dark background to help keep your battery alive longer on some screens.",
    )
}

/// Sizes of texts, and the densities of a screen as shares of its own.
const SIZES: [&str; 7] = ["0.85", "1.0", "1.15", "1.3", "1.5", "1.8", "2.0"];
const DENSITIES: [f32; 5] = [0.85, 1.0, 1.12, 1.24, 1.36];

/// Display size and text.
pub fn text(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let theme = ui.theme;
    let card = Rect::new(ui.area.x + 24.0, y, ui.area.w - 48.0, 132.0);
    ui.fill(card, 24.0, theme.container);
    let sample = "The quick brown fox jumps over the lazy dog. Preview of your text.";
    ui.label(
        card.x + 20.0,
        card.y + 20.0,
        card.w - 40.0,
        sp(16.0).lines(4),
        theme.on_surface,
        sample,
    );
    let scale = state.font_scale();
    let at = SIZES
        .iter()
        .position(|size| size.parse::<f32>().is_ok_and(|size| (size - scale).abs() < 0.02))
        .unwrap_or(1);
    let steps = SIZES.len() as f32 - 1.0;
    let mut y = steps_row(
        ui,
        card.bottom() + 16.0,
        "Font size",
        "Make text bigger or smaller",
        at as f32 / steps,
        steps,
        |state, step| {
            state
                .settings
                .put(Table::System, "font_scale", SIZES[step.min(SIZES.len() - 1)]);
        },
    );
    let own = state.physical.density as f32;
    let now = state.display.density as f32 / own;
    let at = DENSITIES
        .iter()
        .position(|share| (share - now).abs() < 0.04)
        .unwrap_or(1);
    y = steps_row(
        ui,
        y,
        "Display size",
        "Make everything bigger or smaller",
        at as f32 / 4.0,
        4.0,
        |state, step| {
            let share = DENSITIES[step.min(DENSITIES.len() - 1)];
            state.display.density = (state.physical.density as f32 * share).round() as u32;
        },
    );
    y = switch(state, ui, y, "Bold text", "", Toggle::Bold);
    y = switch(
        state,
        ui,
        y,
        "High contrast text",
        "Change text color to black or white",
        Toggle::Contrast,
    );
    let reset = Row::new("Reset settings").tap(|state| {
        state.settings.put(Table::System, "font_scale", "1.0");
        state.display.density = state.physical.density;
    });
    ui.row(y, reset)
}

/// A slider of steps with A signs; gives its lower edge.
fn steps_row(
    ui: &mut Ui,
    y: f32,
    title: &str,
    summary: &str,
    value: f32,
    steps: f32,
    set: fn(&mut State, usize),
) -> f32 {
    let theme = ui.theme;
    let x = ui.area.x + 24.0;
    ui.label(x, y + 8.0, ui.area.w - 48.0, sp(18.0), theme.on_surface, title);
    ui.label(x, y + 36.0, ui.area.w - 48.0, sp(14.0), theme.on_variant, summary);
    let row = y + 58.0;
    let (less, more) = (
        Rect::new(x, row, 40.0, 48.0),
        Rect::new(ui.area.right() - 64.0, row, 40.0, 48.0),
    );
    let at = (value * steps).round() as usize;
    for (rect, icon, desc, next) in [
        (less, "remove", "Decrease", at.saturating_sub(1)),
        (more, "add", "Increase", at + 1),
    ] {
        ui.icon(icon, rect, 22.0, theme.on_variant);
        ui.node(rect)
            .class("android.widget.ImageView")
            .desc(format!("{desc} {}", title.to_lowercase()))
            .tap(move |state| set(state, next));
    }
    let slide = Arc::new(move |state: &mut State, place: f32| set(state, (place * steps).round() as usize));
    ui.slider(x + 48.0, row, ui.area.w - 48.0 - 96.0, value, slide);
    if let Some(node) = ui.last() {
        node.desc(title);
    }
    y + 116.0
}

/// Night Light.
pub fn night(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let on = state.on(Toggle::NightLight);
    let mut y = ui.main_switch(y, "Use Night Light", on, |state| state.flip(Toggle::NightLight));
    y = tell(ui, y, "Schedule", "None");
    ui.paragraph(
        y,
        "Night Light tints your screen amber. This makes it easier to look at your screen in dim light.",
    )
}

/// What the lock screen shows.
pub fn lock(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let y = switch(
        state,
        ui,
        y,
        "Show notifications",
        "Show all notification content",
        Toggle::LockNotifications,
    );
    switch(state, ui, y, "Lift to check phone", "", Toggle::Lift)
}

/// The wallpaper.
pub fn wallpaper(state: &State, ui: &mut Ui, y: f32) -> f32 {
    let theme = ui.theme;
    let now = state.wallpaper();
    let width = (ui.area.w - 48.0 - 36.0) / 4.0;
    let names = ["Dunes", "Lake", "Forest", "Dusk"];
    const COLORS: [[u32; 2]; 4] = [
        [0xE7_B7A0, 0x8E_5F6A],
        [0x9F_C3E4, 0x3E_6E9F],
        [0xAF_CFAE, 0x4C_8069],
        [0xC7_B0E0, 0x6D_579B],
    ];
    for (kind, name) in names.iter().enumerate() {
        let rect = Rect::new(ui.area.x + 24.0 + kind as f32 * (width + 12.0), y, width, width * 1.9);
        let px = ui.px(rect);
        let colors = COLORS[kind].map(crate::draw::geom::Color::hex);
        let radius = 16.0 * ui.frame.k;
        ui.paint(Paint::Gradient {
            rect: px,
            radius,
            colors,
        });
        if usize::from(now) == kind {
            ui.stroke(rect, 16.0, 3.0, theme.primary);
        }
        ui.node(rect)
            .class("android.widget.ImageView")
            .desc(*name)
            .select(usize::from(now) == kind)
            .tap(move |state| {
                state.settings.put(Table::Secure, "wallpaper_kind", kind.to_string());
            });
        ui.label(
            rect.x,
            rect.bottom() + 6.0,
            width,
            sp(13.0).center(),
            theme.on_variant,
            name,
        );
    }
    let y = y + width * 1.9 + 40.0;
    let y = switch(state, ui, y, "Dark theme", "", Toggle::Dark);
    tell(ui, y, "App grid", "4\u{d7}5")
}

/// Settings of the home screen.
pub fn home(_state: &State, ui: &mut Ui, y: f32) -> f32 {
    let y = tell(ui, y, "Notification dots", "On");
    let y = tell(ui, y, "Add app icons to home screen", "For new apps");
    tell(
        ui,
        y,
        "Swipe to access Google app",
        "Show Google app when you swipe right",
    )
}
