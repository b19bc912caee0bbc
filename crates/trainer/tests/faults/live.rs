//! The binary while it runs, beside a simulator whose boxes are counted.

use cua_grpo_sim::{Faults, Latency, SimConfig, SimServer};
use cua_grpo_train::metrics::{Line, TrainEvent, read_metrics};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Small enough for a test.
pub const SMALL: &[&str] = &[
    "--batch-size=1",
    "--num-rollouts=4",
    "--max-turns=4",
    "--set=eval_episodes=4",
    "--set=concurrency=4",
    "--set=max_new_tokens=48",
    "--set=min_group_std=0",
    "--set=save_episodes=2",
    "--set=target_accuracy=2",
];

/// A simulator that takes its time, so that a signal comes while boxes are held.
pub async fn slow(milliseconds: u64) -> SimServer {
    let latency = Latency {
        request: Duration::from_millis(milliseconds),
        ..Default::default()
    };
    SimServer::start(SimConfig {
        latency,
        ..Default::default()
    })
    .await
    .unwrap()
}

/// A simulator with faults.
pub async fn faulty(faults: Faults, quota: usize) -> SimServer {
    SimServer::start(SimConfig {
        faults,
        quota,
        ..Default::default()
    })
    .await
    .unwrap()
}

/// Flags that use a simulator.
pub fn at(sim: &SimServer) -> Vec<String> {
    vec![
        format!("--set=gbox_base_url={}", sim.base_url()),
        "--set=gbox_api_key=any".to_owned(),
    ]
}

/// The binary with these flags in `folder`, without our environment.
pub fn command(folder: &Path, arguments: &[&str], more: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command
        .args(arguments)
        .args(more)
        .env_clear()
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs to the end on a thread of its own, so that a simulator in this process can answer.
pub async fn finish(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// Waits for a child on a thread of its own.
pub async fn end(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap()
}

/// Sends a signal by its name.
pub fn send(child: &Child, signal: &str) {
    let kill = format!("kill -s {signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

/// Waits until something is so.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(120), "never came: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a command wrote to standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The training steps of a run.
pub fn steps(run: &Path) -> Vec<TrainEvent> {
    let events = read_metrics(run).unwrap().into_iter();
    events
        .filter_map(|event| match event {
            Line::Train(train) => Some(train),
            Line::Eval(_) => None,
        })
        .collect()
}
