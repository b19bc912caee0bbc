//! One step of training: groups, updates, figures.

use super::Run;
use super::rollout::Taken;
use super::update::Work;
use crate::faults::{FaultFigures, TooMany, check_lost, first_fault};
use crate::metrics::TrainEvent;
use crate::record::{Head, StepRecord};
use crate::sink::Event;
use crate::summary::{rows_mean, summarise};
use anyhow::Result;
use cua_grpo_rollout::{Busy, Collection, GroupStream};
use std::sync::Arc;
use std::time::Instant;

impl Run {
    /// One step; `None` when the user interrupted it.
    pub(super) async fn step(&mut self) -> Result<Option<TrainEvent>> {
        let started = Instant::now();
        let busy = self.busy().unwrap_or_default();
        let step = self.state.global_step + 1;
        let Some(taken) = self.take(step).await? else {
            return Ok(None);
        };
        let Taken {
            collection: Collection { groups, mut stats },
            cursors,
            refilled,
            recorded,
        } = taken;
        let rollout_s = started.elapsed().as_secs_f64();
        let first = first_fault(&groups);
        let share = self.config.max_lost_share;
        // A run that is resumed tries the tasks of a step that fails here again.
        check_lost(
            &format!("step {step}"),
            stats.lost,
            stats.slots,
            share,
            first.as_deref(),
        )?;

        let training = Instant::now();
        self.sinks.tell(&Event::Phase(&format!("step {step}: update")))?;
        let groups = Arc::new(groups);
        // A replay tells how old tokens were when they were trained on.
        let (version, losses) = recorded.map_or((self.state.policy_version, None), |(version, losses)| {
            (version, Some(losses))
        });
        let work = Work {
            config: self.config.clone(),
            groups: groups.clone(),
            publisher: self.publisher.clone(),
            step,
            learning_rate: self.schedule.learning_rate(step as u64 - 1),
            version,
            lent: self
                .successes
                .as_ref()
                .map_or_else(Vec::new, |kept| kept.lend(&groups, version)),
        };
        let learning_rate = work.learning_rate;
        let made = self.learner.work(|learner| work.make(learner)).await??;
        let train_s = training.elapsed().as_secs_f64();
        if let Some(stream) = &mut self.stream {
            stream.stepped();
        }
        self.state.updates += made.figures.len() as u64;
        self.state.skipped_in_a_row = match made.figures.len() {
            0 => self.state.skipped_in_a_row + made.skipped,
            _ => made.skipped_last,
        };
        self.state.policy_version = made.version;
        self.state.global_step = step;
        self.state.evaluated = false;
        self.eval_failed = false;
        self.done_with(&cursors);
        if let Some(curriculum) = &self.curriculum {
            self.state.standing = curriculum.observe(&groups);
        }
        if let Some(successes) = &mut self.successes {
            successes.observe(&groups, version);
        }
        // A batch of a stream was begun long before its step.
        if let Some(now) = self.busy() {
            let busy = now.since(busy);
            (stats.busy_seconds, stats.sampler_seconds) = (busy.places, busy.sampler);
        }
        let mut event = summarise(&groups, &stats, version);
        event.step = step;
        event.set_updates(&made.figures);
        event.learning_rate = learning_rate;
        event.tokens_trained = made.tokens;
        event.updates_skipped = made.skipped;
        event.rows_skipped = made.rows_skipped;
        event.losses = losses.unwrap_or_else(|| {
            // Phones are played beside training, too: what was spent since the line before, evaluations aside.
            let now = (self.training.counter)();
            FaultFigures::of(&stats, std::mem::replace(&mut self.spent, now), now)
        });
        event.groups_kept = made.kept;
        event.groups_filtered = made.filtered;
        event.groups_lost = Some(made.lost);
        event.groups_refilled = Some(refilled);
        event.episodes_dropped = Some(made.dropped);
        event.successes_replayed = self.successes.is_some().then_some(made.replayed);
        event.rows_mean = rows_mean(&self.config, &groups);
        event.rollout_s = rollout_s;
        event.train_s = train_s;
        event.step_s = Some(started.elapsed().as_secs_f64());
        self.begin()?;
        let head = Head {
            refilled,
            stats,
            losses: event.losses.clone(),
            ..Head::new(step, version, self.checkpoints.base.clone())
        };
        let record = || StepRecord {
            head,
            cursors,
            groups: groups.clone(),
        };
        if let Some(note) = self.recorder.keep(step, record)? {
            self.sinks.tell(&note.event())?;
        }
        self.dir
            .log_episodes(step, &groups, self.config.enable_detailed_logging);
        let telling = made.telling.iter();
        let telling = telling.map(|(task, episode, advantage)| (task, episode, *advantage));
        self.dir.save_training(step, telling);
        Ok(Some(event))
    }

    /// How long the stream was busy until now; `None` without one.
    fn busy(&self) -> Option<Busy> {
        self.stream.as_ref().map(GroupStream::busy)
    }

    /// An error where sampler and trainer, with the same weights, disagree by more than `max_sampler_gap`. A success that was
    /// lent, and what a replay trains on, were sampled by other weights.
    pub(super) fn check_gap(&self, event: &TrainEvent) -> Result<()> {
        if self.replay.is_some() || event.successes_replayed.is_some_and(|lent| lent > 0) {
            return Ok(());
        }
        let first = event
            .each_update
            .first()
            .map_or(event.sampler_gap, |update| update.sampler_gap);
        let (Some(limit), Some(gap), 0) = (self.config.max_sampler_gap, first, event.staleness_max) else {
            return Ok(());
        };
        if gap <= limit {
            return Ok(());
        }
        Err(TooMany(format!(
            "step {}: the sampler's log-probs and the trainer's are {gap:.2e} apart on average, and max_sampler_gap allows \
             {limit}; both have the same weights, so one of them computes something else (lora_dropout above 0 shows here \
             too)",
            event.step
        ))
        .into())
    }
}
