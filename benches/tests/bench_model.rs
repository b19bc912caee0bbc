//! The model benches on the CPU, small: they run and print what they promise.

use serde_json::Value;
use std::process::Command;

fn lines(arguments: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-model"))
        .args(arguments)
        .output()
        .expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

#[test]
fn every_mode_prints_its_figures() {
    let small = [
        "--preset",
        "tiny",
        "--prompt-text",
        "40",
        "--image",
        "64x96",
        "--new-tokens",
        "4",
    ];
    let found = lines(&[&small[..], &["--batch", "1,2", "--train-shapes", "2x40"]].concat());
    let modes: Vec<&str> = found
        .iter()
        .map(|line| line["mode"].as_str().expect("a mode"))
        .collect();
    assert_eq!(
        modes,
        ["prefill", "decode", "turns", "prefill", "decode", "turns", "train"]
    );
    for line in &found {
        assert!(line["tok_s"].as_f64().expect("a speed") > 0.0, "{line}");
    }
    // 40 of text, 6 merged patches, 2 marks.
    assert_eq!(
        (&found[0]["prompt_tokens"], &found[6]["tokens"]),
        (&Value::from(48), &Value::from(96))
    );
}

#[test]
fn bad_arguments_say_what_to_give() {
    for (arguments, expected) in [
        (["--preset", "9b"], "expected 2b, 4b, 8b, 32b or tiny"),
        (["--device", "gpu"], "expected cpu, cuda or cuda:N"),
        (["--image", "100x100"], "multiples of 32"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_bench-model"))
            .args(arguments)
            .output()
            .expect("it starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains(expected),
            "{arguments:?}: {errors}"
        );
    }
}

#[test]
fn updates_run_beside_rollouts() {
    let small = [
        "--preset=tiny",
        "--prompt-text=40",
        "--image=64x96",
        "--new-tokens=4",
        "--mode=async",
        "--batch=16",
        "--turns=2",
        "--steps=2",
        "--haste=100",
        "--max-staleness=1",
    ];
    let found = lines(&small);
    let seconds = ["rollout_step_s", "update_step_s", "step_s", "update_beside_s"];
    let seconds = seconds.map(|name| found[0][name].as_f64().expect("seconds"));
    assert!(seconds.iter().all(|seconds| *seconds > 0.0), "{found:?}");
    let longer = seconds[0].max(seconds[1]);
    let ratio = found[0]["ratio"].as_f64().expect("a ratio");
    assert!((ratio - seconds[2] / longer).abs() < 1e-9, "{found:?}");
}
