//! Episodes on task instances that training never sees: greedy, or several sampled attempts at each.

use crate::compare::{describe, task_set_of};
use crate::config::TrainConfig;
use crate::faults::{Counter, DeviceCounts, FaultFigures, TooMany, check_lost, first_fault};
use crate::instances::Instances;
use crate::interval::words;
use crate::metrics::{EvalEvent, TemplateCount};
use crate::summary::{behaviour, by_template, conduct};
use anyhow::Result;
use cua_grpo_core::{Environment, EnvironmentFactory, Episode, Fault, FaultKind, Reward, Row, Task, TaskSource};
use cua_grpo_model::Policy;
use cua_grpo_model::generate::{Batching, Generator, ModelSampler, OnUpdate};
use cua_grpo_model::processor::ChatRenderer;
use cua_grpo_rollout::{
    CancellationToken, Collection, EngineError, GroupRequest, Progress, RolloutConfig, RolloutEngine, TaskCursor,
};
use std::sync::Arc;
use std::time::Instant;

/// What is evaluated on.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Number of task instances.
    pub episodes: usize,
    /// Attempts at each: 1 is greedy, more are sampled.
    pub attempts: usize,
    /// Temperature, top-p and top-k of sampled attempts.
    pub sampling: (f64, f64, usize),
    /// Seed of the instances.
    pub seed: u64,
    /// Templates to draw from; empty means all.
    pub templates: Vec<String>,
    /// Most turns of an episode.
    pub max_turns: usize,
    /// Most tokens of a reply.
    pub max_new_tokens: usize,
    /// Most tokens of a context.
    pub max_context_tokens: usize,
    /// Screenshots that stay when a context is cut back; 0 keeps all.
    pub keep_screenshots: usize,
    /// Episodes at once.
    pub concurrency: usize,
    /// New attempts after faults.
    pub max_retries: usize,
    /// What only equals are compared with.
    pub task_set: String,
    /// Share of the episodes that may be lost.
    pub max_lost_share: f64,
    /// Episodes, the first ones, that keep their tokens and pictures; the others keep what they are counted by.
    pub saved: usize,
}

impl Evaluation {
    /// The evaluations of a training run, on the first of `tasks`.
    pub fn of(config: &TrainConfig, tasks: &dyn TaskSource) -> Self {
        Self {
            episodes: config.eval_episodes,
            attempts: config.eval_attempts,
            sampling: (config.temperature, config.top_p, config.top_k),
            seed: config.eval_seed,
            templates: config.templates.clone(),
            max_turns: config.max_turns,
            max_new_tokens: config.max_new_tokens,
            max_context_tokens: config.context_limit(),
            keep_screenshots: config.keep_screenshots,
            concurrency: config.concurrency,
            max_retries: config.max_retries,
            task_set: task_set_of(config, tasks),
            max_lost_share: config.max_lost_share,
            saved: config.save_episodes,
        }
    }

    /// The rollout configuration: greedy where there is one attempt, and in lockstep, so equal weights give equal results.
    pub fn rollout(&self) -> RolloutConfig {
        let (temperature, top_p, top_k) = match self.attempts {
            0 | 1 => (0.0, 1.0, 0),
            _ => self.sampling,
        };
        RolloutConfig {
            concurrency: self.concurrency,
            max_turns: self.max_turns,
            max_context_tokens: self.max_context_tokens,
            keep_screenshots: self.keep_screenshots,
            max_new_tokens: self.max_new_tokens,
            temperature: temperature as f32,
            top_p: top_p as f32,
            top_k,
            max_retries: self.max_retries,
            seed: self.seed,
            lockstep: true,
            ..Default::default()
        }
    }

