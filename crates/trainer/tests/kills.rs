//! The real binary is killed at random moments and goes on: its figures, weights and records are those of a run that was
//! never interrupted, and beside training no task is lost or trained on twice.
//!
//! `CUA_KILLS=20 cargo test -p trainer --test kills` tries more moments than the five of every day.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::command;
use common::runs::{adapter, lines, log, order, succeed};
use cua_grpo_core::derive_seed;
use cua_grpo_train::checkpoint::read_state;
use cua_grpo_train::episodes::Saved;
use cua_grpo_train::record::read_step;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const STEPS: usize = 4;
/// A second or two.
const TINY: &[&str] = &[
    "--batch-size=1",
    "--num-rollouts=3",
    "--max-turns=3",
    "--max-steps=4",
    "--output-dir=run",
    "--set=eval_episodes=2",
    "--set=concurrency=3",
    "--set=max_new_tokens=40",
    "--set=save_steps=1",
    "--set=eval_steps=2",
    "--set=min_group_std=0",
    "--set=record=1",
    "--set=positive_replay=2",
    "--set=templates=[wifi, bluetooth]",
];
/// Played beside training.
const BESIDE: &[&str] = &["--set=lockstep=false", "--set=max_staleness=2"];

fn kills() -> u64 {
    std::env::var("CUA_KILLS").map_or(5, |count| count.parse().unwrap())
}

/// Starts the run in `home`, or goes on with it, and kills it after `life`; whether it came to its end before.
fn killed(home: &Path, keys: &[&str], life: Duration) -> bool {
    let begun = home.join("run/config.yaml").is_file();
    if !begun && home.join("run").exists() {
        // It died before it was a run.
        std::fs::remove_dir_all(home.join("run")).unwrap();
    }
    let all = [TINY, keys].concat();
    let arguments = if begun { &["--resume=run"][..] } else { &all };
    let mut child = command(home, arguments).stderr(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + life;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{arguments:?}: {status}");
            return true;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

/// Kills a run once or twice, at moments that follow from `seed` within `most`, and lets it come to its end.
fn hounded(keys: &[&str], seed: u64, most: Duration) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for kill in 0..=seed % 2 {
        let share = (derive_seed(&[seed, kill]) % 1000) as f64 / 1000.0;
        if killed(home.path(), keys, most.mul_f64(share)) {
            break;
        }
    }
    assert!(killed(home.path(), keys, Duration::from_secs(300)), "no end");
    home
}

/// The files of the records by their steps.
fn records(run: &Path) -> Vec<(usize, [Vec<u8>; 2])> {
    let files =
        |folder: &Path| ["step.jsonl", "rows.safetensors"].map(|name| std::fs::read(folder.join(name)).unwrap());
    let folders = Saved::Record.folders(run).into_iter();
    folders.map(|(step, folder)| (step, files(&folder))).collect()
}

#[test]
fn a_run_that_is_killed_at_any_moment_comes_to_the_same() {
    let whole = tempfile::tempdir().unwrap();
    let started = Instant::now();
    succeed(whole.path(), TINY);
    let most = started.elapsed();
    let whole = whole.path().join("run");
    let rows = |run: &Path| -> Vec<(usize, Vec<u8>)> {
        // What a rollout took is in the lines, and differs.
        records(run).into_iter().map(|(step, [_, rows])| (step, rows)).collect()
    };
    for seed in 0..kills() {
        let home = hounded(&[], seed, most);
        let run = home.path().join("run");
        assert_eq!(lines(&run), lines(&whole), "seed {seed}");
        for name in ["final", "best_model", "checkpoints/checkpoint-4"] {
            assert!(
                adapter(&run.join(name)) == adapter(&whole.join(name)),
                "seed {seed}: {name}"
            );
        }
        assert!(rows(&run) == rows(&whole), "seed {seed}: records");
        assert_eq!(log(&run), log(&whole), "seed {seed}");
    }
}

#[test]
fn a_run_beside_training_that_is_killed_loses_no_task_and_trains_on_none_twice() {
    let whole = tempfile::tempdir().unwrap();
    let started = Instant::now();
    succeed(whole.path(), &[TINY, BESIDE].concat());
    let most = started.elapsed();
    for seed in 0..kills() {
        let home = hounded(BESIDE, seed, most);
        let run = home.path().join("run");
        assert_eq!(order(&run), ["e0", "1", "2", "e2", "3", "4", "e4"], "seed {seed}");
        let state = read_state(&run.join("checkpoints/checkpoint-4")).unwrap();
        assert_eq!(
            (state.task_cursor, state.done_ahead),
            (STEPS as u64, Vec::new()),
            "seed {seed}"
        );
        // Every task of the first four, in one step each, with all its episodes.
        let mut cursors = Vec::new();
        for (_, folder) in Saved::Record.folders(&run) {
            cursors.extend(read_step(&folder).unwrap().cursors);
        }
        cursors.sort_unstable();
        assert_eq!(cursors, [0, 1, 2, 3], "seed {seed}");
        let mut episodes: BTreeMap<String, usize> = BTreeMap::new();
        for line in std::fs::read_to_string(run.join("episodes/train.jsonl"))
            .unwrap()
            .lines()
        {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            *episodes.entry(line["task"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert_eq!(
            (episodes.len(), episodes.values().all(|count| *count == 3)),
            (STEPS, true),
            "seed {seed}"
        );
        for line in lines(&run).iter().filter(|line| line["kind"] == "train") {
            assert!(
                line["staleness_max"].as_u64().unwrap() <= 2 && line["episodes"] == 3,
                "seed {seed}: {line}"
            );
        }
    }
}
