//! What an episode changed although its task did not ask for it: the phone's state is looked at before and after.

mod asked;
mod looks;

use crate::PhoneKind;
use crate::device::Device;
use crate::tasks::{Check, TaskState};
use looks::{Look, entries, looks};
use std::collections::BTreeMap;
use std::time::Duration;

/// What stands before each list, and after the last.
const MARK: &str = "=== ";
/// Changes that are told of one episode.
const MOST: usize = 50;
/// Characters of a value that is told.
const LONGEST: usize = 80;

/// Settings that follow from others, so that who asks for the first asks for these too; the first may be a command that
/// reads it.
const FOLLOWS: [(&str, &[&str]); 16] = [
    ("cmd uimode night", &["secure ui_night_mode", "secure dark_"]),
    ("volume --stream 0", &["system volume_voice"]),
    ("volume --stream 1", &["system volume_system"]),
    ("volume --stream 2", &["system volume_ring"]),
    ("volume --stream 3", &["system volume_music"]),
    ("volume --stream 4", &["system volume_alarm"]),
    ("volume --stream 5", &["system volume_notification"]),
    ("getprop persist.sys.timezone", &["global auto_time_zone"]),
    ("getprop persist.sys.locale", &["system system_locales"]),
    ("global device_name", &["secure bluetooth_name"]),
    (
        "global airplane_mode_on",
        &[
            "global wifi_on",
            "global bluetooth_on",
            "global mobile_data",
            "global cell_on",
        ],
    ),
    ("system screen_brightness", &["system screen_brightness_"]),
    ("secure location_mode", &["secure location_", "secure assisted_gps"]),
    ("secure ui_night_mode", &["secure ui_night_mode_", "secure dark_"]),
    ("global zen_mode", &["global zen_", "secure zen_"]),
    (
        "global low_power",
        &["global low_power_", "global automatic_power_save"],
    ),
];
/// Parts of settings that a phone changes by itself.
const RESTLESS: [&str; 8] = [
    "next_alarm",
    "last_",
    "timestamp",
    "_count",
    "uptime",
    "_token",
    "usage_",
    "multi_press",
];

/// The state of a phone: what there is of each kind, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    phone: PhoneKind,
    things: BTreeMap<(&'static str, String), String>,
}

impl Snapshot {
    /// Looks at a phone of a kind, by one command. `None` where it cannot tell.
    pub async fn take(device: &mut dyn Device, phone: PhoneKind, limit: Duration) -> Option<Self> {
        let output = device.query(&Self::command(phone), limit).await.ok()?;
        let whole = (output.exit_code == 0).then(|| Self::read(&output.stdout, phone));
        whole.flatten()
    }

    /// The command by which it looks. A phone that does not know a part of it lists nothing there, before and after.
    pub fn command(phone: PhoneKind) -> String {
        let list = |look: &Look| format!("echo '{MARK}{}'; {} 2>/dev/null; ", look.kind, look.command(phone));
        let lists: String = looks(phone).map(list).collect();
        format!("{lists}echo '{MARK}end'")
    }

    /// Reads what the command printed; `None` where the end is missing.
    pub fn read(text: &str, phone: PhoneKind) -> Option<Self> {
        let mut things = BTreeMap::new();
        let mark = format!("\n{MARK}");
        let (mut parts, mut whole) = (text.split(&mark), false);
        let first = parts.next().and_then(|part| part.strip_prefix(MARK));
        for part in first.into_iter().chain(parts) {
            let (name, list) = part.split_once('\n').unwrap_or((part, ""));
            whole = name.trim() == "end";
            let Some(look) = looks(phone).find(|look| look.kind == name.trim()) else {
                continue;
            };
            for entry in entries(look, list.lines()) {
                let (name, value) = look.thing(&entry);
                things.insert((look.kind, name), value);
            }
        }
        whole.then_some(Self { phone, things })
    }

    /// What is otherwise `after`, and is not what `task` asks for: `setting global wifi_on: 1 -> 0`.
    pub fn unasked(&self, after: &Self, task: &TaskState) -> Vec<String> {
        let mut names: Vec<&(&str, String)> = self.things.keys().chain(after.things.keys()).collect();
        names.sort();
        names.dedup();
        let changes = names.into_iter().filter_map(|key| {
            let change = Change {
                look: looks(self.phone).find(|look| look.kind == key.0)?,
                name: &key.1,
                before: self.things.get(key).map(String::as_str),
                after: after.things.get(key).map(String::as_str),
            };
            (change.before != change.after && !change.is_asked(task)).then(|| change.words())
        });
        changes.take(MOST).collect()
    }
}

struct Change<'a> {
    look: &'static Look,
    name: &'a str,
    before: Option<&'a str>,
    after: Option<&'a str>,
}