    /// Plays the episodes of the first tasks of `venue` with `engine`, whose configuration is replaced. What is lost to
    /// faults is played once more at the end, unless all was. `step` is that after which the policy was saved, where it is
    /// known; the event says 0 where it is not.
    ///
    /// When more than `max_lost_share` of the episodes were lost, the event says so ([`EvalEvent::failed`]).
    ///
    /// # Errors
    /// When it was cancelled, see [`interrupted`], or when the engine failed.
    pub async fn play(
        &self,
        engine: &RolloutEngine,
        venue: &Venue,
        step: Option<usize>,
        cancel: CancellationToken,
    ) -> Result<EvalResult> {
        let (started, mark) = (Instant::now(), (venue.counter)());
        let mut cursor = TaskCursor::new(venue.tasks.clone(), 0);
        let tasks = cursor.next_tasks(self.episodes);
        let requests = tasks
            .into_iter()
            .map(|task| GroupRequest {
                task,
                group_size: self.attempts,
            })
            .collect();
        let engine = engine.with_config(self.rollout())?;
        let kept = self.saved;
        let whole = engine.clone().thinned(move |slot, episode| {
            if slot >= kept {
                forget(episode);
            }
        });
        let mut collection = whole.collect(requests, 0, cancel.clone()).await?;
        if collection.stats.lost > 0 && collection.stats.episodes > 0 {
            self.repeat(&engine, &mut collection, cancel).await?;
        }
        let collection = collection;
        let (lost, asked) = (collection.stats.lost, collection.stats.slots);
        let first = first_fault(&collection.groups);
        let what = step.map_or_else(
            || "evaluation".to_owned(),
            |step| format!("evaluation after step {step}"),
        );
        let enough = check_lost(&what, lost, asked, self.max_lost_share, first.as_deref());
        let losses = FaultFigures::of(&collection.stats, mark, (venue.counter)());
        let instances = Instances::of(&collection.groups, self.attempts);
        let groups = collection.groups.into_iter();
        let episodes: Vec<(Task, Episode)> = groups
            .flat_map(|group| {
                group
                    .episodes
                    .into_iter()
                    .map(move |episode| (group.task.clone(), episode))
            })
            .collect();
        let mean = |value: &dyn Fn(&Episode) -> f64| {
            episodes.iter().map(|(_, episode)| value(episode)).sum::<f64>() / episodes.len().max(1) as f64
        };
        let mut event = EvalEvent {
            step: step.unwrap_or_default(),
            episodes: episodes.len(),
            success_rate: mean(&|episode| f64::from(u8::from(episode.facts.verified))),
            claimed_success_rate: mean(&|episode| f64::from(u8::from(episode.facts.claimed == Some(true)))),
            reward_mean: mean(&|episode| f64::from(episode.reward)),
            turns_mean: mean(&|episode| episode.facts.turns as f64),
            behaviour: Some(behaviour(episodes.iter().map(|(_, episode)| episode))),
            conduct: Some(conduct(episodes.iter().map(|(task, episode)| (task, episode)))),
            templates: by_template(&episodes),
            faults: collection.stats.faults.total(),
            losses,
            eval_s: started.elapsed().as_secs_f64(),
            failed: enough.err().map(|error| error.to_string()),
            ..Default::default()
        };
        describe(&mut event, &self.task_set, instances);
        Ok(EvalResult { event, episodes })
    }

    /// Plays the lost attempts of a collection once more, and puts what comes out in their places.
    async fn repeat(
        &self,
        engine: &RolloutEngine,
        collection: &mut Collection,
        cancel: CancellationToken,
    ) -> Result<()> {
        let groups = collection.groups.iter().enumerate();
        let lacking: Vec<(usize, usize)> = groups
            .map(|(index, group)| (index, self.attempts - group.episodes.len()))
            .filter(|(_, count)| *count > 0)
            .collect();
        tracing::info!(
            episodes = collection.stats.lost,
            "lost episodes of the evaluation are played once more"
        );
        let request = |(index, group_size): &(usize, usize)| GroupRequest {
            task: collection.groups[*index].task.clone(),
            group_size: *group_size,
        };
        let slots = lacking.iter().flat_map(|(index, count)| {
            let first = index * self.attempts;
            first..first + count
        });
        let (slots, kept): (Vec<usize>, usize) = (slots.collect(), self.saved);
        let engine = engine.clone().thinned(move |slot, episode| {
            if slots.get(slot).is_none_or(|slot| *slot >= kept) {
                forget(episode);
            }
        });
        let again = engine.collect(lacking.iter().map(request).collect(), 1, cancel).await?;
        let asked = collection.stats.slots;
        collection.stats.merge(&again.stats);
        (collection.stats.slots, collection.stats.lost) = (asked, again.stats.lost);
        for ((index, _), more) in lacking.into_iter().zip(again.groups) {
            let group = &mut collection.groups[index];
            let first = group
                .episodes
                .iter()
                .map(|episode| episode.attempt + 1)
                .max()
                .unwrap_or(0);
            group.episodes.extend(more.episodes.into_iter().map(|mut episode| {
                episode.attempt += first;
                episode
            }));
            group.faults = more.faults;
        }
        Ok(())
    }
}

