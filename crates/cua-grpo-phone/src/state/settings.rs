//! The settings database: three tables of keys and values.

use std::collections::BTreeMap;

/// Keys and values of a table.
type Rows = BTreeMap<String, String>;

/// A table of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Device-wide settings.
    Global,
    /// Preferences of the user.
    System,
    /// Preferences that apps may only read.
    Secure,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 3] = [Self::Global, Self::System, Self::Secure];

    /// Its name in commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::System => "system",
            Self::Secure => "secure",
        }
    }

    /// Reads its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// The settings database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    tables: [Rows; 3],
    /// What `settings put` wrote for keys that the system does not read back, as on a device; it is what
    /// `settings get` shows until the system writes the key itself.
    shadow: BTreeMap<(Table, String), String>,
    /// Whether writes of the shell to the keys of radios are without effect, as on a device.
    pub as_device: bool,
}

/// Keys whose value the system keeps elsewhere: writing the database does not turn the radio.
const KEPT_ELSEWHERE: &[&str] = &[
    "wifi_on",
    "bluetooth_on",
    "airplane_mode_on",
    "mobile_data",
    "zen_mode",
    "ui_night_mode",
];

/// Bytes that all keys and values may have together.
const ROOM: usize = 256 * 1024;

impl Settings {
    /// The value that the system goes by.
    pub fn get(&self, table: Table, key: &str) -> Option<&str> {
        self.tables[table as usize].get(key).map(String::as_str)
    }

    /// The value as a number.
    pub fn number(&self, table: Table, key: &str) -> Option<i64> {
        self.get(table, key).and_then(|value| value.trim().parse().ok())
    }

    /// Writes a value, as the system does.
    pub fn put(&mut self, table: Table, key: &str, value: impl Into<String>) {
        self.shadow.remove(&(table, key.to_owned()));
        self.tables[table as usize].insert(key.to_owned(), value.into());
    }

    /// What the shell reads.
    pub fn read(&self, table: Table, key: &str) -> Option<&str> {
        let shadow = self.shadow.get(&(table, key.to_owned()));
        shadow.map(String::as_str).or_else(|| self.get(table, key))
    }

    /// What the shell writes; `false` when the database is full.
    pub fn write(&mut self, table: Table, key: &str, value: &str) -> bool {
        let used: usize = self
            .tables
            .iter()
            .flatten()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let shadow: usize = self.shadow.iter().map(|(key, value)| key.1.len() + value.len()).sum();
        if used + shadow + key.len() + value.len() > ROOM {
            return false;
        }
        if self.as_device && KEPT_ELSEWHERE.contains(&key) {
            self.shadow.insert((table, key.to_owned()), value.to_owned());
        } else {
            self.put(table, key, value);
        }
        true
    }

    /// Deletes a key; gives the number of rows.
    pub fn delete(&mut self, table: Table, key: &str) -> usize {
        let shadow = self.shadow.remove(&(table, key.to_owned())).is_some();
        usize::from(self.tables[table as usize].remove(key).is_some() || shadow)
    }

    /// All rows of a table, by key.
    pub fn rows(&self, table: Table) -> impl Iterator<Item = (&str, &str)> {
        let keys = self.tables[table as usize].keys();
        keys.filter_map(move |key| Some((key.as_str(), self.read(table, key)?)))
    }
}

/// Something that is on or off, and where it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Toggle {
    /// Wi-Fi radio.
    Wifi,
    /// Bluetooth radio.
    Bluetooth,
    /// Airplane mode.
    Airplane,
    /// Mobile data.
    MobileData,
    /// Do Not Disturb.
    Dnd,
    /// Torch.
    Flashlight,
    /// Auto-rotate.
    AutoRotate,
    /// Battery Saver.
    BatterySaver,
    /// Location.
    Location,
    /// Dark theme.
    Dark,
    /// Hotspot.
    Hotspot,
    /// NFC.
    Nfc,
    /// Night Light.
    NightLight,
    /// Adaptive brightness.
    AdaptiveBrightness,
    /// Data Saver.
    DataSaver,
    /// Battery percentage in the status bar.
    BatteryPercent,
    /// Automatic date and time.
    AutoTime,
    /// Automatic time zone.
    AutoZone,
    /// 24-hour format.
    FullDay,
    /// Touch sounds.
    TouchSounds,
    /// Dial pad tones.
    DialTones,
    /// Screen locking sound.
    LockSound,
    /// Touch vibration.
    Haptics,
    /// Vibrate first and ring then.
    VibrateRing,
    /// Developer options.
    Developer,
    /// USB debugging.
    Adb,
    /// Stay awake while charging.
    StayAwake,
    /// Notification history.
    NotificationHistory,
    /// Bubbles.
    Bubbles,
    /// Show sensitive notifications on the lock screen.
    LockNotifications,
    /// Lift to check phone.
    Lift,
    /// Smooth display.
    Smooth,
    /// Bold text.
    Bold,
    /// High contrast text.
    Contrast,
    /// Colour inversion.
    Inversion,
    /// Show passwords.
    ShowPasswords,
    /// Backup.
    Backup,
    /// Adaptive battery.
    AdaptiveBattery,
    /// Wi-Fi scanning.
    WifiScan,
    /// Bluetooth scanning.
    BluetoothScan,
}

