//! Where the user is: places with what was typed and scrolled there, and tasks that keep them.

use std::collections::BTreeMap;

/// Which window something belongs to. Each but the app's has one place of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum Window {
    /// The app in front.
    #[default]
    App,
    /// The home screen with the drawer.
    Home,
    /// The recent apps.
    Recents,
    /// Notifications and quick settings.
    Shade,
    /// The lock screen.
    Lock,
    /// The keyboard.
    Ime,
    /// The bars, prompts and panels of the system.
    System,
}

/// A text that is being typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// The text.
    pub text: String,
    /// Where the cursor stands, in bytes.
    pub cursor: usize,
    /// The other end of what is selected.
    pub anchor: Option<usize>,
}

impl Field {
    /// The selected bytes.
    pub fn selection(&self) -> Option<(usize, usize)> {
        let anchor = self.anchor?;
        let (a, b) = (anchor.min(self.cursor), anchor.max(self.cursor));
        (a < b && b <= self.text.len()).then_some((a, b))
    }
}

/// A list that goes on moving after the finger has left.
#[derive(Debug, Clone, PartialEq)]
pub struct Fling {
    /// The list.
    pub key: &'static str,
    /// The window that it is in.
    pub window: Window,
    /// Offset at the start, in dp.
    pub from: f32,
    /// How far it goes, in dp.
    pub distance: f32,
    /// When it began.
    pub start: i64,
    /// How long it takes, in ms.
    pub length: i64,
}

/// A page of an app with what the user did to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Place {
    /// Full name of the activity's class.
    pub class: String,
    /// Which page of the app; nothing is the first.
    pub page: String,
    /// What the page remembers: the chosen tab, the open dialog.
    pub vars: BTreeMap<String, String>,
    /// What was typed.
    pub fields: BTreeMap<String, Field>,
    /// How far lists are scrolled, in dp.
    pub scroll: BTreeMap<&'static str, f32>,
    /// The field that keys go to.
    pub focus: Option<String>,
}

/// Variables that Back clears, the first that is set, before the page closes.
pub const CLOSING: [&str; 4] = ["dialog", "menu", "mode", "search"];

impl Place {
    /// A place on a page.
    pub fn new(class: &str, page: &str) -> Self {
        Self {
            class: class.to_owned(),
            page: page.to_owned(),
            ..Self::default()
        }
    }

    /// What the page remembers under a name; nothing where it remembers nothing.
    pub fn var(&self, name: &str) -> &str {
        self.vars.get(name).map_or("", String::as_str)
    }

    /// A number that the page remembers.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.vars.get(name).and_then(|value| value.parse().ok())
    }

    /// Remembers something; nothing forgets it.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if value.is_empty() {
            self.vars.remove(name);
        } else {
            self.vars.insert(name.to_owned(), value);
        }
    }

    /// How far a list is scrolled, in dp.
    pub fn offset(&self, key: &str) -> f32 {
        self.scroll.get(key).copied().unwrap_or(0.0)
    }

    /// The text of a field.
    pub fn typed(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", |field| field.text.as_str())
    }

    /// Sets the text of a field, with the cursor at its end.
    pub fn fill(&mut self, key: &str, text: impl Into<String>) {
        let text = text.into();
        let cursor = text.len();
        self.fields.insert(
            key.to_owned(),
            Field {
                text,
                cursor,
                anchor: None,
            },
        );
    }

    /// Sends keys to a field.
    pub fn focus(&mut self, key: &str) {
        self.fields.entry(key.to_owned()).or_default();
        self.focus = Some(key.to_owned());
    }

    /// Sends keys to no field.
    pub fn blur(&mut self) {
        self.focus = None;
    }

    /// Closes what lies over the page; `false` where nothing does.
    pub fn close_over(&mut self) -> bool {
        for name in CLOSING {
            if self.vars.remove(name).is_some() {
                self.focus = None;
                return true;
            }
        }
        false
    }
}

/// The places of an app, the last in front.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Number of the task.
    pub id: u32,
    /// Its package.
    pub package: String,
    /// Its places.
    pub places: Vec<Place>,
}
