//! The books of a collection: every slot is entered exactly once, and a group is scored as soon as it is whole.

use crate::EngineError;
use crate::episode::{Collector, Lost, Slot};
use crate::score::{Ended, Scoring, ThinFn};
use crate::stats::ProgressEvent;
use cua_grpo_core::{Episode, Group, Task};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// A group that is being played.
struct Attempts {
    task: Task,
    /// Slots that have not been entered.
    left: usize,
    /// Episodes that make it whole.
    wanted: usize,
    episodes: usize,
    ended: Ended,
    /// Gives up the attempts that it does not need.
    enough: CancellationToken,
}

/// Where every slot is entered exactly once.
pub(crate) struct Ledger {
    run: Arc<Collector>,
    groups: BTreeMap<u64, Attempts>,
    scoring: Scoring,
    opened: usize,
    error: Option<EngineError>,
}

impl Ledger {
    pub(crate) fn new(run: Arc<Collector>, thin: Option<ThinFn>) -> Self {
        Self {
            scoring: Scoring::new(run.clone(), thin),
            run,
            groups: BTreeMap::new(),
            opened: 0,
            error: None,
        }
    }

    /// Begins a group of `size` episodes and gives its slots, in order, which lack only an index and a random stream.
    pub(crate) fn open(&mut self, number: u64, task: Task, size: usize) -> impl Iterator<Item = Slot> + use<> {
        let (count, enough) = (self.run.config.attempts(size), self.run.stop.child_token());
        let shared = Arc::new(task.clone());
        self.opened += 1;
        if count == 0 {
            self.scoring.begin(number, task, Ended::new());
        } else {
            let group = Attempts {
                task,
                left: count,
                wanted: size,
                episodes: 0,
                ended: Ended::new(),
                enough: enough.clone(),
            };
            self.groups.insert(number, group);
        }
        (0..count as u64).map(move |attempt| Slot {
            index: 0,
            group: number,
            attempt,
            task: shared.clone(),
            stream: [0, 0],
            stop: enough.clone(),
            faults: 0,
            plays: 0,
        })
    }

    /// Enters the outcome of a slot.
    pub(crate) fn enter(&mut self, slot: Slot, outcome: Result<Episode, Lost>) {
        let run = self.run.clone();
        let Some(group) = self.groups.get_mut(&slot.group) else {
            // Its group had enough; an episode that ended meanwhile is one too many as well.
            return run.board.update(|stats| stats.surplus += 1);
        };
        let outcome = match outcome {
            Ok(episode) => {
                run.board.update(|stats| stats.add_episode(&episode));
                run.board.event(ProgressEvent::Episode {
                    slot: slot.index,
                    task: slot.task.id.clone(),
                    verified: episode.facts.verified,
                    turns: episode.turns.len(),
                });
                group.episodes += 1;
                Ok(episode)
            }
            Err(Lost::Fault(fault) | Lost::Full(fault)) => Err(fault),
            Err(Lost::ForGood(fault)) => {
                run.fault(&slot, &fault, false);
                Err(fault)
            }
            Err(Lost::Cancelled) => return,
        };
        group.left -= 1;
        group.ended.insert(slot.index, outcome);
        if (group.episodes == group.wanted || group.left == 0)
            && let Some(whole) = self.groups.remove(&slot.group)
        {
            whole.enough.cancel();
            self.scoring.begin(slot.group, whole.task, whole.ended);
        }
    }

    /// What a task of the engine gave; one that panicked shows a defect of the engine and ends everything.
    pub(crate) fn joined<T>(&mut self, joined: Result<T, JoinError>) -> Option<T> {
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

    /// Ends everything.
    pub(crate) fn fail(&mut self, error: EngineError) {
        self.error.get_or_insert(error);
        self.run.stop.cancel();
    }

    /// Why everything ends, if it does.
    pub(crate) fn error(&self) -> Option<EngineError> {
        self.error.clone()
    }

    /// The groups that are being scored.
    pub(crate) fn scoring(&mut self) -> &mut Scoring {
        &mut self.scoring
    }

    /// All groups, in the order of their numbers, once every slot of `slots` wanted ones is entered.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`] where slots or scores are missing, because the collection was to end.
    pub(crate) async fn finish(mut self, slots: usize) -> Result<Vec<Group>, EngineError> {
        let mut scored = BTreeMap::new();
        while let Some(group) = self.scoring.next().await {
            match group {
                Ok((number, group)) => _ = scored.insert(number, group),
                Err(error) => self.fail(error),
            }
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        if scored.len() < self.opened {
            let finished = self.run.board.stats().episodes;
            return Err(EngineError::Cancelled { finished, slots });
        }
        Ok(scored.into_values().collect())
    }
}
