//! A box as its client sees it: the phone, and beside its screen the files, packages, clipboard, browser and recordings.
//! Nothing here knows HTTP.

mod albums;
mod apk;
mod backup;
mod browser;
mod files;
mod geometry;
mod launch;
mod manifest;
mod mp4;
mod packages;
mod picture;
mod record;
mod shell;
mod shell_apps;
mod shell_files;
mod shell_look;
mod zip;

pub(crate) use albums::{Media, MediaKind, PHOTO_ENDINGS, VIDEO_ENDINGS, is_plain, kind as media_kind, mime};
pub(crate) use apk::{from_bytes, from_url};
pub(crate) use browser::{BrowserProxy, Tab};
pub(crate) use files::{Entry, FileError, Files, name as file_name, resolve};
pub(crate) use geometry::{Geometry, SIDES};
pub(crate) use packages::{Activity, BROWSER, Package, Packages};
pub(crate) use picture::Picture;
pub(crate) use record::LONGEST_REWIND;
pub(crate) use shell::Script;

use crate::{Namespace, phone::Phone};
use browser::Browser;
use record::Recorder;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::OnceLock,
};

/// Where commands run and files are, unless a request says otherwise.
pub(crate) const WORKING_FOLDER: &str = "/data/local/tmp";

/// Whom the phone's traffic goes through, beyond host and port, which the settings have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct ProxyDetails {
    pub auth: Option<(String, String)>,
    pub excludes: Option<Vec<String>>,
    pub pac_url: Option<String>,
}

/// A box: all of it lives as long as the box does.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub phone: Phone,
    pub files: Files,
    pub packages: Packages,
    pub clipboard: String,
    pub geometry: Geometry,
    pub browser: Browser,
    pub proxy: ProxyDetails,
    pub recorder: Recorder,
}

impl Device {
    pub fn new(seed: u64) -> Self {
        let mut device = Self {
            phone: Phone::new(seed),
            files: Files::new(),
            packages: Packages::new(),
            clipboard: String::new(),
            geometry: Geometry::default(),
            browser: Browser::default(),
            proxy: ProxyDetails::default(),
            recorder: Recorder::default(),
        };
        device.settle();
        device
    }

    /// A number of everything that the box is and knows: equal boxes have equal numbers. As long as nothing but the phone
    /// itself was changed it is that of the phone.
    pub fn state(&self) -> u64 {
        static FRESH: OnceLock<u64> = OnceLock::new();
        let beside = self.beside();
        if beside == *FRESH.get_or_init(|| Self::new(0).beside()) {
            return self.phone.state();
        }
        let mut hasher = DefaultHasher::new();
        (self.phone.state(), beside).hash(&mut hasher);
        hasher.finish()
    }

    /// A number of everything but the phone. What runs and what is recorded does not count, nor how pictures are scaled.
    fn beside(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.files.mark(), self.packages.mark(), &self.clipboard).hash(&mut hasher);
        (&self.browser, &self.proxy).hash(&mut hasher);
        (self.geometry.width, self.geometry.height).hash(&mut hasher);
        hasher.finish()
    }

    /// What there is to see now; pictures are drawn of it, so that the box is free meanwhile.
    pub fn picture(&self) -> Picture {
        Picture {
            phone: self.phone.clone(),
            geometry: self.geometry,
            state: self.state(),
        }
    }

    /// Notes what came of the last request: which app is in front, and a frame where frames are wanted.
    pub fn settle(&mut self) {
        self.packages.started(self.phone.package());
        if self.recorder.is_on() {
            let mark = self.phone.state();
            if self.recorder.wants(mark)
                && let Ok(png) = self.picture().unscaled().png()
            {
                self.recorder.take(mark, png);
            }
        }
    }

    /// Touches a point of a picture.
    pub fn tap(&mut self, at: (f64, f64)) {
        let (x, y) = self.geometry.to_phone(at);
        self.phone.tap(x, y);
    }

    /// Touches a point of a picture for a long time.
    pub fn long_press(&mut self, at: (f64, f64)) {
        let (x, y) = self.geometry.to_phone(at);
        self.phone.long_press(x, y);
    }

    /// Drags a finger between two points of a picture.
    pub fn swipe(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.phone
            .swipe(self.geometry.to_phone(from), self.geometry.to_phone(to));
    }

    /// Scrolls at a point of a picture by pixels of it.
    pub fn scroll(&mut self, at: (f64, f64), by: (f64, f64)) {
        let ((x, y), (dx, dy)) = (self.geometry.to_phone(at), self.geometry.to_phone(by));
        self.phone.scroll(x, y, dx, dy);
    }

    /// Where a description is on a picture.
    pub fn find(&self, description: &str) -> Option<(f64, f64)> {
        let (x, y) = self.phone.resolve(description)?;
        Some(self.geometry.to_picture((f64::from(x), f64::from(y))))
    }

    /// Presses keys at once. Copying takes the whole note, as there is no selection here; other shortcuts do nothing.
    pub fn shortcut(&mut self, keys: &[String]) {
        let held = |names: &[&str]| keys.iter().any(|key| names.contains(&key.as_str()));
        if !held(&["control", "meta", "cmd"]) || keys.len() != 2 || !self.phone.is_typing() {
            return;
        }
        let text = self.phone.draft().to_owned();
        if held(&["c", "x"]) && !text.is_empty() {
            self.clipboard = text;
        }
        if held(&["x"]) {
            self.phone.type_text("", true);
        } else if held(&["v"]) {
            self.phone.type_text(&self.clipboard, false);
        }
    }

    /// How the phone is held: the settings have it as quarter turns to the left.
    pub fn rotation(&self) -> usize {
        let turns = self.phone.settings.get(Namespace::System, "user_rotation");
        turns
            .and_then(|turns| turns.trim().parse().ok())
            .filter(|turns| *turns < 4)
            .unwrap_or(0)
    }

    /// Holds the phone otherwise.
    pub fn rotate(&mut self, turns: usize) {
        self.phone
            .settings
            .put(Namespace::System, "user_rotation", turns.to_string());
    }

    /// The layout dump, in pixels of the screen.
    pub fn layout(&self) -> String {
        let screen = self.geometry.unscaled();
        self.phone.layout(&screen.place(self.phone.nodes()), screen.picture())
    }
}
