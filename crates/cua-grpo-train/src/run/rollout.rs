//! What a step trains on: a collection of its own, or the next batch of the stream; and which tasks are done.

use super::Run;
use crate::config::TrainConfig;
use crate::faults::FaultFigures;
use crate::record::StepRecord;
use crate::step::select;
use anyhow::Result;
use cua_grpo_core::Group;
use cua_grpo_rollout::{Collection, EngineError, RolloutStats, StreamConfig};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The groups of a step.
pub(super) struct Taken {
    /// The groups, and what they cost.
    pub collection: Collection,
    /// Cursors of their tasks.
    pub cursors: Vec<u64>,
    /// Groups that stand in for flat ones.
    pub refilled: usize,
    /// Of a record: the version of the policy before the step, and what was lost.
    pub recorded: Option<(u64, FaultFigures)>,
}

impl From<StepRecord> for Taken {
    fn from(record: StepRecord) -> Self {
        let StepRecord { head, cursors, groups } = record;
        Self {
            collection: Collection {
                groups: Arc::unwrap_or_clone(groups),
                stats: head.stats,
            },
            cursors,
            refilled: head.refilled,
            recorded: Some((head.version, head.losses)),
        }
    }
}

impl Run {
    /// The groups of step number `step`; `None` when the user interrupted it. Their tasks are done once
    /// [`Run::done_with`] says so.
    pub(super) async fn take(&mut self, step: usize) -> Result<Option<Taken>> {
        if let Some(replay) = &self.replay {
            let record = replay.step(step)?.filter(|_| !self.cancel.is_cancelled());
            return Ok(record.map(Taken::from));
        }
        let taken = if self.config.max_staleness == 0 {
            self.collect(step).await
        } else {
            self.take_batch().await
        };
        match taken {
            Err(error) if matches!(error.downcast_ref(), Some(EngineError::Cancelled { .. })) => Ok(None),
            taken => taken.map(Some),
        }
    }

    /// The last step of the record that is replayed, once it is made.
    pub(super) fn record_is_over(&self) -> Option<usize> {
        let last = self.replay.as_ref()?.last();
        (self.state.global_step >= last).then_some(last)
    }

    /// Plays the groups of a step, with the newest policy.
    async fn collect(&mut self, step: usize) -> Result<Taken> {
        let (batches, done) = (self.config.batches(), self.ahead());
        let mut cursor = self.cursor.at(self.state.task_cursor);
        let engine = self.watched(&format!("step {step}: rollout"));
        let mut taken = Taken {
            collection: Collection {
                groups: Vec::new(),
                stats: RolloutStats::default(),
            },
            cursors: Vec::new(),
            refilled: 0,
            recorded: None,
        };
        let mut wanted = batches.groups;
        loop {
            let tasks = cursor.next_but(&done, wanted);
            let cursors: Vec<u64> = tasks.iter().map(|(cursor, _)| *cursor).collect();
            let more = engine.collect_tasks(tasks, batches, self.cancel.clone()).await?;
            let mut flat = 0;
            for group in &more.groups {
                flat += usize::from(is_flat(&self.config, group)?);
            }
            if !taken.cursors.is_empty() {
                taken.refilled += wanted;
            }
            taken.cursors.extend(cursors);
            taken.collection.groups.extend(more.groups);
            taken.collection.stats.merge(&more.stats);
            wanted = flat.min(self.config.max_refills - taken.refilled);
            if wanted == 0 {
                return Ok(taken);
            }
        }
    }

    /// The next batch of the stream, which begins with the first step.
    async fn take_batch(&mut self) -> Result<Taken> {
        let (config, most_refills) = (self.config.clone(), self.config.max_refills);
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let cursor = self.cursor.at(self.state.task_cursor);
                let pace = StreamConfig {
                    batches: config.batches(),
                    max_staleness: config.max_staleness as u64,
                    steps: (config.max_steps - self.state.global_step) as u64,
                };
                let engine = self.watched("rollout");
                engine.stream(cursor, self.ahead(), pace, &self.cancel)?
            }
        };
        // A group whose rewards cannot be compared is told when the step selects its rows.
        let useful = |group: &Group| !is_flat(&config, group).unwrap_or(false);
        let batch = stream.batch(most_refills, useful).await;
        self.stream = Some(stream);
        let batch = batch?;
        let (cursors, groups) = batch.groups.into_iter().unzip();
        Ok(Taken {
            collection: Collection {
                groups,
                stats: batch.stats,
            },
            cursors,
            refilled: batch.refused,
            recorded: None,
        })
    }

    /// Tasks beyond the cursor that are done.
    fn ahead(&self) -> BTreeSet<u64> {
        self.state.done_ahead.iter().copied().collect()
    }

    /// The tasks of `cursors` are done: a run that goes on from here plays all others. Groups that were begun and not
    /// trained on are played again then, from the same seeds.
    pub(super) fn done_with(&mut self, cursors: &[u64]) {
        let mut ahead = self.ahead();
        ahead.extend(cursors);
        while ahead.remove(&self.state.task_cursor) {
            self.state.task_cursor += 1;
        }
        self.state.done_ahead = ahead.into_iter().collect();
    }
}

/// Whether the rewards of a group hardly differ; one that faults left too small is not flat.
fn is_flat(config: &TrainConfig, group: &Group) -> Result<bool> {
    Ok(select(config, std::slice::from_ref(group))?.filtered > 0)
}
