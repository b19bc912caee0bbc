//! Runs whose episodes are played beside training: bounds, ends and ways on, through the real binary.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::runs::{order, refused, steps, succeed};
use common::{command, trainer};
use cua_grpo_train::checkpoint::{TrainingState, read_state};
use cua_grpo_train::faults::FaultFigures;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Small enough for a test, large enough that groups differ.
const SMALL: &[&str] = &[
    "--num-rollouts=4",
    "--max-turns=4",
    "--output-dir=run",
    "--set=eval_episodes=3",
    "--set=max_new_tokens=48",
    "--set=save_steps=1",
    "--set=save_episodes=1",
    "--set=templates=[wifi, bluetooth]",
];
/// Played beside training; flat groups are trained on as well.
const BESIDE: &[&str] = &["--set=lockstep=false", "--set=max_staleness=2", "--set=min_group_std=0"];

fn state(run: &Path, step: usize) -> TrainingState {
    read_state(&run.join(format!("checkpoints/checkpoint-{step}"))).unwrap()
}

/// How many tasks are done, each once.
fn done(state: &TrainingState) -> usize {
    let ahead = &state.done_ahead;
    assert!(ahead.windows(2).all(|pair| pair[0] < pair[1]), "{ahead:?}");
    assert!(ahead.iter().all(|cursor| *cursor > state.task_cursor), "{ahead:?}");
    state.task_cursor as usize + ahead.len()
}

#[test]
fn episodes_are_played_beside_training_and_never_get_too_old() {
    let home = tempfile::tempdir().unwrap();
    let rest = [
        "--max-steps=4",
        "--set=eval_steps=2",
        "--batch-size=2",
        "--set=concurrency=8",
    ];
    succeed(home.path(), &[SMALL, BESIDE, &rest].concat());
    let run = home.path().join("run");
    assert_eq!(order(&run), ["e0", "1", "2", "e2", "3", "4", "e4"]);
    let events = steps(&run);
    // An episode has a box each. What is played while a checkpoint is written belongs to a line as well: each of the boxes
    // of the 32 episodes was made, and what the lines tell as ended was made before.
    let boxes = |pick: fn(&FaultFigures) -> u64| events.iter().map(|event| pick(&event.losses)).sum::<u64>();
    let (created, terminated) = (
        boxes(|figures| figures.boxes_created),
        boxes(|figures| figures.boxes_terminated),
    );
    assert!(
        created >= 32 && terminated <= created,
        "{created} created, {terminated} terminated"
    );
    for event in &events {
        assert_eq!((event.groups(), event.episodes, event.losses.lost), (2, 8, 0));
        assert!(event.staleness_max <= 2, "{}", event.staleness_max);
        assert_eq!(event.episodes_dropped, Some(0));
        assert!(event.updates == Some(1) && event.loss.unwrap().is_finite());
        assert!(event.sampler_gap_max.unwrap() >= event.sampler_gap.unwrap() && event.mismatch_kl.unwrap() >= 0.0);
        let (seconds, sampler) = (event.step_s.unwrap(), event.sampler_busy_s.unwrap());
        assert!((0.0..=seconds).contains(&sampler), "{sampler} of {seconds} s");
        let slots = event.slots_busy_s.unwrap();
        assert!((0.0..=8.0 * seconds).contains(&slots), "{slots} of {seconds} s");
    }
    assert!(
        events.iter().any(|event| event.staleness_max > 0),
        "some episodes are of an older policy"
    );
    assert!(events[0].staleness_max == 0 && events[0].sampler_gap_max == Some(0.0));
    assert_eq!(done(&state(&run, 4)), 8);

    refused(
        home.path(),
        &["--set=max_staleness=1", "--output-dir=other"],
        &["max_staleness", "lockstep"],
    );
    refused(
        home.path(),
        &[BESIDE, &["--set=curriculum_failures=3", "--output-dir=other"]].concat(),
        &["max_staleness", "curriculum_failures"],
    );
}

#[test]
fn a_run_that_dies_midway_goes_on_and_trains_on_every_task_once() {
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("run");
    let rest = [
        "--max-steps=6",
        "--set=eval_steps=0",
        "--batch-size=1",
        "--set=concurrency=4",
    ];
    let all = [SMALL, BESIDE, &rest].concat();
    let mut child = command(home.path(), &all).stderr(Stdio::null()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(240);
    while !run.join("checkpoints/checkpoint-2").is_dir() {
        assert!(
            Instant::now() < patience && child.try_wait().unwrap().is_none(),
            "no second checkpoint"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let output = trainer(home.path(), &["--resume=run"]);
    assert!(output.status.success(), "{}", common::runs::text(&output));
    assert_eq!(order(&run), ["e0", "1", "2", "3", "4", "5", "6", "e6"]);
    for step in 4..=6 {
        assert_eq!(done(&state(&run, step)), step, "a task a step");
    }
    assert_eq!(state(&run, 6).task_cursor, 6, "nothing is left behind at the end");
    let episodes: usize = steps(&run).iter().map(|event| event.episodes).sum();
    assert_eq!(episodes, 24);
}

#[test]
fn without_lockstep_a_run_learns_the_same_to_the_last_bit() {
    let rest = [
        "--max-steps=2",
        "--batch-size=2",
        "--set=eval_steps=0",
        "--set=min_group_std=0",
    ];
    let learnt = |places: &str, lockstep: &str| {
        let home = tempfile::tempdir().unwrap();
        succeed(home.path(), &[SMALL, &rest, &[places, lockstep]].concat());
        let run = home.path().join("run");
        let figures = steps(&run).into_iter().map(|event| {
            assert_eq!((event.sampler_gap, event.sampler_gap_max), (Some(0.0), Some(0.0)));
            assert_eq!(event.mismatch_kl, Some(0.0));
            (event.loss, event.kl, event.grad_norm, event.reward_mean)
        });
        let figures: Vec<_> = figures.collect();
        (
            figures,
            std::fs::read(run.join("final/adapter_model.safetensors")).unwrap(),
        )
    };
    let (figures, adapter) = learnt("--set=concurrency=8", "--set=lockstep=true");
    for places in ["--set=concurrency=8", "--set=concurrency=3"] {
        let (others, other) = learnt(places, "--set=lockstep=false");
        assert_eq!(others, figures, "{places}");
        assert!(other == adapter, "{places}: the adapters differ");
    }
}

#[test]
fn flat_groups_are_tried_again_with_other_tasks() {
    let home = tempfile::tempdir().unwrap();
    // No rewards differ by so much: every group is flat.
    let flat = [
        "--set=min_group_std=0.9",
        "--set=max_refills=2",
        "--batch-size=1",
        "--set=concurrency=4",
    ];
    let rest = ["--max-steps=2", "--set=eval_steps=0"];
    succeed(home.path(), &[SMALL, &flat, &rest].concat());
    let run = home.path().join("run");
    for event in steps(&run) {
        assert_eq!(
            (event.groups_filtered, event.groups_refilled, event.groups_kept),
            (3, Some(2), 0)
        );
        assert_eq!((event.episodes, event.updates), (12, Some(0)));
    }
    assert_eq!(state(&run, 2).task_cursor, 6);
}
