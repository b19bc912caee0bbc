//! Groups as they become whole, while others are played: what asynchronous training takes its batches from.

use crate::episode::Collector;
use crate::worker::{Command, Worker};
use crate::{Busy, CancellationToken, EngineError, RolloutEngine, RolloutStats, StreamConfig, TaskCursor};
use cua_grpo_core::Group;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What one step trains on.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The groups with the cursors of their tasks, in the order of the cursors. Beside the groups of a batch those that
    /// were refused.
    pub groups: Vec<(u64, Group)>,
    /// How many were refused.
    pub refused: usize,
    /// What the time since the batch before cost; episodes, turns and losses are those of the groups.
    pub stats: RolloutStats,
}

/// Groups that are played beside training. Dropping it ends the episodes under way, in the background;
/// [`close`](Self::close) waits for them.
pub struct GroupStream {
    config: StreamConfig,
    run: Arc<Collector>,
    commands: mpsc::UnboundedSender<Command>,
    worker: Option<JoinHandle<()>>,
}

impl RolloutEngine {
    /// Begins to play groups of the tasks from `cursor` on, all but those of `done`, until `cancel` is cancelled.
    ///
    /// # Errors
    /// [`EngineError::Config`] in lockstep, where no group can run ahead, and for a batch without groups or episodes.
    pub fn stream(
        &self,
        cursor: TaskCursor,
        done: BTreeSet<u64>,
        config: StreamConfig,
        cancel: &CancellationToken,
    ) -> Result<GroupStream, EngineError> {
        let refuse = |name, expected, got: String| Err(EngineError::Config { name, expected, got });
        if self.config().lockstep {
            return refuse("lockstep", "off for groups that come out as a stream", "on".into());
        }
        if config.batches.episodes() == 0 {
            return refuse("batches", "at least one episode", format!("{:?}", config.batches));
        }
        let run = self.collector(config.batches.episodes(), cancel);
        let (commands, receiver) = mpsc::unbounded_channel();
        let worker = Worker::new(run.clone(), self.thin(), &config, cursor, done, receiver);
        Ok(GroupStream {
            config,
            run,
            commands,
            worker: Some(tokio::spawn(worker.run())),
        })
    }
}

impl GroupStream {
    /// The next batch. A group for which `useful` is false is refused and another one is taken in its place, up to
    /// `most_refused` times; refused groups come out with the batch.
    ///
    /// Groups come in the order in which they became whole, except that none is left to become older than the bound: then
    /// this waits. Call [`stepped`](Self::stepped) once the batch is trained on and the new policy is published. The
    /// future may be dropped only where the stream is given up.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`] when the stream was to end.
    pub async fn batch(
        &mut self,
        most_refused: usize,
        mut useful: impl FnMut(&Group) -> bool,
    ) -> Result<Batch, EngineError> {
        let (mut groups, mut refused, mut accepted) = (Vec::new(), 0, 0);
        while accepted < self.config.batches.groups {
            let (reply, answer) = oneshot::channel();
            self.send(Command::Give(reply));
            let (cursor, group) = answer.await.unwrap_or_else(|_| Err(self.cancelled()))?;
            let accept = refused == most_refused || useful(&group);
            self.send(if accept {
                accepted += 1;
                Command::Accept(cursor)
            } else {
                refused += 1;
                Command::Refuse(cursor)
            });
            groups.push((cursor, group));
        }
        groups.sort_by_key(|(cursor, _)| *cursor);
        let mut stats = self.run.board.turn_over();
        stats.count_groups(groups.iter().map(|(_, group)| group));
        Ok(Batch { groups, refused, stats })
    }

    /// Seconds that this stream was busy until now, what is under way included. The figures of a [`Batch`] are those of the
    /// time since the batch before, which is not that of a step.
    pub fn busy(&self) -> Busy {
        self.run.board.busy()
    }

    /// A step was made with the batch that was taken last: the stream may run further ahead.
    pub fn stepped(&mut self) {
        self.send(Command::Step);
    }

    /// Starts no further episode and waits until those under way have ended: all places for environments are free then.
    /// Groups that become whole meanwhile are kept.
    pub async fn pause(&mut self) {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Pause(reply));
        // A stream that has ended plays nothing.
        let _ = answer.await;
    }

    /// Goes on after a [`pause`](Self::pause).
    pub fn resume(&mut self) {
        self.send(Command::Resume);
    }

    /// Ends the stream: waits for tokens end at once, calls of environments are completed, and every environment is
    /// finished. What was not taken is lost.
    pub async fn close(mut self) {
        self.run.stop.cancel();
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has nothing left to wait for.
            let _ = worker.await;
        }
    }

    fn send(&self, command: Command) {
        // A worker that has ended shows at the next group that is asked for.
        let _ = self.commands.send(command);
    }

    fn cancelled(&self) -> EngineError {
        let stats = self.run.board.stats();
        EngineError::Cancelled {
            finished: stats.episodes,
            slots: stats.slots,
        }
    }
}

impl std::fmt::Debug for GroupStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupStream")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
