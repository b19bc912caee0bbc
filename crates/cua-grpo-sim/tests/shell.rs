//! The contract of the shell: every command that tasks and validators use.
#![allow(clippy::unwrap_used)]

use cua_grpo_sim::Phone;

#[test]
fn the_shell_keeps_its_contract() {
    let mut phone = Phone::new(1);
    // On a phone that greets, the first press ends the greeting.
    phone.shell("input keyevent KEYCODE_BACK");
    phone.shell("input keyevent KEYCODE_HOME");
    let settings = [
        ("global", "wifi_on"),
        ("global", "bluetooth_on"),
        ("global", "airplane_mode_on"),
        ("global", "zen_mode"),
        ("global", "low_power"),
        ("global", "mobile_data"),
        ("system", "screen_brightness"),
        ("system", "screen_off_timeout"),
        ("system", "accelerometer_rotation"),
        ("secure", "location_mode"),
        ("secure", "ui_night_mode"),
    ];
    for (namespace, key) in settings {
        let first = phone.shell(&format!("settings get {namespace} {key}"));
        assert!(
            first.stdout.trim().parse::<u32>().is_ok(),
            "{key} is a bare number: {first:?}"
        );
        phone.shell(&format!("settings put {namespace} {key} 1"));
        assert_eq!(phone.shell(&format!("settings get {namespace} {key}")).stdout, "1\n");
    }
    let focus = "dumpsys window | grep mCurrentFocus || dumpsys activity | grep mResumedActivity";
    let settings_page = "com.android.settings/com.android.settings.Settings$DisplaySettingsActivity";
    let table: [(&str, i32, &str); 22] = [
        (
            "am start -n 'com.android.settings/.Settings$DisplaySettingsActivity'",
            0,
            "Starting: Intent { cmp=com.android.settings/.Settings$DisplaySettingsActivity }\n",
        ),
        (
            focus,
            0,
            "  mCurrentFocus=Window{a1b2c3 u0 com.android.settings/com.android.settings.Settings$DisplaySettingsActivity}\n",
        ),
        (
            "dumpsys activity | grep mResumedActivity",
            0,
            "  mResumedActivity: ActivityRecord{d4e5f6 u0 com.android.settings/com.android.settings.Settings$DisplaySettingsActivity t12}\n",
        ),
        (
            "am start -n com.android.settings/.Settings$DisplaySettingsActivity",
            0,
            "Starting: Intent { cmp=com.android.settings/.Settings }\n",
        ),
        (
            "am start -n \"com.android.settings/com.android.settings.Settings\\$AboutActivity\"",
            0,
            "Starting: Intent { cmp=com.android.settings/com.android.settings.Settings$AboutActivity }\n",
        ),
        ("am start -n com.nobody/.Nothing", 1, ""),
        ("input keyevent KEYCODE_BACK", 0, ""),
        ("input keyevent KEYCODE_HOME", 0, ""),
        (
            focus,
            0,
            "  mCurrentFocus=Window{a1b2c3 u0 com.android.launcher3/com.android.launcher3.Launcher}\n",
        ),
        (
            "settings get global bluetooth_on || settings get secure bluetooth_on",
            0,
            "1\n",
        ),
        ("settings get global never_set", 0, "null\n"),
        ("settings get everywhere wifi_on", 255, ""),
        (
            "content insert --uri content://alarms --bind time:s:07:30 --bind enabled:i:0",
            0,
            "",
        ),
        (
            "content query --uri content://alarms | grep 07:30 | grep enabled=0 && echo yes",
            0,
            "",
        ),
        (
            "content update --uri content://alarms --bind enabled:i:1 --where time=07:30",
            0,
            "",
        ),
        ("content query --uri content://alarms | grep enabled=0", 1, ""),
        ("content insert --uri content://alarms --bind time:s:nine", 1, ""),
        (
            "echo one 'two  three'; echo \"$nothing\"four",
            0,
            "one two  three\nfour\n",
        ),
        ("echo a | grep b || echo c", 0, "c\n"),
        ("rm -rf /", 127, ""),
        ("dumpsys nothing", 1, ""),
        ("echo 'open", 2, ""),
    ];
    for alarm in ["05:45", "06:10", "06:50", "07:15", "08:05", "09:20", "10:40", "21:35"] {
        phone.shell(&format!(
            "content update --uri content://alarms --bind enabled:i:1 --where time={alarm}"
        ));
    }
    for (command, exit_code, stdout) in table {
        let output = phone.shell(command);
        assert_eq!(output.exit_code, exit_code, "{command}: {output:?}");
        if !stdout.is_empty() {
            assert_eq!(output.stdout, stdout, "{command}");
        }
        assert_eq!(
            output.stderr.is_empty(),
            exit_code == 0 || command.contains("grep"),
            "{command}: {output:?}"
        );
    }
    assert!(
        phone
            .shell("content query --uri content://alarms")
            .stdout
            .starts_with("Row: 0 time=")
    );
    assert_eq!(phone.alarms().iter().filter(|alarm| alarm.time == "07:30").count(), 1);
    phone.shell("am start -n 'com.android.settings/.Settings$DisplaySettingsActivity'");
    assert!(phone.screen().component() == settings_page);
}
