//! What surrounds every screen: the title and the navigation bar, and which layer is in front.

use super::{apps, dialog, launcher, list};
use crate::{
    phone::{HEIGHT, Phone, ROW, Screen, WIDTH},
    widget::{Effect, Look, NodeKind, Rect, Widget},
};

/// The widgets that can be seen and touched: those of the dialog if one is open, else those of the screen.
pub(crate) fn front(phone: &Phone) -> Vec<Widget> {
    let mut widgets = dialog::widgets(phone).unwrap_or_else(|| back(phone));
    widgets.extend(navigation());
    widgets
}

/// The widgets of the screen, whether or not a dialog covers them, without the navigation bar.
pub(crate) fn back(phone: &Phone) -> Vec<Widget> {
    let mut widgets = match phone.screen() {
        Screen::Launcher => return launcher::widgets(phone),
        Screen::Splash(app) => apps::splash(app),
        Screen::NoteEditor => apps::editor(phone),
        Screen::Guest => apps::guest(phone),
        _ => list::widgets(phone),
    };
    widgets.push(Widget::new(
        phone
            .guest()
            .map_or(title(phone.screen()), |guest| guest.label.as_str()),
        NodeKind::Title,
        Rect::new(0, 0, 136, ROW),
        Look::Title,
    ));
    widgets
}

/// The title of a screen.
fn title(screen: Screen) -> &'static str {
    match screen {
        Screen::Launcher | Screen::Guest => "",
        Screen::SettingsPage(page) => page.label(),
        Screen::NoteEditor => "New note",
        screen => screen.app().map_or("", |app| app.label()),
    }
}

fn navigation() -> [Widget; 2] {
    let half = WIDTH / 2;
    let bar = |x| Rect::new(x, HEIGHT - ROW, half, ROW);
    [
        Widget::new("Back", NodeKind::Navigation, bar(0), Look::NavBack).on_tap(Effect::Back),
        Widget::new("Home", NodeKind::Navigation, bar(half), Look::NavHome).on_tap(Effect::Home),
    ]
}
