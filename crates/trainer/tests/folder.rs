//! A run folder and its run belong together: whatever of them is moved, exchanged, doubled or of another run is noticed.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use ::trainer::cli::Which;
use common::runs::{adapter, copy_folder, order, refused, snapshot, succeed, with};
use common::{command, trainer};
use cua_grpo_train::checkpoint::step_of;
use cua_grpo_train::layout::RUN;
use cua_grpo_train::run_dir::{Identity, run_id};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A run that goes on until something ends it, after its first steps.
fn started(home: &Path, name: &str) -> Child {
    let folder = format!("--output-dir={name}");
    let process = command(home, &with(&["--max-steps=500", &folder]))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !home.join(name).join("checkpoints/checkpoint-2").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    process
}

#[test]
fn a_folder_that_is_moved_or_unlocked_during_its_run_ends_it_and_nothing_is_split() {
    let home = tempfile::tempdir().unwrap();
    let (run, moved) = (home.path().join("run"), home.path().join("moved"));
    type Change<'a> = (&'a dyn Fn(), &'a str);
    let changes: [Change; 3] = [
        (&|| std::fs::rename(&run, &moved).unwrap(), "moved or removed"),
        (
            &|| {
                std::fs::rename(&run, &moved).unwrap();
                std::fs::create_dir(&run).unwrap();
            },
            "replaced by another one",
        ),
        (
            &|| std::fs::remove_file(run.join(".lock")).unwrap(),
            ".lock was removed",
        ),
    ];
    for (change, why) in changes {
        let process = started(home.path(), "run");
        let id = run_id(&run).unwrap();
        change();
        let output = process.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why) && said.contains("--resume"), "{said}");
        // The stranger's folder, where there is one, is as it was.
        let name = if moved.exists() {
            assert!(!run.exists() || std::fs::read_dir(&run).unwrap().count() == 0, "{why}");
            "moved"
        } else {
            "run"
        };
        let done = order(&home.path().join(name))
            .iter()
            .filter(|line| !line.starts_with('e'))
            .count();
        succeed(
            home.path(),
            &[&format!("--resume={name}"), &format!("--max-steps={}", done + 1)],
        );
        assert_eq!(run_id(&home.path().join(name)), Some(id), "{why}");
        for name in [&run, &moved] {
            let _ = std::fs::remove_dir_all(name);
        }
    }
}

#[test]
fn adapters_checkpoints_and_metrics_of_another_run_are_refused_by_its_name() {
    let home = tempfile::tempdir().unwrap();
    for (name, seed) in [("run", "--set=seed=1"), ("other", "--set=seed=2")] {
        succeed(
            home.path(),
            &with(&["--max-steps=2", seed, &format!("--output-dir={name}")]),
        );
    }
    let (run, other) = (home.path().join("run"), home.path().join("other"));
    let (id, strange) = (run_id(&run).unwrap(), run_id(&other).unwrap());
    let exchange = |part: &str| {
        std::fs::rename(run.join(part), home.path().join("aside")).unwrap();
        if other.join(part).is_dir() {
            copy_folder(&other.join(part), &run.join(part));
        } else {
            std::fs::copy(other.join(part), run.join(part)).unwrap();
        }
    };
    let restore = |part: &str| {
        let _ = std::fs::remove_dir_all(run.join(part));
        std::fs::rename(home.path().join("aside"), run.join(part)).unwrap();
    };
    let words = [strange.as_str(), id.as_str(), "another run"];
    exchange("checkpoints/checkpoint-2");
    for arguments in [
        ["--resume=run", "--max-steps=3"].as_slice(),
        &["--resume=run/checkpoints/checkpoint-2", "--max-steps=3"],
        &["--resume=run", "--output-dir=fork", "--max-steps=3"],
        &["eval", "--adapter=run/checkpoints/checkpoint-2", "--episodes=1"],
        &["merge", "--adapter=run/checkpoints/checkpoint-2", "--out=merged"],
    ] {
        refused(home.path(), arguments, &words);
    }
    restore("checkpoints/checkpoint-2");
    exchange("metrics.jsonl");
    for arguments in [["--resume=run", "--max-steps=3"].as_slice(), &["report", "run"]] {
        refused(home.path(), arguments, &words);
    }
    restore("metrics.jsonl");
    let own = adapter(&run.join("final"));
    exchange("final");
    for arguments in [
        ["eval", "--adapter=run", "--episodes=1"].as_slice(),
        &["generate", "--adapter=run/final", "--prompt=a", "--max-new-tokens=1"],
    ] {
        refused(home.path(), arguments, &words);
    }
    // A run that goes on writes its own policy.
    succeed(home.path(), &["--resume=run"]);
    assert!(adapter(&run.join("final")) == own);
    std::fs::remove_dir_all(home.path().join("aside")).unwrap();
    // A fork is a run of its own that knows where it is from; in place the id stays.
    let fork = [
        "--resume=run/checkpoints/checkpoint-1",
        "--output-dir=fork",
        "--max-steps=2",
    ];
    succeed(home.path(), &fork);
    let forked = Identity::read(&home.path().join("fork")).unwrap().unwrap();
    assert!(forked.id != id && forked.earlier[0].timeline == id && forked.earlier[0].step == 1);
    copy_folder(
        &run.join("checkpoints/checkpoint-2"),
        &home.path().join("fork/checkpoints/checkpoint-3"),
    );
    std::fs::remove_dir_all(home.path().join("fork/checkpoints/checkpoint-2")).unwrap();
    std::fs::rename(
        home.path().join("fork/checkpoints/checkpoint-3"),
        home.path().join("fork/checkpoints/checkpoint-2"),
    )
    .unwrap();
    refused(home.path(), &["--resume=fork", "--max-steps=3"], &[&forked.id, &id]);
    succeed(home.path(), &["--resume=run/checkpoints/checkpoint-1", "--max-steps=2"]);
    assert_eq!(run_id(&run), Some(id));
    assert_eq!(step_of(&run.join("final")), Some(2));
    // The policy of the abandoned timeline is not that of the one that goes on.
    let abandoned = run.join("abandoned/after-step-1");
    succeed(
        home.path(),
        &["eval", "--adapter=run/abandoned/after-step-1", "--episodes=1"],
    );
    std::fs::remove_dir_all(run.join("checkpoints/checkpoint-2")).unwrap();
    copy_folder(
        &abandoned.join("checkpoints/checkpoint-2"),
        &run.join("checkpoints/checkpoint-2"),
    );
    refused(home.path(), &["--resume=run", "--max-steps=3"], &["another run"]);
}

