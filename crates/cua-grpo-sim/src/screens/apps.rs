//! The apps besides the settings: alarms, notes, the note editor, and plain coloured screens.

use super::list::{FULL_ROW, RowWidgets};
use crate::{
    phone::{HEIGHT, Phone, ROW, WIDTH},
    widget::{Effect, Glyph, Look, NodeKind, Rect, Trailing, Widget},
};
use cua_grpo_android::names::App;

/// One row an alarm, with a switch.
pub(super) fn alarms(phone: &Phone) -> Vec<RowWidgets> {
    let row = |(index, alarm): (usize, &crate::phone::Alarm)| {
        let icon = Some((Glyph::Bell, [38, 50, 110]));
        let look = Look::Row {
            icon,
            trailing: Trailing::Switch(alarm.enabled),
        };
        let widget = Widget::new(alarm.time.as_str(), NodeKind::Switch, FULL_ROW, look);
        vec![widget.on_tap(Effect::FlipAlarm(index)).checked(alarm.enabled)]
    };
    phone.alarms.iter().enumerate().map(row).collect()
}

/// The row for a new note, then the notes, newest first.
pub(super) fn notes(phone: &Phone) -> Vec<RowWidgets> {
    let look = Look::Row {
        icon: Some((Glyph::Plus, phone.appearance.accent)),
        trailing: Trailing::Chevron,
    };
    let mut rows = vec![vec![
        Widget::new("New note", NodeKind::Row, FULL_ROW, look).on_tap(Effect::NewNote),
    ]];
    for note in phone.notes.iter().rev() {
        let look = Look::Row {
            icon: Some((Glyph::Page, [230, 170, 30])),
            trailing: Trailing::Nothing,
        };
        rows.push(vec![Widget::new(note.as_str(), NodeKind::Text, FULL_ROW, look)]);
    }
    rows
}

/// A text field, a save button, and the keyboard while the field has the focus.
pub(super) fn editor(phone: &Phone) -> Vec<Widget> {
    let draft = &phone.draft;
    let look = Look::Field {
        text: draft.text.clone(),
        focused: draft.focused,
    };
    let field = Widget::new(
        "Note text",
        NodeKind::TextField,
        Rect::new(0, 2 * ROW, WIDTH, 2 * ROW),
        look,
    );
    let save = Widget::new("Save", NodeKind::Button, Rect::new(96, 5 * ROW, 96, ROW), Look::Button);
    let mut widgets = vec![field.on_tap(Effect::FocusField), save.on_tap(Effect::SaveNote)];
    if draft.focused {
        keyboard(&mut widgets);
    }
    widgets
}

fn keyboard(widgets: &mut Vec<Widget>) {
    let top = HEIGHT - 5 * ROW;
    widgets.push(Widget::new(
        "",
        NodeKind::Key,
        Rect::new(0, top, WIDTH, 4 * ROW),
        Look::Panel,
    ));
    let mut key = |letter: char, label: String, bounds| {
        widgets.push(Widget::new(label, NodeKind::Key, bounds, Look::Key).on_tap(Effect::TypeKey(letter)));
    };
    for (line, letters) in ["qwertyuiop", "asdfghjkl", "zxcvbnm"].into_iter().enumerate() {
        let left = (WIDTH - 19 * letters.len() as i32) / 2;
        for (column, letter) in letters.chars().enumerate() {
            let bounds = Rect::new(left + 19 * column as i32, top + line as i32 * ROW, 19, ROW);
            key(letter, format!("Key {letter}"), bounds);
        }
    }
    key(' ', "Key space".to_owned(), Rect::new(40, top + 3 * ROW, 112, ROW));
}

/// A coloured screen with the app's name.
pub(super) fn splash(app: App) -> Vec<Widget> {
    vec![Widget::new(
        "",
        NodeKind::Text,
        Rect::new(0, 0, WIDTH, HEIGHT - ROW),
        Look::Splash(app),
    )]
}

/// The one line of a foreign app.
pub(super) fn guest(phone: &Phone) -> Vec<Widget> {
    let line = phone.guest().map(|guest| guest.line.clone()).unwrap_or_default();
    vec![Widget::new(
        line,
        NodeKind::Text,
        Rect::new(0, 2 * ROW, WIDTH, ROW),
        Look::Plain,
    )]
}
