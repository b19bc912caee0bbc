//! The commands of the phone's shell.

use crate::{
    phone::{Alarm, Key, Phone, Screen},
    shell::ShellOutput,
};
use cua_grpo_android::names::{App, Page};
use cua_grpo_phone::state::Table;

/// Runs one command with its arguments and what was piped into it.
pub(crate) fn run(phone: &mut Phone, name: &str, arguments: &[&str], input: &str) -> ShellOutput {
    match name {
        "settings" => settings(phone, arguments),
        "dumpsys" => dumpsys(phone, arguments),
        "am" => activity_manager(phone, arguments),
        "input" => keyevent(phone, arguments),
        "content" => content(phone, arguments),
        "grep" => grep(arguments, input),
        "echo" => ShellOutput::ok(arguments.join(" ") + "\n"),
        other => ShellOutput::fail(127, format!("sh: {other}: inaccessible or not found")),
    }
}

fn settings(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let usage = || {
        ShellOutput::fail(
            255,
            "settings: expected get|put|delete|list global|system|secure [KEY [VALUE]]",
        )
    };
    let Some(table) = arguments.get(1).and_then(|name| Table::parse(name)) else {
        return usage();
    };
    match *arguments {
        ["get", _, key] => ShellOutput::ok(format!("{}\n", phone.settings.get(table, key).unwrap_or("null"))),
        ["put", _, key, value] if !phone.settings.has_room(key.len() + value.len()) => {
            ShellOutput::fail(1, "settings: database or disk is full")
        }
        ["put", _, key, value] => {
            phone.settings.put(table, key, value);
            ShellOutput::default()
        }
        ["delete", _, key] => {
            let count = u8::from(phone.settings.delete(table, key));
            ShellOutput::ok(format!("Deleted {count} rows\n"))
        }
        ["list", _] => ShellOutput::ok(phone.settings.list(table)),
        _ => usage(),
    }
}

fn dumpsys(phone: &Phone, arguments: &[&str]) -> ShellOutput {
    let component = phone.component();
    match arguments.first() {
        Some(&"window") => {
            // A start-up dialog is a window of its own, and the focus is on it.
            let window = phone
                .startup()
                .map_or(component.clone(), |startup| startup.title.clone());
            ShellOutput::ok(format!(
                "WINDOW MANAGER WINDOWS (dumpsys window windows)\n  mCurrentFocus=Window{{a1b2c3 u0 {window}}}\n  \
                 mFocusedApp=ActivityRecord{{d4e5f6 u0 {component} t12}}\n"
            ))
        }
        Some(&"activity") => ShellOutput::ok(format!(
            "ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)\n  \
             mResumedActivity: ActivityRecord{{d4e5f6 u0 {component} t12}}\n"
        )),
        other => ShellOutput::fail(1, format!("Can't find service: {}", other.unwrap_or(&"(none)"))),
    }
}

fn activity_manager(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let ["start", "-n", component] = *arguments else {
        return ShellOutput::fail(1, "am: expected start -n PACKAGE/ACTIVITY");
    };
    let full = component.replacen(
        "/.",
        &format!("/{}.", component.split('/').next().unwrap_or_default()),
        1,
    );
    let apps = App::ALL.into_iter().map(Screen::of);
    let pages = Page::ALL.into_iter().map(Screen::SettingsPage);
    let mut screens = apps.chain(pages).chain([Screen::Launcher, Screen::NoteEditor]);
    match screens.find(|screen| screen.component() == full) {
        Some(screen) => {
            phone.start(screen);
            ShellOutput::ok(format!("Starting: Intent {{ cmp={component} }}\n"))
        }
        None => ShellOutput::fail(
            1,
            format!("Error type 3\nError: Activity class {{{full}}} does not exist."),
        ),
    }
}

fn keyevent(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let key = match *arguments {
        ["keyevent", "KEYCODE_HOME" | "HOME" | "3"] => Key::Home,
        ["keyevent", "KEYCODE_BACK" | "BACK" | "4"] => Key::Back,
        ["keyevent", "KEYCODE_ENTER" | "ENTER" | "66"] => Key::Enter,
        ["keyevent", "KEYCODE_DEL" | "DEL" | "67"] => Key::Backspace,
        _ => {
            return ShellOutput::fail(
                1,
                "input: expected keyevent KEYCODE_HOME|KEYCODE_BACK|KEYCODE_ENTER|KEYCODE_DEL",
            );
        }
    };
    phone.key(key);
    ShellOutput::default()
}

