//! The apps, one folder or file each. To add one: write it, and name it in [`ALL`].

mod calculator;
mod calendar;
mod call;
mod camera;
mod chrome;
mod clock;
mod contacts;
mod files;
mod keep;
mod mail;
mod maps;
mod messages;
mod music;
mod people;
mod phone;
mod photos;
mod settings;
mod shop;

pub use calculator::compute;
pub use chrome::PACKAGE as CHROME;
pub use maps::PACKAGE as MAPS;
pub use messages::threads;
pub use music::{PACKAGE as MUSIC, SONGS};
pub use shop::{PACKAGE as CART, THINGS};

use crate::{
    app::{App, Icon, Layer},
    state::{LAUNCHER, State, data::Info},
    ui::Ui,
};

/// All apps of the phone.
pub static ALL: &[&dyn App] = &[
    &Launcher,
    &settings::Settings,
    &clock::Clock,
    &calculator::Calculator,
    &contacts::Contacts,
    &phone::Dialer,
    &messages::Messages,
    &keep::Keep,
    &calendar::Calendar,
    &files::Files,
    &camera::Camera,
    &photos::Photos,
    &chrome::Chrome,
    &mail::Gmail,
    &music::Music,
    &maps::Maps,
    &shop::Shop,
];

/// The app of a package.
pub fn app(package: &str) -> Option<&'static dyn App> {
    ALL.iter().copied().find(|app| app.info().package == package)
}

/// What all apps say of themselves, with their icons.
pub fn infos() -> Vec<(Info, Icon)> {
    ALL.iter().map(|app| (app.info(), app.icon())).collect()
}

/// The home screen as a package; its windows are drawn by the system.
struct Launcher;

impl App for Launcher {
    fn info(&self) -> Info {
        Info {
            package: LAUNCHER,
            label: "Pixel Launcher",
            activity: "com.google.android.apps.nexuslauncher.NexusLauncherActivity",
            permissions: &[],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xE8_EAED,
            layers: &[Layer::Glyph("home", 0x5F_6368, 0.6, 0.0, 0.0)],
        }
    }

    fn build(&self, _state: &State, _ui: &mut Ui) {}
}
