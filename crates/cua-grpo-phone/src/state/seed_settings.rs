//! The settings, properties and roles that a phone is born with.

use super::{Display, LAUNCHER, Table, Toggle, dice::Dice, settings::Settings};
use std::collections::BTreeMap;

pub(super) fn settings(dice: &mut Dice) -> Settings {
    let mut settings = Settings::default();
    let on = [
        (Toggle::Wifi, 80),
        (Toggle::Bluetooth, 50),
        (Toggle::Airplane, 0),
        (Toggle::MobileData, 80),
        (Toggle::Dnd, 0),
        (Toggle::Flashlight, 0),
        (Toggle::AutoRotate, 40),
        (Toggle::BatterySaver, 0),
        (Toggle::Location, 70),
        (Toggle::Dark, 25),
        (Toggle::Hotspot, 0),
        (Toggle::Nfc, 60),
        (Toggle::NightLight, 0),
        (Toggle::AdaptiveBrightness, 50),
        (Toggle::DataSaver, 0),
        (Toggle::BatteryPercent, 40),
        (Toggle::AutoTime, 100),
        (Toggle::AutoZone, 100),
        (Toggle::FullDay, 30),
        (Toggle::TouchSounds, 60),
        (Toggle::DialTones, 80),
        (Toggle::LockSound, 80),
        (Toggle::Haptics, 90),
        (Toggle::VibrateRing, 40),
        (Toggle::Developer, 100),
        (Toggle::Adb, 100),
        (Toggle::StayAwake, 100),
        (Toggle::NotificationHistory, 50),
        (Toggle::Bubbles, 70),
        (Toggle::LockNotifications, 100),
        (Toggle::Lift, 80),
        (Toggle::Smooth, 70),
        (Toggle::Bold, 0),
        (Toggle::Contrast, 0),
        (Toggle::Inversion, 0),
        (Toggle::ShowPasswords, 100),
        (Toggle::Backup, 60),
        (Toggle::AdaptiveBattery, 90),
        (Toggle::WifiScan, 60),
        (Toggle::BluetoothScan, 50),
    ];
    for (toggle, percent) in on {
        let (table, key, off, value) = toggle.entry();
        settings.put(table, key, if dice.chance(percent) { value } else { off });
    }
    let timeout = *dice.pick(&["15000", "30000", "60000", "120000", "300000", "600000"]);
    let brightness = (1 + dice.below(255)).to_string();
    let rows: [(Table, &str, &str); 21] = [
        (Table::System, "screen_off_timeout", timeout),
        (Table::System, "screen_brightness", &brightness),
        (Table::System, "font_scale", "1.0"),
        (Table::System, "user_rotation", "0"),
        (Table::System, "system_locales", "en-US"),
        (Table::System, "volume_music", *dice.pick(&["3", "5", "8", "11"])),
        (Table::System, "volume_ring", *dice.pick(&["2", "4", "5", "7"])),
        (Table::System, "volume_notification", *dice.pick(&["2", "4", "5", "7"])),
        (Table::System, "volume_alarm", *dice.pick(&["3", "5", "6"])),
        (Table::System, "volume_voice", *dice.pick(&["3", "4", "6"])),
        (Table::Global, "device_name", "Pixel 7"),
        (Table::Global, "device_provisioned", "1"),
        (Table::Global, "window_animation_scale", "0.0"),
        (Table::Global, "transition_animation_scale", "0.0"),
        (Table::Global, "animator_duration_scale", "0.0"),
        (Table::Global, "private_dns_mode", "opportunistic"),
        (Table::Secure, "navigation_mode", "2"),
        (Table::Secure, "user_setup_complete", "1"),
        (Table::Secure, "android_id", "5b3c1f0e9a7d2468"),
        (
            Table::Secure,
            "default_input_method",
            "com.google.android.inputmethod.latin/com.android.inputmethod.latin.LatinIME",
        ),
        (Table::Secure, "bluetooth_name", "Pixel 7"),
    ];
    for (table, key, value) in rows {
        settings.put(table, key, value);
    }
    settings
}

pub(super) fn props(dice: &mut Dice, display: Display) -> BTreeMap<String, String> {
    let density = display.density.to_string();
    let serial: String = (0..14)
        .map(|_| *dice.pick(&['0', '1', '2', '3', '5', '7', 'A', 'B', 'D', 'F']))
        .collect();
    [
        ("ro.build.version.release", "14"),
        ("ro.build.version.sdk", "34"),
        ("ro.build.version.security_patch", "2024-10-05"),
        ("ro.build.id", "AP2A.240905.003"),
        ("ro.build.display.id", "AP2A.240905.003"),
        ("ro.build.type", "userdebug"),
        (
            "ro.build.fingerprint",
            "google/panther/panther:14/AP2A.240905.003/12231197:userdebug/dev-keys",
        ),
        ("ro.product.model", "Pixel 7"),
        ("ro.product.manufacturer", "Google"),
        ("ro.product.brand", "google"),
        ("ro.product.device", "panther"),
        ("ro.product.name", "panther"),
        ("ro.product.cpu.abi", "arm64-v8a"),
        ("ro.debuggable", "1"),
        ("ro.hardware", "panther"),
        ("ro.serialno", &serial),
        ("ro.sf.lcd_density", &density),
        ("sys.boot_completed", "1"),
        ("persist.sys.locale", "en-US"),
        ("persist.sys.timezone", "GMT"),
        ("gsm.sim.state", "LOADED"),
        ("gsm.operator.alpha", "T-Mobile"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

pub(super) fn roles() -> BTreeMap<String, String> {
    [
        ("HOME", LAUNCHER),
        ("DIALER", "com.google.android.dialer"),
        ("SMS", "com.google.android.apps.messaging"),
        ("BROWSER", "com.android.chrome"),
        ("ASSISTANT", "com.google.android.googlequicksearchbox"),
    ]
    .into_iter()
    .map(|(role, package)| (role.to_owned(), package.to_owned()))
    .collect()
}
