//! The settings database: what `settings get` and `settings put` read and write, and what the switches show.

use std::collections::BTreeMap;

/// A table of the settings provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// Device-wide settings.
    Global,
    /// Preferences of the user.
    System,
    /// Preferences that apps may only read.
    Secure,
}

impl Namespace {
    /// Reads the name that the `settings` command uses.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "global" => Some(Self::Global),
            "system" => Some(Self::System),
            "secure" => Some(Self::Secure),
            _ => None,
        }
    }
}

/// A setting with two states that has a switch somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Toggle {
    /// Wi-Fi radio.
    Wifi,
    /// Bluetooth radio.
    Bluetooth,
    /// Airplane mode. It is independent of the radios' own switches here.
    Airplane,
    /// Mobile data.
    MobileData,
    /// Dark theme; it changes how every screen is drawn.
    DarkTheme,
    /// Auto-rotate.
    AutoRotate,
    /// Do not disturb.
    DoNotDisturb,
    /// Battery saver.
    BatterySaver,
    /// Use location.
    Location,
}

impl Toggle {
    /// Every toggle, in a fixed order.
    pub const ALL: [Toggle; 9] = [
        Toggle::Wifi,
        Toggle::Bluetooth,
        Toggle::Airplane,
        Toggle::MobileData,
        Toggle::DarkTheme,
        Toggle::AutoRotate,
        Toggle::DoNotDisturb,
        Toggle::BatterySaver,
        Toggle::Location,
    ];

    /// The text of the row.
    pub fn label(self) -> &'static str {
        match self {
            Toggle::Wifi => "Wi-Fi",
            Toggle::Bluetooth => "Bluetooth",
            Toggle::Airplane => "Airplane mode",
            Toggle::MobileData => "Mobile data",
            Toggle::DarkTheme => "Dark theme",
            Toggle::AutoRotate => "Auto-rotate",
            Toggle::DoNotDisturb => "Do not disturb",
            Toggle::BatterySaver => "Battery saver",
            Toggle::Location => "Use location",
        }
    }

    /// Where the state is kept: table, key, value for off, value for on.
    pub fn entry(self) -> (Namespace, &'static str, &'static str, &'static str) {
        match self {
            Toggle::Wifi => (Namespace::Global, "wifi_on", "0", "1"),
            Toggle::Bluetooth => (Namespace::Global, "bluetooth_on", "0", "1"),
            Toggle::Airplane => (Namespace::Global, "airplane_mode_on", "0", "1"),
            Toggle::MobileData => (Namespace::Global, "mobile_data", "0", "1"),
            Toggle::DarkTheme => (Namespace::Secure, "ui_night_mode", "1", "2"),
            Toggle::AutoRotate => (Namespace::System, "accelerometer_rotation", "0", "1"),
            Toggle::DoNotDisturb => (Namespace::Global, "zen_mode", "0", "1"),
            Toggle::BatterySaver => (Namespace::Global, "low_power", "0", "1"),
            Toggle::Location => (Namespace::Secure, "location_mode", "0", "3"),
        }
    }
}

/// A page below the root of the settings app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Page {
    /// Network & internet.
    Network,
    /// Display.
    Display,
    /// Sound.
    Sound,
    /// Battery.
    Battery,
    /// Location.
    Location,
    /// About.
    About,
    /// Storage: text only.
    Storage,
    /// Security: text only.
    Security,
    /// Privacy: text only.
    Privacy,
    /// Accounts: text only.
    Accounts,
    /// Apps: text only.
    Apps,
    /// Accessibility: text only.
    Accessibility,
    /// Languages: text only.
    Languages,
}

impl Page {
    /// Every page, in a fixed order.
    pub const ALL: [Page; 13] = [
        Page::Network,
        Page::Display,
        Page::Sound,
        Page::Battery,
        Page::Location,
        Page::About,
        Page::Storage,
        Page::Security,
        Page::Privacy,
        Page::Accounts,
        Page::Apps,
        Page::Accessibility,
        Page::Languages,
    ];

