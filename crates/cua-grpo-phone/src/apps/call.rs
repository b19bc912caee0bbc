//! A call that goes on.

use crate::{
    draw::geom::{Color, Rect},
    state::State,
    ui::{Ui, sp},
};

pub fn talking(state: &State, ui: &mut Ui, number: &str, since: i64) {
    let (area, theme) = (ui.area, ui.theme);
    ui.fill(ui.screen, 0.0, theme.container);
    let name = state.name_of(number);
    ui.label(
        area.x,
        area.y + 60.0,
        area.w,
        sp(16.0).center(),
        theme.on_variant,
        "Calling\u{2026}",
    );
    ui.label(
        area.x,
        area.y + 92.0,
        area.w,
        sp(36.0).center(),
        theme.on_surface,
        &name,
    );
    let seconds = (state.now - since) / 1000;
    let line = if name == number {
        String::new()
    } else {
        format!("{number}  ")
    };
    let time = format!("{line}{:02}:{:02}", seconds / 60, seconds % 60);
    ui.label(
        area.x,
        area.y + 144.0,
        area.w,
        sp(16.0).center(),
        theme.on_variant,
        &time,
    );
    ui.avatar(
        Rect::new(area.x + area.w / 2.0 - 80.0, area.y + 210.0, 160.0, 160.0),
        &name,
    );
    let words: [(&'static str, &str); 4] = [
        ("dialpad", "Keypad"),
        ("mic_off", "Mute"),
        ("volume_up", "Speaker"),
        ("more_vert", "More"),
    ];
    for (index, (icon, word)) in words.into_iter().enumerate() {
        let width = area.w / 4.0;
        let cell = Rect::new(area.x + index as f32 * width, area.bottom() - 250.0, width, 96.0);
        let round = Rect::new(cell.center().0 - 32.0, cell.y, 64.0, 64.0);
        ui.fill(round, 32.0, theme.container_highest);
        ui.icon(icon, round, 26.0, theme.on_surface);
        ui.draw_text(cell.x, cell.y + 70.0, width, sp(13.0).center(), theme.on_surface, word);
        ui.node(cell).class("android.widget.Button").text(word).tap(|_| ());
    }
    let red = Rect::new(area.x + area.w / 2.0 - 52.0, area.bottom() - 112.0, 104.0, 72.0);
    ui.fill(red, 36.0, Color::hex(0xD9_3025));
    ui.icon("call_end", red, 32.0, Color::WHITE);
    ui.node(red)
        .class("android.widget.Button")
        .desc("End call")
        .tap(State::hang_up);
}
