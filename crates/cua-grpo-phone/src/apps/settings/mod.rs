//! Settings: a home list and pages below it, each a function in a table.

mod apps_more;
mod apps_pages;
mod device;
mod dialogs;
mod display;
mod home;
mod kit;
mod network;
mod safety;
mod sound;
mod system;
mod zones;

use crate::{
    app::{App, Icon, Intent, Layer},
    state::{Place, State, data::Info},
    ui::Ui,
};

/// The package.
const PACKAGE: &str = "com.android.settings";

/// A page.
struct Page {
    /// Its name in places.
    name: &'static str,
    /// Its title.
    title: &'static str,
    /// The last part of the class that an intent names, or nothing.
    class: &'static str,
    /// The last part of the action that opens it, or nothing.
    action: &'static str,
    /// Builds it from an upper edge; gives the lower edge.
    build: fn(&State, &mut Ui, f32) -> f32,
}

const fn page(
    name: &'static str,
    title: &'static str,
    class: &'static str,
    action: &'static str,
    build: fn(&State, &mut Ui, f32) -> f32,
) -> Page {
    Page {
        name,
        title,
        class,
        action,
        build,
    }
}

static PAGES: &[Page] = &[
    page(
        "network",
        "Network & internet",
        "NetworkDashboard",
        "WIRELESS_SETTINGS",
        network::network,
    ),
    page(
        "internet",
        "Internet",
        "WifiSettings",
        "WIFI_SETTINGS",
        network::internet,
    ),
    page(
        "sims",
        "SIMs",
        "MobileNetwork",
        "NETWORK_OPERATOR_SETTINGS",
        network::sims,
    ),
    page(
        "hotspot",
        "Hotspot & tethering",
        "TetherSettings",
        "TETHER_SETTINGS",
        network::hotspot,
    ),
    page("data_saver", "Data Saver", "DataSaverSummary", "", network::data_saver),
    page("vpn", "VPN", "VpnSettings", "VPN_SETTINGS", network::vpn),
    page(
        "connected",
        "Connected devices",
        "ConnectedDeviceDashboard",
        "BLUETOOTH_SETTINGS",
        network::connected,
    ),
    page("pair", "Pair new device", "", "", network::pair),
    page(
        "preferences",
        "Connection preferences",
        "AdvancedConnectedDevice",
        "",
        network::preferences,
    ),
    page("bluetooth", "Bluetooth", "BluetoothDashboard", "", network::bluetooth),
    page("nfc", "NFC", "NfcSettings", "NFC_SETTINGS", network::nfc),
    page("apps", "Apps", "AppDashboard", "APPLICATION_SETTINGS", apps_pages::apps),
    page(
        "all_apps",
        "All apps",
        "ManageApplications",
        "MANAGE_APPLICATIONS_SETTINGS",
        apps_pages::all,
    ),
    page(
        "app_info",
        "App info",
        "InstalledAppDetails",
        "APPLICATION_DETAILS_SETTINGS",
        apps_pages::info,
    ),
    page("app_permissions", "App permissions", "", "", apps_pages::permissions),
    page("app_permission", "Permission", "", "", apps_pages::permission),
    page(
        "app_notifications",
        "App notifications",
        "AppNotification",
        "APP_NOTIFICATION_SETTINGS",
        apps_more::notifications,
    ),
    page("app_storage", "Storage", "", "", apps_pages::storage),
    page(
        "default_apps",
        "Default apps",
        "ManageDefaultApps",
        "MANAGE_DEFAULT_APPS_SETTINGS",
        apps_more::defaults,
    ),
    page("default_app", "Default app", "", "", apps_more::default_app),
    page(
        "notifications",
        "Notifications",
        "ConfigureNotification",
        "NOTIFICATION_SETTINGS",
        apps_more::all_notifications,
    ),
    page(
        "notification_apps",
        "App notifications",
        "",
        "ALL_APPS_NOTIFICATION_SETTINGS",
        apps_more::notification_apps,
    ),
    page(
        "history",
        "Notification history",
        "NotificationHistory",
        "",
        apps_more::history,
    ),
    page(
        "dnd",
        "Do Not Disturb",
        "ZenModeSettings",
        "ZEN_MODE_SETTINGS",
        sound::dnd,
    ),
    page(
        "battery",
        "Battery",
        "PowerUsageSummary",
        "BATTERY_SAVER_SETTINGS_HOME",
        device::battery,
    ),
    page(
        "battery_saver",
        "Battery Saver",
        "BatterySaverSettings",
        "BATTERY_SAVER_SETTINGS",
        device::saver,
    ),
    page(
        "battery_usage",
        "Battery usage",
        "",
        "POWER_USAGE_SUMMARY",
        device::usage,
    ),
    page(
        "storage",
        "Storage",
        "StorageDashboard",
        "INTERNAL_STORAGE_SETTINGS",
        device::storage,
    ),
    page(
        "sound",
        "Sound & vibration",
        "SoundSettings",
        "SOUND_SETTINGS",
        sound::sound,
    ),
    page(
        "vibration",
        "Vibration & haptics",
        "VibrationSettings",
        "",
        sound::vibration,
    ),
    page(
        "display",
        "Display",
        "DisplaySettings",
        "DISPLAY_SETTINGS",
        display::display,
    ),
    page(
        "dark",
        "Dark theme",
        "DarkThemeSettings",
        "DARK_THEME_SETTINGS",
        display::dark,
    ),
    page(
        "text_size",
        "Display size and text",
        "TextReading",
        "TEXT_READING_SETTINGS",
        display::text,
    ),
    page(
        "night_light",
        "Night Light",
        "NightDisplaySettings",
        "NIGHT_DISPLAY_SETTINGS",
        display::night,
    ),
    page("lock_display", "Lock screen", "LockScreenSettings", "", display::lock),
    page("adaptive", "Adaptive brightness", "", "", display::adaptive),
    page(
        "wallpaper",
        "Wallpaper & style",
        "",
        "SET_WALLPAPER",
        display::wallpaper,
    ),
    page("home_settings", "Home settings", "", "HOME_SETTINGS", display::home),
    page(
        "accessibility",
        "Accessibility",
        "AccessibilitySettings",
        "ACCESSIBILITY_SETTINGS",
        safety::accessibility,
    ),
    page("color_motion", "Color and motion", "", "", safety::color),
    page(
        "security",
        "Security & privacy",
        "SecurityDashboard",
        "SECURITY_SETTINGS",
        safety::security,
    ),
    page(
        "screen_lock",
        "Screen lock",
        "ScreenLockSettings",
        "",
        safety::screen_lock,
    ),
    page(
        "privacy",
        "Privacy",
        "PrivacyDashboard",
        "PRIVACY_SETTINGS",
        safety::privacy,
    ),
    page(
        "location",
        "Location",
        "LocationSettings",
        "LOCATION_SOURCE_SETTINGS",
        safety::location,
    ),
    page(
        "location_services",
        "Location services",
        "ScanningSettings",
        "",
        safety::services,
    ),
    page(
        "emergency",
        "Safety & emergency",
        "EmergencyDashboard",
        "",
        safety::emergency,
    ),
    page(
        "accounts",
        "Passwords & accounts",
        "AccountDashboard",
        "SYNC_SETTINGS",
        safety::accounts,
    ),
    page(
        "wellbeing",
        "Digital Wellbeing & parental controls",
        "",
        "",
        safety::wellbeing,
    ),
    page("system", "System", "SystemDashboard", "", system::system),
    page(
        "languages",
        "Languages",
        "LanguageSettings",
        "LOCALE_SETTINGS",
        system::languages,
    ),
    page(
        "keyboard",
        "Keyboard",
        "KeyboardSettings",
        "INPUT_METHOD_SETTINGS",
        system::keyboard,
    ),
    page("gestures", "Gestures", "GestureSettings", "", system::gestures),
    page(
        "navigation",
        "Navigation mode",
        "GestureNavigationSettings",
        "",
        system::navigation,
    ),
    page("date", "Date & time", "DateTimeSettings", "DATE_SETTINGS", system::date),
    page("zone", "Select time zone", "", "", zones::zone),
    page("backup", "Backup", "BackupSettings", "", system::backup),
    page("update", "System update", "", "SYSTEM_UPDATE_SETTINGS", system::update),
    page(
        "developer",
        "Developer options",
        "DevelopmentSettings",
        "APPLICATION_DEVELOPMENT_SETTINGS",
        system::developer,
    ),
    page("reset", "Reset options", "ResetDashboard", "", system::reset),
    page(
        "about",
        "About phone",
        "MyDeviceInfo",
        "DEVICE_INFO_SETTINGS",
        device::about,
    ),
    page("tips", "Tips & support", "", "", system::tips),
];

