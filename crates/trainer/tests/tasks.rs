//! Tasks from files, through the real binary: the subcommand, and a run that has held-out templates.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::runs::{lines, refused, succeed, with};
use common::{trainer, trainer_in};
use std::path::Path;

const OWN: &str = r#"held_out_apps: [maps]
templates:
  - id: tried
    category: own
    difficulty: easy
    max_turns: 12
    instructions: ["Turn {s} Wi-Fi."]
    parameters: {s: {choice: [on, off]}}
    goals: ["toggle:wifi={s}"]
  - id: kept
    category: own
    difficulty: easy
    max_turns: 12
    split: held_out
    instructions: ["Turn {s} Bluetooth."]
    parameters: {s: {choice: [on, off]}}
    goals: ["toggle:bluetooth={s}"]
  - id: away
    category: own
    difficulty: easy
    max_turns: 12
    instructions: ["Open Maps."]
    goals: ["app:maps"]
"#;

#[test]
fn a_file_is_begun_proved_listed_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| trainer_in(folder.path(), arguments, &[]);
    let (code, _, stderr) = run(&["tasks", "new", "mine.yaml"]);
    assert!(code == 0 && stderr.contains("tasks check mine.yaml"), "{stderr}");
    let (code, stdout, stderr) = run(&["tasks", "check", "mine.yaml"]);
    assert_eq!((code, stdout.lines().count()), (0, 2), "{stdout}{stderr}");
    assert!(
        stdout.lines().all(|line| line.contains("proved: expert 5 of 5")),
        "{stdout}"
    );
    let (_, stdout, _) = run(&["tasks", "list", "mine.yaml"]);
    assert!(
        stdout.contains("mine_two_switches") && stdout.contains("built in"),
        "{stdout}"
    );
    // The key does what the argument does.
    assert_eq!(run(&["tasks", "list", "--set", "tasks=mine.yaml"]).1, stdout);
    let shown = |seed: &str| run(&["tasks", "show", "mine_two_switches", "mine.yaml", "--seed", seed]);
    let (code, stdout, _) = shown("3");
    assert!(
        code == 0 && stdout.contains("instruction  Turn ") && stdout.contains("checks "),
        "{stdout}"
    );
    assert_eq!(shown("3").1, stdout);
    assert_ne!(shown("4").1, stdout);
    assert!(
        run(&["tasks", "show", "wifi"])
            .1
            .contains("settings get global wifi_on")
    );
}

#[test]
fn what_is_shipped_is_proved() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/tasks");
    let (code, stdout, stderr) = trainer_in(Path::new("."), &["tasks", "check", shipped], &[]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let proved = stdout.lines().filter(|line| line.contains("proved: expert 5 of 5"));
    assert!(proved.count() >= 12 && !stdout.contains("not proved"), "{stdout}");
}

