//! A service that is away for a while or for good, and boxes after a sudden death.

use crate::live::*;
use cua_grpo_sim::{Mishap, MishapShare, SimServer};
use cua_grpo_train::metrics::{EvalEvent, Line, read_metrics};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// All requests meet this from now on.
fn all(sim: &SimServer, kind: Mishap) {
    sim.set_mishaps([MishapShare { kind, share: 1.0 }]);
}

/// The same binary with the key that is never saved.
fn with_key(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, arguments, &[]);
    command.env("GBOX_API_KEY", "any");
    command
}

fn evals(run: &Path) -> Vec<EvalEvent> {
    let events = read_metrics(run).unwrap().into_iter();
    events
        .filter_map(|event| match event {
            Line::Eval(eval) => Some(eval),
            Line::Train(_) => None,
        })
        .collect()
}

/// Starts a run at `sim` and waits for its first step.
async fn one_step(folder: &Path, sim: &SimServer, more: &[&str]) -> std::process::Child {
    let mut flags = at(sim);
    flags.extend(words(&["--output-dir=run", "--set=save_steps=0"]));
    flags.extend(words(more));
    let child = command(folder, SMALL, &flags).spawn().unwrap();
    let run = folder.join("run");
    until("a step", || {
        run.join("metrics.jsonl").exists() && !steps(&run).is_empty()
    })
    .await;
    until("boxes of the next", || sim.stats().live_boxes > 0).await;
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_for_told_and_counted_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let sim = slow(10).await;
    let child = one_step(folder.path(), &sim, &["--max-steps=3"]).await;
    all(&sim, Mishap::Unavailable);
    tokio::time::sleep(Duration::from_secs(4)).await;
    all(&sim, Mishap::Limited);
    tokio::time::sleep(Duration::from_secs(2)).await;
    sim.set_mishaps([]);
    let output = end(child).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("waiting for the service since"), "{text}");
    assert!(text.contains("the service answers again"), "{text}");
    let steps = steps(&folder.path().join("run"));
    let losses = steps.iter().map(|step| &step.losses);
    let outages: u64 = losses.clone().map(|losses| losses.outages).sum();
    let seconds: f64 = losses.clone().map(|losses| losses.outage_s).sum();
    assert!(
        steps.len() == 3 && outages > 0 && seconds > 3.0,
        "{outages} outages, {seconds} s: {text}"
    );
    assert_eq!(losses.map(|losses| losses.lost).sum::<usize>(), 0, "{text}");
    assert_eq!((sim.stats().live_boxes, sim.stats().repeated), (0, 0), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_gives_up_saves_first_and_goes_on_at_once_when_the_service_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let sim = slow(10).await;
    let flags = ["--max-steps=2", "--set=outage_budget=1", "--set=max_retries=0"];
    let child = one_step(folder.path(), &sim, &flags).await;
    all(&sim, Mishap::Unavailable);
    let output = end(child).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in [
        "outage_budget",
        "What was reached is saved",
        "--resume",
        "boxes sweep --label",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let run = folder.path().join("run");
    let reached = steps(&run).len();
    assert!(run.join(format!("checkpoints/checkpoint-{reached}")).is_dir(), "{text}");
    assert!(sim.stats().live_boxes > 0, "nobody could end them");
    sim.set_mishaps([]);
    let output = finish(with_key(folder.path(), &["--resume=run"])).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!((steps(&run).len(), sim.stats().live_boxes), (2, 0), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_evaluation_loses_is_played_once_more_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // Room for the two episodes of a step, not for the four of an evaluation at once.
    let sim = faulty(Default::default(), 2).await;
    let mut flags = at(&sim);
    flags.extend(words(&[
        "--max-steps=2",
        "--output-dir=run",
        "--set=num_rollouts=2",
        "--set=outage_budget=0",
        "--set=max_retries=0",
        "--set=eval_steps=1",
    ]));
    let output = finish(command(folder.path(), SMALL, &flags)).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let run = folder.path().join("run");
    let evals = evals(&run);
    assert_eq!((steps(&run).len(), evals.len()), (2, 3), "{text}");
    for eval in &evals {
        assert!(
            eval.failed.is_none() && (eval.episodes, eval.requested) == (4, Some(4)),
            "{eval:?}"
        );
    }
    assert!(!text.contains("evaluations that failed"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_without_a_service_is_named_after_its_checkpoint_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // A request takes longer than it takes to see here what has been written.
    let sim = slow(40).await;
    let mut flags = at(&sim);
    flags.extend(words(&[
        "--max-steps=2",
        "--output-dir=run",
        "--set=outage_budget=0",
        "--set=max_retries=0",
        "--set=eval_steps=1",
        "--set=save_steps=1",
    ]));
    let child = command(folder.path(), SMALL, &flags).spawn().unwrap();
    let run = folder.path().join("run");
    let saved = run.join("checkpoints/checkpoint-1");
    until("the checkpoint before the evaluation", || saved.is_dir()).await;
    assert_eq!(evals(&run).len(), 1, "the evaluation after step 1 is still to come");
    all(&sim, Mishap::Unavailable);
    until("its line", || evals(&run).len() == 2).await;
    sim.set_mishaps([]);
    let output = end(child).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let failed: Vec<Option<String>> = evals(&run).into_iter().map(|eval| eval.failed).collect();
    let [None, Some(failed), None] = &failed[..] else {
        panic!("{failed:?}: {text}")
    };
    assert!(failed.contains("4 of 4 episodes were lost"), "{failed}");
    let named = text
        .lines()
        .filter(|line| line.contains("The run goes on without its figures"));
    assert_eq!(named.count(), 1, "{text}");
    let told = "evaluations that failed, and are in no table: after step 1";
    assert!(text.contains(told), "{text}");
    assert_eq!(steps(&run).len(), 2, "{text}");
    assert!(saved.join("adapter_model.safetensors").is_file() && run.join("best_model").is_dir());
    let report = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("1 failed and in no chart"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_run_in_bounded_time_also_when_the_service_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let sim = slow(10).await;
    let child = one_step(folder.path(), &sim, &["--max-steps=3"]).await;
    all(&sim, Mishap::Hang);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let since = Instant::now();
    send(&child, "INT");
    let output = end(child).await;
    let (took, text) = (since.elapsed(), said(&output));
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(took < Duration::from_secs(15), "{took:?}: {text}");
    for word in ["boxes that could not be ended", "boxes sweep --label", "--resume"] {
        assert!(
            text.contains(word) || text.contains("it is not known whether boxes"),
            "{word} in {text}"
        );
    }
    assert!(sim.stats().live_boxes > 0, "nobody could end them");
    sim.set_mishaps([]);
    let listed = finish(with_key(folder.path(), &["boxes", "list", "--run=run"])).await;
    let lines = String::from_utf8_lossy(&listed.stdout).lines().count();
    assert_eq!(lines, sim.stats().live_boxes, "{}", said(&listed));
    let swept = finish(with_key(folder.path(), &["boxes", "sweep", "--run=run"])).await;
    assert_eq!(swept.status.code(), Some(0), "{}", said(&swept));
    assert_eq!(sim.stats().live_boxes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_with_the_whole_quota_used_the_run_goes_on_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = cua_grpo_sim::SimConfig {
        quota: 5,
        latency: cua_grpo_sim::Latency {
            request: Duration::from_millis(20),
            ..Default::default()
        },
        ..Default::default()
    };
    let sim = SimServer::start(config).await.unwrap();
    // A box of someone else, which nobody may end.
    let other = cua_grpo_gbox::ClientConfig::new("any").at(sim.base_url());
    let other =
        cua_grpo_gbox::BoxPool::new(cua_grpo_gbox::GboxClient::new(other).unwrap(), Default::default()).unwrap();
    let kept = other.lease(Default::default(), Default::default()).await.unwrap();
    let mut flags = at(&sim);
    flags.extend(words(&["--output-dir=run", "--max-steps=1", "--set=eval_episodes=8"]));
    let mut child = command(folder.path(), SMALL, &flags).spawn().unwrap();
    until("the whole quota", || sim.stats().live_boxes == 5).await;
    child.kill().unwrap();
    end(child).await;
    assert_eq!(sim.stats().live_boxes, 5);
    // A sweep of the run's own boxes is not made while the run is at work, and needs to be told whose.
    let output = finish(with_key(folder.path(), &["boxes", "sweep"])).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let output = finish(with_key(folder.path(), &["--resume=run", "--set=outage_budget=0"])).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let losses: Vec<u64> = evals(&folder.path().join("run"))
        .iter()
        .map(|eval| eval.losses.outages)
        .collect();
    assert_eq!(losses.iter().sum::<u64>(), 0, "nothing was waited for");
    assert_eq!(sim.stats().live_boxes, 1, "the box of someone else");
    let url = format!("--set=gbox_base_url={}", sim.base_url());
    let listed = finish(with_key(folder.path(), &["boxes", "list", "--all", &url])).await;
    let lines = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(lines.lines().count() == 1 && lines.contains(kept.id()), "{lines}");
    assert!(kept.release().await);
}
