//! The rollout bench against its stored figures: what an asynchronous run gains, on a virtual clock.

use serde_json::Value;
use std::process::Command;

const STORED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baselines/bench-rollout.jsonl");

fn bench(arguments: &[&str]) -> (bool, Vec<Value>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-rollout"))
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
fn a_stream_makes_three_times_the_episodes_of_lockstep_and_keeps_phones_busy() {
    let (fine, lines, errors) = bench(&["--check", STORED]);
    assert!(fine, "{errors}");
    let figure = |mode: &str, key: &str| {
        let line = lines
            .iter()
            .find(|line| line["mode"] == mode)
            .expect("a line of each mode");
        line[key].as_f64().expect("a number")
    };
    let per_hour = |mode| figure(mode, "episodes_per_h");
    assert!(per_hour("free") > per_hour("lockstep"));
    assert!(per_hour("eta 2") >= 3.0 * per_hour("lockstep"), "{errors}");
    assert!(figure("eta 2", "phones_busy") >= 0.85, "{errors}");
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
fn worse_figures_than_the_stored_ones_fail() {
    // Other latencies, fewer steps and another size than any stored line.
    let (fine, _, errors) = bench(&["--phones=16", "--steps=2", "--modes=free", "--check", STORED]);
    assert!(!fine && errors.contains("not in the file"), "{errors}");
}
