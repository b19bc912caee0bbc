//! One step of training: tasks, rollout, updates, figures.

use super::Run;
use crate::faults::{FaultFigures, PoolMark, check_lost, first_fault};
use crate::metrics::TrainEvent;
use crate::step::{Update, UpdateStats, select, update};
use anyhow::Result;
use cua_grpo_core::Group;
use cua_grpo_rollout::{Collection, EngineError, GroupRequest};
use std::time::Instant;

impl Run {
    /// One step; `None` when the user interrupted it.
    pub(super) async fn step(&mut self) -> Result<Option<TrainEvent>> {
        let (started, mark) = (Instant::now(), PoolMark::of(&self.pool));
        let step = self.state.global_step + 1;
        let cursor = self.cursor.position();
        let count = self.config.batch_size * self.config.gradient_accumulation_steps;
        let requests = self.cursor.next_tasks(count).into_iter();
        let requests = requests
            .map(|task| GroupRequest {
                task,
                group_size: self.config.num_rollouts,
            })
            .collect();
        let engine = self.watched(&format!("step {step}: rollout"));
        let collected = engine.collect(requests, step as u64, self.interrupt.token()).await;
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
        self.progress.phase(format!("step {step}: update"));
        let selection = select(&self.config, &collection.groups)?;
        let learning_rate = self.schedule.learning_rate(step as u64 - 1);
        let version = self.state.policy_version;
        let (mut first, mut skipped) = (None::<UpdateStats>, 0);
        for _ in 0..self.config.num_updates {
            if selection.rows.is_empty() {
                break;
            }
            match update(&self.config, &selection, &mut self.learner, learning_rate)? {
                Update::Made(stats) => {
                    self.state.updates += 1;
                    self.state.skipped_in_a_row = 0;
                    first.get_or_insert(stats);
                }
                Update::Skipped(rows) => {
                    skipped += 1;
                    self.state.skipped_in_a_row += 1;
                    tracing::warn!(step, rows, "an update was skipped: its gradient is not finite");
                    // The weights are as they were, and so would be the next gradient.
                    break;
                }
            }
        }
        if first.is_some() {
            self.state.policy_version += 1;
            self.sampler
                .set_model(self.learner.policy.model().clone(), self.state.policy_version);
        }
        self.state.global_step = step;
        self.state.evaluated = false;
        self.state.task_cursor = self.cursor.position();
        let mut event = summarise(&collection, version);
        let stats = first.unwrap_or_default();
        event.step = step;
        event.loss = stats.loss.loss;
        event.kl = stats.loss.kl;
        // Without a group that teaches anything nothing was scored; 1 is the ratio of a policy to itself.
        event.ratio_mean = if first.is_some() { stats.loss.ratio_mean } else { 1.0 };
        event.clip_fraction = stats.loss.clip_fraction();
        event.grad_norm = stats.grad_norm;
        event.learning_rate = learning_rate;
        event.tokens_trained = stats.loss.tokens as usize;
        event.updates_skipped = skipped;
        event.losses = FaultFigures::of(&collection.stats, &self.pool, mark);
        event.groups_kept = selection.kept;
        event.groups_filtered = selection.filtered;
        event.rollout_s = rollout_s;
        event.train_s = training.elapsed().as_secs_f64();
        event.extra.insert("entropy".into(), stats.entropy.into());
        event.extra.insert("sampler_gap".into(), stats.sampler_gap.into());
        self.begin()?;
        self.dir
            .log_episodes(step, &collection.groups, self.config.enable_detailed_logging);
        Ok(Some(event))
    }
}

/// The figures that follow from the episodes alone.
fn summarise(collection: &Collection, version: u64) -> TrainEvent {
    let rewards: Vec<f64> = collection
        .groups
        .iter()
        .flat_map(Group::rewards)
        .map(f64::from)
        .collect();
    let count = rewards.len().max(1) as f64;
    let mean = rewards.iter().sum::<f64>() / count;
    let variance = rewards.iter().map(|reward| (reward - mean).powi(2)).sum::<f64>() / count;
    let rows = collection
        .groups
        .iter()
        .flat_map(|group| &group.episodes)
        .map(|episode| &episode.row);
    let (mut gaps, mut tokens, mut largest) = (0u64, 0u64, 0u64);
    for row in rows {
        for (sampled_by, _) in row.versions.iter().zip(&row.trained).filter(|(_, trained)| **trained) {
            let gap = version.saturating_sub(*sampled_by);
            (gaps, tokens, largest) = (gaps + gap, tokens + 1, largest.max(gap));
        }
    }
    let stats = &collection.stats;
    let mut event = TrainEvent {
        reward_mean: mean,
        reward_std: variance.sqrt(),
        success_rate: stats.successes as f64 / stats.episodes.max(1) as f64,
        tokens_sampled: stats.tokens_sampled,
        episodes: stats.episodes,
        faults: stats.faults.total(),
        staleness_mean: gaps as f64 / tokens.max(1) as f64,
        staleness_max: largest,
        ..Default::default()
    };
    event.extra.insert(
        "turns_mean".into(),
        (stats.turns as f64 / stats.episodes.max(1) as f64).into(),
    );
    event.extra.insert("action_errors".into(), stats.action_errors.into());
    event
        .extra
        .insert("kept_mass_mean".into(), stats.kept_mass_mean().into());
    event
}
