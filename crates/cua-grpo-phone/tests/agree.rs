//! What the shell reads and what a screen shows cannot disagree.

mod common;

use common::tap;
use cua_grpo_phone::{
    Key, Phone,
    state::{Display, Place, Table, Toggle, place::Window},
};

const SUB: &str = "com.android.settings.SubSettings";

/// Pages with the title of a row, the switch behind it, and the shell's commands for on and off.
const SWITCHES: &[(&str, &str, Toggle, &str, &str)] = &[
    (
        "network",
        "Airplane mode",
        Toggle::Airplane,
        "cmd connectivity airplane-mode enable",
        "cmd connectivity airplane-mode disable",
    ),
    (
        "internet",
        "Wi-Fi",
        Toggle::Wifi,
        "svc wifi enable",
        "cmd wifi set-wifi-enabled disabled",
    ),
    (
        "bluetooth",
        "Use Bluetooth",
        Toggle::Bluetooth,
        "cmd bluetooth_manager enable",
        "svc bluetooth disable",
    ),
    (
        "hotspot",
        "Wi-Fi hotspot",
        Toggle::Hotspot,
        "cmd wifi start-softap x open",
        "cmd wifi stop-softap",
    ),
    (
        "sims",
        "Mobile data",
        Toggle::MobileData,
        "svc data enable",
        "svc data disable",
    ),
    (
        "data_saver",
        "Use Data Saver",
        Toggle::DataSaver,
        "settings put global data_saver_mode 1",
        "settings put global data_saver_mode 0",
    ),
    ("nfc", "Use NFC", Toggle::Nfc, "svc nfc enable", "cmd nfc disable-nfc"),
    (
        "location",
        "Use location",
        Toggle::Location,
        "cmd location set-location-enabled true",
        "cmd location set-location-enabled false",
    ),
    (
        "dark",
        "Use Dark theme",
        Toggle::Dark,
        "cmd uimode night yes",
        "cmd uimode night no",
    ),
    (
        "adaptive",
        "Use adaptive brightness",
        Toggle::AdaptiveBrightness,
        "settings put system screen_brightness_mode 1",
        "settings put system screen_brightness_mode 0",
    ),
    (
        "night_light",
        "Use Night Light",
        Toggle::NightLight,
        "settings put secure night_display_activated 1",
        "settings put secure night_display_activated 0",
    ),
    (
        "display",
        "Auto-rotate screen",
        Toggle::AutoRotate,
        "wm user-rotation free",
        "wm user-rotation lock 0",
    ),
    (
        "display",
        "Smooth display",
        Toggle::Smooth,
        "settings put system peak_refresh_rate 90.0",
        "settings put system peak_refresh_rate 60.0",
    ),
    (
        "battery",
        "Battery percentage",
        Toggle::BatteryPercent,
        "settings put system status_bar_show_battery_percent 1",
        "settings put system status_bar_show_battery_percent 0",
    ),
    (
        "battery_saver",
        "Use Battery Saver",
        Toggle::BatterySaver,
        "cmd power set-mode 1",
        "cmd power set-mode 0",
    ),
    (
        "date",
        "Use 24-hour format",
        Toggle::FullDay,
        "settings put system time_12_24 24",
        "settings put system time_12_24 12",
    ),
    (
        "date",
        "Automatic date and time",
        Toggle::AutoTime,
        "settings put global auto_time 1",
        "settings put global auto_time 0",
    ),
    (
        "date",
        "Automatic time zone",
        Toggle::AutoZone,
        "settings put global auto_time_zone 1",
        "settings put global auto_time_zone 0",
    ),
    (
        "sound",
        "Dial pad tones",
        Toggle::DialTones,
        "settings put system dtmf_tone 1",
        "settings put system dtmf_tone 0",
    ),
    (
        "sound",
        "Tap & click sounds",
        Toggle::TouchSounds,
        "settings put system sound_effects_enabled 1",
        "settings put system sound_effects_enabled 0",
    ),
    (
        "developer",
        "USB debugging",
        Toggle::Adb,
        "settings put global adb_enabled 1",
        "settings put global adb_enabled 0",
    ),
    (
        "history",
        "Use notification history",
        Toggle::NotificationHistory,
        "settings put secure notification_history_enabled 1",
        "settings put secure notification_history_enabled 0",
    ),
    (
        "privacy",
        "Show passwords",
        Toggle::ShowPasswords,
        "settings put system show_password 1",
        "settings put system show_password 0",
    ),
];

