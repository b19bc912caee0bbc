//! Lists: rows of equal height that scroll by whole rows.

use super::{apps, settings};
use crate::{
    phone::{Phone, ROW, Screen, VISIBLE_ROWS, WIDTH},
    widget::{Look, NodeKind, Rect, Widget},
};

/// One or more widgets that share a row; their `y` counts from the row's top.
pub(super) type RowWidgets = Vec<Widget>;

/// The bounds of a whole row, before it is moved to its place.
pub(super) const FULL_ROW: Rect = Rect::new(0, 0, WIDTH, ROW);

fn rows(phone: &Phone) -> Vec<RowWidgets> {
    match phone.screen() {
        Screen::Settings => settings::root(phone),
        Screen::SettingsPage(page) => settings::page(phone, page),
        Screen::Clock => apps::alarms(phone),
        Screen::Notes => apps::notes(phone),
        Screen::Launcher | Screen::NoteEditor | Screen::Splash(_) | Screen::Guest => Vec::new(),
    }
}

/// Rows that can be scrolled out at the top.
pub(crate) fn max_scroll(phone: &Phone) -> usize {
    rows(phone).len().saturating_sub(VISIBLE_ROWS)
}

/// The visible rows of the list in front, at their places, and the scroll bar.
pub(super) fn widgets(phone: &Phone) -> Vec<Widget> {
    let rows = rows(phone);
    let (total, offset) = (rows.len(), phone.scroll_rows());
    let mut widgets = Vec::new();
    for (place, row) in rows.into_iter().skip(offset).take(VISIBLE_ROWS).enumerate() {
        for mut widget in row {
            widget.bounds.y += ROW * (place as i32 + 1);
            widgets.push(widget);
        }
    }
    if total > VISIBLE_ROWS {
        let bounds = Rect::new(WIDTH - 3, ROW, 3, ROW * VISIBLE_ROWS as i32);
        widgets.push(Widget::new(
            "",
            NodeKind::Text,
            bounds,
            Look::Scrollbar {
                offset,
                visible: VISIBLE_ROWS,
                total,
            },
        ));
    }
    widgets
}
