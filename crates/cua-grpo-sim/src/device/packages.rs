//! The packages of a box: what it came with, and what was installed.

use crate::{
    apps::{LAUNCHER_ACTIVITY, LAUNCHER_PACKAGE},
    phone::Screen,
};
use cua_grpo_android::names::{App, Page};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

/// The browser that shows tabs.
pub(crate) const BROWSER: &str = "com.android.chrome";
/// Class of the browser's only activity.
pub(crate) const BROWSER_ACTIVITY: &str = "com.google.android.apps.chrome.Main";
/// Packages that may be installed.
const MOST: usize = 1000;

/// A screen of an app that can be started.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Activity {
    /// Fully qualified class.
    pub class: String,
    pub exported: bool,
    /// Whether the launcher shows it.
    pub launcher: bool,
    pub main: bool,
}

impl Activity {
    /// The class as a manifest may write it: what stands in the package begins with a dot.
    pub fn short<'a>(&'a self, package: &str) -> &'a str {
        match self.class.strip_prefix(package) {
            Some(rest) if rest.starts_with('.') => rest,
            _ => &self.class,
        }
    }
}

/// An app, or what came without a screen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Package {
    pub name: String,
    pub label: String,
    pub version: String,
    pub apk: String,
    pub system: bool,
    pub activities: Vec<Activity>,
}

impl Package {
    /// What the launcher starts.
    pub fn launcher(&self) -> Option<&Activity> {
        self.activities.iter().find(|activity| activity.launcher)
    }

    /// The activity of a name: the class in full, or within the package.
    pub fn activity(&self, name: &str) -> Option<&Activity> {
        let named = |activity: &&Activity| {
            let short = activity.short(&self.name);
            name == activity.class || name == short || short.strip_prefix('.') == Some(name)
        };
        self.activities.iter().find(named)
    }

    /// `system` or `thirdParty`.
    pub fn kind(&self) -> &'static str {
        if self.system { "system" } else { "thirdParty" }
    }
}

/// All packages, by name, and which of them run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packages {
    all: BTreeMap<String, Package>,
    running: BTreeSet<String>,
}

/// What every box comes with.
fn built_in() -> Vec<Package> {
    let package = |name: &str, label: &str, activities: Vec<Activity>| Package {
        name: name.to_owned(),
        label: label.to_owned(),
        version: "13".to_owned(),
        apk: format!("/system/app/{label}/{label}.apk"),
        system: true,
        activities,
    };
    let activity = |screen: Screen, launcher: bool| {
        let component = screen.component();
        let class = component.rsplit('/').next().unwrap_or_default().to_owned();
        Activity {
            class,
            exported: true,
            launcher,
            main: launcher,
        }
    };
    let mut packages: Vec<Package> = Vec::new();
    for app in App::ALL {
        let mut activities = vec![activity(Screen::of(app), true)];
        match app {
            App::Settings => activities.extend(Page::ALL.map(|page| activity(Screen::SettingsPage(page), false))),
            App::Notes => activities.push(activity(Screen::NoteEditor, false)),
            _ => {}
        }
        packages.push(package(app.package(), app.label(), activities));
    }
    let browser = Activity {
        class: BROWSER_ACTIVITY.to_owned(),
        exported: true,
        launcher: true,
        main: true,
    };
    packages.push(package(BROWSER, "Chrome", vec![browser]));
    let home = Activity {
        class: format!("{LAUNCHER_PACKAGE}.{LAUNCHER_ACTIVITY}"),
        exported: true,
        launcher: false,
        main: true,
    };
    packages.push(package(LAUNCHER_PACKAGE, "Launcher3", vec![home]));
    packages.push(package("android", "Android System", Vec::new()));
    packages.push(package("com.android.systemui", "System UI", Vec::new()));
    packages.push(package("com.android.shell", "Shell", Vec::new()));
    packages
}

