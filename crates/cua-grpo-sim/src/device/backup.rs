//! Backups of apps: their package, their files and, for the phone's own apps, what they know.

use super::{
    Device,
    launch::data_folders,
    packages::{Activity, Package, is_name},
    saved::AppData,
};
use crate::{handset::Handset, phone::Alarm};
use axum::body::Bytes;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cua_grpo_android::names::App;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a backup begins with, so that it is known again.
const HEAD: &str = "CUA SIM BACKUP 1\n";

#[derive(Debug, Serialize, Deserialize)]
struct Backup {
    apps: Vec<SavedApp>,
}

/// An app of a backup.
#[derive(Debug, Serialize, Deserialize)]
struct SavedApp {
    package: String,
    label: String,
    version: String,
    system: bool,
    activities: Vec<SavedActivity>,
    /// Contents in base64, by path.
    files: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// Times, and whether they ring.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    alarms: BTreeMap<String, bool>,
    /// What an app of the full phone knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<AppData>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedActivity {
    class: String,
    exported: bool,
    launcher: bool,
    main: bool,
}

impl Device {
    /// A backup of some apps; names that are not installed are left out.
    pub fn backup(&self, names: &[String]) -> Vec<u8> {
        let apps = names.iter().filter_map(|name| self.saved(name)).collect();
        let json = serde_json::to_string(&Backup { apps }).unwrap_or_default();
        format!("{HEAD}{json}").into_bytes()
    }

    fn saved(&self, name: &str) -> Option<SavedApp> {
        let package = self.package(name)?;
        let mut files = BTreeMap::new();
        let own = (!package.system).then(|| package.apk.clone());
        for folder in data_folders(name) {
            for (path, entry) in self.files().list(&folder, usize::MAX).unwrap_or_default() {
                if !entry.is_folder() {
                    files.insert(path.to_owned(), String::new());
                }
            }
        }
        files.extend(own.map(|path| (path, String::new())));
        for (path, content) in &mut files {
            *content = STANDARD.encode(self.read_file(path).unwrap_or_default());
        }
        let activity = |activity: &Activity| SavedActivity {
            class: activity.class.clone(),
            exported: activity.exported,
            launcher: activity.launcher,
            main: activity.main,
        };
        let small = |app: App| self.phone.small().filter(|_| name == app.package());
        Some(SavedApp {
            package: package.name.clone(),
            label: package.label.clone(),
            version: package.version.clone(),
            system: package.system,
            activities: package.activities.iter().map(activity).collect(),
            files,
            notes: small(App::Notes).map_or_else(Vec::new, |phone| phone.notes.clone()),
            alarms: small(App::Clock).map_or_else(BTreeMap::new, |phone| {
                let alarms = phone.alarms.iter();
                alarms.map(|alarm| (alarm.time.clone(), alarm.enabled)).collect()
            }),
            data: self.phone.pixel().map(|phone| AppData::of(phone.phone().state(), name)),
        })
    }

    /// Brings the apps of a backup back as they were then.
    ///
    /// # Errors
    /// When it is none of ours, in words.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), String> {
        let wrong = |reason: String| format!("backup: expected one that this simulator made: {reason}");
        let json = bytes
            .strip_prefix(HEAD.as_bytes())
            .ok_or_else(|| wrong("it begins otherwise".to_owned()))?;
        let backup: Backup = serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
        for app in &backup.apps {
            let good = is_name(&app.package) || self.package(&app.package).is_some();
            let own = [format!("/data/app/{}-1/", app.package)];
            let folders = data_folders(&app.package).map(|folder| folder + "/");
            let inside = |path: &&String| own.iter().chain(&folders).any(|folder| path.starts_with(folder));
            if !good || app.files.keys().any(|path| !inside(&path) || path.contains("/../")) {
                return Err(wrong(format!("of {:?}", app.package)));
            }
        }
        for app in backup.apps {
            self.bring_back(app).map_err(wrong)?;
        }
        Ok(())
    }

    fn bring_back(&mut self, app: SavedApp) -> Result<(), String> {
        let mut files = BTreeMap::new();
        for (path, content) in app.files {
            let bytes = STANDARD.decode(content).map_err(|error| format!("{path}: {error}"))?;
            files.insert(path, Bytes::from(bytes));
        }
        if !app.system {
            let activities = app.activities.into_iter().map(|activity| Activity {
                class: activity.class,
                exported: activity.exported,
                launcher: activity.launcher,
                main: activity.main,
            });
            let package = Package {
                label: app.label,
                version: app.version,
                apk: format!("/data/app/{}-1/base.apk", app.package),
                system: false,
                activities: activities.collect(),
                name: app.package.clone(),
            };
            let apk = files.remove(&package.apk).unwrap_or_default();
            self.install(package, apk)?;
        }
        for (path, bytes) in files {
            self.files_mut()
                .write(&path, bytes)
                .map_err(|error| error.to_string())?;
        }
        match &mut self.phone {
            Handset::Small(phone) if app.package == App::Notes.package() => phone.notes = app.notes,
            Handset::Small(phone) if app.package == App::Clock.package() => {
                let alarm = |(time, enabled)| Alarm { time, enabled };
                phone.alarms = app.alarms.into_iter().map(alarm).collect();
            }
            Handset::Small(_) => {}
            Handset::Pixel(phone) => {
                if let Some(data) = app.data {
                    data.bring_back(phone.phone_mut().state_mut(), &app.package);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn apps_come_back_with_what_they_knew() {
        let mut device = Device::small(4);
        let package = super::super::from_url("https://example.com/org.own.apk").unwrap();
        device.install(package, Bytes::from_static(b"PK1")).unwrap();
        device.files_mut().write("/data/data/org.own/x", b"\xff\0").unwrap();
        device.phone.small_mut().unwrap().notes = vec!["milk".to_owned()];
        let names = ["org.own", "com.android.notes", "com.android.deskclock", "none"].map(str::to_owned);
        let before = device.state();
        let backup = device.backup(&names);
        device.uninstall("org.own", false).unwrap();
        device.phone.small_mut().unwrap().notes.clear();
        device.phone.small_mut().unwrap().alarms.clear();
        assert!(device.files().get("/data/data/org.own/x").is_none() && device.state() != before);
        device.restore(&backup).unwrap();
        assert_eq!(device.state(), before);
        assert!(device.restore(b"else").is_err());
        let stray = String::from_utf8(backup)
            .unwrap()
            .replace("/data/data/org.own/x", "/system/x");
        assert!(device.restore(stray.as_bytes()).is_err());
    }
}
