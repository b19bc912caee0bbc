//! Steps of experts: in files, and from goals on the full phone.

use cua_grpo_android::PhoneKind;
use cua_grpo_android::tasks::*;

const STEPS: &str = r#"templates:
  - id: call_it
    category: own
    difficulty: easy
    max_turns: 12
    instructions: ["Turn {switch} {state} and write {text}."]
    parameters:
      switch: {choice: {wifi: Wi-Fi, dnd: do not disturb}}
      state: {choice: [on, off]}
      text: {choice: ['say "hi"', plain]}
    checks:
      - {command: "settings get global {switch}", equals: "{state}"}
    expert:
      - open "Settings"
      - switch "{switch}" {state}
      - 'type "{text}: {state}"'
"#;

fn load(text: &str) -> Result<Catalogue, TaskFileError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.yaml");
    std::fs::write(&file, text).unwrap();
    Catalogue::with_files(&[file])
}

#[test]
fn steps_are_filled_with_what_is_said() {
    let all = load(STEPS).unwrap();
    let template = &all.own()[0];
    assert!(template.is_for(PhoneKind::Pixel) && !template.is_for(PhoneKind::Small));
    assert!(template.has_expert(PhoneKind::Pixel) && !template.has_expert(PhoneKind::Small));
    for seed in 0..40 {
        let task = template.instance(seed, PhoneKind::Pixel);
        let state: TaskState = task.payload().unwrap();
        let steps: Vec<Step> = state.expert.iter().map(|step| step.parse().unwrap()).collect();
        assert_eq!(steps[0], Step::Open("Settings".to_owned()));
        let Step::Switch { what, on } = &steps[1] else {
            panic!("{steps:?}");
        };
        assert!(["Wi-Fi", "do not disturb"].contains(&what.as_str()));
        let word = if *on { "on" } else { "off" };
        assert!(
            task.instruction.contains(&format!("{what} {word}")),
            "{}",
            task.instruction
        );
        // A quote in a value stays within its text.
        let Step::Type { text, into: None } = &steps[2] else {
            panic!("{steps:?}");
        };
        assert!(
            [format!("say \"hi\": {word}"), format!("plain: {word}")].contains(text),
            "{text}"
        );
    }
    let refused = all.tasks::<&str>(1, Split::Train, &[]).unwrap().on(PhoneKind::Small);
    assert!(refused.unwrap_err().to_string().contains("call_it"));
}

#[test]
fn wrong_steps_are_told_by_line() {
    for (from, to, line, part) in [
        ("switch \"{switch}\" {state}", "flip \"{switch}\"", 15, "there are open"),
        (
            "switch \"{switch}\" {state}",
            "switch \"{switch}\" {text}",
            15,
            "there are open",
        ),
        ("open \"Settings\"", "open \"{app}\"", 14, "no parameter `app`"),
        ("open \"Settings\"", "open \"Settings", 14, "without its end"),
    ] {
        let error = load(&STEPS.replace(from, to)).unwrap_err().to_string();
        assert!(
            error.contains(&format!(":{line}:")) && error.contains(part),
            "{to}: {error}"
        );
    }
}

#[test]
fn goals_have_steps_and_commands_of_the_full_phone() {
    for text in [
        "toggle:wifi=on",
        "toggle:dnd=off",
        "slider:brightness=low",
        "choice:timeout=60000",
        "app:notes",
        "page:about",
        "home",
        "note:buy milk",
        "alarm:07:05=on",
    ] {
        let goal: Goal = text.parse().unwrap();
        assert!(!goal.steps().is_empty(), "{text}");
        for step in goal.steps() {
            assert_eq!(step.to_string().parse::<Step>().unwrap(), step);
        }
    }
    let alarm: Goal = "alarm:07:05=on".parse().unwrap();
    let check = alarm.check(PhoneKind::Pixel);
    let row = "Row: 0 hour=7, minutes=5, enabled=1\nRow: 1 hour=8, minutes=5, enabled=0\n";
    assert!(cua_grpo_android::matches(&check.expect, row).unwrap());
    assert!(!cua_grpo_android::matches(&check.expect, &row.replace("enabled=1", "enabled=0")).unwrap());
    // Without a kind of phone nothing has changed.
    let task = TemplateTasks::new(7, Split::Train);
    let state: TaskState = cua_grpo_core::TaskSource::task(&task, 0).payload().unwrap();
    assert!(state.expert.is_empty());
}

const SUMS: &str = r#"templates:
  - id: add_up
    category: own
    difficulty: hard
    max_turns: 12
    instructions: ["Add the two amounts of the note and {tip}."]
    hidden: [first, second]
    parameters:
      first: {integer: {from: 10, to: 400, step: 5}}
      second: {integer: {from: 10, to: 400}}
      tip: {integer: {from: 1, to: 9}}
      total: {sum: [first, second, tip]}
    setup:
      - "echo {first} {second} > /sdcard/amounts"
    checks:
      - {command: "cat /sdcard/total", equals: "{total}"}
    expert:
      - tap each of "{total}"
"#;

#[test]
fn a_sum_follows_from_its_parts() {
    let all = load(SUMS).unwrap_or_else(|error| panic!("{error}"));
    let mut totals = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let task = all.own()[0].instance(seed, PhoneKind::Pixel);
        let state: TaskState = task.payload().unwrap();
        let put = state.setup[0]
            .strip_prefix("echo ")
            .unwrap()
            .split_once(" >")
            .unwrap()
            .0;
        let tip = task.instruction.rsplit(' ').next().unwrap().trim_end_matches('.');
        let parts = put.split(' ').chain([tip]).map(|part| part.parse::<i64>().unwrap());
        let total = parts.sum::<i64>();
        assert_eq!(state.checks[0].expect, total.to_string());
        assert_eq!(state.expert, [format!("tap each of \"{total}\"")]);
        totals.insert(total);
    }
    assert!(totals.len() > 20, "{totals:?}");
}

#[test]
fn wrong_sums_are_told() {
    for (from, to, part) in [
        (
            "sum: [first, second, tip]",
            "sum: [first, other]",
            "`other` is no integer parameter",
        ),
        (
            "sum: [first, second, tip]",
            "sum: [total]",
            "`total` is no integer parameter",
        ),
        (
            "{integer: {from: 1, to: 9}}",
            "{choice: [\"1\", \"2\"]}",
            "`tip` is no integer parameter",
        ),
        ("and {tip}", "and a tip", "does not say {tip}"),
        ("hidden: [first, second]", "hidden: [first]", "does not say {second}"),
        ("echo {first} {second}", "echo {first}", "`second` is hidden"),
    ] {
        let error = load(&SUMS.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(part), "{to}: {error}");
    }
    // Who is told the sum needs no parts.
    load(&SUMS.replace("and {tip}", "so that {total} comes out")).unwrap();
}