#[test]
fn lines_that_contradict_each_other_and_files_of_no_end_are_refused() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=2", "--output-dir=run"]));
    let run = home.path().join("run");
    let path = run.join("metrics.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 5);
    let doubled = [&lines[..], &lines[1..2]].concat().concat();
    let moved = [lines[0], lines[3], lines[1], lines[2], lines[4]].concat();
    let edited = whole.replacen("\"step\":1,", "\"step\":2,", 1);
    let large = whole.replacen("\"step\":1,", "\"step\":18446744073709551615,", 1);
    for (text, line) in [
        (doubled, "line 6"),
        (moved, "line 3"),
        (edited, "line"),
        (large, "line 2"),
    ] {
        std::fs::write(&path, text).unwrap();
        let before = snapshot(&run);
        for arguments in [["--resume=run", "--max-steps=3"].as_slice(), &["report", "run"]] {
            refused(home.path(), arguments, &[line, "metrics.jsonl"]);
        }
        assert!(before == snapshot(&run), "{line}");
    }
    std::fs::write(&path, &whole).unwrap();
    // Files without an end.
    #[cfg(unix)]
    for name in ["metrics.jsonl", "run.json", "config.yaml"] {
        let path = run.join(name);
        let kept = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        for arguments in [["--resume=run", "--max-steps=3"].as_slice(), &["report", "run"]] {
            let output = trainer(home.path(), arguments);
            assert_eq!(output.status.code(), Some(2), "{name}: {arguments:?}");
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, kept).unwrap();
    }
    succeed(home.path(), &["--resume=run", "--max-steps=3"]);
}