/// Settings.
pub struct Settings;

impl App for Settings {
    fn info(&self) -> Info {
        Info {
            package: PACKAGE,
            label: "Settings",
            activity: "com.android.settings.Settings",
            permissions: &[],
        }
    }

    fn icon(&self) -> Icon {
        Icon {
            back: 0xE8_EAED,
            layers: &[Layer::Glyph("settings", 0x5F_6368, 0.64, 0.0, 0.0)],
        }
    }

    fn build(&self, state: &State, ui: &mut Ui) {
        let name = ui.place.page.clone();
        match PAGES.iter().find(|page| page.name == name) {
            None => home::build(state, ui, search),
            Some(page) => {
                let title = dialogs::title(state, ui, page.title);
                ui.collapsing(&title, |ui, y| (page.build)(state, ui, y));
            }
        }
        dialogs::dialogs(state, ui);
    }

    fn intent(&self, _state: &mut State, intent: &Intent) -> Option<Place> {
        let class = intent.class.rsplit(['$', '.']).next().unwrap_or_default();
        let class = class.trim_end_matches("Activity");
        let action = intent.action.rsplit('.').next().unwrap_or_default();
        let found = PAGES.iter().find(|page| {
            let by_class = !page.class.is_empty() && (class == page.class || alias(class) == page.name);
            let by_action = !page.action.is_empty() && action == page.action;
            by_class || by_action
        })?;
        let shown = if intent.class.is_empty() {
            format!("com.android.settings.Settings${}Activity", found.class)
        } else {
            intent.class.clone()
        };
        let mut place = Place::new(&shown, found.name);
        if let Some(package) = intent
            .data
            .strip_prefix("package:")
            .or(intent.extra("android.provider.extra.APP_PACKAGE"))
        {
            place.set("package", package);
        }
        Some(place)
    }
}

/// Names that classes had in other versions.
fn alias(class: &str) -> &str {
    match class {
        "BatterySettings" | "PowerUsageSummary" => "battery",
        "About" | "DeviceInfoSettings" | "MyDeviceInfo" => "about",
        "WirelessSettings" => "network",
        "BluetoothSettings" => "connected",
        "StorageUse" => "storage",
        other => other,
    }
}

/// Titles of pages that hold a word, with their names: for the search.
fn search(wanted: &str) -> Vec<(&'static str, &'static str)> {
    PAGES
        .iter()
        .filter(|page| !page.class.is_empty() && page.title.to_lowercase().contains(wanted))
        .map(|page| (page.name, page.title))
        .collect()
}