impl Packages {
    /// Those of a fresh phone.
    pub fn new() -> Self {
        let all = built_in().into_iter().map(|package| (package.name.clone(), package));
        let running = ["android", "com.android.systemui", LAUNCHER_PACKAGE];
        Self {
            all: all.collect(),
            running: running.map(str::to_owned).into(),
        }
    }

    /// A number of what is installed; what runs does not count.
    pub fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.all.hash(&mut hasher);
        hasher.finish()
    }

    pub fn get(&self, name: &str) -> Option<&Package> {
        self.all.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Package> {
        self.all.values()
    }

    pub fn is_running(&self, name: &str) -> bool {
        self.running.contains(name)
    }

    /// Notes that an app is in front or was.
    pub fn started(&mut self, name: &str) {
        if self.all.contains_key(name) && !self.running.contains(name) {
            self.running.insert(name.to_owned());
        }
    }

    /// Notes that an app has ended.
    pub fn stopped(&mut self, name: &str) {
        self.running.remove(name);
    }

    /// Adds a package, or replaces one that was installed.
    pub fn install(&mut self, package: Package) -> Result<(), String> {
        let old = self.all.get(&package.name).map(|old| old.system);
        may_install(&package.name, old, self.all.len())?;
        self.all.insert(package.name.clone(), package);
        Ok(())
    }

    /// Takes a package out that was installed.
    pub fn uninstall(&mut self, name: &str) -> Result<Package, String> {
        may_uninstall(name, self.get(name))?;
        self.stopped(name);
        self.all.remove(name).ok_or_else(|| not_installed(name))
    }
}

/// Whether a package may be installed, beside so many others and one of its name, which may belong to the system.
pub(super) fn may_install(name: &str, old_is_system: Option<bool>, count: usize) -> Result<(), String> {
    match old_is_system {
        Some(true) => Err(format!(
            "Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE: {name} is part of the system]"
        )),
        None if count >= MOST => Err("Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]".to_owned()),
        _ => Ok(()),
    }
}

/// Whether a package may be taken out.
pub(super) fn may_uninstall(name: &str, known: Option<&Package>) -> Result<(), String> {
    match known {
        Some(package) if package.system => Err("Failure [DELETE_FAILED_INTERNAL_ERROR]".to_owned()),
        Some(_) => Ok(()),
        None => Err(not_installed(name)),
    }
}

pub(super) fn not_installed(name: &str) -> String {
    format!("Failure [not installed for 0: {name}]")
}

/// Whether a text can be the name of a package: words of letters, digits and `_`, joined by dots.
pub(crate) fn is_name(text: &str) -> bool {
    let word = |part: &str| {
        part.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && part
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    text.len() <= 255 && text.contains('.') && text.split('.').all(word)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_came_with_the_phone_stays() {
        let mut packages = Packages::new();
        let settings = packages.get("com.android.settings").unwrap();
        assert_eq!(settings.launcher().unwrap().class, "com.android.settings.Settings");
        assert!(settings.activity(".Settings").is_some() && settings.activity("Settings").is_some());
        assert!(settings.activity("com.android.settings.Settings").is_some() && settings.activity("x").is_none());
        assert!(packages.uninstall("com.android.settings").is_err());
        assert!(packages.uninstall("org.none").unwrap_err().contains("not installed"));
        let own = Package {
            name: "org.own".to_owned(),
            system: false,
            ..packages.get(BROWSER).unwrap().clone()
        };
        packages.install(own.clone()).unwrap();
        packages.started("org.own");
        assert!(packages.is_running("org.own"));
        assert_eq!(packages.uninstall("org.own").unwrap(), own);
        assert_eq!(packages, Packages::new());
    }

    #[test]
    fn names_of_packages() {
        for (text, good) in [
            ("org.a_b.C2", true),
            ("org", false),
            ("org..a", false),
            ("2.a", false),
            ("a.b-c", false),
        ] {
            assert_eq!(is_name(text), good, "{text}");
        }
    }
}
