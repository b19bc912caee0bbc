//! Evaluations on scripted seams: what is lost is played once more, and several attempts are counted by instance.

use super::*;
use cua_grpo_core::testing::{ByteRenderer, ScriptedEnvironment, ScriptedSampler};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Numbered tasks.
struct Numbered;

impl TaskSource for Numbered {
    fn task(&self, cursor: u64) -> Task {
        Task::new(format!("task/{cursor}"), "Say yes.").with_seed(cursor)
    }
}

/// How often each task was begun.
type Begun = Arc<Mutex<BTreeMap<String, usize>>>;

/// A place whose environments come up unless `down` says that those of a task do not, at the time they are begun.
fn venue(down: fn(&str, usize) -> bool) -> (Venue, Begun) {
    let begun = Begun::default();
    let counts = begun.clone();
    let factory = move |task: &Task| -> Result<Box<dyn Environment>, Fault> {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(task.id.clone()).or_default();
        *count += 1;
        match down(&task.id, *count) {
            true => Err(Fault::new(FaultKind::Environment, "create environment", "it is down")),
            false => Ok(Box::new(ScriptedEnvironment::new("yes"))),
        }
    };
    let venue = Venue {
        factory: Arc::new(factory),
        tasks: Arc::new(Numbered),
        counter: Arc::new(DeviceCounts::default),
    };
    (venue, begun)
}

fn evaluation(episodes: usize, attempts: usize) -> Evaluation {
    Evaluation {
        episodes,
        attempts,
        sampling: (0.5, 1.0, 0),
        seed: 1,
        templates: Vec::new(),
        max_turns: 3,
        max_new_tokens: 64,
        max_context_tokens: 4096,
        keep_screenshots: 0,
        concurrency: 2,
        max_retries: 0,
        task_set: "set".into(),
        max_lost_share: 0.25,
        saved: 1,
    }
}

/// Plays with a policy that says in each slot what `says` it; then it stops.
async fn play(evaluation: &Evaluation, venue: &Venue, says: fn(usize) -> &'static str) -> EvalResult {
    let script = move |slot: usize, turn: usize| Ok(if turn == 0 { says(slot) } else { "stop" }.to_owned());
    let (sampler, reward) = (
        Arc::new(ScriptedSampler::new(script)),
        Arc::new(cua_grpo_core::VerifiedSuccess),
    );
    let (factory, renderer) = (venue.factory.clone(), Arc::new(ByteRenderer));
    let engine = RolloutEngine::new(factory, renderer, sampler, reward, evaluation.rollout()).unwrap();
    let played = evaluation.play(&engine, venue, Some(3), CancellationToken::new()).await;
    played.unwrap()
}

fn count(begun: &Begun) -> usize {
    begun.lock().unwrap().values().sum()
}

#[tokio::test]
async fn what_is_lost_is_played_once_more_at_the_end() {
    let down = |task: &str, count| ["task/1", "task/3"].contains(&task) && count == 1;
    let (venue, begun) = venue(down);
    let result = play(&evaluation(4, 1), &venue, |_| "yes").await;
    let event = &result.event;
    assert_eq!((event.episodes, event.requested, event.losses.lost), (4, Some(4), 0));
    assert_eq!((event.faults, event.failed.as_ref(), count(&begun)), (2, None, 6));
    let instances = event.instances.as_ref().unwrap();
    assert_eq!((instances.solved.as_str(), event.success_rate), ("1111", 1.0));
    assert_eq!(
        result.episodes.iter().map(|(task, _)| task.seed).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    // The first episode alone keeps its tokens.
    let kept = result.episodes.iter().map(|(_, episode)| !episode.row.is_empty());
    assert_eq!(kept.collect::<Vec<_>>(), [true, false, false, false]);
}

#[tokio::test]
async fn what_is_lost_again_leaves_the_evaluation_incomplete_and_says_so() {
    let (venue, _) = venue(|task, _| task == "task/2");
    let event = play(&evaluation(4, 1), &venue, |_| "yes").await.event;
    assert_eq!((event.episodes, event.requested, event.losses.lost), (3, Some(4), 1));
    assert_eq!((event.faults, event.instances.unwrap().solved.as_str()), (2, "11-1"));
    assert!(event.failed.is_none(), "a quarter may be lost");
}

#[tokio::test]
async fn where_all_is_lost_nothing_is_tried_again() {
    let (venue, begun) = venue(|_, _| true);
    let event = play(&evaluation(4, 1), &venue, |_| "yes").await.event;
    assert_eq!((event.episodes, event.losses.lost, count(&begun)), (0, 4, 4));
    assert!(event.failed.unwrap().contains("4 of 4"));
}

#[tokio::test]
async fn several_attempts_are_sampled_and_counted_by_instance() {
    let several = evaluation(3, 4);
    assert_eq!(
        (several.rollout().temperature, evaluation(3, 1).rollout().temperature),
        (0.5, 0.0)
    );
    // The third attempt at the second task is lost at first.
    let (venue, begun) = venue(|task, count| task == "task/1" && count == 3);
    let says = |slot: usize| if slot.is_multiple_of(4) { "yes" } else { "no" };
    let result = play(&several, &venue, says).await;
    let event = &result.event;
    assert_eq!(
        (event.episodes, event.requested, event.attempts, count(&begun)),
        (12, Some(12), Some(4), 13)
    );
    let attempts: Vec<u64> = result.episodes.iter().map(|(_, episode)| episode.attempt).collect();
    assert_eq!((attempts.len(), attempts[..4].to_vec()), (12, vec![0, 1, 2, 3]));
    let distinct: std::collections::BTreeSet<_> = result
        .episodes
        .iter()
        .map(|(task, episode)| (task.seed, episode.attempt))
        .collect();
    assert_eq!(distinct.len(), 12, "no attempt stands for two");
    let near = event.unseen_instances.unwrap();
    assert_eq!((near.episodes, near.pass_at_k), (12, Some(1.0)));
    assert!((event.pass_at["1"] - event.success_rate).abs() < 1e-12);
    let interval = event.interval().unwrap();
    assert!(
        interval.1 - interval.0 > 0.5,
        "three instances say little: {interval:?}"
    );
}
