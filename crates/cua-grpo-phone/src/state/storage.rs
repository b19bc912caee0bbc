//! The clock, the data of apps, and files.

use super::{State, data::Package};
use crate::draw::emblem::Icon;
use std::collections::BTreeMap;

impl State {
    /// Sets the clock; what runs goes on as if nothing happened.
    pub fn set_clock(&mut self, utc: i64) {
        let by = utc - self.now;
        self.now = utc;
        self.booted += by;
        self.touched += by;
        self.timer.ends = self.timer.ends.map(|at| at + by);
        self.stopwatch.since = self.stopwatch.since.map(|at| at + by);
        self.toast = self.toast.take().map(|(text, until)| (text, until + by));
        self.fling = None;
    }

    /// Deletes what an app keeps: `pm clear`. `false` for a package that is not there.
    pub fn forget(&mut self, package: &str) -> bool {
        let Some(known) = self.packages.get_mut(package) else {
            return false;
        };
        known.memory.clear();
        known.size.1 = 0;
        for allowed in known.permissions.values_mut() {
            *allowed = None;
        }
        self.notifications
            .retain(|notification| notification.package != package);
        match package {
            "com.google.android.deskclock" => {
                self.alarms.clear();
                self.timer = super::data::Timer::default();
                self.stopwatch = super::data::Stopwatch::default();
                self.cities.clear();
            }
            "com.google.android.keep" => self.notes.clear(),
            _ => {}
        }
        self.stop(package);
        true
    }

    /// [`State::forget`] for a button that does not ask how it went.
    pub fn clear_package(&mut self, package: &str) {
        self.forget(package);
    }
}

/// An app that comes as a package file: it has a name and classes, and no screens of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewApp {
    /// Its package.
    pub package: String,
    /// The name under its icon.
    pub label: String,
    /// Its version.
    pub version: String,
    /// Full name of the class that the launcher starts; nothing where it starts none.
    pub activity: String,
    /// Other classes that can be started.
    pub classes: Vec<String>,
    /// Where its package file is.
    pub apk: String,
}

impl State {
    /// Installs an app, or replaces one that was installed.
    pub fn install(&mut self, app: NewApp) {
        let package = Package {
            label: app.label.into(),
            activity: app.activity.into(),
            classes: app.classes,
            version: app.version,
            apk: app.apk,
            icon: Icon::ROBOT,
            system: false,
            permissions: BTreeMap::new(),
            notifies: true,
            stopped: false,
            size: (5_000_000, 0),
            memory: BTreeMap::new(),
        };
        self.stop(&app.package);
        self.packages.insert(app.package, package);
    }

    /// Takes an app out with all that shows it; `false` for one that is not there or belongs to the system.
    pub fn uninstall(&mut self, package: &str) -> bool {
        if self.packages.get(package).is_none_or(|known| known.system) {
            return false;
        }
        self.stop(package);
        self.packages.remove(package);
        self.notifications.retain(|shown| shown.package != package);
        self.roles.retain(|_, holder| holder != package);
        for page in &mut self.home {
            page.retain(|icon| icon != package);
        }
        true
    }
}

impl State {
    /// Makes a folder; `false` where something has the name or the folder above is not there.
    pub fn make_folder(&mut self, path: &str) -> bool {
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        let ready = self.files.get(above).is_some_and(|file| file.content.is_none());
        if !ready || self.files.contains_key(path) {
            return false;
        }
        self.files.insert(path.to_owned(), super::data::File::folder(self.now));
        true
    }

    /// Paths at and below a path.
    fn below(&self, path: &str) -> Vec<String> {
        let inside = format!("{path}/");
        self.files
            .keys()
            .filter(|other| *other == path || other.starts_with(&inside))
            .cloned()
            .collect()
    }

    /// Moves or copies a file or folder with all that is in it; `false` where that cannot be.
    pub fn move_file(&mut self, from: &str, to: &str, copy: bool) -> bool {
        let above = to.rsplit_once('/').map_or("", |(above, _)| above);
        let ready = self.files.get(above).is_some_and(|file| file.content.is_none());
        if !ready || from == to || to.starts_with(&format!("{from}/")) || self.files.contains_key(to) {
            return false;
        }
        for path in self.below(from) {
            let target = format!("{to}{}", &path[from.len()..]);
            let file = if copy {
                self.files.get(&path).cloned()
            } else {
                self.files.remove(&path)
            };
            if let Some(file) = file {
                self.files.insert(target, file);
            }
        }
        true
    }

    /// Deletes a file or folder with all that is in it; gives how many there were.
    pub fn delete_file(&mut self, path: &str) -> usize {
        let list = self.below(path);
        for path in &list {
            self.files.remove(path);
        }
        list.len()
    }

    /// Takes a picture into the camera's folder.
    pub fn take_picture(&mut self, video: bool) {
        let at = self.civil();
        let id = self.fresh_id();
        let name = format!(
            "PXL_{:04}{:02}{:02}_{:02}{:02}{:02}{:03}.{}",
            at.year,
            at.month,
            at.day,
            at.hour,
            at.minute,
            at.second,
            id % 1000,
            if video { "mp4" } else { "jpg" }
        );
        let file = super::data::File {
            content: Some(Vec::new().into()),
            size: 2_500_000 + u64::from(id) * 1013 % 900_000,
            changed: self.now,
            picture: Some(id),
            favorite: false,
        };
        self.files.insert(format!("/sdcard/DCIM/Camera/{name}"), file);
    }
}
