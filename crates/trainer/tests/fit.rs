//! Pictures within limits, and turns that fit: the same in sampling, training, evaluations and tools.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::runs::{lines, refused, succeed, text, with};
use common::{fixture, folder_with_images, messages, read_json, trainer};
use serde_json::{Value, json};
use std::path::Path;

/// A quarter of the starter's screenshot.
const SMALLER: &str = "--set=max_pixels=4608";

#[test]
fn tools_take_pictures_within_limits() {
    let folder = folder_with_images("a");
    let grids = |rest: &[&str]| -> Value {
        std::fs::write(
            folder.path().join("in.json"),
            json!({"messages": messages("a", "three_images")}).to_string(),
        )
        .unwrap();
        let model = fixture("a");
        let arguments = ["score", "--model", model.to_str().unwrap(), "--messages", "in.json"];
        succeed(folder.path(), &[&arguments[..], &["--out", "out.json"], rest].concat());
        read_json(&folder.path().join("out.json"))
    };
    let own = grids(&[]);
    assert_eq!(own, grids(&["--max-pixels", "0"]), "0 is the model's own");
    let size = own["image_grid_thw"].to_string();
    let small = grids(&["--min-pixels", "1024", "--max-pixels", "1024"]);
    assert_ne!(small["image_grid_thw"].to_string(), size);
    assert!(small["input_ids"].as_array().unwrap().len() < own["input_ids"].as_array().unwrap().len());
    let model = fixture("a");
    let prompt = [
        "generate",
        "--model",
        model.to_str().unwrap(),
        "--prompt",
        "What?",
        "--image",
        "images/img0.png",
    ];
    let said = |rest: &[&str]| succeed(folder.path(), &[&prompt[..], &["--max-new-tokens", "2"], rest].concat());
    let tokens = |said: &str| {
        said.split("prompt: ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    let (own, small) = (
        tokens(&said(&[])),
        tokens(&said(&["--min-pixels=1024", "--max-pixels=1024"])),
    );
    assert!(small < own, "{small} {own}");
    refused(
        folder.path(),
        &[&prompt[..], &["--min-pixels=9000", "--max-pixels=2048"]].concat(),
        &["min_pixels at most max_pixels", "9000", "2048"],
    );
}

#[test]
fn a_run_within_limits_samples_trains_and_measures_by_them() {
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("run");
    let keys = ["--max-steps=2", "--output-dir=run", "--set=record=1", SMALLER];
    let said = succeed(home.path(), &with(&keys));
    let turns = |said: &str| said.lines().find(|line| line.contains("turns    ")).unwrap().to_owned();
    assert!(
        turns(&said).contains("4 of 4 fit in 2,048 tokens: a screenshot of 192x384 is 3, text"),
        "{said}"
    );
    let step = lines(&run).into_iter().find(|line| line["kind"] == "train").unwrap();
    let ratio = step["ratio_mean"].as_f64().unwrap();
    assert!(
        (ratio - 1.0).abs() < 1e-4,
        "sampled and trained on other pictures: {ratio}"
    );
    // An evaluation of the adapter sees what the run saw, without a flag, on the task set of the run.
    let last = lines(&run)
        .into_iter()
        .rev()
        .find(|line| line["kind"] == "eval")
        .unwrap();
    let measure = |rest: &[&str]| {
        let output = trainer(home.path(), &[&["eval", "--adapter=run"], rest].concat());
        assert!(output.status.success(), "{}", text(&output));
        let event: Value = serde_json::from_slice(&output.stdout).unwrap();
        (event, text(&output))
    };
    let (same, said) = measure(&[]);
    assert!(turns(&said).contains("is 3, text"), "{said}");
    for key in ["task_set", "instances", "reward_mean"] {
        assert_eq!(same[key], last[key], "{key}");
    }
    let (other, said) = measure(&["--set=max_pixels=0"]);
    assert!(
        said.contains("`max_pixels` is 0 (--set) in place of the run's 4608"),
        "{said}"
    );
    assert_ne!(other["task_set"], last["task_set"]);
    // The rows that a run keeps are of these pictures.
    refused(
        home.path(),
        &["--resume=run", "--max-steps=3", "--set=max_pixels=0"],
        &["`max_pixels`", "4608"],
    );
    refused(
        home.path(),
        &with(&["--set=environment=replay:run", "--output-dir=not"]),
        &["`max_pixels` is 4608 there, here null"],
    );
    let replay = [
        "--set=environment=replay:run",
        "--output-dir=again",
        "--max-steps=2",
        SMALLER,
    ];
    succeed(home.path(), &with(&replay));
    let steps = |run: &Path| -> Vec<Value> {
        let all = lines(run).into_iter();
        all.filter(|line| line["kind"] == "train").collect()
    };
    assert_eq!(steps(&home.path().join("again")), steps(&run));
}

#[test]
fn fewer_turns_than_asked_for_are_refused_before_a_phone_is_opened() {
    let home = tempfile::tempdir().unwrap();
    let keys = [
        "--max-steps=1",
        "--output-dir=run",
        "--set=max_seq_length=200",
        "--set=max_turns=9",
    ];
    refused(
        home.path(),
        &with(&keys),
        &[
            "turns: ",
            "of 9 fit in 200 tokens",
            "max_seq_length to at least",
            "allow_fewer_turns",
        ],
    );
    assert!(!home.path().join("run").exists(), "a folder was made");
    // A service is not asked before: nothing answers at this address.
    let real = ["--set=gbox_base_url=http://127.0.0.1:9", "--set=gbox_api_key=k"];
    let screen = [
        "--set=max_pixels=16777216",
        "--set=screen_width=720",
        "--set=screen_height=1600",
    ];
    refused(
        home.path(),
        &with(&[&keys[..], &real, &screen].concat()),
        &["a screenshot of 720x1600 is 1,100"],
    );
    let told = succeed(
        home.path(),
        &with(&[&keys[..], &["--set=allow_fewer_turns=true"]].concat()),
    );
    assert!(told.contains("of 9 fit in 200 tokens"), "{told}");
    // What was trained so can be measured so.
    let output = trainer(home.path(), &["eval", "--adapter=run"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("episodes end before max_turns: set "),
        "{}",
        text(&output)
    );
}
