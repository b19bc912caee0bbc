//! What the pages share: rows that lead on, switches and choices.

use crate::{
    state::{Place, State, Toggle},
    ui::{End, Row, Ui},
};

/// The class of pages that are reached by taps.
pub const SUB: &str = "com.android.settings.SubSettings";

/// Opens a page.
pub fn to(name: &'static str) -> impl Fn(&mut State) + Send + Sync + 'static {
    move |state| state.push(Place::new(SUB, name))
}

/// Opens a page about an app.
pub fn about_app(name: &'static str, package: &str) -> impl Fn(&mut State) + Send + Sync + 'static + use<> {
    let package = package.to_owned();
    move |state| {
        let mut place = Place::new(SUB, name);
        place.set("package", package.as_str());
        state.push(place);
    }
}

/// A row that leads to a page.
pub fn link(ui: &mut Ui, y: f32, icon: &'static str, title: &str, summary: &str, page: &'static str) -> f32 {
    let mut row = Row::new(title).summary(summary).tap(to(page));
    if !icon.is_empty() {
        row = row.icon(icon);
    }
    ui.row(y, row)
}

/// A row with a switch.
pub fn switch(state: &State, ui: &mut Ui, y: f32, title: &str, summary: &str, toggle: Toggle) -> f32 {
    let end = End::Switch(state.on(toggle));
    ui.row(
        y,
        Row::new(title)
            .summary(summary)
            .end(end)
            .tap(move |state| state.flip(toggle)),
    )
}

/// A row with an icon and a switch.
pub fn icon_switch(state: &State, ui: &mut Ui, y: f32, icon: &'static str, title: &str, toggle: Toggle) -> f32 {
    let end = End::Switch(state.on(toggle));
    ui.row(
        y,
        Row::new(title).icon(icon).end(end).tap(move |state| state.flip(toggle)),
    )
}

/// A row that opens a dialog.
pub fn ask(ui: &mut Ui, y: f32, title: &str, summary: &str, dialog: &'static str) -> f32 {
    let row = Row::new(title).summary(summary);
    ui.row(y, row.tap(move |state| state.page_mut().set("dialog", dialog)))
}

/// A row that only tells.
pub fn tell(ui: &mut Ui, y: f32, title: &str, summary: &str) -> f32 {
    ui.row(y, Row::new(title).summary(summary).tap(|_| ()))
}

/// Choices of the screen timeout in ms with their words.
pub const TIMEOUTS: [(&str, &str); 7] = [
    ("15000", "15 seconds"),
    ("30000", "30 seconds"),
    ("60000", "1 minute"),
    ("120000", "2 minutes"),
    ("300000", "5 minutes"),
    ("600000", "10 minutes"),
    ("1800000", "30 minutes"),
];

/// The word of a timeout.
pub fn timeout_word(ms: &str) -> String {
    let known = TIMEOUTS.iter().find(|(value, _)| *value == ms);
    known.map_or_else(|| format!("{ms} ms"), |(_, word)| (*word).to_owned())
}
