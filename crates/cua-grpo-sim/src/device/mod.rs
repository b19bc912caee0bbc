//! A box as its client sees it: the phone, and beside its screen the files, packages, clipboard, browser and recordings.
//! Nothing here knows HTTP.
//!
//! The full phone keeps files, packages and clipboard itself, where its screens and its shell find them; beside the small
//! one the box keeps them.

mod albums;
mod apk;
mod apps;
mod backup;
mod browser;
mod geometry;
mod launch;
mod manifest;
mod mp4;
mod packages;
mod picture;
mod record;
mod saved;
mod shell;
mod shell_apps;
mod shell_files;
mod shell_look;
mod sight;
mod tree;
mod zip;

pub(crate) use albums::{Media, MediaKind, PHOTO_ENDINGS, VIDEO_ENDINGS, is_plain, kind as media_kind, mime};
pub(crate) use apk::{from_bytes, from_url};
pub(crate) use browser::{BrowserProxy, Tab};
pub(crate) use cua_grpo_phone::state::{
    data::File,
    files::{FileError, Files, name as file_name, resolve},
};
pub(crate) use geometry::{Geometry, SIDES};
pub(crate) use packages::{Activity, BROWSER, Package, Packages};
pub(crate) use picture::Picture;
pub(crate) use record::LONGEST_REWIND;
pub(crate) use shell::Script;
pub(crate) use sight::Sight;

use crate::{
    handset::Handset,
    phone::Phone,
    pixel::{Pixel, PixelLooks},
};
use browser::Browser;
use cua_grpo_android::PhoneKind;
use cua_grpo_phone::state::Table;
use record::Recorder;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::OnceLock,
};

/// Where commands run and files are, unless a request says otherwise.
pub(crate) const WORKING_FOLDER: &str = "/data/local/tmp";

/// How the phones of boxes are made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PhoneSpec {
    /// Which phone.
    pub kind: PhoneKind,
    /// How a full one looks.
    pub looks: PixelLooks,
}

impl PhoneSpec {
    /// A phone of this kind, whose looks and contents follow from `seed`.
    pub fn phone(&self, seed: u64) -> Handset {
        match self.kind {
            PhoneKind::Small => Handset::Small(Box::new(Phone::new(seed))),
            PhoneKind::Pixel => Handset::Pixel(Box::new(Pixel::new(seed, &self.looks))),
        }
    }

    /// Pixels of its screen, across and down.
    pub fn size(&self) -> (u32, u32) {
        match self.kind {
            PhoneKind::Small => Geometry::default().drawn,
            PhoneKind::Pixel => (self.looks.display.width, self.looks.display.height),
        }
    }
}

impl From<PhoneKind> for PhoneSpec {
    fn from(kind: PhoneKind) -> Self {
        Self {
            kind,
            looks: PixelLooks::default(),
        }
    }
}

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
    pub phone: Handset,
    /// Files beside the small phone.
    own_files: Files,
    /// Packages beside the small phone.
    own_packages: Packages,
    /// Resolution beside the small phone, and the scale of pictures.
    own_geometry: Geometry,
    pub browser: Browser,
    pub proxy: ProxyDetails,
    pub recorder: Recorder,
}

impl Device {
    pub fn new(spec: &PhoneSpec, seed: u64) -> Self {
        let own_files = match spec.kind {
            PhoneKind::Small => Files::fresh(tree::machine_time()),
            PhoneKind::Pixel => Files::default(),
        };
        let mut device = Self {
            phone: spec.phone(seed),
            own_files,
            own_packages: Packages::new(),
            own_geometry: Geometry::default(),
            browser: Browser::default(),
            proxy: ProxyDetails::default(),
            recorder: Recorder::default(),
        };
        device.settle();
        device
    }

    /// A box with a small phone.
    #[cfg(test)]
    pub fn small(seed: u64) -> Self {
        Self::new(&PhoneSpec::default(), seed)
    }

    /// A number of everything that the box is and knows: equal boxes have equal numbers. As long as nothing but the phone
    /// itself was changed it is that of the phone.
    pub fn state(&self) -> u64 {
        static FRESH: [OnceLock<u64>; 2] = [const { OnceLock::new() }; 2];
        let beside = self.beside();
        let kind = self.phone.kind();
        let fresh = FRESH[kind as usize].get_or_init(|| Self::new(&kind.into(), 0).beside());
        if beside == *fresh {
            return self.phone.number();
        }
        let mut hasher = DefaultHasher::new();
        (self.phone.number(), beside).hash(&mut hasher);
        hasher.finish()
    }

    /// A number of everything but the phone. What runs and what is recorded does not count, nor how pictures are scaled.
    fn beside(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        if self.phone.kind() == PhoneKind::Small {
            (self.own_files.mark(), self.own_packages.mark()).hash(&mut hasher);
            (self.own_geometry.width, self.own_geometry.height).hash(&mut hasher);
        }
        (&self.browser, &self.proxy).hash(&mut hasher);
        hasher.finish()
    }

    /// What there is to see now; the small phone is drawn later from a copy, so that the box is free meanwhile.
    pub fn picture(&mut self) -> Picture {
        let frame = match &mut self.phone {
            Handset::Small(_) => None,
            Handset::Pixel(phone) => Some(phone.frame()),
        };
        Picture {
            phone: self.phone.clone(),
            frame,
            geometry: self.geometry(),
            state: self.state(),
        }
    }

