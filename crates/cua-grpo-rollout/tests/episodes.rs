//! Episodes, progress and configuration: what is not one of the numbered promises.

mod common;

use async_trait::async_trait;
use common::*;
use cua_grpo_core::testing::ByteRenderer;
use cua_grpo_core::{
    Completion, Ending, Episode, Fault, FaultKind, PolicyVersion, Prompt, Renderer, Row, Sampler, SamplerSession,
    SamplingParams, StopReason, Task, VerifiedSuccess,
};
use cua_grpo_rollout::{CancellationToken, ProgressEvent, RolloutConfig, RolloutEngine};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test]
async fn an_episode_ends_when_its_context_is_full_and_a_first_prompt_must_fit() {
    let run = |max_context_tokens| async move {
        let world = World::new(|_| (None, INSTANT));
        let oracle = Oracle {
            journal: world.journal.clone(),
            mute: false,
            endless: true,
        };
        let engine = engine_with(
            world,
            oracle,
            RolloutConfig {
                max_context_tokens,
                ..config(false)
            },
        );
        engine.collect(requests(1, 1), 1, CancellationToken::new()).await
    };
    // The first prompt is "turn 0" and a stop token; the reply is `sesame` or `wrong` and a stop token.
    let episode = run(12).await.unwrap().groups.remove(0).episodes.remove(0);
    assert_eq!(episode.ending, Ending::MaxTokens);
    assert_eq!(episode.row.tokens().len(), 12);
    assert_eq!(episode.turns.len(), 1);
    let collection = run(7).await.unwrap();
    let group = &collection.groups[0];
    assert_eq!((group.episodes.len(), group.faults.len()), (0, 1));
    let text = group.faults[0].to_string();
    assert!(text.contains("7 tokens and max_context_tokens is 7"), "{text}");
    let stats = collection.stats;
    assert_eq!((stats.lost, stats.faults.renderer), (1, 1), "it is not tried again");
}

#[tokio::test]
async fn rows_hold_exactly_what_was_said_and_turns_point_into_them() {
    let (engine, _) = engine(World::new(|_| (None, INSTANT)), config(true));
    let collection = engine
        .collect(requests(1, 2), 1, CancellationToken::new())
        .await
        .unwrap();
    for episode in &collection.groups[0].episodes {
        let row = &episode.row;
        for turn in &episode.turns {
            assert!(row.trained()[turn.tokens.clone()].iter().all(|&trained| trained));
            let text: String = row.tokens()[turn.tokens.clone()]
                .iter()
                .filter_map(|&t| u8::try_from(t).ok())
                .map(char::from)
                .collect();
            assert_eq!(text, turn.reply);
        }
        assert_eq!(
            row.trained_tokens(),
            episode.turns.iter().map(|turn| turn.tokens.len()).sum::<usize>()
        );
        assert!(
            row.versions()
                .iter()
                .zip(row.trained())
                .all(|(&version, &trained)| (version == 7) == trained)
        );
        let kept = |(&mass, &trained): (&f32, &bool)| (mass == 0.9) == trained;
        assert!(row.kept_mass().iter().zip(row.trained()).all(kept));
        assert_eq!(row.temperature(), 0.7);
        assert_eq!(episode.reward, f32::from(u8::from(episode.turns[0].reply == "sesame")));
        assert_eq!(episode.ending, Ending::Reported);
    }
}

