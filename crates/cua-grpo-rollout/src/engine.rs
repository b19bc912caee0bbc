//! The engine: slots become episodes, concurrently or in lockstep, and faults are tried again.

use crate::episode::{Collector, Lost, Seams, Slot, Started};
use crate::score::{Attempts, Scoring, ThinFn};
use crate::stats::{Board, Progress, ProgressEvent, ProgressFn, RolloutStats};
use crate::{CancellationToken, EngineError, RolloutConfig};
use cua_grpo_core::{EnvironmentFactory, Episode, Fault, Group, Renderer, Reward, Sampler, Task};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

/// A group to collect.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRequest {
    /// The task that every episode attempts.
    pub task: Task,
    /// Number of episodes.
    pub group_size: usize,
}

/// What a collection leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    /// One group a request, in the order of the requests. A group is smaller than asked for by its `faults`.
    pub groups: Vec<Group>,
    /// What it cost.
    pub stats: RolloutStats,
}

/// Collects groups of episodes. Cheap to clone; collections may run side by side.
#[derive(Clone)]
pub struct RolloutEngine {
    seams: Seams,
    config: RolloutConfig,
    progress: Option<ProgressFn>,
    thin: Option<ThinFn>,
}

impl RolloutEngine {
    /// An engine over the four seams.
    ///
    /// # Errors
    /// [`EngineError::Config`] when a value of `config` is out of its range.
    pub fn new(
        factory: Arc<dyn EnvironmentFactory>,
        renderer: Arc<dyn Renderer>,
        sampler: Arc<dyn Sampler>,
        reward: Arc<dyn Reward>,
        config: RolloutConfig,
    ) -> Result<Self, EngineError> {
        config.validate()?;
        Ok(Self {
            seams: Seams {
                factory,
                renderer,
                sampler,
                reward,
            },
            config,
            progress: None,
            thin: None,
        })
    }

    /// The same engine with another configuration, e.g. a greedy one for evaluation.
    ///
    /// # Errors
    /// [`EngineError::Config`] when a value of `config` is out of its range.
    pub fn with_config(&self, config: RolloutConfig) -> Result<Self, EngineError> {
        config.validate()?;
        Ok(Self { config, ..self.clone() })
    }

    /// The same engine with a callback that is called after every turn, episode and fault. Calls do not overlap; the
    /// callback holds up all episodes, so it should be quick.
    #[must_use]
    pub fn with_progress(self, progress: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        Self {
            progress: Some(Arc::new(progress)),
            ..self
        }
    }

    /// The same engine with a function that is given every episode with the number of its slot, once its group is
    /// counted and scored, and may take from it what nobody will read: a long collection then holds the pictures of the
    /// groups that are being played, not of all.
    #[must_use]
    pub fn thinned(self, thin: impl Fn(usize, &mut Episode) + Send + Sync + 'static) -> Self {
        Self {
            thin: Some(Arc::new(thin)),
            ..self
        }
    }

    /// The configuration.
    pub fn config(&self) -> &RolloutConfig {
        &self.config
    }

    /// Collects one group a request. `salt` (the training step) makes the seeds of this collection its own.
    ///
    /// When `cancel` is cancelled, waiting for tokens and for free places ends at once, calls of environments are
    /// completed (a device that is being leased is not lost), and every environment is finished. Dropping the future
    /// instead leaves environments unfinished.
    ///
    /// # Errors
    /// [`EngineError`] when the collection was cancelled, a first prompt does not fit, or an episode panicked. Faults
    /// are not errors: they are in [`Group::faults`] and [`RolloutStats::faults`].
    pub async fn collect(
        &self,
        requests: Vec<GroupRequest>,
        salt: u64,
        cancel: CancellationToken,
    ) -> Result<Collection, EngineError> {
        let (tasks, slots) = slots(requests);
        let count = slots.len();
        let board = Board::new(count, self.progress.clone());
        let run = Arc::new(Collector {
            seams: self.seams.clone(),
            config: self.config.clone(),
            salt,
            stop: cancel.child_token(),
            board,
        });
        let mut ledger = Ledger {
            abort: run.stop.clone(),
            groups: tasks.into_iter().map(Attempts::of).collect(),
            entered: 0,
            error: None,
            scoring: Scoring::new(run.clone(), self.thin.clone()),
        };
        for slot in &slots {
            ledger.groups[slot.group].expected += 1;
        }
        if self.config.lockstep {
            lockstep(&run, slots, &mut ledger).await;
        } else {
            free(&run, slots, &mut ledger).await;
        }
        if let Some(error) = ledger.error {
            return Err(error);
        }
        if ledger.entered < count {
            return Err(EngineError::Cancelled {
                finished: run.board.stats().episodes,
                slots: count,
            });
        }
        // A group without attempts is over from the start.
        for (number, attempts) in ledger.groups.into_iter().enumerate() {
            if attempts.expected == 0 {
                ledger.scoring.begin(number, attempts);
            }
        }
        let groups = ledger.scoring.finish().await?;
        let stats = run.board.stats();
        Ok(Collection { groups, stats })
    }
}

