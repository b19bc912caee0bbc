//! Starting and ending apps, and what installing and taking out means for the rest of the box.

use super::{
    Device,
    packages::{BROWSER, Package},
};
use crate::{
    apps::LAUNCHER_PACKAGE,
    guest::Guest,
    handset::{Hands as _, Handset},
    phone::Screen,
};
use axum::body::Bytes;
use cua_grpo_android::names::{App, Page};

/// The screen of the phone that a component means.
pub(crate) fn screen(component: &str) -> Option<Screen> {
    let apps = App::ALL.into_iter().map(Screen::of);
    let pages = Page::ALL.into_iter().map(Screen::SettingsPage);
    let mut screens = apps.chain(pages).chain([Screen::Launcher, Screen::NoteEditor]);
    screens.find(|screen| screen.component() == component)
}

impl Device {
    /// Starts an app: an activity by its name, or what the launcher starts.
    ///
    /// # Errors
    /// When there is no such app or activity, in words.
    pub fn open(&mut self, name: &str, activity: Option<&str>) -> Result<(), String> {
        let package = self.package(name).ok_or_else(|| unknown(name))?;
        let (activity, asked) = match activity {
            Some(asked) => (package.activity(asked), asked),
            None => (package.launcher().or_else(|| package.activities.first()), "to start"),
        };
        let class = match activity {
            Some(activity) => activity.class.clone(),
            None => return Err(format!("{name} has no activity {asked:?}")),
        };
        let package_first = package.activities.first().is_some_and(|first| first.class == class);
        let label = package.label.clone();
        drop(package);
        let phone = match &mut self.phone {
            Handset::Small(phone) => phone,
            Handset::Pixel(phone) => {
                // As its icon does it, or as an intent.
                let state = phone.phone_mut().state_mut();
                match package_first {
                    true => state.launch(name),
                    false => _ = phone.command("am", &["start", "-n", &format!("{name}/{class}")], ""),
                }
                return Ok(());
            }
        };
        match screen(&format!("{name}/{class}")) {
            Some(screen) => phone.start(screen),
            None if name == BROWSER => self.show_tab(),
            None => phone.open_guest(Guest {
                package: name.to_owned(),
                activity: class,
                label,
                line: name.to_owned(),
            }),
        }
        self.note_started(name);
        Ok(())
    }

    /// Ends an app; one that is in front makes room for the launcher.
    ///
    /// # Errors
    /// When there is no such app, in words.
    pub fn close(&mut self, name: &str) -> Result<(), String> {
        self.package(name).ok_or_else(|| unknown(name))?;
        let phone = match &mut self.phone {
            Handset::Small(phone) => phone,
            Handset::Pixel(phone) => {
                phone.phone_mut().state_mut().stop(name);
                return Ok(());
            }
        };
        if phone.package() == name && name != LAUNCHER_PACKAGE {
            phone.start(Screen::Launcher);
        }
        if name != LAUNCHER_PACKAGE {
            self.note_stopped(name);
        }
        Ok(())
    }

    /// Shows the tab of the browser that is in front.
    pub fn show_tab(&mut self) {
        let (label, line) = match self.browser.active() {
            Some(tab) => (tab.title().to_owned(), tab.url.clone()),
            None => ("Chrome".to_owned(), "New tab".to_owned()),
        };
        match &mut self.phone {
            Handset::Small(phone) => phone.open_guest(Guest {
                package: BROWSER.to_owned(),
                activity: super::packages::BROWSER_ACTIVITY.to_owned(),
                label,
                line,
            }),
            Handset::Pixel(phone) => {
                let component = format!("{BROWSER}/{}", super::packages::BROWSER_ACTIVITY);
                let view = [
                    "start",
                    "-a",
                    "android.intent.action.VIEW",
                    "-n",
                    &component,
                    "-d",
                    &line,
                ];
                phone.command(
                    "am",
                    if self.browser.active().is_some() {
                        &view
                    } else {
                        &view[..5]
                    },
                    "",
                );
            }
        }
        self.note_started(BROWSER);
    }

    /// Installs a package with its file and its folders.
    ///
    /// # Errors
    /// When it may not be, in the words of Android's package manager.
    pub fn install(&mut self, package: Package, apk: Bytes) -> Result<(), String> {
        let (path, name) = (package.apk.clone(), package.name.clone());
        let full = |_| "Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]".to_owned();
        self.put_package(package)?;
        self.files_mut().write(&path, apk).map_err(full)?;
        for folder in data_folders(&name) {
            self.files_mut().make_folder(&folder, true).map_err(full)?;
        }
        Ok(())
    }

    /// Takes an app out, with its data unless that is to stay.
    ///
    /// # Errors
    /// When it is not installed or belongs to the system, in the words of Android's package manager.
    pub fn uninstall(&mut self, name: &str, keep_data: bool) -> Result<(), String> {
        if self.package(name).is_some_and(|package| !package.system) {
            self.close(name)?;
        }
        let package = self.take_package(name)?;
        let folder = package.apk.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let data = data_folders(name).into_iter().filter(|_| !keep_data);
        for path in data.chain([folder]) {
            if self.files().get(&path).is_some() {
                self.files_mut().remove(&path).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

/// Where an app keeps what is its own.
pub(super) fn data_folders(name: &str) -> [String; 2] {
    [format!("/data/data/{name}"), format!("/sdcard/Android/data/{name}")]
}

fn unknown(name: &str) -> String {
    format!("package {name:?} is not installed")
}
