//! What a collection cost and lost: counts for the log, and the state that a progress bar shows.

use crate::gauge::Gauge;
use cua_grpo_core::{Episode, Fault, FaultKind, Group};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// Faults, by where they arose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCounts {
    /// A device could not be had, was lost, or did not answer.
    pub environment: usize,
    /// The initial state could not be established.
    pub setup: usize,
    /// The validator could not read the device's state.
    pub validator: usize,
    /// The sampler failed.
    pub sampler: usize,
    /// Messages could not be turned into tokens.
    pub renderer: usize,
    /// The reward failed.
    pub reward: usize,
    /// Kinds that another project has added, by name.
    #[serde(flatten)]
    pub other: BTreeMap<String, usize>,
}

impl FaultCounts {
    /// Counts one fault.
    pub fn add(&mut self, kind: &FaultKind) {
        let count = match kind {
            FaultKind::Environment => &mut self.environment,
            FaultKind::Setup => &mut self.setup,
            FaultKind::Validator => &mut self.validator,
            FaultKind::Sampler => &mut self.sampler,
            FaultKind::Renderer => &mut self.renderer,
            FaultKind::Reward => &mut self.reward,
            other => self.other.entry(other.name().to_owned()).or_default(),
        };
        *count += 1;
    }

    /// Adds those of another collection.
    pub fn merge(&mut self, other: &Self) {
        self.environment += other.environment;
        self.setup += other.setup;
        self.validator += other.validator;
        self.sampler += other.sampler;
        self.renderer += other.renderer;
        self.reward += other.reward;
        for (kind, count) in &other.other {
            *self.other.entry(kind.clone()).or_default() += count;
        }
    }

    /// All faults.
    pub fn total(&self) -> usize {
        let known = self.environment + self.setup + self.validator + self.sampler + self.renderer + self.reward;
        known + self.other.values().sum::<usize>()
    }
}

/// What one collection cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutStats {
    /// Episodes that were asked for.
    pub slots: usize,
    /// Episodes that came out.
    pub episodes: usize,
    /// Slots that were given up after the last retry.
    pub lost: usize,
    /// Attempts that their group did not need, because enough others had ended.
    pub surplus: usize,
    /// Episodes whose task was verified as done.
    pub successes: usize,
    /// Every fault, also those that a retry made good.
    pub faults: FaultCounts,
    /// Environments whose release after a fault or cancellation failed as well.
    pub release_faults: usize,
    /// Turns of the episodes that came out.
    pub turns: usize,
    /// Replies that could not be carried out, in the episodes that came out.
    pub action_errors: usize,
    /// Tokens sampled, also in episodes that were lost.
    pub tokens_sampled: usize,
    /// Probability mass that top-p and top-k kept, summed over the sampled tokens.
    pub kept_mass_sum: f64,
    /// Seconds that episodes spent starting environments, summed over episodes.
    pub start_seconds: f64,
    /// Seconds that episodes spent waiting for the sampler, summed over episodes.
    pub sample_seconds: f64,
    /// Seconds that episodes spent in steps of their environment, summed over episodes.
    pub step_seconds: f64,
    /// Seconds that places for environments were taken, summed over places.
    pub busy_seconds: f64,
    /// Seconds in which any episode waited for the sampler.
    pub sampler_seconds: f64,
    /// Wall-clock seconds of the collection.
    pub seconds: f64,
}

impl RolloutStats {
    /// Mean probability mass that top-p and top-k kept when a token was drawn: 1 when nothing was cut.
    pub fn kept_mass_mean(&self) -> f64 {
        if self.tokens_sampled == 0 {
            1.0
        } else {
            self.kept_mass_sum / self.tokens_sampled as f64
        }
    }

    /// Adds those of a collection that was made after this one.
    pub fn merge(&mut self, later: &Self) {
        self.slots += later.slots;
        self.episodes += later.episodes;
        self.lost += later.lost;
        self.surplus += later.surplus;
        self.successes += later.successes;
        self.faults.merge(&later.faults);
        self.release_faults += later.release_faults;
        self.turns += later.turns;
        self.action_errors += later.action_errors;
        self.tokens_sampled += later.tokens_sampled;
        self.kept_mass_sum += later.kept_mass_sum;
        self.start_seconds += later.start_seconds;
        self.sample_seconds += later.sample_seconds;
        self.step_seconds += later.step_seconds;
        self.busy_seconds += later.busy_seconds;
        self.sampler_seconds += later.sampler_seconds;
        self.seconds += later.seconds;
    }

    /// The counts of episodes are those of `groups`; what was spent stays.
    pub(crate) fn count_groups<'a>(&mut self, groups: impl Iterator<Item = &'a Group>) {
        (self.slots, self.episodes, self.lost) = (0, 0, 0);
        (self.successes, self.turns, self.action_errors) = (0, 0, 0);
        for group in groups {
            self.slots += group.episodes.len() + group.faults.len();
            self.lost += group.faults.len();
            group.episodes.iter().for_each(|episode| self.add_episode(episode));
        }
    }

    pub(crate) fn add_episode(&mut self, episode: &Episode) {
        self.episodes += 1;
        self.successes += usize::from(episode.facts.verified);
        self.turns += episode.turns.len();
        self.action_errors += action_errors(episode);
    }

    fn lose_episode(&mut self, episode: &Episode) {
        // The counts of a stream may have been turned over since the episode was added.
        let less = |count: &mut usize, by: usize| *count = count.saturating_sub(by);
        self.lost += 1;
        less(&mut self.episodes, 1);
        less(&mut self.successes, usize::from(episode.facts.verified));
        less(&mut self.turns, episode.turns.len());
        less(&mut self.action_errors, action_errors(episode));
    }
}