fn slots(requests: Vec<GroupRequest>) -> (Vec<Task>, Vec<Slot>) {
    let mut slots = Vec::new();
    for (group, request) in requests.iter().enumerate() {
        let task = Arc::new(request.task.clone());
        for attempt in 0..request.group_size as u64 {
            slots.push(Slot {
                index: slots.len(),
                group,
                attempt,
                task: task.clone(),
                faults: 0,
                plays: 0,
            });
        }
    }
    (requests.into_iter().map(|request| request.task).collect(), slots)
}

/// Where every slot is entered exactly once. A group is scored as soon as its last slot is entered.
struct Ledger {
    abort: CancellationToken,
    groups: Vec<Attempts>,
    entered: usize,
    error: Option<EngineError>,
    scoring: Scoring,
}

impl Ledger {
    /// Enters the outcome of a slot; a fatal one stops the other episodes.
    fn enter(&mut self, run: &Collector, slot: Slot, outcome: Result<Episode, Lost>) {
        let outcome = match outcome {
            Ok(episode) => {
                run.board.update(|stats| stats.add_episode(&episode));
                run.board.event(ProgressEvent::Episode {
                    slot: slot.index,
                    task: slot.task.id.clone(),
                    verified: episode.facts.verified,
                    turns: episode.turns.len(),
                });
                Ok(episode)
            }
            Err(Lost::Fault(fault)) => Err(fault),
            Err(Lost::Cancelled) => return,
            Err(Lost::Fatal(error)) => return self.fail(error),
        };
        self.entered += 1;
        let attempts = &mut self.groups[slot.group];
        attempts.ended.insert(slot.index, outcome);
        if attempts.ended.len() == attempts.expected {
            let task = attempts.task.clone();
            let whole = std::mem::replace(attempts, Attempts::of(task));
            attempts.expected = whole.expected;
            self.scoring.begin(slot.group, whole);
        }
    }

    fn fail(&mut self, error: EngineError) {
        self.error.get_or_insert(error);
        self.abort.cancel();
    }

    fn joined<T>(&mut self, joined: Result<T, JoinError>) -> Option<T> {
        match joined {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(EngineError::Panicked {
                    message: error.to_string(),
                });
                None
            }
        }
    }
}

/// Every slot on its own: as soon as there is a place it starts, plays, and tries again after faults.
async fn free(run: &Arc<Collector>, slots: Vec<Slot>, ledger: &mut Ledger) {
    let places = Arc::new(Semaphore::new(run.config.concurrency));
    let mut episodes = JoinSet::new();
    for mut slot in slots {
        let (run, places) = (run.clone(), places.clone());
        episodes.spawn(async move {
            let place = tokio::select! {
                biased;
                () = run.stop.cancelled() => None,
                place = places.acquire() => place.ok(),
            };
            let outcome = match place {
                None => Err(Lost::Cancelled),
                Some(_place) => run.episode(&mut slot).await,
            };
            (slot, outcome)
        });
    }
    while let Some(joined) = episodes.join_next().await {
        if let Some((slot, outcome)) = ledger.joined(joined) {
            ledger.enter(run, slot, outcome);
        }
    }
}

