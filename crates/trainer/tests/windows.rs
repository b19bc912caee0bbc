//! Runs whose contexts are cut back to the newest screenshots, through the real binary: what is trained on is what was
//! sampled, and a run that goes on, or learns from its record, writes the same lines.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::runs::{adapter, lines, log, steps, succeed};
use cua_grpo_train::metrics::TrainEvent;
use std::path::Path;

/// Small enough for a test; a policy that is drawn at this temperature seldom reports before its turns are over.
const SMALL: &[&str] = &[
    "--batch-size=2",
    "--num-rollouts=3",
    "--max-turns=7",
    "--temperature=1.2",
    "--set=top_p=1",
    "--set=eval_episodes=2",
    "--set=concurrency=6",
    "--set=max_new_tokens=32",
    "--set=save_steps=1",
    "--set=eval_steps=2",
    "--set=min_group_std=0",
    "--set=save_episodes=1",
    "--set=templates=[wifi, bluetooth]",
];

fn with<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    SMALL.iter().copied().chain(rest.iter().copied()).collect()
}

/// Sampling and training agree, as they do where contexts are whole.
fn agrees(event: &TrainEvent) {
    let ratio = event.ratio_mean.unwrap();
    assert!((ratio - 1.0).abs() < 1e-4, "ratio at staleness 0: {ratio}");
    assert_eq!(event.staleness_max, 0);
    assert_eq!((event.sampler_gap, event.sampler_gap_max), (Some(0.0), Some(0.0)));
    assert_eq!(event.tokens_trained, event.tokens_sampled, "every token once");
}

#[test]
fn the_ratio_is_one_under_every_number_of_screenshots_and_a_run_goes_on_and_is_learnt_from_again() {
    let home = tempfile::tempdir().unwrap();
    let run = |rest: &[&'static str]| succeed(home.path(), &with(rest));
    for (keep, folder) in [("--set=keep_screenshots=1", "one"), ("--set=keep_screenshots=2", "two")] {
        let output: &'static str = Box::leak(format!("--output-dir={folder}").into_boxed_str());
        run(&["--max-steps=2", "--set=record=1", keep, output]);
        let all = steps(&home.path().join(folder));
        assert_eq!(all.len(), 2);
        all.iter().for_each(agrees);
        let rows = all.iter().map(|event| event.rows_mean.unwrap());
        assert!(
            rows.clone().all(|rows| rows > 1.0),
            "{folder}: {:?}",
            rows.collect::<Vec<_>>()
        );
    }
    // What stands in a saved episode and in the report.
    let report = std::fs::read_to_string(home.path().join("one/report.html")).unwrap();
    assert!(report.contains("from here on without the older screenshots"));
    // A run in two parts, and one that learns from the record.
    let keep = "--set=keep_screenshots=1";
    run(&["--max-steps=1", keep, "--output-dir=parts"]);
    succeed(home.path(), &["--resume=parts", "--max-steps=2"]);
    run(&[
        "--max-steps=2",
        keep,
        "--output-dir=again",
        "--set=environment=replay:one",
    ]);
    let [one, parts, again] = ["one", "parts", "again"].map(|name| home.path().join(name));
    let train = |run: &Path| -> Vec<serde_json::Value> {
        let all = lines(run).into_iter();
        all.filter(|line| line["kind"] == "train").collect()
    };
    assert_eq!(train(&one), train(&parts));
    assert_eq!(train(&one), train(&again));
    assert!(adapter(&one.join("final")) == adapter(&parts.join("final")));
    assert!(adapter(&one.join("final")) == adapter(&again.join("final")));
    assert_eq!(log(&one), log(&again));
}

#[test]
fn a_number_that_no_episode_reaches_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let few = ["--max-steps=1", "--set=eval_steps=0"];
    succeed(home.path(), &with(&[&few[..], &["--output-dir=all"]].concat()));
    let large = ["--set=keep_screenshots=4", "--output-dir=large"];
    succeed(home.path(), &with(&[&few[..], &large].concat()));
    let [all, large] = ["all", "large"].map(|name| home.path().join(name));
    assert!(adapter(&all.join("final")) == adapter(&large.join("final")));
    let (mut all, mut large) = (lines(&all), lines(&large));
    for line in all.iter_mut().chain(&mut large) {
        let line = line.as_object_mut().unwrap();
        line.remove("task_set");
        let rows = line.remove("rows_mean");
        assert!(rows.is_none_or(|rows| rows == 1.0));
    }
    assert_eq!(all, large);
}

#[test]
fn episodes_that_are_played_beside_training_are_cut_back_too() {
    let home = tempfile::tempdir().unwrap();
    let beside = [
        "--set=lockstep=false",
        "--set=max_staleness=1",
        "--set=keep_screenshots=1",
        "--set=positive_replay=2",
        "--max-steps=3",
        "--set=eval_steps=0",
        "--output-dir=run",
    ];
    succeed(home.path(), &with(&beside));
    let all = steps(&home.path().join("run"));
    assert_eq!(all.len(), 3);
    assert!(
        all.iter()
            .all(|event| event.staleness_max <= 1 && event.rows_mean > Some(1.0))
    );
    assert!(all[0].staleness_max == 0 && all[0].sampler_gap_max == Some(0.0));
}