fn action_errors(episode: &Episode) -> usize {
    episode.turns.iter().filter(|turn| turn.action.error.is_some()).count()
}

/// Seconds since a stream began, with what is under way. What a while cost is the difference between its ends.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Busy {
    /// Seconds that places for environments were taken, summed over places.
    pub places: f64,
    /// Seconds in which any episode waited for the sampler.
    pub sampler: f64,
}

impl Busy {
    /// What came after `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            places: self.places - earlier.places,
            sampler: self.sampler - earlier.sampler,
        }
    }
}

/// How far a collection is. Given to the progress callback after each episode, turn and fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The counts so far; `seconds` is the time since the collection began.
    pub stats: RolloutStats,
    /// What happened last.
    pub event: ProgressEvent,
}

/// What a [`Progress`] reports.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ProgressEvent {
    /// A turn was taken.
    Turn {
        /// Number of the slot.
        slot: usize,
        /// Id of the task.
        task: String,
        /// Number of the turn, from 0.
        turn: usize,
        /// The action in words, or why it was not carried out.
        action: String,
    },
    /// An episode came out.
    Episode {
        /// Number of the slot.
        slot: usize,
        /// Id of the task.
        task: String,
        /// Whether the state of the device fulfils the task. The reward is not known before the group is whole.
        verified: bool,
        /// Turns taken.
        turns: usize,
    },
    /// An attempt was lost.
    Fault {
        /// Number of the slot.
        slot: usize,
        /// Id of the task.
        task: String,
        /// What went wrong.
        fault: Fault,
        /// Whether the slot is tried again.
        retried: bool,
    },
}

/// Receives progress; called under a lock, so it should be quick.
pub(crate) type ProgressFn = std::sync::Arc<dyn Fn(&Progress) + Send + Sync>;

/// The counts of a running collection, shared by its episodes.
pub(crate) struct Board {
    inner: Mutex<Inner>,
    progress: Option<ProgressFn>,
}

struct Inner {
    stats: RolloutStats,
    since: Instant,
    places: Gauge,
    asking: Gauge,
}

impl Inner {
    /// The counts now.
    fn read(&mut self) -> RolloutStats {
        let now = Instant::now();
        self.stats.seconds = now.duration_since(self.since).as_secs_f64();
        [_, self.stats.busy_seconds] = self.places.read(now);
        [self.stats.sampler_seconds, _] = self.asking.read(now);
        self.stats.clone()
    }
}

/// What is measured while it lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Span {
    /// A place for an environment is taken.
    Place,
    /// The sampler was asked.
    Asking,
}

/// Ends a measurement when it is dropped.
pub(crate) struct Measured<'a>(&'a Board, Span);

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.lock();
        inner.gauge(self.1).down(Instant::now());
    }
}

impl Inner {
    fn gauge(&mut self, span: Span) -> &mut Gauge {
        match span {
            Span::Place => &mut self.places,
            Span::Asking => &mut self.asking,
        }
    }
}

impl Board {
    pub(crate) fn new(slots: usize, progress: Option<ProgressFn>) -> Self {
        let since = Instant::now();
        let stats = RolloutStats {
            slots,
            ..RolloutStats::default()
        };
        let inner = Mutex::new(Inner {
            stats,
            since,
            places: Gauge::new(since),
            asking: Gauge::new(since),
        });
        Self { inner, progress }
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut RolloutStats)) {
        change(&mut self.lock().stats);
    }

    /// Measures until the result is dropped.
    pub(crate) fn measure(&self, span: Span) -> Measured<'_> {
        self.lock().gauge(span).up(Instant::now());
        Measured(self, span)
    }

    /// Counts a reward that failed; `episodes` are lost with it unless it is asked again.
    pub(crate) fn reward_fault(&self, fault: &Fault, lost: &[Episode]) {
        let stats = &mut self.lock().stats;
        stats.faults.add(&fault.kind);
        for episode in lost {
            stats.lose_episode(episode);
        }
    }

    /// Counts what happened and tells the callback.
    pub(crate) fn event(&self, event: ProgressEvent) {
        let mut inner = self.lock();
        match &event {
            ProgressEvent::Fault { fault, retried, .. } => {
                inner.stats.faults.add(&fault.kind);
                inner.stats.lost += usize::from(!retried);
            }
            ProgressEvent::Episode { .. } | ProgressEvent::Turn { .. } => {}
        }
        if let Some(progress) = &self.progress {
            let stats = inner.read();
            progress(&Progress { stats, event });
        }
    }

    /// The counts now.
    pub(crate) fn stats(&self) -> RolloutStats {
        self.lock().read()
    }

    /// Seconds since the beginning, over all that was turned over.
    pub(crate) fn busy(&self) -> Busy {
        let mut inner = self.lock();
        let now = Instant::now();
        let ([_, places], [sampler, _]) = (inner.places.total(now), inner.asking.total(now));
        Busy { places, sampler }
    }

    /// The counts now; what happens from here on is counted anew.
    pub(crate) fn turn_over(&self) -> RolloutStats {
        let mut inner = self.lock();
        let before = inner.read();
        let now = Instant::now();
        inner.since = now;
        inner.places.reset(now);
        inner.asking.reset(now);
        inner.stats = RolloutStats {
            slots: before.slots,
            ..RolloutStats::default()
        };
        before
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The counts stay usable when a callback has panicked: the panic itself is reported by the engine.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