/// Takes the tokens and pictures from an episode that is only counted.
fn forget(episode: &mut Episode) {
    episode.row = Row::new(episode.row.temperature());
    episode.later_rows.clear();
    for turn in &mut episode.turns {
        turn.screenshot = None;
    }
}

/// The figures and the episodes of one evaluation.
pub struct EvalResult {
    /// The line of `metrics.jsonl`.
    pub event: EvalEvent,
    /// The episodes with their tasks.
    pub episodes: Vec<(Task, Episode)>,
}

impl EvalResult {
    /// One line for each template: how many of its instances were solved, and the 95 % Wilson interval of that rate.
    pub fn by_template(&self) -> String {
        let templates = self.event.templates.iter();
        templates
            .map(|(template, count)| {
                let TemplateCount { solved, episodes } = count;
                let interval = words(count.interval(self.event.attempts));
                format!("  {template:<28} {solved:>3} of {episodes:<3}  {interval:>14}\n")
            })
            .collect()
    }
}

/// A sampler thread for `policy`, as every command uses it.
pub fn sampler(
    policy: &Policy,
    renderer: &ChatRenderer,
    version: u64,
    max_context: usize,
    (batching, on_update): (Batching, OnUpdate),
) -> Result<ModelSampler> {
    let special = renderer.tokenizer().special();
    let stop = vec![special.im_end, special.endoftext];
    let generator = Generator::new(
        policy.model().clone(),
        version,
        policy.images().clone(),
        stop,
        max_context,
    );
    Ok(ModelSampler::start_with(generator, version, batching, on_update)?)
}

/// Where episodes are played, and of which tasks.
#[derive(Clone)]
pub struct Venue {
    /// Makes environments.
    pub factory: Arc<dyn EnvironmentFactory>,
    /// The tasks.
    pub tasks: Arc<dyn TaskSource>,
    /// Counts the devices of `factory`.
    pub counter: Counter,
}

impl Venue {
    /// Where nothing can be played: for a run that learns from a record.
    pub fn nowhere(tasks: Arc<dyn TaskSource>) -> Self {
        let factory = |task: &Task| -> Result<Box<dyn Environment>, Fault> {
            let message = format!("task {}: a replay plays nothing", task.id);
            Err(Fault::new(FaultKind::Environment, "create environment", message))
        };
        Self {
            factory: Arc::new(factory),
            tasks,
            counter: Arc::new(DeviceCounts::default),
        }
    }
}

/// A policy that is not being trained, and how it is judged.
pub struct Candidate<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Its chat template and tokenizer.
    pub renderer: Arc<ChatRenderer>,
    /// What an episode is paid for.
    pub reward: Arc<dyn Reward>,
}

/// Evaluates a candidate; `progress` is called after each turn, episode and fault.
///
/// # Errors
/// As [`Evaluation::play`], and [`TooMany`] when the evaluation failed.
pub async fn evaluate(
    evaluation: &Evaluation,
    venue: &Venue,
    candidate: Candidate<'_>,
    step: Option<usize>,
    cancel: CancellationToken,
    progress: impl Fn(&Progress) + Send + Sync + 'static,
) -> Result<EvalResult> {
    let Candidate {
        policy,
        renderer,
        reward,
    } = candidate;
    let lockstep = (Batching::Lockstep, OnUpdate::default());
    let sampler = sampler(policy, &renderer, 0, evaluation.max_context_tokens, lockstep)?;
    let engine = RolloutEngine::new(
        venue.factory.clone(),
        renderer,
        Arc::new(sampler),
        reward,
        evaluation.rollout(),
    )?;
    let result = evaluation
        .play(&engine.with_progress(progress), venue, step, cancel)
        .await?;
    match result.event.failed {
        Some(failed) => Err(TooMany(failed).into()),
        None => Ok(result),
    }
}

/// Whether an evaluation ended because it was cancelled.
pub fn interrupted(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(EngineError::Cancelled { .. }))
}

#[cfg(test)]
mod tests;
