//! The numbered promises of the engine, each in both modes where both make it.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::*;
use cua_grpo_core::{Ending, Episode, Fault, FaultKind, Reward, Task};
use cua_grpo_rollout::{CancellationToken, EngineError, RolloutConfig, RolloutEngine};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_1_every_slot_comes_out_exactly_once() {
    for lockstep in [false, true] {
        let (engine, journal) = engine(World::new(|_| (None, INSTANT)), config(lockstep));
        let collection = engine
            .collect(requests(3, 4), 1, CancellationToken::new())
            .await
            .unwrap();
        for group in &collection.groups {
            assert_eq!(
                group.episodes.iter().map(|e| e.attempt).collect::<Vec<_>>(),
                [0, 1, 2, 3],
                "{lockstep}"
            );
            assert!(group.faults.is_empty());
        }
        assert_eq!(
            (collection.stats.slots, collection.stats.episodes, collection.stats.lost),
            (12, 12, 0)
        );
        assert_eq!((journal.count("created"), journal.count("opened")), (12, 12));
        let sampled: usize = collection
            .groups
            .iter()
            .flat_map(|g| &g.episodes)
            .map(|e| e.row.trained_tokens())
            .sum();
        assert_eq!(collection.stats.tokens_sampled, sampled);
        assert!((collection.stats.kept_mass_mean() - 0.9).abs() < 1e-6);
    }
}

#[tokio::test]
async fn promise_2_a_fault_is_excluded_counted_and_its_slot_refilled() {
    let places = [
        (Failure::Create, FaultKind::Environment),
        (Failure::Start, FaultKind::Setup),
        (Failure::Step, FaultKind::Environment),
        (Failure::Finish, FaultKind::Validator),
        (Failure::Sample, FaultKind::Sampler),
    ];
    for ((failure, kind), lockstep) in places
        .into_iter()
        .flat_map(|place| [(place.clone(), false), (place, true)])
    {
        let world = World::new(move |number| ((number == 1).then_some(failure), INSTANT));
        let (engine, journal) = engine(world, config(lockstep));
        let collection = engine
            .collect(requests(1, 4), 1, CancellationToken::new())
            .await
            .unwrap();
        let (group, stats) = (&collection.groups[0], collection.stats);
        assert_eq!(
            group.episodes.iter().map(|e| e.attempt).collect::<Vec<_>>(),
            [0, 1, 2, 3],
            "{failure:?}"
        );
        assert!(group.faults.is_empty() && stats.lost == 0);
        let mut expected = cua_grpo_rollout::FaultCounts::default();
        expected.add(&kind);
        assert_eq!(
            (stats.faults.total(), stats.faults),
            (1, expected),
            "{failure:?} {lockstep}"
        );
        let creations = if failure == Failure::Create { 4 } else { 5 };
        assert_eq!(journal.count("created"), creations);
    }
}

#[tokio::test]
async fn promise_2_when_retries_are_used_up_the_group_is_smaller_and_says_why() {
    for lockstep in [false, true] {
        let world = World::new(|_| (Some(Failure::Step), INSTANT));
        let (engine, journal) = engine(
            world,
            RolloutConfig {
                max_retries: 3,
                ..config(lockstep)
            },
        );
        let collection = engine
            .collect(requests(2, 2), 1, CancellationToken::new())
            .await
            .unwrap();
        for group in &collection.groups {
            assert!(group.episodes.is_empty());
            assert_eq!(
                group.faults.iter().map(|fault| &fault.kind).collect::<Vec<_>>(),
                [&FaultKind::Environment; 2]
            );
        }
        assert_eq!((collection.stats.lost, collection.stats.faults.environment), (4, 16));
        assert_eq!((journal.count("created"), journal.count("finished")), (16, 16));
    }
}

