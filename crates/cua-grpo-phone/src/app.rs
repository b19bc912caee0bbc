//! The one trait that an app of the phone implements.

pub use crate::draw::emblem::{Icon, Layer};
use crate::{
    state::{Place, State, data::Info},
    ui::Ui,
};

/// An app. It shows what the state says, and its touches change the state: it keeps nothing itself.
pub trait App: Sync {
    /// What it says of itself.
    fn info(&self) -> Info;

    /// How its icon is drawn.
    fn icon(&self) -> Icon;

    /// Builds the page that `ui.place` names.
    fn build(&self, state: &State, ui: &mut Ui);

    /// Does what an intent asks, and gives the place that it opens, where it is not the first page.
    fn intent(&self, _state: &mut State, _intent: &Intent) -> Option<Place> {
        None
    }

    /// Takes over what was typed; called after each touch and key.
    fn after(&self, _state: &mut State) {}
}

/// What `am start` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// The action, e.g. `android.intent.action.VIEW`.
    pub action: String,
    /// Full name of the class, or nothing.
    pub class: String,
    /// The data, e.g. `tel:123`.
    pub data: String,
    /// Extras by name.
    pub extras: Vec<(String, String)>,
}

impl Intent {
    /// The value of an extra.
    pub fn extra(&self, name: &str) -> Option<&str> {
        self.extras
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}