#[cfg(unix)]
#[test]
fn a_run_folder_that_lies_or_has_no_end_is_told_in_one_line_and_nothing_waits() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=1", "--output-dir=run"]));
    let run = home.path().join("run");
    let before = snapshot(&run);
    // Pipes that nobody reads or writes, where a run appends and replaces.
    for name in [
        "log.txt",
        ".lock",
        "invocations.jsonl",
        "episodes/train.jsonl",
        "report.html",
    ] {
        let (path, kept) = (run.join(name), home.path().join("kept"));
        std::fs::rename(&path, &kept).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        refused(
            home.path(),
            &["--resume=run", "--max-steps=2"],
            &[name, "found a pipe; move it away"],
        );
        std::fs::rename(&kept, &path).unwrap();
    }
    assert!(before == snapshot(&run), "a refused resume changed the folder");
    // What was edited is told by the key and both values, and what the checksums cover is used.
    let config = run.join("config.yaml");
    let whole = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, whole.replace("max_turns: 4", "max_turns: 9")).unwrap();
    let words = "`max_turns` is 4 in run/final/config.yaml, but 9 in run/config.yaml";
    for arguments in [
        ["eval", "--adapter=run", "--episodes=1"].as_slice(),
        &["merge", "--adapter=run", "--out=merged"],
        &["report", "run"],
    ] {
        let said = succeed(home.path(), arguments);
        assert_eq!(said.matches(words).count(), 1, "{arguments:?}: {said}");
    }
    let said = succeed(home.path(), &["--resume=run", "--output-dir=fork", "--max-steps=1"]);
    assert!(said.contains("`max_turns` was 4 and is now 9"), "{said}");
    std::fs::write(&config, whole).unwrap();
    // Without their lists nothing would tell that these files are damaged.
    for name in ["final", "checkpoints/checkpoint-1"] {
        std::fs::remove_file(run.join(name).join("checksums.json")).unwrap();
    }
    let said = succeed(home.path(), &["eval", "--adapter=run", "--episodes=1"]);
    assert!(said.contains("not verified: run/final has no checksums.json"), "{said}");
    let said = succeed(home.path(), &["--resume=run"]);
    assert!(
        said.contains("not verified: run/checkpoints/checkpoint-1 has no"),
        "{said}"
    );
    // A tail of another run.
    let path = run.join("metrics.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let id = run_id(&run).unwrap();
    assert_eq!(whole.matches(&id).count(), 3, "each line tells its run: {whole}");
    let last = whole.lines().last().unwrap().replace(&id, "0123456789abcdef");
    std::fs::write(&path, whole.replace(whole.lines().last().unwrap(), &last)).unwrap();
    for arguments in [["--resume=run", "--max-steps=2"].as_slice(), &["report", "run"]] {
        refused(
            home.path(),
            arguments,
            &["from line 3 on", "another run (0123456789abcdef)", &id],
        );
    }
}

#[test]
fn a_name_under_which_a_run_could_not_go_on_is_refused_before_anything_is_made() {
    let home = tempfile::tempdir().unwrap();
    let long = "x".repeat(300);
    for (name, why) in [
        ("checkpoint-3", "taken for a checkpoint"),
        ("checkpoint", "taken for a checkpoint"),
        ("run/checkpoints/mine", "keeps its checkpoints"),
        (long.as_str(), "too long"),
        (&format!("{long}/run"), "too long"),
    ] {
        let folder = format!("--output-dir={name}");
        refused(home.path(), &with(&["--max-steps=1", &folder]), &[why, "choose"]);
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_target_that_cannot_be_a_file_is_told_before_the_work() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("in.json"),
        r#"{"messages": [{"role": "user", "content": "hi"}]}"#,
    )
    .unwrap();
    let long = "x".repeat(300);
    for out in ["missing/", "missing/deeper/", "missing/file", long.as_str()] {
        let arguments = ["score", "--model=starter", "--messages=in.json", "--out", out];
        refused(home.path(), &arguments, &[out]);
        let arguments = [
            "generate",
            "--model=starter",
            "--messages=in.json",
            "--max-new-tokens=1",
            "--json",
            out,
        ];
        refused(home.path(), &arguments, &[out]);
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn evaluations_in_another_arithmetic_are_told_and_not_compared() {
    let home = tempfile::tempdir().unwrap();
    succeed(
        home.path(),
        &with(&["--max-steps=1", "--output-dir=run", "--set=dtype=float32"]),
    );
    let said = succeed(home.path(), &["--resume=run", "--max-steps=2", "--set=dtype=bfloat16"]);
    assert!(said.contains("in another arithmetic"), "{said}");
    assert!(
        !said.contains("points"),
        "an evaluation was compared with one in another arithmetic: {said}"
    );
}

fn which(run: &Path) -> Which {
    Which {
        run: Some(run.to_owned()),
        label: None,
        all: false,
        set: Vec::new(),
    }
}

#[test]
fn boxes_of_a_copy_are_listed_and_ended_by_their_label_alone() {
    let (home, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut identity = Identity::new();
    identity.write(home.path()).unwrap();
    std::fs::copy(home.path().join(RUN), copy.path().join(RUN)).unwrap();
    let label = |run: &Path, ends| which(run).label(Some(run), ends);
    for ends in [true, false] {
        assert_eq!(label(home.path(), ends).unwrap(), Some(identity.id.clone()));
    }
    assert_eq!(label(copy.path(), false).unwrap(), Some(identity.id.clone()));
    let error = label(copy.path(), true).unwrap_err();
    let command = format!("boxes sweep --label {}", identity.id);
    assert!(error.is_mendable() && error.to_string().contains(&command), "{error}");
    assert!(label(Path::new("no/such/run"), true).is_err());
}

#[test]
fn a_folder_that_is_no_run_is_told_by_its_flag() {
    let home = tempfile::tempdir().unwrap();
    for path in [home.path().join("missing"), home.path().to_owned()] {
        let error = which(&path).load().unwrap_err();
        let text = error.to_string();
        assert!(error.is_mendable() && text.starts_with("--run "), "{text}");
        assert!(
            text.contains("expected a run folder") && !text.contains("--resume"),
            "{text}"
        );
    }
}