/// Slots in waves of `concurrency`: all start, then sessions are opened in slot order, then all play. What is lost
/// while playing is put before the slots that still wait, so the composition of every wave depends on faults alone.
async fn lockstep(run: &Arc<Collector>, slots: Vec<Slot>, ledger: &mut Ledger) {
    let mut waiting = VecDeque::from(slots);
    while !waiting.is_empty() && !run.stop.is_cancelled() {
        let wave: Vec<Slot> = waiting.drain(..waiting.len().min(run.config.concurrency)).collect();
        let mut starts = JoinSet::new();
        for mut slot in wave {
            let run = run.clone();
            starts.spawn(async move {
                let started = run.start_or_give_up(&mut slot).await;
                (slot, started)
            });
        }
        let mut ready = BTreeMap::new();
        while let Some(joined) = starts.join_next().await {
            match ledger.joined(joined) {
                Some((slot, Ok(started))) => _ = ready.insert(slot.index, (slot, started)),
                Some((slot, Err(loss))) => ledger.enter(run, slot, Err(loss)),
                None => {}
            }
        }
        let sessions: Vec<_> = ready
            .into_values()
            .map(|(slot, started)| {
                let session = (!run.stop.is_cancelled()).then(|| run.open(&slot));
                (slot, started, session)
            })
            .collect();
        let mut plays = JoinSet::new();
        for (mut slot, started, session) in sessions {
            let run = run.clone();
            plays.spawn(async move {
                let outcome = match session {
                    Some(session) => run.play(&slot, started, session).await,
                    None => {
                        run.abandon(started).await;
                        Err(Lost::Cancelled)
                    }
                };
                let again = matches!(&outcome, Err(Lost::Fault(fault)) if run.try_again(&mut slot, fault, true));
                (slot, outcome, again)
            });
        }
        let mut again = BTreeMap::new();
        while let Some(joined) = plays.join_next().await {
            match ledger.joined(joined) {
                Some((slot, _, true)) => _ = again.insert(slot.index, slot),
                Some((slot, outcome, false)) => ledger.enter(run, slot, outcome),
                None => {}
            }
        }
        for slot in again.into_values().rev() {
            waiting.push_front(slot);
        }
    }
}

impl Collector {
    /// An episode of `slot`, with retries; `Err(Lost::Fault)` when they are used up.
    async fn episode(&self, slot: &mut Slot) -> Result<Episode, Lost> {
        loop {
            let started = self.start_or_give_up(slot).await?;
            let session = self.open(slot);
            match self.play(slot, started, session).await {
                Err(Lost::Fault(fault)) if self.try_again(slot, &fault, true) => {}
                outcome => return outcome,
            }
        }
    }

    /// A started environment for `slot`, with retries; `Err(Lost::Fault)` when they are used up.
    async fn start_or_give_up(&self, slot: &mut Slot) -> Result<Started, Lost> {
        loop {
            self.wait_before_retry(slot).await?;
            match self.start(slot).await {
                Err(Lost::Fault(fault)) if self.try_again(slot, &fault, false) => {}
                outcome => return outcome,
            }
        }
    }

    /// Counts a fault and says whether the slot is tried again.
    fn try_again(&self, slot: &mut Slot, fault: &Fault, played: bool) -> bool {
        slot.faults += 1;
        slot.plays += u64::from(played);
        let retried = slot.faults <= self.config.max_retries;
        tracing::warn!(slot = slot.index, task = %slot.task.id, %fault, retried, "an attempt was lost");
        let task = slot.task.id.clone();
        self.board.event(ProgressEvent::Fault {
            slot: slot.index,
            task,
            fault: fault.clone(),
            retried,
        });
        retried
    }

    async fn wait_before_retry(&self, slot: &Slot) -> Result<(), Lost> {
        if self.stop.is_cancelled() {
            return Err(Lost::Cancelled);
        }
        let Some(doublings) = slot.faults.checked_sub(1) else {
            return Ok(());
        };
        let delay = self.config.retry_delay.saturating_mul(1 << doublings.min(10));
        tokio::select! {
            () = self.stop.cancelled() => Err(Lost::Cancelled),
            () = tokio::time::sleep(delay) => Ok(()),
        }
    }
}
