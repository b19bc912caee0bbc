//! Apps that are not part of this phone: what was installed from a package, and the page of a browser. They show a title
//! and a line, and nothing in them can be touched.

use crate::{
    apps::LAUNCHER_PACKAGE,
    phone::{Phone, Screen},
};

/// An app that the phone shows without having screens of its own for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guest {
    /// Its package.
    pub package: String,
    /// The fully qualified class of the activity in front.
    pub activity: String,
    /// Its name, or the title of its page.
    pub label: String,
    /// What it says below.
    pub line: String,
}

impl Phone {
    /// The foreign app in front, if there is one.
    pub fn guest(&self) -> Option<&Guest> {
        self.guest.as_ref().filter(|_| self.screen() == Screen::Guest)
    }

    /// Brings a foreign app to the front in a fresh task.
    pub(crate) fn open_guest(&mut self, guest: Guest) {
        self.start(Screen::Launcher);
        self.push(Screen::Guest);
        self.guest = Some(guest);
    }

    /// Package and fully qualified class of what is in front, as `dumpsys` prints a component.
    pub(crate) fn component(&self) -> String {
        self.guest().map_or_else(
            || self.screen().component(),
            |guest| format!("{}/{}", guest.package, guest.activity),
        )
    }

    /// The package of what is in front.
    pub(crate) fn package(&self) -> &str {
        let own = || self.screen().app().map_or(LAUNCHER_PACKAGE, |app| app.package());
        self.guest().map_or_else(own, |guest| guest.package.as_str())
    }
}