#[test]
fn what_is_wrong_is_exit_code_2_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("bad.yaml"), OWN.replace("toggle:bluetooth", "toggle:bluetoth")).unwrap();
    let unsolvable = OWN.replace("goals: [\"toggle:wifi={s}\"]", "goals: [home, \"toggle:wifi={s}\"]");
    std::fs::write(at("long.yaml"), unsolvable).unwrap();
    std::fs::write(at("own.yaml"), OWN).unwrap();
    let cases: &[(&[&str], &[&str])] = &[
        (&["tasks", "check", "bad.yaml"], &["bad.yaml:17:13", "unknown switch"]),
        (&["tasks", "check", "long.yaml"], &["1 of 3 templates are not right"]),
        (&["tasks", "check", "none.yaml"], &["none.yaml", "name a *.yaml file"]),
        (&["tasks", "new", "own.yaml"], &["own.yaml", "not there yet"]),
        (
            &["tasks", "show", "nothing", "own.yaml"],
            &["\"nothing\"", "tried, kept"],
        ),
        (&["--set=tasks=bad.yaml"], &["bad.yaml:17:13"]),
        (&["eval", "--set=tasks=bad.yaml"], &["bad.yaml:17:13"]),
        (&["sft", "--set=tasks=bad.yaml"], &["bad.yaml:17:13"]),
        (
            &["--set=tasks=own.yaml", "--set=templates=[kept]", "--output-dir=run"],
            &["kept", "held_out"],
        ),
        (&["--set=tasks=own.yaml", "--set=templates=[kep]"], &["\"kep\"", "kept"]),
    ];
    for (arguments, words) in cases {
        refused(folder.path(), arguments, words);
    }
    // The phone: an unknown one, and tasks that are for the other.
    let old =
        "setup: [\"content insert --uri content://alarms --bind time:s:07:30\"]\n    goals: [\"toggle:wifi={s}\"]";
    std::fs::write(at("old.yaml"), OWN.replace("goals: [\"toggle:wifi={s}\"]", old)).unwrap();
    let steps = "checks: [{command: settings get global wifi_on, equals: 7}]\n    expert: [home]";
    std::fs::write(
        at("new.yaml"),
        OWN.replace("goals: [\"app:maps\"]", &format!("apps: [maps]\n    {steps}")),
    )
    .unwrap();
    for command in ["train", "eval", "sft"] {
        let wrong: [(&str, &str, &[&str]); 3] = [
            ("own.yaml", "pixle", &["`phone` is `pixle`", "one of small, pixel"]),
            (
                "old.yaml",
                "pixel",
                &["tried: the set-up `content insert", "provider", "phone=small"],
            ),
            ("new.yaml", "small", &["away", "phone=pixel"]),
        ];
        for (file, phone, words) in wrong {
            let (tasks, phone) = (format!("--set=tasks={file}"), format!("--set=phone={phone}"));
            refused(folder.path(), &[command, &tasks, &phone, "--set=templates=[]"], words);
        }
    }
    let output = trainer(folder.path(), &["tasks", "check", "long.yaml"]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        stdout.contains("WRONG") && stdout.contains("the expert is not done"),
        "{stdout}"
    );
    assert!(!at("run").exists() && !at("outputs").exists());
}

#[test]
fn unseen_templates_and_apps_have_figures_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.yaml"), OWN).unwrap();
    let own = [
        "--set=tasks=own.yaml",
        "--set=templates=[]",
        "--set=eval_episodes=6",
        "--max-steps=1",
        "--output-dir=run",
    ];
    let said = succeed(folder.path(), &with(&own));
    assert!(
        said.contains("3 templates of files, 2 held out from training (flag --set)"),
        "{said}"
    );
    assert!(
        said.contains("unseen instances of trained templates: ") && said.contains("  unseen templates: "),
        "{said}"
    );
    let run = folder.path().join("run");
    let lines = lines(&run);
    let evals: Vec<_> = lines.iter().filter(|line| line["kind"] == "eval").collect();
    assert_eq!(evals.len(), 2);
    for eval in evals {
        let solved = |name: &str| eval["templates"][name]["solved"].as_u64().unwrap();
        assert_eq!(eval["unseen_instances"]["episodes"], 2, "{eval}");
        assert_eq!(
            eval["unseen_instances"]["solved"].as_u64(),
            Some(solved("tried")),
            "{eval}"
        );
        assert_eq!(
            eval["unseen_templates"]["solved"].as_u64(),
            Some(solved("kept")),
            "{eval}"
        );
        assert_eq!(eval["unseen_apps"]["solved"].as_u64(), Some(solved("away")), "{eval}");
        assert_eq!(eval["unseen_apps"]["episodes"], 2, "{eval}");
        assert_eq!(eval["instances"]["held_out"].as_str().unwrap().len(), 6);
        assert!(
            eval["side_effects"].is_u64() && eval["false_completes"].is_u64(),
            "{eval}"
        );
        assert!(eval["unseen_templates"]["high"].as_f64() > eval["unseen_templates"]["low"].as_f64());
    }
    let report = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        report.contains("Success by distance")
            && report.contains("unseen templates (2 episodes)")
            && report.contains("unseen apps (2 episodes)"),
        "the report tells them apart"
    );
    trained_on_nothing_held_out(&run);
    // Without held-out templates it is said that none is played; several attempts give pass@k.
    let plain = [
        "eval",
        "--set=tasks=own.yaml",
        "--set=templates=[tried, wifi]",
        "--episodes=2",
        "--attempts=3",
        "--max-turns=3",
    ];
    let (code, stdout, stderr) = trainer_in(folder.path(), &plain, &[]);
    assert_eq!(code, 0, "{stderr}");
    let eval: serde_json::Value = serde_json::from_str(stdout.trim()).unwrap();
    let counts = ["episodes", "requested", "attempts"].map(|key| eval[key].as_u64());
    assert_eq!(counts, [Some(6), Some(6), Some(3)], "{eval}");
    let pass = |k: &str| eval["pass_at"][k].as_f64().unwrap();
    assert!((pass("1") - eval["success_rate"].as_f64().unwrap()).abs() < 1e-12 && pass("3") >= pass("2"));
    assert!(
        stderr.contains("unseen templates, unseen apps: none played") && stderr.contains("pass@3"),
        "{stderr}"
    );
    // What is held out alone can be measured, though nothing could be trained on.
    let alone = [
        "eval",
        "--set=tasks=own.yaml",
        "--set=templates=[kept]",
        "--episodes=1",
        "--max-turns=2",
    ];
    let (code, stdout, stderr) = trainer_in(folder.path(), &alone, &[]);
    assert_eq!(code, 0, "{stderr}");
    let eval: serde_json::Value = serde_json::from_str(stdout.trim()).unwrap();
    assert_eq!(eval["unseen_templates"]["episodes"], 1, "{eval}");
}

