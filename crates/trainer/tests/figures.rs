//! Figures of real runs through the binary: what was not measured is null, every update counts, an interrupted run has a
//! report, training episodes are saved.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use cua_grpo_report::read_invocations;
use cua_grpo_train::episodes::{Saved, load_episodes};
use cua_grpo_train::metrics::{Line, TrainEvent, read_metrics};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const SMALL: &[&str] = &[
    "--batch-size=2",
    "--num-rollouts=4",
    "--max-turns=4",
    "--set=eval_episodes=2",
    "--set=concurrency=8",
    "--set=max_new_tokens=48",
    "--set=save_episodes=1",
];

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.args(SMALL).args(arguments).current_dir(folder).env_clear();
    command
}

fn run(folder: &Path, arguments: &[&str]) -> (Vec<TrainEvent>, String) {
    let Output { status, stderr, .. } = command(folder, arguments).output().unwrap();
    let text = String::from_utf8_lossy(&stderr).into_owned();
    assert!(status.success(), "{arguments:?}: {text}");
    let events = read_metrics(&folder.join("run")).unwrap().into_iter();
    let trains = events.filter_map(|event| match event {
        Line::Train(train) => Some(train),
        Line::Eval(_) => None,
    });
    (trains.collect(), text)
}

#[test]
fn a_step_whose_groups_are_all_flat_has_no_figures_of_updates() {
    let folder = tempfile::tempdir().unwrap();
    let (trains, text) = run(
        folder.path(),
        &["--max-steps=1", "--output-dir=run", "--set=min_group_std=2"],
    );
    let train = &trains[0];
    assert_eq!(
        (train.groups_kept, train.groups_filtered, train.groups_lost),
        (0, 2, Some(0))
    );
    assert_eq!((train.updates, train.tokens_trained), (Some(0), 0));
    let figures = [
        train.loss,
        train.kl,
        train.ratio_mean,
        train.clip_fraction,
        train.grad_norm,
        train.entropy,
    ];
    assert_eq!(figures, [None; 6]);
    assert!(text.contains("groups 0/2: no update"), "{text}");
    let line = std::fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    assert!(
        line.contains("\"ratio_mean\":null") && line.contains("\"kl\":null"),
        "{line}"
    );
}

#[test]
fn every_update_of_a_step_counts_and_episodes_are_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let (trains, _) = run(
        folder.path(),
        &[
            "--max-steps=1",
            "--output-dir=run",
            "--set=reward=random",
            "--set=num_updates=3",
            "--set=beta=0",
        ],
    );
    let train = &trains[0];
    assert!(train.groups_kept > 0, "coins differ");
    assert_eq!((train.updates, train.each_update.len()), (Some(3), 3));
    let ratios: Vec<f64> = train
        .each_update
        .iter()
        .map(|update| update.ratio_mean.unwrap())
        .collect();
    assert!((ratios[0] - 1.0).abs() < 1e-4 && ratios[2] != ratios[0], "{ratios:?}");
    assert_eq!(train.ratio_mean_last, Some(ratios[2]));
    assert!((train.ratio_mean.unwrap() - ratios.iter().sum::<f64>() / 3.0).abs() < 1e-12);
    assert_eq!(train.kl, None, "no reference without beta");
    let counts = train.behaviour.unwrap();
    assert_eq!(
        counts.ended_reported + counts.ended_max_turns + counts.ended_max_tokens + counts.ended_max_time,
        train.episodes
    );
    assert_eq!(
        (counts.replies as f64 / train.episodes as f64).to_bits(),
        train.turns_mean.unwrap().to_bits()
    );
    assert_eq!(
        (counts.replies_malformed + counts.replies_refused) as u64,
        train.action_errors.unwrap() as u64
    );
    let run = folder.path().join("run");
    let saved = load_episodes(&run, &Saved::Train.folder(&run, 1)).unwrap();
    assert_eq!(saved.len(), 1, "a sample a step");
    let episode = &saved[0].1;
    assert!(episode.advantage.is_some() && episode.turns.iter().all(|turn| !turn.reply.is_empty()));
    for (_, episode) in load_episodes(&run, &Saved::Eval.folder(&run, 0)).unwrap() {
        assert!(
            !episode.checks.is_empty(),
            "the validator says what it expected and found"
        );
        assert_eq!(episode.success, episode.checks.iter().all(|check| check.held));
    }
    let starts = read_invocations(&run).unwrap();
    assert_eq!((starts.len(), starts[0].step), (1, 0));
    assert!(
        starts[0].line().ends_with("--set=num_updates=3 --set=beta=0"),
        "{}",
        starts[0].line()
    );
}

#[test]
fn with_top_p_the_ratio_is_1_at_staleness_0() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--max-steps=1",
        "--output-dir=run",
        "--set=reward=random",
        "--set=top_p=0.9",
    ];
    let (trains, _) = run(folder.path(), &flags);
    let train = &trains[0];
    assert!(train.kept_mass_mean.unwrap() < 0.999, "something was cut: {train:?}");
    let (ratio, gap) = (train.ratio_mean.unwrap(), train.sampler_gap.unwrap());
    assert!((ratio - 1.0).abs() < 5e-4 && gap < 1e-4, "ratio {ratio}, gap {gap}");
}

#[cfg(unix)]
#[test]
fn the_report_is_refreshed_at_every_evaluation_and_after_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--max-steps=1000", "--output-dir=run", "--set=eval_steps=1"];
    let mut child = command(folder.path(), &arguments)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let report = folder.path().join("run/report.html");
    let until = Instant::now() + Duration::from_secs(240);
    let text = || std::fs::read_to_string(&report).unwrap_or_default();
    while !text().contains("step 1</span>") {
        assert!(
            Instant::now() < until && child.try_wait().unwrap().is_none(),
            "no report after an evaluation"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::remove_file(&report).unwrap();
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    child.wait().unwrap();
    assert!(
        text().contains("Success on unseen instances"),
        "the interrupted run has a report"
    );
}
