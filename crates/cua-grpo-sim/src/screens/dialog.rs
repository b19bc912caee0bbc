//! Dialogs: the greeting of some phones, and the choice of screen timeouts.

use crate::{
    phone::{Phone, ROW, WIDTH},
    settings::TIMEOUTS,
    widget::{Effect, Look, NodeKind, Rect, Trailing, Widget},
};

const STARTUP: Rect = Rect::new(8, 4 * ROW, WIDTH - 16, 3 * ROW);
const CHOICE: Rect = Rect::new(8, 2 * ROW, WIDTH - 16, 8 * ROW);

/// The panel of the dialog that is open; meaningless when none is.
pub(crate) fn bounds(phone: &Phone) -> Rect {
    if phone.startup.is_some() { STARTUP } else { CHOICE }
}

/// The widgets of the dialog in front, if one is open.
pub(super) fn widgets(phone: &Phone) -> Option<Vec<Widget>> {
    if let Some(startup) = &phone.startup {
        let mut widgets = panel(STARTUP, &startup.title);
        let button = Rect::new(96, STARTUP.y + 2 * ROW, 80, ROW);
        widgets.push(Widget::new(&*startup.button, NodeKind::Button, button, Look::Button).on_tap(Effect::Dismiss));
        return Some(widgets);
    }
    if !phone.choosing_timeout {
        return None;
    }
    let mut widgets = panel(CHOICE, "Screen timeout");
    let now = phone.settings.timeout_ms();
    for (index, (ms, words, _)) in TIMEOUTS.into_iter().enumerate() {
        let row = Rect::new(CHOICE.x, CHOICE.y + ROW * (index as i32 + 1), CHOICE.w, ROW);
        let look = Look::Row {
            icon: None,
            trailing: Trailing::Radio(ms == now),
        };
        let choice = Widget::new(words, NodeKind::Radio, row, look);
        widgets.push(choice.on_tap(Effect::SetTimeout(ms)).checked(ms == now));
    }
    let cancel = Rect::new(96, CHOICE.y + 7 * ROW, 80, ROW);
    widgets.push(Widget::new("Cancel", NodeKind::Button, cancel, Look::FlatButton).on_tap(Effect::Dismiss));
    Some(widgets)
}

fn panel(bounds: Rect, title: &str) -> Vec<Widget> {
    let head = Rect::new(bounds.x, bounds.y, bounds.w, ROW);
    vec![
        Widget::new("", NodeKind::Text, bounds, Look::Panel),
        Widget::new(title, NodeKind::Title, head, Look::Plain),
    ]
}
