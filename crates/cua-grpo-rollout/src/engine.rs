//! The engine: what it is made of, and collections of groups.

use crate::collect::{free, lockstep};
use crate::episode::{Collector, Seams, Slot};
use crate::ledger::Ledger;
use crate::score::ThinFn;
use crate::stats::{Board, Progress, ProgressFn, RolloutStats};
use crate::{Batches, CancellationToken, EngineError, RolloutConfig};
use cua_grpo_core::{EnvironmentFactory, Episode, Group, Renderer, Reward, Sampler, Task};
use std::sync::Arc;

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

    /// Collects one group a request. `salt` makes the seeds of this collection its own.
    ///
    /// When `cancel` is cancelled, waiting for tokens and for free places ends at once, calls of environments are
    /// completed (a device that is being leased is not lost), and every environment is finished. Dropping the future
    /// instead leaves environments unfinished.
    ///
    /// # Errors
    /// [`EngineError`] when the collection was cancelled. Faults are not errors: they are in [`Group::faults`] and
    /// [`RolloutStats::faults`].
    pub async fn collect(
        &self,
        requests: Vec<GroupRequest>,
        salt: u64,
        cancel: CancellationToken,
    ) -> Result<Collection, EngineError> {
        // Slots are numbered group by group, and so are their streams.
        let mut next = 0;
        let firsts: Vec<u64> = requests
            .iter()
            .map(|request| {
                let first = next;
                next += self.config.attempts(request.group_size) as u64;
                first
            })
            .collect();
        self.gather(requests, |group, attempt| [salt, firsts[group] + attempt], cancel)
            .await
    }

    /// Collects a group of each of `tasks`, which come with their cursors; seeds follow from those, as [`Batches`] says.
    /// Otherwise as [`RolloutEngine::collect`].
    ///
    /// # Errors
    /// As [`RolloutEngine::collect`].
    pub async fn collect_tasks(
        &self,
        tasks: Vec<(u64, Task)>,
        batches: Batches,
        cancel: CancellationToken,
    ) -> Result<Collection, EngineError> {
        let group_size = batches.group_size;
        let (cursors, tasks): (Vec<u64>, Vec<Task>) = tasks.into_iter().unzip();
        let requests = tasks.into_iter();
        let requests = requests.map(|task| GroupRequest { task, group_size }).collect();
        let stream = |group: usize, attempt| batches.stream(cursors[group], attempt);
        self.gather(requests, stream, cancel).await
    }

    pub(crate) fn thin(&self) -> Option<ThinFn> {
        self.thin.clone()
    }

    /// What the episodes of a collection share. `wanted` is how many are asked for.
    pub(crate) fn collector(&self, wanted: usize, cancel: &CancellationToken) -> Arc<Collector> {
        Arc::new(Collector {
            seams: self.seams.clone(),
            config: self.config.clone(),
            stop: cancel.child_token(),
            board: Board::new(wanted, self.progress.clone()),
        })
    }

    /// Collects groups whose attempts have the random streams that `stream` gives by group and attempt.
    async fn gather(
        &self,
        requests: Vec<GroupRequest>,
        stream: impl Fn(usize, u64) -> [u64; 2],
        cancel: CancellationToken,
    ) -> Result<Collection, EngineError> {
        let wanted = requests.iter().map(|request| request.group_size).sum();
        let run = self.collector(wanted, &cancel);
        let mut ledger = Ledger::new(run.clone(), self.thin.clone());
        let mut slots: Vec<Slot> = Vec::new();
        for (number, GroupRequest { task, group_size }) in requests.into_iter().enumerate() {
            let first = slots.len();
            let group = ledger.open(number as u64, task, group_size);
            slots.extend(group.enumerate().map(|(attempt, slot)| Slot {
                index: first + attempt,
                stream: stream(number, attempt as u64),
                ..slot
            }));
        }
        if self.config.lockstep {
            lockstep(&run, slots, &mut ledger).await;
        } else {
            free(&run, slots, &mut ledger).await;
        }
        let groups = ledger.finish(wanted).await?;
        let stats = run.board.stats();
        Ok(Collection { groups, stats })
    }
}
