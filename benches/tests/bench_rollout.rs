//! The rollout bench: what its modes have in common, and its check against stored figures.

use serde_json::Value;
use std::process::Command;

/// Runs the bench: whether it ended well, its lines and what it said.
fn bench(arguments: &[&str]) -> (bool, Vec<Value>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-rollout"))
        .args(["--phones=16", "--steps=6"])
        .args(arguments)
        .output()
        .expect("it starts");
    let lines = String::from_utf8(output.stdout).expect("text");
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), lines.collect(), errors)
}

#[test]
fn whoever_runs_ahead_makes_more_episodes_and_keeps_the_bound() {
    let (fine, lines, errors) = bench(&[]);
    assert!(fine, "{errors}");
    let figure = |mode: &str, key: &str| {
        let line = lines.iter().find(|line| line["mode"] == mode);
        line.expect("a line of each mode")[key].as_f64().expect("a number")
    };
    let per_hour = |mode| figure(mode, "episodes_per_h");
    assert!(per_hour("free") > per_hour("lockstep"), "{errors}");
    assert!(per_hour("eta 2") > per_hour("free"), "{errors}");
    for (mode, bound) in [
        ("lockstep", 0.0),
        ("free", 0.0),
        ("eta 1", 1.0),
        ("eta 2", 2.0),
        ("eta 4", 4.0),
    ] {
        assert!(figure(mode, "staleness_max") <= bound, "{errors}");
    }
}

#[test]
fn figures_that_are_worse_than_the_stored_ones_fail() {
    let (fine, mut lines, errors) = bench(&["--modes=free"]);
    assert!(fine, "{errors}");
    let stored = format!("{}/bench-rollout.jsonl", env!("CARGO_TARGET_TMPDIR"));
    let check = ["--modes=free", "--check", &stored];
    std::fs::write(&stored, lines[0].to_string()).expect("it is written");
    let (fine, _, errors) = bench(&check);
    assert!(fine, "{errors}");
    lines[0]["episodes_per_h"] = (2.0 * lines[0]["episodes_per_h"].as_f64().expect("a number")).into();
    std::fs::write(&stored, lines[0].to_string()).expect("it is written");
    let (fine, _, errors) = bench(&check);
    assert!(!fine && errors.contains("episodes an hour"), "{errors}");
    let (fine, _, errors) = bench(&["--modes=1", "--check", &stored]);
    assert!(!fine && errors.contains("not in the file"), "{errors}");
}
