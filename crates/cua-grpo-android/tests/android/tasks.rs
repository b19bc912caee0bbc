//! Tasks: reproducible, disjoint, and consistent with their own checks.

use cua_grpo_android::names::*;
use cua_grpo_android::tasks::*;
use cua_grpo_android::{PhoneKind, matches};
use cua_grpo_core::{Task, TaskSource};
use std::collections::{BTreeSet, HashMap};

fn many(split: Split, count: u64) -> Vec<Task> {
    let source = TemplateTasks::new(7, split);
    (0..count).map(|cursor| source.task(cursor)).collect()
}

#[test]
fn equal_cursors_give_equal_tasks_in_any_order() {
    let (first, second) = (TemplateTasks::new(7, Split::Train), TemplateTasks::new(7, Split::Train));
    let forward: Vec<Task> = (0..50).map(|cursor| first.task(cursor)).collect();
    let backward: Vec<Task> = (0..50).rev().map(|cursor| second.task(cursor)).collect();
    assert!(forward.iter().eq(backward.iter().rev()));
    assert_ne!(
        forward,
        (0..50)
            .map(|cursor| TemplateTasks::new(8, Split::Train).task(cursor))
            .collect::<Vec<_>>()
    );
}

#[test]
fn splits_share_no_instance_whatever_their_seeds() {
    assert!(
        many(Split::Train, 2000)
            .iter()
            .all(|task| task.seed % 2 == 0 && task.seed < 1 << 53)
    );
    assert!(
        many(Split::Eval, 2000)
            .iter()
            .all(|task| task.seed % 2 == 1 && task.seed < 1 << 53)
    );
    let ids: BTreeSet<String> = many(Split::Train, 2000).into_iter().map(|task| task.id).collect();
    assert_eq!(ids.len(), 2000, "an instance came twice");
}

#[test]
fn every_block_holds_every_template_once() {
    assert!(TEMPLATES.len() >= 14);
    for block in many(Split::Train, 3 * TEMPLATES.len() as u64).chunks(TEMPLATES.len()) {
        let names: BTreeSet<&str> = block.iter().map(|task| task.template.as_str()).collect();
        assert_eq!(names, TEMPLATES.iter().map(|template| template.id).collect());
    }
    let some = TemplateTasks::with_templates(1, Split::Train, &["wifi", "alarm"]).unwrap();
    let names: BTreeSet<String> = (0..2).map(|cursor| some.task(cursor).template).collect();
    assert_eq!(names, BTreeSet::from(["wifi".to_owned(), "alarm".to_owned()]));
    let error = TemplateTasks::with_templates(1, Split::Train, &["wlan"])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"wlan\"") && error.contains("airplane_off_wifi_on"),
        "{error}"
    );
}

/// The answers of a device on which only `settings put` was ever called.
fn settings_after(commands: &[String]) -> HashMap<String, String> {
    let puts = commands
        .iter()
        .filter_map(|command| command.strip_prefix("settings put "));
    puts.map(|put| put.rsplit_once(' ').unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn setup_leaves_something_to_do_and_goals_agree_with_checks() {
    let mut partial = 0;
    for task in many(Split::Train, 4000) {
        assert!(!task.instruction.contains(['{', '}']), "{}", task.instruction);
        let goals: GoalList = task.tags["goal"].parse().unwrap();
        let state: TaskState = task.payload().unwrap();
        assert_eq!(
            goals
                .0
                .iter()
                .map(|goal| goal.check(PhoneKind::Small))
                .collect::<Vec<_>>(),
            state.checks
        );
        assert!(!state.checks.is_empty());
        let settings = settings_after(&state.setup);
        let mut held = 0;
        for check in &state.checks {
            assert!(
                matches(&check.expect, "").is_ok(),
                "{} is no regular expression",
                check.expect
            );
            if let Some(key) = check.command.strip_prefix("settings get ") {
                held += usize::from(matches(&check.expect, &settings[key]).unwrap());
            }
        }
        assert!(held < state.checks.len(), "nothing to do: {task:?}");
        partial += usize::from(held > 0);
    }
    assert!(partial > 100, "compound tasks never start half done: {partial}");
}

#[test]
fn setting_a_goal_done_makes_its_check_hold() {
    use rand::SeedableRng;
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let text = "toggle:wifi=on;toggle:dark_theme=off;toggle:dnd=on;toggle:location=on;slider:brightness=medium;\
                choice:timeout=15000";
    for goal in text.parse::<GoalList>().unwrap().0 {
        let check = goal.check(PhoneKind::Small);
        for done in [true, false] {
            let settings = settings_after(&goal.set(done, PhoneKind::Small, &mut rng).unwrap());
            let key = check.command.strip_prefix("settings get ").unwrap();
            assert_eq!(
                matches(&check.expect, &settings[key]).unwrap(),
                done,
                "{goal} {settings:?}"
            );
        }
    }
}

#[test]
fn brightness_levels_cover_the_slider_once() {
    for value in 0..=255_u8 {
        for level in Level::ALL {
            let expected = Level::of(value) == level;
            assert_eq!(
                matches(level.pattern(), &value.to_string()).unwrap(),
                expected,
                "{value} {level:?}"
            );
        }
    }
    assert!(
        Level::ALL
            .iter()
            .all(|level| Level::of(level.middle()) == *level && !matches(level.pattern(), "256").unwrap())
    );
}

#[test]
fn focus_and_rows_are_matched_whole() {
    let focus = |component: &str| format!("  mCurrentFocus=Window{{a1b2c3 u0 {component}}}\n");
    let display = "com.android.settings/com.android.settings.Settings$DisplaySettingsActivity";
    let table = [
        ("page:display", focus(display), true),
        (
            "page:display",
            focus("com.android.settings/.Settings$DisplaySettingsActivity"),
            true,
        ),
        ("page:sound", focus(display), false),
        ("page:display", focus(&display.replace("Activity", "Activity2")), false),
        ("app:settings", focus(display), true),
        ("app:clock", focus(display), false),
        ("app:music", focus("com.android.music/com.android.music.Music"), true),
        ("app:music", focus("xcom.android.music/.Music"), false),
        (
            "home",
            focus("com.android.launcher3/com.android.launcher3.Launcher"),
            true,
        ),
        ("home", "mCurrentFocus=null".to_owned(), false),
        (
            "note:buy milk",
            "Row: 0 text=call Anna\nRow: 1 text=buy milk\n".to_owned(),
            true,
        ),
        ("note:buy milk", "Row: 0 text=buy milk and bread\n".to_owned(), false),
        ("note:buy milk", "Row: 0 text=do not buy milk".to_owned(), false),
        ("note:a.c", "Row: 0 text=abc".to_owned(), false),
        (
            "alarm:07:30=on",
            "Row: 0 time=06:00, enabled=0\nRow: 1 time=07:30, enabled=1".to_owned(),
            true,
        ),
        (
            "alarm:07:30=on",
            "Row: 0 time=06:00, enabled=1\nRow: 1 time=07:30, enabled=0".to_owned(),
            false,
        ),
    ];
    for (goal, output, expected) in table {
        let check = goal.parse::<Goal>().unwrap().check(PhoneKind::Small);
        assert_eq!(matches(&check.expect, &output).unwrap(), expected, "{goal}: {output}");
    }
}
