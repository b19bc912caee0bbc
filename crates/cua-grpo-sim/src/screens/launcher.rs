//! The launcher: pages of app icons in a grid of 64-pixel cells.

use crate::{
    phone::{HEIGHT, Phone, ROW, Screen, WIDTH},
    widget::{Effect, Look, NodeKind, Rect, Widget},
};

const CELL: i32 = 64;
const COLUMNS: usize = 3;
const TOP: i32 = 64;

/// The icons of the page in front, and the dots that tell which page it is.
pub(super) fn widgets(phone: &Phone) -> Vec<Widget> {
    let pages = &phone.appearance.pages;
    let page = phone.launcher_page.min(pages.len() - 1);
    let mut widgets = Vec::new();
    for (index, &app) in pages[page].iter().enumerate() {
        let (column, row) = ((index % COLUMNS) as i32, (index / COLUMNS) as i32);
        let bounds = Rect::new(column * CELL, TOP + row * CELL, CELL, CELL);
        let icon = Widget::new(app.label(), NodeKind::Icon, bounds, Look::AppIcon(app));
        widgets.push(icon.on_tap(Effect::Open(Screen::of(app))));
    }
    let dots = Rect::new(0, HEIGHT - 2 * ROW, WIDTH, ROW);
    widgets.push(Widget::new(
        "",
        NodeKind::Text,
        dots,
        Look::Dots {
            page,
            pages: pages.len(),
        },
    ));
    widgets
}