    /// The text of the row, which is also the title of the page.
    pub fn label(self) -> &'static str {
        match self {
            Page::Network => "Network & internet",
            Page::Display => "Display",
            Page::Sound => "Sound",
            Page::Battery => "Battery",
            Page::Location => "Location",
            Page::About => "About",
            Page::Storage => "Storage",
            Page::Security => "Security",
            Page::Privacy => "Privacy",
            Page::Accounts => "Accounts",
            Page::Apps => "Apps",
            Page::Accessibility => "Accessibility",
            Page::Languages => "Languages",
        }
    }

    /// The simple class name of the activity.
    pub fn activity(self) -> &'static str {
        match self {
            Page::Network => "Settings$NetworkDashboardActivity",
            Page::Display => "Settings$DisplaySettingsActivity",
            Page::Sound => "Settings$SoundSettingsActivity",
            Page::Battery => "Settings$BatterySettingsActivity",
            Page::Location => "Settings$LocationSettingsActivity",
            Page::About => "Settings$AboutActivity",
            Page::Storage => "Settings$StorageDashboardActivity",
            Page::Security => "Settings$SecurityDashboardActivity",
            Page::Privacy => "Settings$PrivacyDashboardActivity",
            Page::Accounts => "Settings$AccountDashboardActivity",
            Page::Apps => "Settings$AppDashboardActivity",
            Page::Accessibility => "Settings$AccessibilitySettingsActivity",
            Page::Languages => "Settings$LanguageSettingsActivity",
        }
    }

    /// The switches on this page.
    pub fn toggles(self) -> &'static [Toggle] {
        match self {
            Page::Network => &[Toggle::Wifi, Toggle::Bluetooth, Toggle::Airplane, Toggle::MobileData],
            Page::Display => &[Toggle::DarkTheme, Toggle::AutoRotate],
            Page::Sound => &[Toggle::DoNotDisturb],
            Page::Battery => &[Toggle::BatterySaver],
            Page::Location => &[Toggle::Location],
            _ => &[],
        }
    }
}

/// The choices of the screen timeout: milliseconds, words in the dialog, short form in the row.
pub const TIMEOUTS: [(u32, &str, &str); 6] = [
    (15_000, "15 seconds", "15 s"),
    (30_000, "30 seconds", "30 s"),
    (60_000, "1 minute", "1 min"),
    (120_000, "2 minutes", "2 min"),
    (300_000, "5 minutes", "5 min"),
    (600_000, "10 minutes", "10 min"),
];

/// All settings, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<(Namespace, String), String>,
}

impl Settings {
    /// The value of a key, if it was ever written.
    pub fn get(&self, namespace: Namespace, key: &str) -> Option<&str> {
        self.values.get(&(namespace, key.to_owned())).map(String::as_str)
    }

    /// Writes a value.
    pub fn put(&mut self, namespace: Namespace, key: &str, value: impl Into<String>) {
        self.values.insert((namespace, key.to_owned()), value.into());
    }

    /// Forgets a key; tells whether it was there.
    pub fn delete(&mut self, namespace: Namespace, key: &str) -> bool {
        self.values.remove(&(namespace, key.to_owned())).is_some()
    }

    /// All entries of a table, as `key=value` lines in the order of their keys.
    pub fn list(&self, namespace: Namespace) -> String {
        let entries = self.values.iter().filter(|((table, _), _)| *table == namespace);
        entries.map(|((_, key), value)| format!("{key}={value}\n")).collect()
    }

    /// Whether a toggle is on: any value other than the one for off, as Android reads these keys.
    pub fn is_on(&self, toggle: Toggle) -> bool {
        let (namespace, key, off, _) = toggle.entry();
        self.get(namespace, key).is_some_and(|value| value != off)
    }

    /// Sets a toggle.
    pub fn set(&mut self, toggle: Toggle, on: bool) {
        let (namespace, key, off_value, on_value) = toggle.entry();
        self.put(namespace, key, if on { on_value } else { off_value });
    }

    /// The brightness, 0 to 255.
    pub fn brightness(&self) -> u8 {
        let value = self
            .get(Namespace::System, "screen_brightness")
            .and_then(|text| text.trim().parse::<i64>().ok());
        value.unwrap_or(128).clamp(0, 255) as u8
    }

    /// The screen timeout in milliseconds.
    pub fn timeout_ms(&self) -> u32 {
        let value = self
            .get(Namespace::System, "screen_off_timeout")
            .and_then(|text| text.trim().parse().ok());
        value.unwrap_or(60_000)
    }
}
