//! The task behind a stream: begins groups as the law allows, gives places to their slots, hands out whole groups.

use crate::episode::{Collector, Lost, Slot};
use crate::law::Law;
use crate::ledger::Ledger;
use crate::score::ThinFn;
use crate::{Batches, EngineError, StreamConfig, TaskCursor};
use cua_grpo_core::{Episode, Group};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// What the handle of a stream asks for.
pub(crate) enum Command {
    /// A whole group that may be given.
    Give(oneshot::Sender<Result<(u64, Group), EngineError>>),
    /// The group of this task is part of the batch.
    Accept(u64),
    /// The group of this task is not.
    Refuse(u64),
    /// The batch was trained on.
    Step,
    /// No further episode; answered once none is under way.
    Pause(oneshot::Sender<()>),
    /// Episodes again.
    Resume,
}

pub(crate) struct Worker {
    run: Arc<Collector>,
    law: Law,
    batches: Batches,
    cursor: TaskCursor,
    /// Tasks that are passed over.
    done: BTreeSet<u64>,
    ledger: Ledger,
    waiting: VecDeque<Slot>,
    episodes: JoinSet<(Slot, Result<Episode, Lost>)>,
    /// In the order in which they became whole. The law bounds how many there are.
    whole: Vec<(u64, Group)>,
    asked: Option<oneshot::Sender<Result<(u64, Group), EngineError>>>,
    paused: Option<Vec<oneshot::Sender<()>>>,
    commands: mpsc::UnboundedReceiver<Command>,
}

impl Worker {
    pub(crate) fn new(
        run: Arc<Collector>,
        thin: Option<ThinFn>,
        config: &StreamConfig,
        cursor: TaskCursor,
        done: BTreeSet<u64>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        Self {
            law: Law::new(config.max_staleness, config.batches.groups as u64, config.steps),
            batches: config.batches,
            cursor,
            done,
            ledger: Ledger::new(run.clone(), thin),
            run,
            waiting: VecDeque::new(),
            episodes: JoinSet::new(),
            whole: Vec::new(),
            asked: None,
            paused: None,
            commands,
        }
    }

    pub(crate) async fn run(mut self) {
        let stop = self.run.stop.clone();
        while !stop.is_cancelled() {
            self.begin();
            self.start();
            self.answer();
            let scoring = !self.ledger.scoring().is_empty();
            tokio::select! {
                () = stop.cancelled() => {}
                Some(joined) = self.episodes.join_next(), if !self.episodes.is_empty() => {
                    if let Some((slot, outcome)) = self.ledger.joined(joined) {
                        self.ledger.enter(slot, outcome);
                    }
                }
                scored = self.ledger.scoring().next(), if scoring => match scored {
                    Some(Ok(group)) => self.whole.push(group),
                    Some(Err(error)) => self.ledger.fail(error),
                    None => {}
                },
                command = self.commands.recv() => match command {
                    Some(command) => self.apply(command),
                    None => stop.cancel(),
                },
            }
        }
        // Every environment is finished before the end is told.
        while let Some(joined) = self.episodes.join_next().await {
            if let Some((slot, outcome)) = self.ledger.joined(joined) {
                self.ledger.enter(slot, outcome);
            }
        }
        let (error, asked) = (self.ledger.error(), self.asked.take());
        if let (Some(error), Some(asked)) = (error, asked) {
            // Nobody waits where the handle was dropped.
            let _ = asked.send(Err(error));
        }
    }

    fn apply(&mut self, command: Command) {
        match command {
            Command::Give(reply) => self.asked = Some(reply),
            Command::Accept(cursor) => self.law.accept(cursor),
            Command::Refuse(cursor) => self.law.refuse(cursor),
            Command::Step => self.law.step(),
            Command::Pause(reply) => self.paused.get_or_insert_default().push(reply),
            Command::Resume => self.paused = None,
        }
    }

    /// Begins groups as the law allows.
    fn begin(&mut self) {
        while self.law.may_begin() {
            let cursor = self.cursor.position();
            for task in self.cursor.next_tasks(1) {
                if self.done.remove(&cursor) {
                    continue;
                }
                self.law.begin(cursor);
                let attempts = self.run.config.attempts(self.batches.group_size);
                let slots = self.ledger.open(cursor, task, self.batches.group_size);
                self.waiting.extend(slots.map(|slot| Slot {
                    index: cursor as usize * attempts + slot.attempt as usize,
                    stream: self.batches.stream(cursor, slot.attempt),
                    ..slot
                }));
            }
        }
    }

    /// Gives free places to the slots that wait, in the order of their tasks.
    fn start(&mut self) {
        if let Some(waiting) = &mut self.paused {
            if self.episodes.is_empty() {
                for reply in waiting.drain(..) {
                    let _ = reply.send(());
                }
            }
            return;
        }
        while self.episodes.len() < self.run.config.concurrency {
            let Some(mut slot) = self.waiting.pop_front() else {
                return;
            };
            let run = self.run.clone();
            self.episodes.spawn(async move {
                let outcome = run.episode(&mut slot).await;
                (slot, outcome)
            });
        }
    }

    /// Gives a group to whoever waits for one.
    fn answer(&mut self) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        match self.whole.iter().position(|(cursor, _)| self.law.may_give(*cursor)) {
            Some(place) => _ = asked.send(Ok(self.whole.remove(place))),
            None => self.asked = Some(asked),
        }
    }
}
