//! The packages of a box: those that the full phone keeps, or a list beside the small one.

use super::{Activity, Device, Package};
use crate::handset::Handset;
use cua_grpo_phone::state::{self, LAUNCHER, NewApp, State};
use std::borrow::Cow;

/// A package of the full phone as the API shows it.
fn view(name: &str, package: &state::data::Package) -> Package {
    let activity = |class: &str, launcher: bool| Activity {
        class: class.to_owned(),
        exported: true,
        launcher: launcher && name != LAUNCHER,
        main: launcher,
    };
    let first = (!package.activity.is_empty()).then(|| activity(&package.activity, true));
    let others = package.classes.iter().map(|class| activity(class, false));
    Package {
        name: name.to_owned(),
        label: package.label.to_string(),
        version: package.version.clone(),
        apk: package.apk.clone(),
        system: package.system,
        activities: first.into_iter().chain(others).collect(),
    }
}

fn runs(state: &State, name: &str) -> bool {
    name == LAUNCHER || state.tasks.iter().any(|task| task.package == name)
}

impl Device {
    /// A package by its name.
    pub fn package(&self, name: &str) -> Option<Cow<'_, Package>> {
        match &self.phone {
            Handset::Small(_) => self.own_packages.get(name).map(Cow::Borrowed),
            Handset::Pixel(phone) => {
                let package = phone.phone().state().packages.get(name)?;
                Some(Cow::Owned(view(name, package)))
            }
        }
    }

    /// All packages, by name.
    pub fn packages(&self) -> Vec<Cow<'_, Package>> {
        match &self.phone {
            Handset::Small(_) => self.own_packages.iter().map(Cow::Borrowed).collect(),
            Handset::Pixel(phone) => {
                let all = phone.phone().state().packages.iter();
                all.map(|(name, package)| Cow::Owned(view(name, package))).collect()
            }
        }
    }

    /// Whether an app runs.
    pub fn is_running(&self, name: &str) -> bool {
        match &self.phone {
            Handset::Small(_) => self.own_packages.is_running(name),
            Handset::Pixel(phone) => runs(phone.phone().state(), name),
        }
    }

    /// Those that run and that a user has started.
    pub fn running_apps(&self) -> Vec<String> {
        let all = self.packages();
        let running = all
            .iter()
            .filter(|package| package.launcher().is_some() && self.is_running(&package.name));
        running.map(|package| package.name.clone()).collect()
    }

    /// Notes which app is in front.
    pub(super) fn note_front(&mut self) {
        let front = self.phone.front();
        self.own_packages.started(&front);
    }

    pub(super) fn note_started(&mut self, name: &str) {
        self.own_packages.started(name);
    }

    pub(super) fn note_stopped(&mut self, name: &str) {
        self.own_packages.stopped(name);
    }

    /// Puts a package in, or in the place of one that was installed.
    pub(super) fn put_package(&mut self, package: Package) -> Result<(), String> {
        match &mut self.phone {
            Handset::Small(_) => self.own_packages.install(package),
            Handset::Pixel(phone) => {
                let state = phone.phone_mut().state_mut();
                super::packages::may_install(
                    &package.name,
                    state.packages.get(&package.name).map(|known| known.system),
                    state.packages.len(),
                )?;
                let first = package.launcher().or_else(|| package.activities.first());
                let activity = first.map(|activity| activity.class.clone()).unwrap_or_default();
                let others = package.activities.iter().map(|activity| activity.class.clone());
                state.install(NewApp {
                    classes: others.filter(|class| *class != activity).collect(),
                    activity,
                    package: package.name,
                    label: package.label,
                    version: package.version,
                    apk: package.apk,
                });
                Ok(())
            }
        }
    }

    /// Takes a package out that was installed.
    pub(super) fn take_package(&mut self, name: &str) -> Result<Package, String> {
        let known = self.package(name).map(Cow::into_owned);
        match &mut self.phone {
            Handset::Small(_) => self.own_packages.uninstall(name),
            Handset::Pixel(phone) => {
                super::packages::may_uninstall(name, known.as_ref())?;
                phone.phone_mut().state_mut().uninstall(name);
                known.ok_or_else(|| super::packages::not_installed(name))
            }
        }
    }
}
