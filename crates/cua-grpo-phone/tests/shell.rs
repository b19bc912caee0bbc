//! Outputs of the shell, as `android-facts` and AOSP have them.

use cua_grpo_phone::{Phone, state::Display};

fn phone() -> Phone {
    Phone::new(11, Display::PIXEL)
}

#[test]
fn settings_print_what_android_prints() {
    let mut phone = phone();
    assert_eq!(phone.shell("settings get global no_such_key").stdout, "null\n");
    assert_eq!(phone.shell("settings put global x y").stdout, "");
    assert_eq!(phone.shell("settings get global x").stdout, "y\n");
    assert_eq!(phone.shell("settings delete global x").stdout, "Deleted 1 rows\n");
    assert_eq!(phone.shell("settings delete global x").stdout, "Deleted 0 rows\n");
    let list = phone.shell("settings list system").stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines.is_sorted() && lines.iter().all(|line| line.contains('=')));
    for (line, complaint) in [
        ("settings frob global x", "Invalid command: frob\n"),
        ("settings get nowhere x", "Invalid namespace 'nowhere'\n"),
        ("settings get global", "Bad arguments\n"),
        ("settings get global a b", "Too many arguments\n"),
    ] {
        let output = phone.shell(line);
        assert_eq!((output.exit_code, output.stderr.as_str()), (255, complaint), "{line}");
    }
}

#[test]
fn unknown_things_fail_as_on_a_device() {
    let mut phone = phone();
    let output = phone.shell("foo bar");
    assert_eq!(
        (output.exit_code, output.stderr.as_str()),
        (127, "/system/bin/sh: foo: inaccessible or not found\n")
    );
    let output = phone.shell("dumpsys NOSUCH");
    assert_eq!(
        (output.exit_code, output.stderr.as_str()),
        (0, "Can't find service: NOSUCH\n")
    );
    let output = phone.shell("cmd nosuch");
    assert_eq!(
        (output.exit_code, output.stderr.as_str()),
        (20, "cmd: Can't find service: nosuch\n")
    );
    let output = phone.shell("ls /sdcard/nothing");
    assert_eq!(
        (output.exit_code, output.stderr.as_str()),
        (1, "ls: /sdcard/nothing: No such file or directory\n")
    );
    assert_eq!(phone.shell("input tap a b").exit_code, 255);
    assert_eq!(phone.shell("input BAD").exit_code, 0);
}

#[test]
fn activities_start_and_are_told() {
    let mut phone = phone();
    let start = phone.shell("am start -n com.android.settings/.Settings");
    assert_eq!(
        start.stdout,
        "Starting: Intent { cmp=com.android.settings/.Settings }\n"
    );
    let again = phone.shell("am start -n com.android.settings/.Settings");
    assert!(
        again
            .stdout
            .ends_with("Warning: Activity not started, its current task has been brought to the front\n")
    );
    phone.shell("am start -n 'com.android.settings/.Settings$DisplaySettingsActivity'");
    let window = phone.shell("dumpsys window displays").stdout;
    assert!(window.contains("mCurrentFocus=Window{48b4735 u0 com.android.settings/com.android.settings.Settings$DisplaySettingsActivity}"), "{window}");
    assert!(
        window.contains("init=1080x2400 420dpi cur=1080x2400 app=1080x2337"),
        "{window}"
    );
    let top = phone.shell("dumpsys activity activities | grep ResumedActivity").stdout;
    assert!(
        top.contains(
            "topResumedActivity=ActivityRecord{d9b8281 u0 com.android.settings/.Settings$DisplaySettingsActivity t"
        ),
        "{top}"
    );
    let missing = phone.shell("am start -n com.no/.Such");
    assert_eq!(
        (missing.exit_code, missing.stderr.as_str()),
        (
            0,
            "Error type 3\nError: Activity class {com.no/com.no.Such} does not exist.\n"
        )
    );
    let unresolved = phone.shell("am start -a no.such.ACTION");
    assert_eq!(
        unresolved.stderr,
        "Error: Activity not started, unable to resolve Intent { act=no.such.ACTION }\n"
    );
    assert_eq!(
        phone
            .shell("monkey -p com.no -c android.intent.category.LAUNCHER 1")
            .stderr,
        "** No activities found to run, monkey aborted.\n"
    );
    phone.shell("cmd statusbar expand-notifications");
    assert!(phone.shell("dumpsys window").stdout.contains("u0 NotificationShade}"));
    let home = phone
        .shell("cmd package resolve-activity --brief -a android.intent.action.MAIN -c android.intent.category.HOME")
        .stdout;
    assert_eq!(
        home.lines().last(),
        Some("com.google.android.apps.nexuslauncher/.NexusLauncherActivity")
    );
}