/// The row with a title, scrolled to; the index of its node.
fn row(phone: &mut Phone, title: &str) -> usize {
    let (w, h) = (phone.state().display.width as f32, phone.state().display.height as f32);
    for _ in 0..12 {
        let nodes = phone.nodes();
        let found = nodes
            .iter()
            .position(|node| node.text == title && node.rect.bottom() < h * 0.97 && node.rect.y > h * 0.1);
        if let Some(index) = found {
            return nodes[index].parent.expect("a title stands in its row");
        }
        phone.swipe((w / 2.0, h * 0.75), (w / 2.0, h * 0.5), 1500);
        phone.settle();
    }
    panic!("no row {title:?} on the page");
}

fn shell_reads(phone: &mut Phone, toggle: Toggle) -> String {
    let (table, key, ..) = toggle.entry();
    phone
        .shell(&format!("settings get {} {key}", table.name()))
        .stdout
        .trim()
        .to_owned()
}

/// Whether the switch in a row is drawn as on, by its node.
fn shown(phone: &mut Phone, title: &str) -> bool {
    let index = row(phone, title);
    let nodes = phone.nodes();
    let switch = nodes.iter().find(|node| node.parent == Some(index) && node.checkable);
    switch.expect("the row has a switch").checked
}

#[test]
fn switches_of_the_settings_agree_with_the_shell() {
    for (seed, (page, title, toggle, on, off)) in SWITCHES.iter().enumerate() {
        let mut phone = Phone::new(seed as u64, Display::HALF);
        phone.shell("cmd battery unplug");
        phone.state_mut().start("com.android.settings", Place::new(SUB, page));
        for (command, wanted) in [(on, true), (off, false), (on, true)] {
            let before = phone.frame();
            let changes = phone.state().on(*toggle) != wanted;
            let output = phone.shell(command);
            assert_eq!((output.exit_code, output.stderr.as_str()), (0, ""), "{command}");
            assert_eq!(phone.state().on(*toggle), wanted, "{command}");
            assert_eq!(shown(&mut phone, title), wanted, "{title} after {command}");
            assert!(!changes || phone.frame() != before, "{command} changed no pixel");
        }
        let read = shell_reads(&mut phone, *toggle);
        let index = row(&mut phone, title);
        let (x, y) = phone.nodes()[index].rect.center();
        let before = phone.frame();
        phone.tap(x, y);
        assert!(!phone.state().on(*toggle), "a tap on {title} turns it off");
        assert_ne!(
            shell_reads(&mut phone, *toggle),
            read,
            "the shell reads that {title} was tapped"
        );
        assert_ne!(phone.frame(), before, "the tap on {title} is seen");
        assert!(!shown(&mut phone, title));
    }
}

#[test]
fn tiles_turn_what_the_shell_reads() {
    use cua_grpo_phone::system::tiles::{TILES, Tile};
    let mut phone = Phone::new(3, Display::HALF);
    phone.shell("cmd battery unplug");
    for (index, tile) in TILES.into_iter().enumerate() {
        let Tile::Switch(toggle, label, _) = tile else {
            continue;
        };
        phone.shell("cmd statusbar expand-settings");
        if index >= 8 {
            phone.state_mut().place_mut(Window::Shade).set("page", "1");
        }
        let before = phone.state().on(toggle);
        let nodes = phone.nodes();
        let node = nodes
            .iter()
            .find(|node| node.desc.starts_with(label))
            .expect("the tile is there");
        assert_eq!(node.checked, before, "{label}");
        let (x, y) = node.rect.center();
        let read = shell_reads(&mut phone, toggle);
        phone.tap(x, y);
        assert_ne!(phone.state().on(toggle), before, "{label}");
        assert_ne!(shell_reads(&mut phone, toggle), read, "{label}");
    }
}