impl Change<'_> {
    fn words(&self) -> String {
        let value = |value: Option<&str>| match value {
            None => "none".to_owned(),
            Some("") => "there".to_owned(),
            Some(text) => text.chars().take(LONGEST).collect(),
        };
        format!("{}: {} -> {}", self.subject(), value(self.before), value(self.after))
    }

    /// `setting global wifi_on`, `package com.example`.
    fn subject(&self) -> String {
        format!("{} {}", self.look.kind, self.name)
    }

    fn is_asked(&self, task: &TaskState) -> bool {
        let subject = self.subject();
        if task.may_change.iter().any(|begin| subject.starts_with(begin.as_str())) {
            return true;
        }
        match self.look.kind.strip_prefix("setting ") {
            Some(table) => {
                let setting = format!("{table} {}", self.name);
                let follows = |check: &Check| {
                    FOLLOWS.iter().any(|(asked, others)| {
                        names(&check.command, asked) && others.iter().any(|other| setting.starts_with(other))
                    })
                };
                RESTLESS.iter().any(|part| self.name.contains(part))
                    || task
                        .checks
                        .iter()
                        .any(|check| names(&check.command, &setting) || follows(check))
            }
            None => task.checks.iter().any(|check| self.is_what(check)),
        }
    }

    /// Whether a check asks for this thing.
    fn is_what(&self, check: &Check) -> bool {
        if self.look.columns.is_empty() {
            let plain = check.expect.replace('\\', "");
            let found = self.look.kind == "file" && asked::is_found(self.name, check);
            return found || check.command.contains(self.name) || plain.contains(self.name);
        }
        let cells = |value: Option<&str>| value.map(|value| self.look.cells(self.name, value));
        let (before, after) = (cells(self.before), cells(self.after));
        asked::is_asked(self.look, before.as_ref(), after.as_ref(), check)
    }
}

/// Whether a command has `words` as whole words.
fn names(command: &str, words: &str) -> bool {
    let part = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    command
        .match_indices(words)
        .any(|(at, _)| !part(command[..at].chars().next_back()) && !part(command[at + words.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Goal;

    fn snapshot(settings: &str, rows: &str) -> Snapshot {
        let text = format!("=== setting global\n{settings}=== package\npackage:com.a\n{rows}=== end\n");
        Snapshot::read(&text, PhoneKind::Small).unwrap()
    }

    fn task(goals: &[&str]) -> TaskState {
        let checks = goals
            .iter()
            .map(|goal| goal.parse::<Goal>().unwrap().check(crate::PhoneKind::default()));
        TaskState {
            checks: checks.collect(),
            ..Default::default()
        }
    }

    #[test]
    fn what_the_task_asks_for_is_no_side_effect_and_everything_else_is() {
        let before = snapshot(
            "wifi_on=0\nbluetooth_on=1\nboot_count=3\n",
            "=== alarm\nRow: 0 time=07:30, enabled=0\nRow: 1 time=08:00, enabled=1\n",
        );
        let after = snapshot(
            "wifi_on=1\nbluetooth_on=0\nboot_count=4\n",
            "=== alarm\nRow: 0 time=07:30, enabled=1\n=== note\nRow: 0 text=buy milk\n",
        );
        let unasked = |goals: &[&str]| before.unasked(&after, &task(goals));
        let (bluetooth, alarm) = (
            "setting global bluetooth_on: 1 -> 0",
            "alarm time=08:00: enabled=1 -> none",
        );
        assert_eq!(
            unasked(&["toggle:wifi=on", "alarm:07:30=on", "note:buy milk"]),
            [alarm, bluetooth]
        );
        assert!(unasked(&["toggle:wifi=on"]).contains(&"note text=buy milk: none -> there".to_owned()));
        // Another note than the one that was asked for.
        assert_eq!(unasked(&["toggle:wifi=on", "note:buy tea", "alarm:07:30=on"]).len(), 3);
        // An alarm that was to be off and is on.
        assert_eq!(
            unasked(&["alarm:07:30=off"])
                .iter()
                .filter(|line| line.contains("07:30"))
                .count(),
            1
        );
        // Airplane mode takes the radios with it.
        let radios = unasked(&["toggle:airplane=on"]);
        assert!(radios.iter().all(|line| !line.contains("_on")), "{radios:?}");
        let mut allowed = task(&["toggle:wifi=on"]);
        allowed.may_change = vec!["setting global bluetooth".into(), "alarm ".into(), "note ".into()];
        assert_eq!(before.unasked(&after, &allowed), Vec::<String>::new());
        assert_eq!(before.unasked(&before, &task(&[])), Vec::<String>::new());
    }

    #[test]
    fn names_are_whole_and_a_torn_answer_tells_nothing() {
        assert!(names("settings get global wifi_on", "global wifi_on"));
        assert!(!names("settings get global wifi_only", "global wifi_on"));
        assert_eq!(
            Snapshot::read("=== setting global\nwifi_on=1\n", PhoneKind::Small),
            None
        );
    }
}