#[test]
fn every_page_of_the_settings_opens_by_its_action() {
    let mut phone = phone();
    for (action, title) in [
        ("WIFI_SETTINGS", "Internet"),
        ("BLUETOOTH_SETTINGS", "Connected devices"),
        ("DISPLAY_SETTINGS", "Display"),
        ("SOUND_SETTINGS", "Sound & vibration"),
        ("BATTERY_SAVER_SETTINGS", "Battery Saver"),
        ("LOCATION_SOURCE_SETTINGS", "Location"),
        ("DATE_SETTINGS", "Date & time"),
        ("LOCALE_SETTINGS", "Languages"),
        ("INTERNAL_STORAGE_SETTINGS", "Storage"),
        ("SECURITY_SETTINGS", "Security & privacy"),
        ("ACCESSIBILITY_SETTINGS", "Accessibility"),
        ("DEVICE_INFO_SETTINGS", "About phone"),
        ("APPLICATION_DEVELOPMENT_SETTINGS", "Developer options"),
        ("NOTIFICATION_SETTINGS", "Notifications"),
    ] {
        let output = phone.shell(&format!("am start -a android.settings.{action}"));
        assert_eq!(output.stderr, "", "{action}");
        assert!(
            phone.nodes().iter().any(|node| node.text == title),
            "{action} shows {title}"
        );
    }
}

#[test]
fn providers_are_read_and_written() {
    let mut phone = phone();
    phone.shell("content delete --uri content://sms");
    assert_eq!(
        phone.shell("content query --uri content://sms").stdout,
        "No result found.\n"
    );
    phone.shell(
        "content insert --uri content://sms/inbox --bind address:s:+1111 --bind body:s:Hi --bind date:l:1700000000000",
    );
    let rows = phone
        .shell("content query --uri content://sms/inbox --projection address:body:read")
        .stdout;
    assert_eq!(rows, "Row: 0 address=+1111, body=Hi, read=0\n");
    phone.shell("content update --uri content://sms --bind read:i:1 --where \"address='+1111'\"");
    assert!(
        phone
            .shell("content query --uri content://sms --projection read")
            .stdout
            .contains("read=1")
    );
    let name = "content query --uri content://com.android.calendar/events --projection title --where \"title LIKE 'Dent%' AND allDay=0\"";
    phone.shell("content delete --uri content://com.android.calendar/events");
    phone.shell("content insert --uri content://com.android.calendar/events --bind calendar_id:i:1 --bind title:s:Dentist --bind dtstart:l:1745000000000 --bind dtend:l:1745003600000");
    assert_eq!(phone.shell(name).stdout, "Row: 0 title=Dentist\n");
    let wrong = phone.shell("content query --uri content://nothing/at/all");
    assert!(wrong.exit_code == 0 && wrong.stderr.starts_with("Error while accessing provider:nothing\n"));
    phone.shell("content insert --uri content://settings/global --bind name:s:abc --bind value:s:5");
    assert_eq!(phone.shell("settings get global abc").stdout, "5\n");
}

#[test]
fn the_dump_is_in_the_form_of_uiautomator() {
    let mut phone = phone();
    phone.shell("am start -a android.settings.LOCATION_SOURCE_SETTINGS");
    assert_eq!(
        phone.shell("uiautomator dump").stdout,
        "UI hierchary dumped to: /sdcard/window_dump.xml\n"
    );
    let text = phone.shell("cat /sdcard/window_dump.xml").stdout;
    assert!(text.starts_with("<?xml version='1.0' encoding='UTF-8' standalone='yes' ?><hierarchy rotation=\"0\"><node index=\"0\" text=\"\" resource-id=\"android:id/content\" class=\"android.widget.FrameLayout\" package=\"com.android.settings\" content-desc=\"\" checkable=\"false\" checked=\"false\" clickable=\"false\" enabled=\"true\" focusable=\"false\" focused=\"false\" scrollable=\"false\" long-clickable=\"false\" password=\"false\" selected=\"false\" bounds=\"[0,0][1080,2400]\">"), "{}", &text[..600]);
    assert!(text.contains(
        "text=\"Use location\" resource-id=\"com.android.settings:id/switch_text\" class=\"android.widget.TextView\""
    ));
    assert!(
        !text.contains("com.android.systemui"),
        "the status bar is a window of its own"
    );
}