impl Toggle {
    /// All of them.
    pub const ALL: [Self; 40] = [
        Self::Wifi,
        Self::Bluetooth,
        Self::Airplane,
        Self::MobileData,
        Self::Dnd,
        Self::Flashlight,
        Self::AutoRotate,
        Self::BatterySaver,
        Self::Location,
        Self::Dark,
        Self::Hotspot,
        Self::Nfc,
        Self::NightLight,
        Self::AdaptiveBrightness,
        Self::DataSaver,
        Self::BatteryPercent,
        Self::AutoTime,
        Self::AutoZone,
        Self::FullDay,
        Self::TouchSounds,
        Self::DialTones,
        Self::LockSound,
        Self::Haptics,
        Self::VibrateRing,
        Self::Developer,
        Self::Adb,
        Self::StayAwake,
        Self::NotificationHistory,
        Self::Bubbles,
        Self::LockNotifications,
        Self::Lift,
        Self::Smooth,
        Self::Bold,
        Self::Contrast,
        Self::Inversion,
        Self::ShowPasswords,
        Self::Backup,
        Self::AdaptiveBattery,
        Self::WifiScan,
        Self::BluetoothScan,
    ];

    /// Table, key, and the values of off and on.
    pub fn entry(self) -> (Table, &'static str, &'static str, &'static str) {
        use Table::{Global, Secure, System};
        match self {
            Self::Wifi => (Global, "wifi_on", "0", "1"),
            Self::Bluetooth => (Global, "bluetooth_on", "0", "1"),
            Self::Airplane => (Global, "airplane_mode_on", "0", "1"),
            Self::MobileData => (Global, "mobile_data", "0", "1"),
            Self::Dnd => (Global, "zen_mode", "0", "1"),
            Self::Flashlight => (Secure, "flashlight_enabled", "0", "1"),
            Self::AutoRotate => (System, "accelerometer_rotation", "0", "1"),
            Self::BatterySaver => (Global, "low_power", "0", "1"),
            Self::Location => (Secure, "location_mode", "0", "3"),
            Self::Dark => (Secure, "ui_night_mode", "1", "2"),
            Self::Hotspot => (Global, "soft_ap_on", "0", "1"),
            Self::Nfc => (Global, "nfc_on", "0", "1"),
            Self::NightLight => (Secure, "night_display_activated", "0", "1"),
            Self::AdaptiveBrightness => (System, "screen_brightness_mode", "0", "1"),
            Self::DataSaver => (Global, "data_saver_mode", "0", "1"),
            Self::BatteryPercent => (System, "status_bar_show_battery_percent", "0", "1"),
            Self::AutoTime => (Global, "auto_time", "0", "1"),
            Self::AutoZone => (Global, "auto_time_zone", "0", "1"),
            Self::FullDay => (System, "time_12_24", "12", "24"),
            Self::TouchSounds => (System, "sound_effects_enabled", "0", "1"),
            Self::DialTones => (System, "dtmf_tone", "0", "1"),
            Self::LockSound => (System, "lockscreen_sounds_enabled", "0", "1"),
            Self::Haptics => (System, "haptic_feedback_enabled", "0", "1"),
            Self::VibrateRing => (System, "vibrate_when_ringing", "0", "1"),
            Self::Developer => (Global, "development_settings_enabled", "0", "1"),
            Self::Adb => (Global, "adb_enabled", "0", "1"),
            Self::StayAwake => (Global, "stay_on_while_plugged_in", "0", "7"),
            Self::NotificationHistory => (Secure, "notification_history_enabled", "0", "1"),
            Self::Bubbles => (Secure, "notification_bubbles", "0", "1"),
            Self::LockNotifications => (Secure, "lock_screen_show_notifications", "0", "1"),
            Self::Lift => (Secure, "doze_pulse_on_pick_up", "0", "1"),
            Self::Smooth => (System, "peak_refresh_rate", "60.0", "90.0"),
            Self::Bold => (Secure, "font_weight_adjustment", "0", "300"),
            Self::Contrast => (Secure, "high_text_contrast_enabled", "0", "1"),
            Self::Inversion => (Secure, "accessibility_display_inversion_enabled", "0", "1"),
            Self::ShowPasswords => (System, "show_password", "0", "1"),
            Self::Backup => (Secure, "backup_enabled", "0", "1"),
            Self::AdaptiveBattery => (Global, "adaptive_battery_management_enabled", "0", "1"),
            Self::WifiScan => (Global, "wifi_scan_always_enabled", "0", "1"),
            Self::BluetoothScan => (Global, "ble_scan_always_enabled", "0", "1"),
        }
    }

    /// Whether it is on; more values than one mean on.
    pub fn is_on(self, settings: &Settings) -> bool {
        let (table, key, off, on) = self.entry();
        let value = settings.get(table, key).unwrap_or(off).trim();
        match self {
            Self::Wifi => matches!(value, "1" | "2"),
            Self::Dark | Self::FullDay => value == on,
            Self::Smooth => value.parse::<f32>().is_ok_and(|rate| rate > 60.0),
            _ => value.parse::<i64>().is_ok_and(|number| number != 0),
        }
    }
}
