//! Training and evaluation share no instruction, and apps that are held out are trained on nowhere.

use cua_grpo_android::tasks::*;
use cua_grpo_core::{Novelty, Task, TaskSource};
use std::collections::BTreeSet;

/// The built-in templates, and those of the repository besides.
fn shipped() -> [Catalogue; 2] {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/tasks");
    [Catalogue::built_in(), Catalogue::with_files(&[folder]).unwrap()]
}

fn load(text: &str) -> Result<Catalogue, TaskFileError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.yaml");
    std::fs::write(&file, text).unwrap();
    Catalogue::with_files(&[file])
}

fn source(all: &Catalogue, split: Split, by: InstanceSplit) -> TemplateTasks {
    let tasks = all.tasks::<&str>(5, split, &[]).unwrap();
    tasks.apart(by).unwrap()
}

fn instructions(tasks: &TemplateTasks, count: u64) -> BTreeSet<String> {
    (0..count).map(|cursor| tasks.task(cursor).instruction).collect()
}

#[test]
fn no_instruction_of_an_evaluation_is_given_in_training() {
    for all in shipped() {
        let [train, eval] = [Split::Train, Split::Eval].map(|split| source(&all, split, InstanceSplit::Instructions));
        let (given, asked) = (instructions(&train, 3000), instructions(&eval, 1000));
        let both: Vec<&String> = given.intersection(&asked).collect();
        assert!(both.is_empty(), "{both:?}");
        assert!(
            given.len() > 150 && asked.len() > 40,
            "{} and {}",
            given.len(),
            asked.len()
        );
        assert_eq!(eval.shared_with(&train, 500, 2000), 0);
        // Every template is still played on both sides.
        let played = |tasks: &TemplateTasks| {
            let all = (0..tasks.templates().len() as u64).map(|cursor| tasks.task(cursor).template);
            all.collect::<BTreeSet<_>>()
        };
        assert_eq!(
            played(&eval),
            all.choose::<&str>(&[])
                .unwrap()
                .iter()
                .map(|t| t.id().to_owned())
                .collect()
        );
        assert!(played(&train).is_subset(&played(&eval)));
        // The same source gives the same tasks in any order.
        let backward: Vec<Task> = (0..50).rev().map(|cursor| eval.task(cursor)).collect();
        assert!((0..50).map(|cursor| eval.task(cursor)).eq(backward.into_iter().rev()));
    }
}

#[test]
fn seeds_alone_let_instructions_come_again_and_change_no_instance() {
    let [all, _] = shipped();
    let [train, eval] = [Split::Train, Split::Eval].map(|split| source(&all, split, InstanceSplit::Seeds));
    assert!(eval.shared_with(&train, 200, 2000) > 100);
    let plain = TemplateTasks::new(5, Split::Eval);
    assert!((0..100).all(|cursor| plain.task(cursor) == eval.task(cursor)));
}

const ONE: &str = r#"templates:
  - {id: photo, category: own, difficulty: easy, max_turns: 5, instructions: [Go home.], goals: [home]}
"#;

#[test]
fn a_template_with_one_instruction_is_not_measured() {
    let all = load(ONE).unwrap();
    assert_eq!(
        source(&all, Split::Train, InstanceSplit::Instructions)
            .templates()
            .len(),
        1
    );
    let eval = all.tasks::<&str>(5, Split::Eval, &[]).unwrap();
    let error = eval.clone().apart(InstanceSplit::Instructions).unwrap_err().to_string();
    assert!(error.contains("photo") && error.contains("instance_split"), "{error}");
    assert!(eval.apart(InstanceSplit::Seeds).is_ok());
    let both = all.tasks(5, Split::Eval, &["photo", "wifi"]).unwrap();
    let both = both.apart(InstanceSplit::Instructions).unwrap();
    assert_eq!(
        both.templates().iter().map(AnyTemplate::id).collect::<Vec<_>>(),
        ["wifi"]
    );
}

const APPS: &str = r#"held_out_apps: [maps, notes]
templates:
  - id: open_one
    category: own
    difficulty: easy
    max_turns: 9
    instructions: ["Open {app}.", "Start {app}."]
    parameters:
      app: {choice: {maps: Maps, music: Music, camera: Camera, mail: Mail}}
    goals: ["app:{app}"]
  - id: note_one
    category: own
    difficulty: easy
    max_turns: 9
    instructions: ["Write the note '{note}'.", "Note: {note}"]
    parameters:
      note: {choice: [milk, tea, bread]}
    goals: ["note:{note}"]
  - id: switch_one
    category: own
    difficulty: easy
    max_turns: 9
    split: held_out
    instructions: ["Turn {state} Wi-Fi.", "Wi-Fi {state}."]
    parameters:
      state: {choice: [on, off]}
    goals: ["toggle:wifi={state}"]
"#;

#[test]
fn apps_that_are_held_out_are_told_apart_and_trained_on_nowhere() {
    let all = load(APPS).unwrap();
    for by in InstanceSplit::ALL {
        let train = source(&all, Split::Train, by);
        assert_eq!(
            train.templates().iter().map(AnyTemplate::id).collect::<Vec<_>>(),
            ["open_one"]
        );
        for cursor in 0..300 {
            let task = train.task(cursor);
            assert!(
                task.novelty() == Novelty::Instance && !task.instruction.contains("Maps"),
                "{task:?}"
            );
        }
        let eval = source(&all, Split::Eval, by);
        let mut met = BTreeSet::new();
        for cursor in 0..300 {
            let task = eval.task(cursor);
            let expected = match task.template.as_str() {
                "switch_one" => Novelty::Template,
                "note_one" => Novelty::App,
                _ if task.instruction.contains("Maps") => Novelty::App,
                _ => Novelty::Instance,
            };
            assert_eq!(task.novelty(), expected, "{task:?}");
            met.insert((task.template, expected));
        }
        assert_eq!(met.len(), 4, "{met:?}");
        // Built-in templates keep to it as well.
        let train = all.tasks(5, Split::Train, &["open_app", "write_note", "wifi"]).unwrap();
        assert_eq!(train.templates().len(), 2, "there is no note to write");
        assert!((0..200).all(|cursor| train.task(cursor).tags["apps"] != "maps"));
    }
    let table = table(all.templates());
    let row = table.lines().find(|line| line.starts_with("note_one")).unwrap();
    assert!(row.contains("held_out_app"), "{row}");
}

#[test]
fn what_is_unclear_about_apps_is_an_error_with_its_place() {
    for (from, to, place, words) in [
        ("[maps, notes]", "[maps, nots]", ":1:", "`nots`"),
        ("[maps, notes]", "[]", ":1:", "items"),
        (
            "    goals: [\"note:{note}\"]",
            "    checks: [{command: \"echo {note}\", equals: \"x\"}]",
            ":11:",
            "apps",
        ),
    ] {
        let error = load(&APPS.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(words), "{error}");
    }
    let named = APPS.replace(
        "    goals: [\"note:{note}\"]",
        "    apps: [notes]\n    checks: [{command: \"echo {note}\", equals: \"x\"}]",
    );
    assert_eq!(load(&named).unwrap().own()[1].split(), "held_out_app");
    let error = load(&APPS.replace(
        "held_out_apps: [maps, notes]",
        "held_out_apps: [maps, music, camera, mail, notes]",
    ));
    let error = error
        .unwrap()
        .tasks::<&str>(1, Split::Train, &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("open_one") && error.contains("held_out_apps"), "{error}");
}