#[test]
fn sliders_follow_the_finger_and_the_shell() {
    let mut phone = Phone::new(5, Display::HALF);
    phone
        .state_mut()
        .start("com.android.settings", Place::new(SUB, "sound"));
    let nodes = phone.nodes();
    let slider = nodes
        .iter()
        .find(|node| node.desc == "Media volume")
        .expect("the slider is there");
    phone.tap(slider.rect.right() - 1.0, slider.rect.center().1);
    let output = phone.shell("cmd media_session volume --stream 3 --get").stdout;
    assert!(output.ends_with("[V] volume is 15 in range [0..15]\n"), "{output}");
    phone.shell("cmd media_session volume --stream 3 --set 0");
    let nodes = phone.nodes();
    let slider = nodes
        .iter()
        .find(|node| node.desc == "Media volume")
        .expect("the slider is there");
    assert_eq!(slider.text, "0.0");
    // Half of the brightness slider is 22 of 255, as on a device.
    phone.shell("cmd statusbar expand-settings");
    let nodes = phone.nodes();
    let slider = nodes
        .iter()
        .find(|node| node.desc == "Display brightness")
        .expect("the slider is there");
    let (x, y) = slider.rect.center();
    phone.tap(x, y);
    let read = phone.shell("settings get system screen_brightness").stdout;
    assert_eq!(read.trim(), "22");
}

#[test]
fn a_contact_that_is_typed_is_a_row_of_the_provider() {
    let mut phone = Phone::new(8, Display::HALF);
    phone.shell("am start -n com.google.android.contacts/com.android.contacts.activities.PeopleActivity");
    tap(&mut phone, "Create contact");
    phone.shell("input text Ada");
    tap(&mut phone, "Last name");
    phone.shell("input text Byron");
    phone.key(Key::Back);
    tap(&mut phone, "Phone");
    phone.shell("input text 5551234");
    tap(&mut phone, "Save");
    let rows = phone.shell("content query --uri content://contacts/phones --projection display_name:number --where \"number='5551234'\"").stdout;
    assert_eq!(rows, "Row: 0 display_name=Ada Byron, number=5551234\n");
    assert!(
        phone.nodes().iter().any(|node| node.text == "Ada Byron"),
        "the new contact is shown"
    );
}

#[test]
fn alarms_of_the_app_and_of_the_intent_are_the_same() {
    let mut phone = Phone::new(2, Display::HALF);
    phone.shell("pm clear com.google.android.deskclock");
    phone.shell("am start -a android.intent.action.SET_ALARM --ei android.intent.extra.alarm.HOUR 7 --ei android.intent.extra.alarm.MINUTES 30 --ez android.intent.extra.alarm.SKIP_UI true");
    assert_eq!(phone.state().alarms.len(), 1);
    assert!(phone.shell("dumpsys alarm").stdout.contains("07:30:00.000"));
    let nodes = phone.nodes();
    assert!(
        nodes
            .iter()
            .any(|node| node.text.starts_with("7:30") || node.text == "07:30")
    );
    let switch = nodes
        .iter()
        .find(|node| node.class == "android.widget.Switch")
        .expect("the alarm has a switch");
    let (x, y) = switch.rect.center();
    phone.tap(x, y);
    assert!(!phone.shell("dumpsys alarm").stdout.contains("07:30:00.000"));
}

#[test]
fn a_device_ignores_writes_to_radios() {
    let mut phone = Phone::new(2, Display::HALF);
    phone.shell("svc wifi enable");
    phone.state_mut().settings.as_device = true;
    phone.shell("settings put global wifi_on 0");
    assert_eq!(phone.shell("settings get global wifi_on").stdout, "0\n");
    assert!(phone.state().on(Toggle::Wifi), "the radio stays on");
    phone.shell("svc wifi disable");
    assert_eq!(phone.state().settings.get(Table::Global, "wifi_on"), Some("0"));
    assert!(!phone.state().on(Toggle::Wifi));
}