#[test]
fn devices_tell_of_themselves() {
    let mut phone = phone();
    assert_eq!(phone.shell("wm size").stdout, "Physical size: 1080x2400\n");
    phone.shell("wm density 540");
    assert_eq!(
        phone.shell("wm density").stdout,
        "Physical density: 420\nOverride density: 540\n"
    );
    assert_eq!(phone.shell("wm density 20").stderr, "Error: density must be >= 72\n");
    assert_eq!(phone.shell("getprop ro.build.version.sdk").stdout, "34\n");
    assert!(phone.shell("getprop").stdout.contains("[sys.boot_completed]: [1]\n"));
    phone.shell("cmd battery unplug");
    let battery = phone.shell("dumpsys battery").stdout;
    assert!(
        battery.starts_with(
            "Current Battery Service state:\n  (UPDATES STOPPED -- use 'reset' to restart)\n  AC powered: false\n"
        ),
        "{battery}"
    );
    assert!(battery.contains("  status: 3\n"));
    phone.shell("cmd notification post -t Bill tag1 'Pay by Friday'");
    let record = phone.shell("dumpsys notification --noredact").stdout;
    assert!(
        record.contains("android.title=String (Bill)") && record.contains("android.text=String (Pay by Friday)"),
        "{record}"
    );
    assert!(
        phone
            .shell("cmd notification list")
            .stdout
            .starts_with("0|com.android.shell|")
    );
    for name in ["pm", "cmd package"] {
        for half in ["list users", "list", "clear", "grant", "revoke a", "path", "path a b"] {
            assert_eq!(phone.shell(&format!("{name} {half}")).exit_code, 255, "{name} {half}");
        }
    }
    phone.shell("pm revoke com.google.android.GoogleCamera android.permission.CAMERA");
    assert!(
        phone
            .shell("dumpsys package com.google.android.GoogleCamera")
            .stdout
            .contains("android.permission.CAMERA: granted=false")
    );
    phone.shell("mkdir -p /sdcard/Documents/new; cp /sdcard/Documents /sdcard/Download");
    assert!(
        phone
            .shell("find /sdcard/Download -name new")
            .stdout
            .contains("/sdcard/Download/Documents/new")
    );
    phone.shell("cmd alarm set-timezone Asia/Tokyo");
    assert_eq!(phone.shell("getprop persist.sys.timezone").stdout, "Asia/Tokyo\n");
}

fn lines(phone: &mut Phone, commands: &[(&str, &str)]) {
    for (command, wanted) in commands {
        let output = phone.shell(command);
        assert_eq!(
            (output.stdout.trim(), output.exit_code),
            (*wanted, 0),
            "{command}: {}",
            output.stderr
        );
    }
}

#[test]
fn what_apps_keep_is_read_and_written() {
    let mut phone = phone();
    lines(
        &mut phone,
        &[
            ("content delete --uri content://com.google.android.gm/mails", ""),
            (
                "content insert --uri content://com.google.android.gm/mails --bind who:s:Ada --bind subject:s:'A lamp'",
                "",
            ),
            (
                "content update --uri content://com.google.android.gm/mails --bind starred:i:1 --where who=Ada",
                "",
            ),
            (
                "content query --uri content://com.google.android.gm/mails --projection who:subject:starred:sent",
                "Row: 0 who=Ada, subject=A lamp, starred=1, sent=0",
            ),
            (
                "content insert --uri content://com.example.market/cart --bind name:s:Umbrella --bind count:i:2",
                "",
            ),
            (
                "content query --uri content://com.example.market/cart --projection name:count",
                "Row: 0 name=Umbrella, count=2",
            ),
            ("content delete --uri content://com.example.market/cart", ""),
            (
                "content query --uri content://com.example.market/cart",
                "No result found.",
            ),
            (
                "content insert --uri content://com.android.chrome/bookmarks --bind url:s:a.example",
                "",
            ),
            (
                "content insert --uri content://com.android.chrome/bookmarks --bind url:s:b.example",
                "",
            ),
            (
                "content delete --uri content://com.android.chrome/bookmarks --where url=a.example",
                "",
            ),
            (
                "content query --uri content://com.android.chrome/bookmarks --projection url",
                "Row: 0 url=b.example",
            ),
            (
                "content insert --uri content://com.google.android.apps.youtube.music/playlists --bind name:s:'Late drive'",
                "",
            ),
            (
                "content query --uri content://com.google.android.apps.youtube.music/playlists --projection name:songs",
                "Row: 0 name=Late drive, songs=",
            ),
        ],
    );
    let refused = phone.shell("content insert --uri content://com.example.market/cart --bind name:s:Moon");
    assert!(refused.stderr.contains("the shop has no"), "{}", refused.stderr);
}

#[test]
fn the_shell_counts_compares_and_dates_files() {
    let mut phone = phone();
    lines(
        &mut phone,
        &[
            ("echo $((1 + 2 * 3)) \"$((1748908800 + 9*3600))000\"", "7 1748941200000"),
            ("test 3 -lt 2 || echo more", "more"),
            ("test on = on && echo same", "same"),
            (
                "echo x > /sdcard/DCIM/Camera/a.jpg && touch -d 2025-05-20T10:30:00 /sdcard/DCIM/Camera/a.jpg",
                "",
            ),
            ("stat -c %Y /sdcard/DCIM/Camera/a.jpg", "1747737000"),
            (
                "content insert --uri content://com.android.contacts/raw_contacts --bind _id:i:9001",
                "",
            ),
            (
                "content query --uri content://com.android.contacts/raw_contacts --projection _id --where _id=9001",
                "Row: 0 _id=9001",
            ),
            (
                "locksettings verify --old 1234",
                "Old password provided but user has no password",
            ),
            ("locksettings set-pin 1234", "Pin set to '1234'"),
            ("locksettings verify --old 4321", "Old password '4321' didn't match"),
            (
                "locksettings verify --old 1234",
                "Lock credential verified successfully",
            ),
        ],
    );
    assert_eq!(phone.shell("echo $((1 +))").exit_code, 2);
    assert_eq!(phone.shell("touch -d noon /sdcard/DCIM/Camera/a.jpg").exit_code, 1);
}
