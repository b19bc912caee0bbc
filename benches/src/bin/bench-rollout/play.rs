//! A training run without a model: batches of groups and updates, by collections or by a stream.

use crate::card::{Card, PROMPT};
use anyhow::{Result, bail};
use benches::phones::{Numbered, Phones};
use cua_grpo_core::testing::ByteRenderer;
use cua_grpo_core::{Group, PolicyVersion, Sampler, VerifiedSuccess};
use cua_grpo_rollout::{
    Batches, CancellationToken, RolloutConfig, RolloutEngine, RolloutStats, StreamConfig, TaskCursor,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Steps before the measurement: a stream has begun with empty hands.
const WARM_UP: usize = 3;

/// How groups are played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// A collection a step, all episodes at the same pace.
    Lockstep,
    /// A collection a step, each episode at its own pace.
    Free,
    /// A stream of this staleness. For one episode that is kept, so many are begun; the slowest are cancelled.
    Stream(u64, f64),
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "lockstep" => Ok(Self::Lockstep),
            "free" => Ok(Self::Free),
            stream => {
                let (eta, oversample) = stream.split_once('x').unwrap_or((stream, "1"));
                let parsed = eta.parse().ok().zip(oversample.parse().ok());
                let expected = "lockstep, free, a number of steps, or that and an oversampling, as 2x1.125";
                let (eta, oversample) = parsed.ok_or_else(|| format!("expected {expected}, got {text}"))?;
                Ok(Self::Stream(eta, oversample))
            }
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lockstep => f.write_str("lockstep"),
            Self::Free => f.write_str("free"),
            Self::Stream(eta, 1.0) => write!(f, "eta {eta}"),
            Self::Stream(eta, oversample) => write!(f, "eta {eta}x{oversample}"),
        }
    }
}

/// What is measured.
pub struct Setup {
    pub mode: Mode,
    pub phones: usize,
    pub cards: usize,
    pub group: usize,
    pub steps: usize,
    pub seed: u64,
}

/// The figures of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub mode: String,
    pub phones: usize,
    pub cards: usize,
    pub episodes: usize,
    pub seconds: f64,
    pub episodes_per_h: f64,
    /// Sampled tokens a second.
    pub tokens_per_s: f64,
    /// Share of the time in which a phone has an episode, mean over the phones.
    pub phones_busy: f64,
    /// Share of the time in which the card neither samples nor trains.
    pub card_idle: f64,
    /// Seconds of a step.
    pub step_s: f64,
    /// Seconds of its update.
    pub update_s: f64,
    pub faults: usize,
    /// Updates between sampling and training of a token.
    pub staleness_mean: f64,
    pub staleness_max: u64,
}

/// Plays on a clock that jumps to whatever comes next.
pub fn measure(setup: &Setup) -> Result<Line> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(play(setup))
}

/// What has been measured so far.
#[derive(Default)]
struct Sums {
    stats: RolloutStats,
    update_s: f64,
    ages: f64,
    tokens: f64,
    oldest: u64,
}

async fn play(setup: &Setup) -> Result<Line> {
    let lockstep = setup.mode == Mode::Lockstep;
    let card = Card::start(setup.cards, lockstep);
    let config = RolloutConfig {
        concurrency: setup.phones,
        lockstep,
        max_context_tokens: 1 << 20,
        max_retries: 5,
        retry_delay: Duration::from_millis(500),
        seed: setup.seed,
        oversample: match setup.mode {
            Mode::Stream(_, oversample) => oversample,
            Mode::Lockstep | Mode::Free => 1.0,
        },
        ..RolloutConfig::default()
    };
    let engine = RolloutEngine::new(
        Arc::new(Phones::new(setup.seed, 1.0)),
        Arc::new(ByteRenderer),
        Arc::new(card.clone()),
        Arc::new(VerifiedSuccess),
        config,
    )?;
    let batches = Batches {
        groups: setup.phones / setup.group,
        group_size: setup.group,
    };
    if batches.groups == 0 {
        bail!(
            "expected at least a group's phones ({}), got {}",
            setup.group,
            setup.phones
        );
    }
    let (cancel, mut cursor) = (CancellationToken::new(), TaskCursor::new(Arc::new(Numbered), 0));
    let steps = WARM_UP + setup.steps;
    let mut stream = match setup.mode {
        Mode::Stream(max_staleness, _) => {
            // More steps than are measured, so that phones stay busy to the end.
            let steps = steps as u64 + max_staleness + 1;
            let config = StreamConfig {
                batches,
                max_staleness,
                steps,
            };
            Some(engine.stream(cursor.clone(), BTreeSet::new(), config, &cancel)?)
        }
        Mode::Lockstep | Mode::Free => None,
    };
    let (mut since, mut busy, mut sums) = (Instant::now(), 0.0, Sums::default());
    for step in 0..steps {
        if step == WARM_UP {
            (since, busy, sums) = (Instant::now(), card.busy(), Sums::default());
        }
        let (groups, stats): (Vec<Group>, _) = match &mut stream {
            Some(stream) => {
                let batch = stream.batch(0, |_| true).await?;
                (batch.groups.into_iter().map(|(_, group)| group).collect(), batch.stats)
            }
            None => {
                let tasks = cursor.next_but(&BTreeSet::new(), batches.groups);
                let collection = engine.collect_tasks(tasks, batches, cancel.clone()).await?;
                (collection.groups, collection.stats)
            }
        };
        let tokens = sums.add(&groups, &stats, card.version());
        let update = Instant::now();
        card.update(tokens).await;
        sums.update_s += update.elapsed().as_secs_f64();
        if let Some(stream) = &mut stream {
            stream.stepped();
        }
    }
    let seconds = since.elapsed().as_secs_f64();
    let busy = card.busy() - busy;
    if let Some(stream) = stream {
        stream.close().await;
    }
    let (stats, count) = (&sums.stats, setup.steps as f64);
    Ok(Line {
        mode: setup.mode.to_string(),
        phones: setup.phones,
        cards: setup.cards,
        episodes: stats.episodes,
        seconds,
        episodes_per_h: 3600.0 * stats.episodes as f64 / seconds,
        tokens_per_s: stats.tokens_sampled as f64 / seconds,
        phones_busy: stats.busy_seconds / (setup.phones as f64 * seconds),
        card_idle: 1.0 - busy / seconds,
        step_s: seconds / count,
        update_s: sums.update_s / count,
        faults: stats.faults.total(),
        staleness_mean: sums.ages / sums.tokens.max(1.0),
        staleness_max: sums.oldest,
    })
}

impl Sums {
    /// Adds a batch that is trained on by `version`, and gives its tokens as the card counts them.
    fn add(&mut self, groups: &[Group], stats: &RolloutStats, version: PolicyVersion) -> usize {
        self.stats.merge(stats);
        let mut tokens = 0;
        for episode in groups.iter().flat_map(|group| &group.episodes) {
            tokens += episode.turns.len() * PROMPT + episode.row.trained_tokens();
            let row = &episode.row;
            for (by, _) in row
                .versions()
                .iter()
                .zip(row.trained())
                .filter(|(_, trained)| **trained)
            {
                let age = version - by;
                self.ages += age as f64;
                self.tokens += 1.0;
                self.oldest = self.oldest.max(age);
            }
        }
        tokens
    }
}
