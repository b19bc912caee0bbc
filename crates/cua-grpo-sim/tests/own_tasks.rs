//! Templates from files: those that are shipped and the scaffold are proved, and a proof finds what is wrong.
#![allow(clippy::unwrap_used)]

use cua_grpo_android::tasks::{Catalogue, Split, TaskState, scaffold};
use cua_grpo_core::TaskSource;
use cua_grpo_sim::{PROOF_SEEDS, PhoneKind, Proof};
use std::path::{Path, PathBuf};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/tasks")
}

fn catalogue(text: &str) -> Catalogue {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.yaml");
    std::fs::write(&file, text).unwrap();
    Catalogue::with_files(&[file]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_shipped_template_is_proved() {
    let all = Catalogue::with_files(&[shipped()]).unwrap_or_else(|error| panic!("{error}"));
    let own = all.own();
    let held_out = own.iter().filter(|template| template.is_held_out()).count();
    assert!(
        own.len() >= 12 && held_out >= 4,
        "{} templates, {held_out} held out",
        own.len()
    );
    for template in own {
        let proof = Proof::of(template, PROOF_SEEDS, PhoneKind::Small);
        eprintln!("{proof}");
        let expert = proof.expert.unwrap();
        assert!(proof.holds() && expert.solved == PROOF_SEEDS, "{proof}");
    }
}

#[test]
fn the_built_in_templates_are_proved_too() {
    let (mut attempts, mut hits) = (0, 0);
    for template in Catalogue::built_in().templates() {
        let proof = Proof::of(template, PROOF_SEEDS, PhoneKind::Small);
        eprintln!("{proof}");
        assert!(proof.holds(), "{proof}");
        if template.difficulty() != "easy" {
            (attempts, hits) = (attempts + proof.random.0, hits + proof.random.1);
        }
    }
    eprintln!("random taps fulfil {hits} of {attempts} attempts at medium and hard ones");
    assert!(
        20 * hits < attempts,
        "a random agent solves under 5 % of medium and hard ones"
    );
}

#[test]
fn the_scaffold_is_proved_whatever_its_file_is_called() {
    let folder = tempfile::tempdir().unwrap();
    for (index, name) in ["mine.yaml", "My Tasks 2.yaml", "2nd.yml", "ö.yaml", ".yaml"]
        .into_iter()
        .enumerate()
    {
        let file = folder.path().join(name);
        let phone = PhoneKind::ALL[index % 2];
        scaffold(&file, phone).unwrap();
        assert!(
            scaffold(&file, phone)
                .unwrap_err()
                .to_string()
                .contains("not there yet"),
            "{name}"
        );
        let all = Catalogue::with_files(&[&file]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(all.own().len(), 2, "{name}");
        for template in all.own() {
            let proof = Proof::of(template, PROOF_SEEDS, phone);
            assert!(proof.holds() && proof.side_effects.is_empty(), "{proof}");
        }
    }
    // All of them together: their ids differ, but for those whose names differ in signs alone.
    Catalogue::with_files(&["mine.yaml", "2nd.yml"].map(|name| folder.path().join(name))).unwrap();
}

/// A template with `rest` of its lines.
fn with(rest: &str) -> String {
    format!(
        "templates:\n  - id: tried\n    category: own\n    difficulty: medium\n    max_turns: 12\n    instructions: [Do it.]\n{rest}"
    )
}

#[test]
fn what_is_wrong_with_a_template_is_found() {
    let cases = [
        (
            "    setup: [settings put global wifi_on 1]\n    checks:\n      - {command: settings get global wifi_on, equals: 1}\n",
            "before the first turn",
        ),
        (
            "    setup: [reboot now]\n    goals: [app:clock]\n",
            "`reboot now` failed with exit code 127",
        ),
        (
            "    checks:\n      - {command: settings gte global wifi_on, equals: 1}\n",
            "the check `settings gte global wifi_on` failed",
        ),
        (
            "    precheck:\n      - {command: settings get global wifi_on, equals: 5}\n    goals: [app:clock]\n",
            "the precheck `settings get global wifi_on` expects \"5\"",
        ),
        // The expert leaves the place that it shall be at for the switch, and comes back for ever.
        ("    goals: [home, \"toggle:wifi=on\"]\n", "not done after 12 turns"),
        // A state that taps reach often.
        (
            "    setup: [am start -n com.android.calculator2/.Calculator]\n    checks:\n      - {command: \"dumpsys activity | \
             grep mResumedActivity\", expect: '(?s).*launcher3.*'}\n",
            "random taps",
        ),
    ];
    for (rest, words) in cases {
        let proof = Proof::of(&catalogue(&with(rest)).own()[0], PROOF_SEEDS, PhoneKind::Small);
        assert!(!proof.holds() && proof.to_string().contains(words), "{words}: {proof}");
    }
}

#[test]
fn own_checks_without_goals_are_not_proved() {
    let rest = "    setup: [settings put system volume_ring 3]\n    checks:\n      - {command: settings get system \
                volume_ring, expect: '[5-7]'}\n";
    let proof = Proof::of(&catalogue(&with(rest)).own()[0], 2, PhoneKind::Small);
    assert!(proof.holds() && proof.expert.is_none(), "{proof}");
    assert!(proof.to_string().contains("not proved: no expert"), "{proof}");
}

#[test]
fn what_is_held_out_is_measured_and_never_trained_on() {
    let all = Catalogue::with_files(&[shipped()]).unwrap();
    let none: [&str; 0] = [];
    let (train, eval) = (
        all.tasks(1, Split::Train, &none).unwrap(),
        all.tasks(1, Split::Eval, &none).unwrap(),
    );
    let held_out = all.own().iter().filter(|template| template.is_held_out()).count();
    assert_eq!(train.templates().len() + held_out, eval.templates().len());
    assert!((0..200).all(|cursor| !train.task(cursor).is_held_out()));
    let unseen = (0..eval.templates().len() as u64).filter(|&cursor| eval.task(cursor).is_held_out());
    assert_eq!(unseen.count(), held_out, "a block has each template once");
    // Equal cursors are equal tasks; the payload is that of every task.
    for cursor in 0..50 {
        let task = eval.task(cursor);
        assert_eq!(task, all.tasks(1, Split::Eval, &none).unwrap().task(cursor));
        let state: TaskState = task.payload().unwrap();
        assert!(
            !state.checks.is_empty() && !task.instruction.contains(['{', '}']),
            "{task:?}"
        );
    }
}