#[tokio::test]
async fn promise_3_every_environment_that_was_created_is_finished_once() {
    let failures = [
        None,
        Some(Failure::Start),
        Some(Failure::Step),
        Some(Failure::Finish),
        Some(Failure::Sample),
    ];
    for lockstep in [false, true] {
        let world = World::new(move |number| (failures[number % 5], INSTANT));
        let (engine, journal) = engine(world, config(lockstep));
        engine
            .collect(requests(2, 5), 1, CancellationToken::new())
            .await
            .unwrap();
        let numbers = |prefix| {
            sorted(
                journal
                    .lines(prefix)
                    .iter()
                    .map(|l| l.split(' ').nth(1).unwrap().to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(numbers("created"), numbers("finished"), "{lockstep}");
        assert_eq!(journal.live.load(Ordering::SeqCst), 0);
        assert!(journal.count("created") > 10, "faults must have happened");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_4_the_tokens_asked_for_do_not_depend_on_latencies() {
    let mut seen = Vec::new();
    for lockstep in [false, true] {
        for shift in [0, 1, 5] {
            let world = World::new(move |number| (None, Duration::from_millis(((number * 7 + shift * 3) % 11) as u64)));
            let (engine, journal) = engine(world, config(lockstep));
            let collection = engine
                .collect(requests(2, 4), 9, CancellationToken::new())
                .await
                .unwrap();
            let rows: Vec<_> = collection
                .groups
                .iter()
                .flat_map(|g| &g.episodes)
                .map(|e| e.row.clone())
                .collect();
            seen.push((sorted(journal.lines("asked")), rows));
        }
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    let rewards: Vec<_> = seen[0].1.iter().map(|row| row.tokens().len()).collect();
    assert!(
        rewards.iter().any(|length| *length != rewards[0]),
        "seeds must make a difference, got {rewards:?}"
    );
}

#[tokio::test]
async fn promise_4_a_lost_start_leaves_seeds_alone_and_a_lost_play_does_not() {
    for lockstep in [false, true] {
        let asked = |failure: Option<Failure>, salt| async move {
            let (engine, journal) = engine(
                World::new(move |number| (failure.filter(|_| number == 0), INSTANT)),
                config(lockstep),
            );
            engine
                .collect(requests(1, 1), salt, CancellationToken::new())
                .await
                .unwrap();
            journal.lines("asked")
        };
        let clean = asked(None, 3).await;
        assert_eq!(clean, asked(Some(Failure::Start), 3).await);
        let replayed = asked(Some(Failure::Finish), 3).await;
        assert_eq!(replayed[..2], clean[..]);
        assert_ne!(replayed[2..], clean[..], "another attempt draws anew");
        assert_ne!(clean, asked(None, 4).await, "another step draws anew");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_5_at_most_concurrency_environments_exist_at_a_time() {
    for lockstep in [false, true] {
        let world = World::new(|number| ((number % 4 == 1).then_some(Failure::Step), Duration::from_millis(2)));
        let (engine, journal) = engine(
            world,
            RolloutConfig {
                concurrency: 3,
                ..config(lockstep)
            },
        );
        engine
            .collect(requests(2, 5), 1, CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(journal.most_live.load(Ordering::SeqCst), 3, "{lockstep}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_6_cancellation_is_an_error_and_finishes_every_environment() {
    for lockstep in [false, true] {
        let world = World::new(|_| (None, Duration::from_millis(1)));
        let journal = world.journal.clone();
        let oracle = Oracle {
            journal: journal.clone(),
            mute: true,
            endless: false,
        };
        let engine = engine_with(
            world,
            oracle,
            RolloutConfig {
                concurrency: 3,
                ..config(lockstep)
            },
        );
        let cancel = CancellationToken::new();
        let token = cancel.clone();
        let collecting = tokio::spawn(async move { engine.collect(requests(2, 4), 1, token).await });
        while journal.count("asked") < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cancel.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(5), collecting)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(ended, Err(EngineError::Cancelled { finished: 0, slots: 8 }));
        assert_eq!((journal.count("created"), journal.count("finished")), (3, 3));
        assert_eq!(journal.sessions.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn promise_7_the_session_is_dropped_before_the_last_step() {
    for lockstep in [false, true] {
        let world = World::new(|_| (None, INSTANT));
        let oracle = Oracle {
            journal: world.journal.clone(),
            mute: false,
            endless: true,
        };
        let journal = world.journal.clone();
        let engine = engine_with(
            world,
            oracle,
            RolloutConfig {
                max_turns: 3,
                ..config(lockstep)
            },
        );
        let collection = engine
            .collect(requests(1, 1), 1, CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(collection.groups[0].episodes[0].ending, Ending::MaxTurns);
        let steps = journal.lines("stepped");
        assert_eq!(
            steps,
            [
                "stepped 0 with 1 sessions",
                "stepped 0 with 1 sessions",
                "stepped 0 with 0 sessions"
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promise_9_lockstep_starts_all_then_opens_in_order_then_asks() {
    let world = World::new(|n| {
        (
            (n == 2).then_some(Failure::Start),
            Duration::from_millis((n * 5 % 7) as u64),
        )
    });
    let (engine, journal) = engine(world, config(true));
    engine
        .collect(requests(2, 3), 1, CancellationToken::new())
        .await
        .unwrap();
    let lines = journal.lines("");
    let last = |prefix: &str| lines.iter().rposition(|line| line.starts_with(prefix)).unwrap();
    let first = |prefix: &str| lines.iter().position(|line| line.starts_with(prefix)).unwrap();
    assert!(
        last("started") < first("opened") && last("opened") < first("asked"),
        "{lines:#?}"
    );
    let expected: Vec<_> = (0..6).map(|index| format!("opened {index}")).collect();
    assert_eq!(journal.lines("opened"), expected);
}

/// Fails `failures` times, then pays each attempt its rank in the group.
struct Ranks {
    failures: AtomicUsize,
    kind: FaultKind,
    seen: Mutex<Vec<(String, usize)>>,
}

#[async_trait::async_trait]
impl Reward for Ranks {
    async fn score(&self, task: &Task, episodes: &[Episode]) -> Result<Vec<f32>, Fault> {
        self.seen.lock().unwrap().push((task.id.clone(), episodes.len()));
        let failing = |left: usize| left.checked_sub(1);
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, failing)
            .is_ok()
        {
            return Err(Fault::new(self.kind.clone(), "judge", "planned"));
        }
        Ok((0..episodes.len()).map(|rank| rank as f32).collect())
    }
}

async fn ranked(failures: usize, kind: FaultKind) -> (cua_grpo_rollout::Collection, Vec<(String, usize)>) {
    let world = World::new(|_| (None, INSTANT));
    let journal = world.journal.clone();
    let oracle = Oracle {
        journal,
        mute: false,
        endless: false,
    };
    let reward = Arc::new(Ranks {
        failures: AtomicUsize::new(failures),
        kind,
        seen: Mutex::default(),
    });
    let engine = RolloutEngine::new(
        Arc::new(world),
        Arc::new(cua_grpo_core::testing::ByteRenderer),
        Arc::new(oracle),
        reward.clone(),
        config(false),
    )
    .unwrap();
    let collection = engine
        .collect(requests(1, 3), 1, CancellationToken::new())
        .await
        .unwrap();
    let seen = reward.seen.lock().unwrap().clone();
    (collection, seen)
}

#[tokio::test]
async fn promise_8_a_group_is_scored_as_a_whole() {
    let (collection, seen) = ranked(0, FaultKind::Reward).await;
    assert_eq!(seen, [("test/0".to_owned(), 3)]);
    assert_eq!(collection.groups[0].rewards(), [0.0, 1.0, 2.0]);
}

#[tokio::test]
async fn promise_8_a_reward_that_fails_is_asked_again() {
    let (collection, seen) = ranked(2, FaultKind::Reward).await;
    assert_eq!(seen.len(), 3);
    assert_eq!(collection.groups[0].rewards(), [0.0, 1.0, 2.0]);
    assert_eq!((collection.stats.faults.reward, collection.stats.lost), (2, 0));
}

#[tokio::test]
async fn promise_8_a_kind_of_fault_that_another_project_added_is_counted_by_its_name() {
    let (collection, _) = ranked(2, FaultKind::other("judge")).await;
    let faults = collection.stats.faults;
    assert_eq!((faults.total(), faults.reward), (2, 0));
    let saved = serde_json::to_value(&faults).unwrap();
    assert_eq!((&saved["judge"], &saved["environment"]), (&2.into(), &0.into()));
}

#[tokio::test]
async fn promise_8_a_reward_that_keeps_failing_loses_its_group() {
    let (collection, _) = ranked(100, FaultKind::Reward).await;
    let (group, stats) = (&collection.groups[0], &collection.stats);
    assert_eq!((group.episodes.len(), group.faults.len()), (0, 3));
    assert_eq!((stats.episodes, stats.lost, stats.successes, stats.turns), (0, 3, 0, 0));
    assert_eq!(stats.faults.reward, config(false).max_retries + 1);
}
