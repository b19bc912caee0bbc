//! One step of training: tasks, rollout, updates, figures.

use super::Run;
use crate::faults::{FaultFigures, check_lost, first_fault};
use crate::metrics::TrainEvent;
use crate::publish::Snapshot;
use crate::sink::Event;
use crate::step::{Update, Updates, select};
use crate::summary::summarise;
use anyhow::Result;
use cua_grpo_rollout::EngineError;
use std::time::Instant;

impl Run {
    /// One step; `None` when the user interrupted it.
    pub(super) async fn step(&mut self) -> Result<Option<TrainEvent>> {
        let (started, mark) = (Instant::now(), (self.training.counter)());
        let step = self.state.global_step + 1;
        let cursor = self.cursor.position();
        let batches = self.config.batches();
        let tasks = self.cursor.next_tasks(batches.groups);
        let engine = self.watched(&format!("step {step}: rollout"));
        let collected = engine.collect_tasks(cursor, tasks, batches, self.cancel.clone()).await;
        let collection = match collected {
            Ok(collection) => collection,
            Err(EngineError::Cancelled { .. }) => {
                self.cursor = self.cursor.at(cursor);
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let rollout_s = started.elapsed().as_secs_f64();
        let (lost, asked) = (collection.stats.lost, collection.stats.slots);
        let first = first_fault(&collection.groups);
        let share = self.config.max_lost_share;
        if let Err(error) = check_lost(&format!("step {step}"), lost, asked, share, first.as_deref()) {
            // A run that is resumed tries these tasks again.
            self.cursor = self.cursor.at(cursor);
            return Err(error);
        }

        let training = Instant::now();
        self.sinks.tell(&Event::Phase(&format!("step {step}: update")))?;
        let selection = select(&self.config, &collection.groups)?;
        let learning_rate = self.schedule.learning_rate(step as u64 - 1);
        let version = self.state.policy_version;
        let mut updates = Updates::new(&self.config, &selection).at_version(version);
        let mut skipped = 0;
        for _ in 0..updates.count() {
            match updates.make(&mut self.learner, learning_rate)? {
                Update::Made => {
                    self.state.updates += 1;
                    self.state.skipped_in_a_row = 0;
                }
                Update::Skipped(rows) => {
                    skipped += 1;
                    self.state.skipped_in_a_row += 1;
                    tracing::warn!(step, rows, "an update was skipped: its gradient is not finite");
                    if self.config.num_minibatches == 1 {
                        // The weights are as they were, and so would be the next gradient.
                        break;
                    }
                }
            }
        }
        if !updates.figures.is_empty() {
            self.state.policy_version += 1;
            self.publisher.publish(Snapshot {
                policy: &self.learner.policy,
                version: self.state.policy_version,
            })?;
        }
        self.state.global_step = step;
        self.state.evaluated = false;
        self.eval_failed = false;
        self.state.task_cursor = self.cursor.position();
        if let Some(curriculum) = &self.curriculum {
            self.state.standing = curriculum.observe(&collection.groups);
        }
        let mut event = summarise(&collection, version);
        event.step = step;
        event.set_updates(&updates.figures);
        event.learning_rate = learning_rate;
        event.tokens_trained = updates.tokens();
        event.updates_skipped = skipped;
        event.rows_skipped = updates.skipped_rows.len();
        event.losses = FaultFigures::of(&collection.stats, mark, (self.training.counter)());
        event.groups_kept = selection.kept;
        event.groups_filtered = selection.filtered;
        event.groups_lost = Some(selection.lost);
        event.rollout_s = rollout_s;
        event.train_s = training.elapsed().as_secs_f64();
        self.begin()?;
        self.dir
            .log_episodes(step, &collection.groups, self.config.enable_detailed_logging);
        let sample = selection.telling(&collection.groups, self.config.save_train_episodes);
        self.dir.save_training(step, sample);
        Ok(Some(event))
    }
}
