//! Signals: an orderly end with exit code 130, no box left, and a run that can go on.

use crate::live::*;
use cua_grpo_train::metrics::{deterministic, read_metrics};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SIGNALS: [&str; 4] = ["INT", "TERM", "HUP", "QUIT"];

fn lines(run: &Path) -> Vec<serde_json::Value> {
    let mut lines: Vec<_> = read_metrics(run).unwrap().iter().map(deterministic).collect();
    for line in &mut lines {
        // The address of the phones is part of what tells task sets apart.
        line.as_object_mut().unwrap().remove("task_set");
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn every_signal_ends_a_training_run_in_order_and_it_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let plain = command(
        folder.path(),
        SMALL,
        &["--max-steps=2", "--output-dir=whole"].map(String::from),
    );
    assert_eq!(finish(plain).await.status.code(), Some(0));
    let runs = SIGNALS.map(|signal| tokio::spawn(interrupted_training(folder.path().to_owned(), signal)));
    for (run, signal) in runs.into_iter().zip(SIGNALS) {
        run.await.unwrap();
        let run = folder.path().join(signal);
        assert_eq!(lines(&run), lines(&folder.path().join("whole")), "{signal}");
    }
}

async fn interrupted_training(folder: PathBuf, signal: &'static str) {
    let sim = slow(20).await;
    let mut flags = at(&sim);
    flags.extend(["--max-steps=2".to_owned(), format!("--output-dir={signal}")]);
    let run = folder.join(signal);
    let child = command(&folder, SMALL, &flags).spawn().unwrap();
    until("a step", || {
        run.join("metrics.jsonl").exists() && !steps(&run).is_empty()
    })
    .await;
    until("boxes of the next", || sim.stats().live_boxes > 0).await;
    send(&child, signal);
    let output = end(child).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(130), "{signal}: {text}");
    assert!(
        text.contains(&format!("SIG{signal}")) && text.contains("--resume"),
        "{text}"
    );
    assert_eq!(sim.stats().live_boxes, 0, "{signal} left boxes: {text}");
    assert!(run.join("report.html").is_file(), "{signal}: no report");
    let go_on = command(&folder, &[], &[format!("--resume={signal}")]);
    let output = finish(go_on_with_key(go_on)).await;
    assert_eq!(output.status.code(), Some(0), "{signal}: {}", said(&output));
}

/// The key is never saved.
fn go_on_with_key(mut command: Command) -> Command {
    command.env("GBOX_API_KEY", "any");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_before_its_first_step_can_go_on_too() {
    let folder = tempfile::tempdir().unwrap();
    let sim = slow(30).await;
    let mut flags = at(&sim);
    flags.extend(["--max-steps=1", "--output-dir=run"].map(String::from));
    let child = command(folder.path(), SMALL, &flags).spawn().unwrap();
    until("boxes", || sim.stats().live_boxes > 0).await;
    send(&child, "TERM");
    let output = end(child).await;
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert_eq!(sim.stats().live_boxes, 0);
    let run = folder.path().join("run");
    assert!(read_metrics(&run).unwrap().is_empty(), "nothing was measured");
    let output = finish(go_on_with_key(command(folder.path(), &["--resume=run"], &[]))).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(lines(&run).len(), 3, "two evaluations and a step");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_evaluation_leaves_no_box_and_no_figures() {
    let folder = tempfile::tempdir().unwrap();
    for signal in SIGNALS {
        let sim = slow(30).await;
        let flags = at(&sim);
        let arguments = ["eval", "--episodes=32", "--set=concurrency=8", "--max-turns=4"];
        let child = command(folder.path(), &arguments, &flags).spawn().unwrap();
        until("boxes", || sim.stats().live_boxes > 4).await;
        send(&child, signal);
        let output = end(child).await;
        assert_eq!(output.status.code(), Some(130), "{signal}: {}", said(&output));
        assert_eq!(sim.stats().live_boxes, 0, "{signal}: {}", said(&output));
        assert!(output.stdout.is_empty(), "figures of half an evaluation");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let sim = slow(3000).await;
    let child = command(folder.path(), &["eval", "--episodes=4"], &at(&sim))
        .spawn()
        .unwrap();
    until("boxes", || sim.stats().live_boxes > 0).await;
    send(&child, "TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let second = Instant::now();
    send(&child, "INT");
    let output = end(child).await;
    assert!(second.elapsed() < Duration::from_millis(1500), "{:?}", second.elapsed());
    let text = said(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("interrupted again (SIGINT)"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_the_service_is_asked_for_the_first_time_ends_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let sim = slow(60_000).await;
    let child = command(folder.path(), SMALL, &at(&sim)).spawn().unwrap();
    until("the first request", || sim.stats().requests > 0).await;
    let since = Instant::now();
    send(&child, "INT");
    let output = end(child).await;
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(since.elapsed() < Duration::from_secs(5));
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing was begun"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_that_was_ignored_from_the_start_stays_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let sim = slow(20).await;
    let binary = env!("CARGO_BIN_EXE_trainer");
    let script = format!(
        "trap '' HUP; exec {binary} eval --episodes=4 --max-turns=2 {}",
        at(&sim).join(" ")
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(folder.path());
    let child = shell
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    until("boxes", || sim.stats().live_boxes > 0).await;
    send(&child, "HUP");
    let output = end(child).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_and_imitation_end_in_order_too() {
    let folder = tempfile::tempdir().unwrap();
    for signal in SIGNALS {
        let child = command(folder.path(), &["sim", "--bind=127.0.0.1:0"], &[])
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        send(&child, signal);
        let output = end(child).await;
        assert_eq!(
            output.status.code(),
            Some(0),
            "a server that is ended has done its work: {}",
            said(&output)
        );
    }
    let flags = [
        "sft",
        "--set=demonstrations=16",
        "--set=max_steps=100000",
        "--set=log_every=1",
    ];
    let out = ["--output-dir=starter".to_owned()];
    let child = command(folder.path(), &flags, &out).spawn().unwrap();
    // The folder is made beside its place and appears when it is whole.
    let begun = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.any(|path| path.join("tokenizer.json").exists())
    };
    until("the tokenizer", begun).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    send(&child, "TERM");
    let output = end(child).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    let saved = folder.path().join("starter/model.safetensors").is_file();
    assert!(
        saved == text.contains("the model so far is in") && (saved || text.contains("no model was made")),
        "{text}"
    );
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, usize::from(saved), "nothing is left beside the model");
}