    /// Notes what came of the last request: which app is in front, and a frame where frames are wanted.
    pub fn settle(&mut self) {
        self.note_front();
        if self.recorder.is_on() {
            let mark = self.phone.number();
            if self.recorder.wants(mark)
                && let Ok(png) = self.picture().unscaled().png()
            {
                self.recorder.take(mark, png.to_vec());
            }
        }
    }

    /// Size of the screen and of its pictures.
    pub fn geometry(&self) -> Geometry {
        match self.phone.kind() {
            PhoneKind::Small => self.own_geometry,
            PhoneKind::Pixel => {
                let size = self.phone.size();
                Geometry {
                    drawn: size,
                    width: size.0,
                    height: size.1,
                    scale: self.own_geometry.scale,
                }
            }
        }
    }

    /// Gives pictures another scale.
    pub fn rescale(&mut self, scale: f64) {
        self.own_geometry.scale = scale;
    }

    /// Gives the screen another size. The small phone draws as before, and its pictures are stretched; the full one lays its
    /// pages out anew, and keeps as many dp across as it had.
    pub fn resize(&mut self, width: u32, height: u32) {
        match &mut self.phone {
            Handset::Small(_) => (self.own_geometry.width, self.own_geometry.height) = (width, height),
            Handset::Pixel(phone) => {
                let display = &mut phone.phone_mut().state_mut().display;
                let density = f64::from(display.density) * f64::from(width) / f64::from(display.width.max(1));
                (display.width, display.height) = (width, height);
                display.density = (density.round() as u32).clamp(72, 1000);
            }
        }
    }

    /// The clipboard.
    pub fn clipboard(&self) -> &str {
        match &self.phone {
            Handset::Small(phone) => &phone.clipboard,
            Handset::Pixel(phone) => &phone.phone().state().clipboard,
        }
    }

    /// Fills the clipboard.
    pub fn set_clipboard(&mut self, text: String) {
        match &mut self.phone {
            Handset::Small(phone) => phone.clipboard = text,
            Handset::Pixel(phone) => phone.phone_mut().state_mut().clipboard = text,
        }
    }

    /// A setting.
    pub fn setting(&self, table: Table, key: &str) -> Option<&str> {
        match &self.phone {
            Handset::Small(phone) => phone.settings.get(table, key),
            Handset::Pixel(phone) => phone.phone().state().settings.get(table, key),
        }
    }

    /// Writes a setting, or deletes it.
    pub fn set_setting(&mut self, table: Table, key: &str, value: Option<String>) {
        match (&mut self.phone, value) {
            (Handset::Small(phone), Some(value)) => phone.settings.put(table, key, value),
            (Handset::Small(phone), None) => _ = phone.settings.delete(table, key),
            (Handset::Pixel(phone), Some(value)) => {
                phone.phone_mut().state_mut().settings.put(table, key, value);
            }
            (Handset::Pixel(phone), None) => _ = phone.phone_mut().state_mut().settings.delete(table, key),
        }
    }

    /// Touches a point of a picture.
    pub fn tap(&mut self, at: (f64, f64)) {
        let (x, y) = self.geometry().to_phone(at);
        self.phone.tap(x, y);
    }

    /// Touches a point of a picture for a long time.
    pub fn long_press(&mut self, at: (f64, f64)) {
        let (x, y) = self.geometry().to_phone(at);
        self.phone.long_press(x, y);
    }

    /// Drags a finger between two points of a picture, in so many ms.
    pub fn swipe(&mut self, from: (f64, f64), to: (f64, f64), ms: i64) {
        let geometry = self.geometry();
        self.phone.swipe(geometry.to_phone(from), geometry.to_phone(to), ms);
    }

    /// Scrolls at a point of a picture by pixels of it.
    pub fn scroll(&mut self, at: (f64, f64), by: (f64, f64)) {
        let geometry = self.geometry();
        let ((x, y), (dx, dy)) = (geometry.to_phone(at), geometry.to_phone(by));
        self.phone.scroll(x, y, dx, dy);
    }

    /// Where a description is on a picture.
    pub fn find(&self, description: &str) -> Option<(f64, f64)> {
        Some(self.geometry().to_picture(self.phone.find(description)?))
    }

    /// How the phone is held: the settings have it as quarter turns to the left.
    pub fn rotation(&self) -> usize {
        let turns = self.setting(Table::System, "user_rotation");
        turns
            .and_then(|turns| turns.trim().parse().ok())
            .filter(|turns| *turns < 4)
            .unwrap_or(0)
    }

    /// Holds the phone otherwise.
    pub fn rotate(&mut self, turns: usize) {
        self.set_setting(Table::System, "user_rotation", Some(turns.to_string()));
    }

    /// The layout dump, in pixels of the screen.
    pub fn layout(&self) -> String {
        let screen = self.geometry().unscaled();
        match &self.phone {
            Handset::Small(phone) => phone.layout(&screen.place(phone.nodes()), screen.picture()),
            Handset::Pixel(phone) => {
                let phone = phone.phone();
                cua_grpo_phone::xml::dump(phone.state(), &phone.scene())
            }
        }
    }
}
