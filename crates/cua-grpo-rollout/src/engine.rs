//! The engine: slots become episodes, concurrently or in lockstep, and faults are tried again.

use crate::episode::{Loss, Run, Seams, Slot, Started};
use crate::stats::{Board, Event, Progress, ProgressFn, RolloutStats};
use crate::stop::Stop;
use crate::{CancelToken, EngineError, RolloutConfig};
use cua_grpo_core::{EnvironmentFactory, Episode, Fault, Group, Renderer, Reward, Sampler, Task};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
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

/// Takes away what nobody will read of the episode in a slot, by the slot's number.
type ThinFn = Arc<dyn Fn(usize, &mut Episode) + Send + Sync>;

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

    /// The same engine with a function that is given every episode as it ends, counted and with the number of its slot,
    /// and may take from it what nobody will read: a long collection then holds the pictures of the episodes that are
    /// being played, not of all.
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
    /// When `cancel` turns true, waiting for tokens and for free places ends at once, calls of environments are
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
        cancel: CancelToken,
    ) -> Result<Collection, EngineError> {
        let (tasks, slots) = slots(requests);
        let count = slots.len();
        let (abort, stop) = Stop::new(cancel);
        let board = Board::new(count, self.progress.clone());
        let run = Arc::new(Run {
            seams: self.seams.clone(),
            config: self.config.clone(),
            salt,
            stop,
            board,
        });
        let mut ledger = Ledger {
            abort,
            done: BTreeMap::new(),
            error: None,
            thin: self.thin.clone(),
        };
        if self.config.lockstep {
            lockstep(&run, slots, &mut ledger).await;
        } else {
            free(&run, slots, &mut ledger).await;
        }
        let stats = run.board.stats();
        if let Some(error) = ledger.error {
            return Err(error);
        }
        if ledger.done.len() < count {
            return Err(EngineError::Cancelled {
                finished: stats.episodes,
                slots: count,
            });
        }
        let mut groups: Vec<Group> = tasks
            .into_iter()
            .map(|task| Group {
                task,
                episodes: Vec::new(),
                faults: Vec::new(),
            })
            .collect();
        for (slot, outcome) in ledger.done.into_values() {
            match outcome {
                Ok(episode) => groups[slot.group].episodes.push(episode),
                Err(fault) => groups[slot.group].faults.push(fault),
            }
        }
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

/// Where every slot is entered exactly once, by its index.
struct Ledger {
    abort: watch::Sender<bool>,
    done: BTreeMap<usize, (Slot, Result<Episode, Fault>)>,
    error: Option<EngineError>,
    thin: Option<ThinFn>,
}

impl Ledger {
    /// Enters the outcome of a slot; a fatal one stops the other episodes.
    fn enter(&mut self, run: &Run, slot: Slot, outcome: Result<Episode, Loss>) {
        let outcome = match outcome {
            Ok(mut episode) => {
                run.board.update(|stats| stats.add_episode(&episode));
                run.board.event(Event::Episode {
                    slot: slot.index,
                    task: slot.task.id.clone(),
                    reward: episode.reward,
                    turns: episode.turns.len(),
                });
                if let Some(thin) = &self.thin {
                    thin(slot.index, &mut episode);
                }
                Ok(episode)
            }
            Err(Loss::Fault(fault)) => Err(fault),
            Err(Loss::Cancelled) => return,
            Err(Loss::Fatal(error)) => return self.fail(error),
        };
        self.done.insert(slot.index, (slot, outcome));
    }

    fn fail(&mut self, error: EngineError) {
        self.error.get_or_insert(error);
        self.abort.send_replace(true);
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
async fn free(run: &Arc<Run>, slots: Vec<Slot>, ledger: &mut Ledger) {
    let places = Arc::new(Semaphore::new(run.config.concurrency));
    let mut episodes = JoinSet::new();
    for mut slot in slots {
        let (run, places) = (run.clone(), places.clone());
        episodes.spawn(async move {
            let place = tokio::select! {
                biased;
                () = run.stop.wait() => None,
                place = places.acquire() => place.ok(),
            };
            let outcome = match place {
                None => Err(Loss::Cancelled),
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
async fn lockstep(run: &Arc<Run>, slots: Vec<Slot>, ledger: &mut Ledger) {
    let mut waiting = VecDeque::from(slots);
    while !waiting.is_empty() && !run.stop.is_set() {
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
                let session = (!run.stop.is_set()).then(|| run.open(&slot, &started));
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
                        Err(Loss::Cancelled)
                    }
                };
                let again = matches!(&outcome, Err(Loss::Fault(fault)) if run.try_again(&mut slot, fault, true));
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

impl Run {
    /// An episode of `slot`, with retries; `Err(Loss::Fault)` when they are used up.
    async fn episode(&self, slot: &mut Slot) -> Result<Episode, Loss> {
        loop {
            let started = self.start_or_give_up(slot).await?;
            let session = self.open(slot, &started);
            match self.play(slot, started, session).await {
                Err(Loss::Fault(fault)) if self.try_again(slot, &fault, true) => {}
                outcome => return outcome,
            }
        }
    }

    /// A started environment for `slot`, with retries; `Err(Loss::Fault)` when they are used up.
    async fn start_or_give_up(&self, slot: &mut Slot) -> Result<Started, Loss> {
        loop {
            self.wait_before_retry(slot).await?;
            match self.start(slot).await {
                Err(Loss::Fault(fault)) if self.try_again(slot, &fault, false) => {}
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
        self.board.event(Event::Fault {
            slot: slot.index,
            task,
            fault: fault.clone(),
            retried,
        });
        retried
    }

    async fn wait_before_retry(&self, slot: &Slot) -> Result<(), Loss> {
        if self.stop.is_set() {
            return Err(Loss::Cancelled);
        }
        let Some(doublings) = slot.faults.checked_sub(1) else {
            return Ok(());
        };
        let delay = self.config.retry_delay.saturating_mul(1 << doublings.min(10));
        tokio::select! {
            () = self.stop.wait() => Err(Loss::Cancelled),
            () = tokio::time::sleep(delay) => Ok(()),
        }
    }
}
