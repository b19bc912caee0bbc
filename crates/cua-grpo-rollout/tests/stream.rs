//! The promises of streams, of deadlines and of attempts that are too many, on a clock that does not wait.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use async_trait::async_trait;
use common::*;
use cua_grpo_core::testing::ByteRenderer;
use cua_grpo_core::{
    Completion, Ending, Fault, Group, PolicyVersion, Prompt, Renderer, Sampler, SamplerSession, SamplingParams,
    StopReason, Task, TaskSource, VerifiedSuccess, derive_seed,
};
use cua_grpo_rollout::{
    Batches, CancellationToken, EngineError, GroupStream, RolloutConfig, RolloutEngine, StreamConfig, TaskCursor,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Tasks by number.
struct Numbered;

impl TaskSource for Numbered {
    fn task(&self, cursor: u64) -> Task {
        task(&format!("test/{cursor}")).with_seed(cursor)
    }
}

/// Draws a token each 100 ms; each carries the version of its moment. The word follows from the seed.
#[derive(Clone, Default)]
struct Slow {
    version: Arc<AtomicU64>,
}

impl Sampler for Slow {
    fn open(&self, _slot: usize) -> Box<dyn SamplerSession> {
        Box::new(SlowSession(self.clone(), 0))
    }

    fn version(&self) -> PolicyVersion {
        self.version.load(Ordering::SeqCst)
    }
}

struct SlowSession(Slow, usize);

#[async_trait]
impl SamplerSession for SlowSession {
    async fn sample(&mut self, _prompt: &Prompt, params: &SamplingParams) -> Result<Completion, Fault> {
        let word = match (self.1, params.seed % 2) {
            (0, 0) => "sesame",
            (0, _) => "wrong",
            _ => "stop",
        };
        self.1 += 1;
        let tokens = ByteRenderer.encode_reply(word);
        let mut versions = Vec::new();
        for _ in &tokens {
            tokio::time::sleep(Duration::from_millis(100)).await;
            versions.push(self.0.version());
        }
        let completion = Completion::new(tokens.clone(), vec![-0.5; tokens.len()], 0, StopReason::Stop);
        Ok(completion.unwrap().with_versions(versions).unwrap())
    }
    fn forget(&mut self) {}
}

const BATCHES: Batches = Batches {
    groups: 3,
    group_size: 4,
};

/// An engine over `world` with a [`Slow`] sampler of `version`.
fn slow(world: World, version: &Arc<AtomicU64>, config: RolloutConfig) -> RolloutEngine {
    let sampler = Slow {
        version: version.clone(),
    };
    let (renderer, reward) = (Arc::new(ByteRenderer), Arc::new(VerifiedSuccess));
    RolloutEngine::new(Arc::new(world), renderer, Arc::new(sampler), reward, config).unwrap()
}

fn cursor() -> TaskCursor {
    TaskCursor::new(Arc::new(Numbered), 0)
}

fn stream(engine: &RolloutEngine, max_staleness: u64, steps: u64) -> GroupStream {
    let config = StreamConfig {
        batches: BATCHES,
        max_staleness,
        steps,
    };
    let cancel = CancellationToken::new();
    engine.stream(cursor(), BTreeSet::new(), config, &cancel).unwrap()
}

/// Latencies from 0 to 20 s by number, every tenth environment fails somewhere.
fn uneven(seed: u64) -> World {
    World::new(move |number| {
        let dice = derive_seed(&[seed, number as u64]);
        let failures = [
            Failure::Create,
            Failure::Start,
            Failure::Step,
            Failure::Finish,
            Failure::Panic,
        ];
        let failure = dice.is_multiple_of(10).then(|| failures[(dice / 10 % 5) as usize]);
        (failure, Duration::from_millis(dice / 50 % 20_000))
    })
}

/// Groups without what a clock says.
fn timeless(groups: impl IntoIterator<Item = Group>) -> Vec<Group> {
    let mut groups: Vec<Group> = groups.into_iter().collect();
    for episode in groups.iter_mut().flat_map(|group| &mut group.episodes) {
        episode.seconds = 0.0;
    }
    groups
}

#[tokio::test(start_paused = true)]
async fn promise_10_groups_come_once_and_none_is_older_than_the_bound() {
    let mut stale = 0;
    for (seed, eta) in [(1, 0), (2, 1), (3, 2), (4, 2), (5, 4)] {
        let world = uneven(seed);
        let journal = world.journal.clone();
        let version = Arc::new(AtomicU64::new(0));
        let engine = slow(
            world,
            &version,
            RolloutConfig {
                max_retries: 9,
                ..config(false)
            },
        );
        let mut stream = stream(&engine, eta, 12);
        let mut seen = Vec::new();
        for step in 0..12 {
            let batch = stream.batch(0, |_| true).await.unwrap();
            assert_eq!((batch.groups.len(), batch.refused), (3, 0));
            for (cursor, group) in batch.groups {
                assert_eq!(group.task.seed, cursor);
                assert_eq!(group.episodes.len(), 4);
                seen.push(cursor);
                for episode in &group.episodes {
                    let row = &episode.row;
                    let sampled = row.versions().iter().zip(row.trained());
                    let oldest = sampled
                        .filter(|(_, trained)| **trained)
                        .map(|(version, _)| *version)
                        .min();
                    let age = step - oldest.unwrap();
                    assert!(age <= eta, "eta {eta}: a row of {cursor} is {age} steps old");
                    stale += age;
                }
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
            version.store(step + 1, Ordering::SeqCst);
            stream.stepped();
        }
        stream.close().await;
        seen.sort_unstable();
        assert_eq!(seen, (0..36).collect::<Vec<_>>());
        assert_eq!(journal.live.load(Ordering::SeqCst), 0);
        assert_eq!(journal.count("created"), journal.count("finished"));
        assert_eq!(journal.most_live.load(Ordering::SeqCst), if eta == 0 { 12 } else { 16 });
    }
    assert!(stale > 100, "rows of older versions were trained on: {stale}");
}

#[tokio::test(start_paused = true)]
async fn promise_11_a_stream_without_staleness_gives_what_collections_give() {
    let version = Arc::new(AtomicU64::new(0));
    let clean = || World::new(|number| (None, Duration::from_millis((number * 37 % 11) as u64 * 100)));
    let lockstep = slow(clean(), &version, config(true));
    let free = slow(clean(), &version, config(false));
    let mut stream = stream(&free, 0, 4);
    for step in 0..4 {
        let tasks = (step * 3..step * 3 + 3).map(|cursor| (cursor, Numbered.task(cursor)));
        let collected = lockstep
            .collect_tasks(tasks.collect(), BATCHES, CancellationToken::new())
            .await
            .unwrap();
        let batch = stream.batch(0, |_| true).await.unwrap();
        assert_eq!(
            timeless(batch.groups.into_iter().map(|(_, group)| group)),
            timeless(collected.groups)
        );
        assert_eq!(batch.stats.tokens_sampled, collected.stats.tokens_sampled);
        stream.stepped();
    }
    stream.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_sampled_follows_from_the_cursor_also_when_a_stream_begins_again() {
    let version = Arc::new(AtomicU64::new(0));
    let rows = |groups: &[(u64, Group)]| -> Vec<(u64, Vec<Vec<u32>>)> {
        let tokens = |group: &Group| {
            group
                .episodes
                .iter()
                .map(|episode| episode.row.tokens().to_vec())
                .collect()
        };
        groups.iter().map(|(cursor, group)| (*cursor, tokens(group))).collect()
    };
    let world =
        |shift| World::new(move |number| (None, Duration::from_millis((number * 53 + shift) as u64 % 17 * 300)));
    let engine = slow(world(0), &version, config(false));
    let mut whole = stream(&engine, 2, 6);
    let mut expected = Vec::new();
    for _ in 0..6 {
        expected.extend(rows(&whole.batch(0, |_| true).await.unwrap().groups));
        whole.stepped();
    }
    expected.sort();
    // Two steps, an end, and the rest by another engine with other latencies.
    let mut first = stream(&engine, 2, 6);
    let mut got = Vec::new();
    for _ in 0..2 {
        got.extend(rows(&first.batch(0, |_| true).await.unwrap().groups));
        first.stepped();
    }
    first.close().await;
    let done: BTreeSet<u64> = got.iter().map(|(cursor, _)| *cursor).collect();
    let low = (0..).find(|cursor| !done.contains(cursor)).unwrap();
    let again = slow(world(5), &version, config(false));
    let config = StreamConfig {
        batches: BATCHES,
        max_staleness: 2,
        steps: 4,
    };
    let mut second = again
        .stream(cursor().at(low), done, config, &CancellationToken::new())
        .unwrap();
    for _ in 0..4 {
        got.extend(rows(&second.batch(0, |_| true).await.unwrap().groups));
        second.stepped();
    }
    got.sort();
    assert_eq!(got, expected, "nothing twice, nothing lost, the same tokens");
}

#[tokio::test(start_paused = true)]
async fn flat_groups_are_refused_up_to_a_bound_and_come_out_with_the_batch() {
    let version = Arc::new(AtomicU64::new(0));
    let engine = slow(World::new(|_| (None, INSTANT)), &version, config(false));
    let mut stream = stream(&engine, 1, 3);
    let mut seen = BTreeSet::new();
    for step in 0..3 {
        let batch = stream.batch(2, |_| false).await.unwrap();
        assert_eq!((batch.groups.len(), batch.refused), (5, 2), "step {step}");
        seen.extend(batch.groups.iter().map(|(cursor, _)| *cursor));
        stream.stepped();
    }
    assert_eq!(seen, (0..15).collect());
}

#[tokio::test(start_paused = true)]
async fn a_paused_stream_holds_no_environment_and_goes_on_afterwards() {
    let world = uneven(11);
    let journal = world.journal.clone();
    let version = Arc::new(AtomicU64::new(0));
    let engine = slow(
        world,
        &version,
        RolloutConfig {
            max_retries: 9,
            ..config(false)
        },
    );
    let mut stream = stream(&engine, 2, 4);
    for _ in 0..4 {
        assert_eq!(stream.batch(0, |_| true).await.unwrap().groups.len(), 3);
        stream.pause().await;
        assert_eq!(journal.live.load(Ordering::SeqCst), 0);
        let created = journal.count("created");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(journal.count("created"), created, "nothing starts");
        stream.resume();
        stream.stepped();
    }
}

#[tokio::test(start_paused = true)]
async fn promise_6_a_stream_that_is_cancelled_says_so_once_every_environment_is_finished() {
    let world = World::new(|_| (None, Duration::from_secs(3)));
    let journal = world.journal.clone();
    let engine = slow(world, &Arc::default(), config(false));
    let cancel = CancellationToken::new();
    let config = StreamConfig {
        batches: BATCHES,
        max_staleness: 2,
        steps: 9,
    };
    let mut stream = engine.stream(cursor(), BTreeSet::new(), config, &cancel).unwrap();
    let token = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(4)).await;
        token.cancel();
    });
    let ended = stream.batch(0, |_| true).await;
    assert!(
        matches!(ended, Err(EngineError::Cancelled { slots: 12, .. })),
        "{ended:?}"
    );
    assert_eq!((journal.count("created"), journal.count("finished")), (16, 16));
    stream.close().await;

    let refused = slow(World::new(|_| (None, INSTANT)), &Arc::default(), common::config(true));
    let config = StreamConfig {
        batches: BATCHES,
        max_staleness: 1,
        steps: 1,
    };
    let error = refused.stream(cursor(), BTreeSet::new(), config, &cancel).unwrap_err();
    assert!(error.to_string().contains("lockstep"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn promise_12_an_environment_that_hangs_is_a_fault_and_is_tried_again() {
    for lockstep in [false, true] {
        let world = World::new(|number| ((number == 1).then_some(Failure::Hang), INSTANT));
        let limits = RolloutConfig {
            turn_timeout: Some(Duration::from_secs(30)),
            ..config(lockstep)
        };
        let (engine, journal) = engine(world, limits);
        let collection = engine
            .collect(requests(1, 3), 1, CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(collection.groups[0].episodes.len(), 3);
        let stats = collection.stats;
        assert_eq!((stats.faults.environment, stats.lost), (1, 0));
        assert!((30.0..31.0).contains(&stats.seconds), "{}", stats.seconds);
        assert_eq!((journal.count("created"), journal.count("finished")), (4, 4));
    }
}

#[tokio::test(start_paused = true)]
async fn promise_12_a_policy_that_is_out_of_time_has_ended_its_episode() {
    let version = Arc::default();
    // A reply of `sesame` or `wrong` takes 0.7 s or 0.6 s, one of `stop` 0.5 s, a start and a step 0.2 s.
    let play = |seconds| {
        let limits = RolloutConfig {
            episode_timeout: Some(Duration::from_secs_f64(seconds)),
            ..config(false)
        };
        let engine = slow(World::new(|_| (None, Duration::from_millis(200))), &version, limits);
        async move {
            engine
                .collect(requests(1, 4), 1, CancellationToken::new())
                .await
                .unwrap()
        }
    };
    for (seconds, turns) in [(0.3, 0), (0.8, 1), (1.2, 1), (9.0, 2)] {
        let collection = play(seconds).await;
        let ending = if turns == 2 { Ending::Reported } else { Ending::MaxTime };
        for episode in &collection.groups[0].episodes {
            assert_eq!((episode.ending, episode.turns.len()), (ending, turns), "{seconds}");
            assert_eq!(
                episode.row.trained_tokens() > 0,
                turns > 0,
                "a reply that was given up is in no row"
            );
        }
        assert_eq!((collection.stats.episodes, collection.stats.faults.total()), (4, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_with_attempts_to_spare_does_not_wait_for_the_slowest() {
    // Of six attempts the second hangs for an hour and the fifth fails each time.
    let world = World::new(|number| match number {
        1 => (None, Duration::from_secs(3600)),
        4 | 6.. => (Some(Failure::Step), INSTANT),
        _ => (None, Duration::from_secs(number as u64)),
    });
    let journal = world.journal.clone();
    let limits = RolloutConfig {
        oversample: 1.5,
        ..config(false)
    };
    let engine = slow(world, &Arc::default(), limits);
    let collection = engine
        .collect(requests(1, 4), 1, CancellationToken::new())
        .await
        .unwrap();
    let group = &collection.groups[0];
    let attempts: Vec<u64> = group.episodes.iter().map(|episode| episode.attempt).collect();
    assert_eq!((attempts, group.faults.len()), (vec![0, 2, 3, 5], 1));
    let stats = collection.stats;
    assert_eq!((stats.slots, stats.episodes, stats.surplus, stats.lost), (4, 4, 1, 1));
    assert_eq!(journal.count("created"), journal.count("finished"));
    assert!(stats.seconds < 3700.0);
}

#[tokio::test(start_paused = true)]
async fn a_soak_of_two_thousand_episodes_loses_nothing_and_keeps_nothing() {
    let world = uneven(21);
    let journal = world.journal.clone();
    let engine = slow(
        world,
        &Arc::default(),
        RolloutConfig {
            concurrency: 40,
            max_retries: 9,
            ..config(false)
        },
    );
    let batches = Batches {
        groups: 5,
        group_size: 8,
    };
    let config = StreamConfig {
        batches,
        max_staleness: 2,
        steps: 50,
    };
    let cancel = CancellationToken::new();
    let mut stream = engine.stream(cursor(), BTreeSet::new(), config, &cancel).unwrap();
    let (mut episodes, mut faults, mut busy, mut seconds) = (0, 0, 0.0, 0.0);
    for _ in 0..50 {
        let batch = stream.batch(0, |_| true).await.unwrap();
        episodes += batch
            .groups
            .iter()
            .map(|(_, group)| group.episodes.len())
            .sum::<usize>();
        faults += batch.stats.faults.total();
        busy += batch.stats.busy_seconds;
        seconds += batch.stats.seconds;
        assert!(journal.live.load(Ordering::SeqCst) <= 40);
        stream.stepped();
    }
    stream.close().await;
    assert_eq!(episodes, 2000);
    assert!(faults > 150, "{faults} faults");
    assert_eq!(
        (journal.live.load(Ordering::SeqCst), journal.count("created")),
        (0, journal.count("finished"))
    );
    let share = busy / (40.0 * seconds);
    assert!((0.85..=1.0).contains(&share), "places were busy {share}");
}