#[test]
fn the_full_phone_is_trained_on_measured_resumed_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.yaml"), OWN).unwrap();
    let own = [
        "--set=tasks=own.yaml",
        "--set=templates=[]",
        "--set=phone=pixel",
        "--set=record=1",
    ];
    let said = succeed(
        folder.path(),
        &with(&[&own[..], &["--max-steps=1", "--output-dir=run"]].concat()),
    );
    for words in [
        "simulated, the full one",
        "a screenshot of 540x1200",
        "note: at ",
        "raise it with --max-turns",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let run = folder.path().join("run");
    let prompts = std::fs::read_to_string(run.join("episodes/train.jsonl")).unwrap();
    assert!(prompts.contains("tried/"), "{prompts}");
    let said = succeed(folder.path(), &["--resume=run", "--max-steps=2"]);
    assert!(said.contains("simulated, the full one (phone=pixel)"), "{said}");
    let again = ["--set=environment=replay:run", "--max-steps=1", "--output-dir=again"];
    let said = succeed(folder.path(), &with(&[&own[..3], &again[..]].concat()));
    assert!(!said.contains("`phone` is"), "{said}");
    // Tasks without anything that tells the phones apart are another set on the other phone.
    let measured = |phone: &str| {
        let (code, stdout, stderr) = trainer_in(
            folder.path(),
            &["eval", "--set=tasks=own.yaml", phone, "--episodes=3", "--max-turns=2"],
            &[],
        );
        assert_eq!(code, 0, "{stderr}");
        assert!(
            stderr.contains("unseen apps: ") && stderr.contains("unseen templates: "),
            "{stderr}"
        );
        let eval: serde_json::Value = serde_json::from_str(stdout.trim()).unwrap();
        eval["task_set"].as_str().unwrap().to_owned()
    };
    assert_ne!(measured("--set=phone=pixel"), measured("--set=phone=small"));
    let sft = [
        "sft",
        "--set=tasks=own.yaml",
        "--set=templates=[tried]",
        "--set=phone=pixel",
        "--max-steps=1",
    ];
    let more = ["--set=demonstrations=4", "--set=eval_episodes=1", "--output-dir=made"];
    let said = succeed(folder.path(), &[&sft[..], &more[..]].concat());
    assert!(
        said.contains("4 demonstrations") && said.contains("the full one"),
        "{said}"
    );
}

fn trained_on_nothing_held_out(run: &Path) {
    let text = std::fs::read_to_string(run.join("episodes/train.jsonl")).unwrap();
    assert!(
        text.contains("tried/") && !text.contains("kept/") && !text.contains("away/"),
        "{text}"
    );
}