/// The values behind each `--name`.
fn option<'a>(arguments: &[&'a str], name: &str) -> Vec<&'a str> {
    arguments
        .windows(2)
        .filter(|pair| pair[0] == name)
        .map(|pair| pair[1])
        .collect()
}

/// The value that `--bind name:type:value` gives to a column.
fn bound<'a>(arguments: &[&'a str], column: &str) -> Option<&'a str> {
    option(arguments, "--bind").into_iter().find_map(|bind| {
        let mut parts = bind.splitn(3, ':');
        (parts.next() == Some(column)).then(|| parts.nth(1)).flatten()
    })
}

fn content(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let uri = option(arguments, "--uri").first().copied().unwrap_or_default();
    match (arguments.first().copied().unwrap_or_default(), uri) {
        ("query", "content://notes") => rows(phone.notes.iter().map(|note| format!("text={note}"))),
        ("query", "content://alarms") => {
            let row = |alarm: &Alarm| format!("time={}, enabled={}", alarm.time, u8::from(alarm.enabled));
            rows(phone.alarms.iter().map(row))
        }
        ("insert", "content://alarms") => {
            let Some(time) = bound(arguments, "time").filter(|time| is_time(time)) else {
                return ShellOutput::fail(1, "content: expected --bind time:s:HH:MM");
            };
            let enabled = bound(arguments, "enabled") != Some("0");
            // The time is the key of an alarm: inserting it again replaces the row.
            phone.alarms.retain(|alarm| alarm.time != time);
            phone.alarms.push(Alarm {
                time: time.to_owned(),
                enabled,
            });
            phone.alarms.sort_by(|a, b| a.time.cmp(&b.time));
            ShellOutput::default()
        }
        ("update", "content://alarms") => {
            let Some(enabled) = bound(arguments, "enabled") else {
                return ShellOutput::fail(1, "content: expected --bind enabled:i:0 or 1");
            };
            let wanted = match option(arguments, "--where").first() {
                None => None,
                Some(condition) => match condition.split_once('=') {
                    Some(("time", time)) => Some(time.trim_matches(['\'', '"'])),
                    _ => return ShellOutput::fail(1, "content: expected --where time=HH:MM"),
                },
            };
            for alarm in &mut phone.alarms {
                if wanted.is_none_or(|time| alarm.time == time) {
                    alarm.enabled = enabled != "0";
                }
            }
            ShellOutput::default()
        }
        (verb, uri) => ShellOutput::fail(1, format!("content: {verb:?} of {uri:?} is not supported here")),
    }
}

fn rows(rows: impl Iterator<Item = String>) -> ShellOutput {
    let text: String = rows
        .enumerate()
        .map(|(index, row)| format!("Row: {index} {row}\n"))
        .collect();
    ShellOutput::ok(if text.is_empty() {
        "No result found.\n".to_owned()
    } else {
        text
    })
}

fn is_time(text: &str) -> bool {
    let part = |part: &str, limit: u8| part.len() == 2 && part.parse::<u8>().is_ok_and(|value| value < limit);
    text.split_once(':')
        .is_some_and(|(hours, minutes)| part(hours, 24) && part(minutes, 60))
}

fn grep(arguments: &[&str], input: &str) -> ShellOutput {
    let (pattern, fold) = match *arguments {
        ["-i", pattern] => (pattern.to_lowercase(), true),
        [pattern] if !pattern.starts_with('-') => (pattern.to_owned(), false),
        _ => return ShellOutput::fail(2, "grep: expected [-i] TEXT"),
    };
    let holds = |line: &&str| {
        if fold {
            line.to_lowercase().contains(&pattern)
        } else {
            line.contains(&pattern)
        }
    };
    let stdout: String = input.lines().filter(holds).map(|line| format!("{line}\n")).collect();
    let exit_code = i32::from(stdout.is_empty());
    ShellOutput {
        stdout,
        stderr: String::new(),
        exit_code,
    }
}