#[tokio::test]
async fn progress_counts_up_to_the_final_stats() {
    let world = World::new(|number| ((number == 0).then_some(Failure::Step), INSTANT));
    let (engine, _) = engine(world, config(false));
    let (calls, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
    let (counted, kept) = (calls.clone(), last.clone());
    let engine = engine.with_progress(move |progress| {
        counted.fetch_add(
            usize::from(matches!(
                progress.event,
                ProgressEvent::Episode { .. } | ProgressEvent::Fault { .. }
            )),
            Ordering::SeqCst,
        );
        *kept.lock().unwrap() = Some(progress.stats.clone());
    });
    let stats = engine
        .collect(requests(1, 3), 1, CancellationToken::new())
        .await
        .unwrap()
        .stats;
    assert_eq!(calls.load(Ordering::SeqCst), 4, "three episodes and a fault");
    let seen = last.lock().unwrap().clone().unwrap();
    assert_eq!(
        (seen.episodes, seen.successes, seen.faults),
        (stats.episodes, stats.successes, stats.faults)
    );
}

#[tokio::test]
async fn a_panic_behind_a_seam_is_a_fault_of_its_attempt() {
    for lockstep in [false, true] {
        // The fourth environment is not made; the sixth asks for a panic in its first step.
        let world = World::new(|number| match number {
            3 => panic!("planned"),
            5 => (Some(Failure::Panic), Duration::from_millis(5)),
            _ => (None, Duration::from_millis(5)),
        });
        let (engine, journal) = engine(world, config(lockstep));
        let collection = engine
            .collect(requests(1, 6), 1, CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(collection.groups[0].episodes.len(), 6);
        let faults = collection.stats.faults;
        assert_eq!((faults.total(), faults.other["panic"]), (2, 2));
        assert_eq!((journal.count("created"), journal.count("finished")), (7, 7));
        assert_eq!(journal.live.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn a_config_out_of_range_is_refused_by_name() {
    let cases = [
        (
            RolloutConfig {
                concurrency: 0,
                ..config(false)
            },
            "concurrency",
        ),
        (
            RolloutConfig {
                temperature: f32::NAN,
                ..config(false)
            },
            "temperature",
        ),
        (
            RolloutConfig {
                top_p: 0.0,
                ..config(false)
            },
            "top_p",
        ),
        (
            RolloutConfig {
                oversample: 1.5,
                ..config(true)
            },
            "oversample",
        ),
        (
            RolloutConfig {
                turn_timeout: Some(Duration::ZERO),
                ..config(false)
            },
            "turn_timeout",
        ),
    ];
    for (config, name) in cases {
        assert!(config.validate().unwrap_err().to_string().contains(name));
    }
}

/// A sampler whose second log-prob is no number in the conversations of slot 0.
struct Unsound;

struct UnsoundSession(bool);

impl Sampler for Unsound {
    fn open(&self, slot: usize) -> Box<dyn SamplerSession> {
        Box::new(UnsoundSession(slot == 0))
    }

    fn version(&self) -> PolicyVersion {
        0
    }
}

#[async_trait]
impl SamplerSession for UnsoundSession {
    async fn sample(&mut self, _prompt: &Prompt, _params: &SamplingParams) -> Result<Completion, Fault> {
        let tokens = ByteRenderer.encode_reply("stop");
        let mut logprobs = vec![-0.5; tokens.len()];
        let mut kept_mass = vec![1.0; tokens.len()];
        if self.0 {
            (logprobs[1], kept_mass[1]) = (f32::NAN, f32::NAN);
        }
        let mut completion = Completion::empty(StopReason::Stop);
        completion.versions = vec![0; tokens.len()];
        completion.tokens = tokens;
        completion.logprobs = logprobs;
        completion.kept_mass = kept_mass;
        Ok(completion)
    }

    fn forget(&mut self) {}
}

#[tokio::test]
async fn log_probs_that_are_no_numbers_never_enter_a_group() {
    for lockstep in [true, false] {
        let (world, config) = (World::new(|_| (None, INSTANT)), config(lockstep));
        let (renderer, reward) = (Arc::new(ByteRenderer), Arc::new(VerifiedSuccess));
        let engine = RolloutEngine::new(Arc::new(world), renderer, Arc::new(Unsound), reward, config).unwrap();
        let collection = engine
            .collect(requests(1, 3), 1, CancellationToken::new())
            .await
            .unwrap();
        let group = &collection.groups[0];
        assert_eq!((group.episodes.len(), group.faults.len()), (2, 1));
        let fault = &group.faults[0];
        assert_eq!(fault.kind, FaultKind::Sampler);
        assert!(fault.message.contains("got NaN at token 2 of 5"), "{fault}");
        let stats = &collection.stats;
        assert_eq!(
            (stats.lost, stats.faults.sampler),
            (1, 3),
            "two more attempts were made"
        );
        assert!(stats.kept_mass_mean().is_finite());
        assert!(
            group
                .episodes
                .iter()
                .all(|episode| episode.row.logprobs().iter().all(|value| value.is_finite()))
        );
    }
}

#[tokio::test]
async fn what_nobody_will_read_goes_once_its_group_is_counted_and_scored() {
    for lockstep in [true, false] {
        // The reward reads what is taken away afterwards.
        let tokens = |_: &Task, episode: &Episode| episode.row.len() as f32;
        let engine = || {
            let world = World::new(|_| (None, INSTANT));
            let oracle = Oracle {
                journal: world.journal.clone(),
                mute: false,
                endless: false,
            };
            let (renderer, reward) = (Arc::new(ByteRenderer), Arc::new(tokens));
            RolloutEngine::new(Arc::new(world), renderer, Arc::new(oracle), reward, config(lockstep)).unwrap()
        };
        let whole = engine()
            .collect(requests(3, 2), 1, CancellationToken::new())
            .await
            .unwrap();
        let engine = engine().thinned(|slot, episode| {
            if slot >= 2 {
                episode.row = Row::new(1.0);
            }
        });
        let thin = engine
            .collect(requests(3, 2), 1, CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(thin.stats.tokens_sampled, whole.stats.tokens_sampled);
        assert_eq!(thin.groups[0].episodes[1].row, whole.groups[0].episodes[1].row);
        for group in &thin.groups[1..] {
            assert!(
                group.episodes.iter().all(|episode| episode.row.is_empty()),
                "{lockstep}"
            );
        }
        let rewards =
            |groups: &[cua_grpo_core::Group]| groups.iter().flat_map(|group| group.rewards()).collect::<Vec<_>>();
        assert_eq!(rewards(&thin.groups), rewards(&whole.groups));
        assert!(rewards(&thin.groups).iter().all(|reward| *reward > 0.0));
    }
}
