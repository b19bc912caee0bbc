//! The training run, top to bottom: evaluate, then step by step roll out, score, update, publish; evaluate, save, report.

use crate::assemble::{self, Loaded};
use crate::checkpoint::{Checkpoints, TrainingState, load as load_checkpoint};
use crate::config::TrainConfig;
use crate::eval::{EvalResult, Evaluation, sampler};
use crate::interrupt::{Interrupt, Notice};
use crate::learner::Learner;
use crate::metrics::{EvalEvent, Event, TrainEvent};
use crate::progress::{Progress, before_after};
use crate::resume::ResumePoint;
use crate::run_dir::RunDir;
use crate::step::{UpdateStats, select, update};
use crate::world::{World, WorldConfig, tasks};
use anyhow::{Context, Result};
use cua_grpo_algo::{AdamWConfig, Schedule};
use cua_grpo_core::{Group, derive_seed};
use cua_grpo_gbox::tasks::Split;
use cua_grpo_model::generate::ModelSampler;
use cua_grpo_model::{Trainable, lora};
use cua_grpo_rollout::{
    Collection, EngineError, Event as RolloutEvent, GroupRequest, RolloutConfig, RolloutEngine, TaskCursor,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Everything a run holds between steps.
struct Run {
    config: TrainConfig,
    dir: RunDir,
    learner: Learner,
    sampler: ModelSampler,
    engine: RolloutEngine,
    cursor: TaskCursor,
    checkpoints: Checkpoints,
    state: TrainingState,
    schedule: Schedule,
    progress: Progress,
    interrupt: Interrupt,
}

/// Trains as `config` says, from the start or from a checkpoint.
pub async fn run(config: TrainConfig, resume: Option<ResumePoint>) -> Result<()> {
    // Tasks first: an unknown template is told before anything is made.
    let source = tasks(config.seed, Split::Train, &config.templates)?;
    let Loaded { mut policy, renderer } = assemble::load(&config)?;
    let lora_config = assemble::lora(&config);
    let modules = lora::attach(policy.model_mut(), &lora_config, derive_seed(&[config.seed, 0]))?;
    let adamw = AdamWConfig {
        weight_decay: config.weight_decay,
        ..Default::default()
    };
    let mut learner = Learner::new(policy, Trainable::Adapter, adamw, config.max_grad_norm)?;
    let mut state = TrainingState::default();
    if let Some(point) = &resume {
        state = load_checkpoint(&mut learner, &point.checkpoint)?;
    }
    let world = World::open(WorldConfig::of(&config)).await?;
    let dir = match &resume {
        None => RunDir::create(&config)?,
        Some(point) => RunDir::resume(&config, point, state.evaluated)?,
    };
    let progress = Progress::new(state.global_step, config.max_steps);
    progress.line(format!(
        "run folder {}; adapters on {} modules, {} trained weights",
        dir.path().display(),
        modules.len(),
        learner.adamw.layout().len()
    ));
    let sampler = sampler(
        &learner.policy,
        &renderer,
        state.policy_version,
        config.context_limit(),
        config.lockstep,
    )?;
    let engine = RolloutEngine::new(
        world.factory.clone(),
        renderer,
        Arc::new(sampler.clone()),
        crate::reward::reward(config.reward, config.seed),
        rollout(&config),
    )?;
    let checkpoints = Checkpoints {
        run_dir: dir.path().to_path_buf(),
        lora: lora_config,
        base: config.model_name.clone(),
    };
    let mut run = Run {
        cursor: TaskCursor::new(source, state.task_cursor),
        schedule: schedule(&config),
        interrupt: Interrupt::listen(Notice::TRAINING),
        config,
        dir,
        learner,
        sampler,
        engine,
        checkpoints,
        state,
        progress,
    };
    let outcome = run.all_steps().await;
    run.progress.finish();
    let closed = world.close().await;
    outcome?;
    closed
}

impl Run {
    /// The loop.
    async fn all_steps(&mut self) -> Result<()> {
        if self.state.global_step == 0 && self.evaluate().await?.is_none() {
            return self.stopped();
        }
        while self.state.global_step < self.config.max_steps {
            let Some(event) = self.step().await? else {
                return self.stopped();
            };
            self.progress.step(&event);
            self.dir.metrics.write(&Event::Train(event))?;
            let (step, last) = (self.state.global_step, self.state.global_step == self.config.max_steps);
            self.state.evaluated = due(self.config.eval_steps, step);
            if self.state.evaluated && self.evaluate().await?.is_none() {
                self.state.evaluated = false;
                return self.stopped();
            }
            let enough = self.enough();
            if last || enough.is_some() || due(self.config.save_steps, step) {
                self.checkpoints
                    .save(&mut self.learner, &self.state, self.config.save_total_limit)?;
            }
            if let Some(reason) = enough {
                self.progress.line(reason);
                break;
            }
        }
        if !self.state.evaluated && self.evaluate().await?.is_none() {
            return self.stopped();
        }
        self.finish()
    }

    /// One step; `None` when the user interrupted it.
    async fn step(&mut self) -> Result<Option<TrainEvent>> {
        let started = Instant::now();
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
        let lost_all = collection.stats.episodes == 0;
        anyhow::ensure!(
            !lost_all,
            "step {step}: every episode was lost to faults: {}",
            first_fault(&collection)
        );

        let training = Instant::now();
        self.progress.phase(format!("step {step}: update"));
        let selection = select(&self.config, &collection.groups)?;
        let learning_rate = self.schedule.learning_rate(step as u64 - 1);
        let version = self.state.policy_version;
        let mut first: Option<UpdateStats> = None;
        for _ in 0..self.config.num_updates {
            if selection.rows.is_empty() {
                break;
            }
            let stats = update(&self.config, &selection, &mut self.learner, learning_rate)?;
            self.state.updates += 1;
            first.get_or_insert(stats);
        }
        if first.is_some() {
            self.state.policy_version += 1;
            self.sampler
                .set_model(self.learner.policy.model().clone(), self.state.policy_version);
        }
        self.state.global_step = step;
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
        event.groups_kept = selection.kept;
        event.groups_filtered = selection.filtered;
        event.rollout_s = rollout_s;
        event.train_s = training.elapsed().as_secs_f64();
        event.extra.insert("entropy".into(), stats.entropy.into());
        event.extra.insert("sampler_gap".into(), stats.sampler_gap.into());
        self.dir
            .log_episodes(step, &collection.groups, self.config.enable_detailed_logging)?;
        Ok(Some(event))
    }

    /// Evaluates, logs, saves the episodes and the best model; `None` when the user interrupted it.
    async fn evaluate(&mut self) -> Result<Option<EvalResult>> {
        let step = self.state.global_step;
        let evaluation = Evaluation::of(&self.config);
        let engine = self.watched(&format!("evaluation after step {step}"));
        let played = evaluation.play(&engine, step, self.interrupt.token()).await;
        let result = match played {
            Ok(result) => result,
            Err(error) if matches!(error.downcast_ref(), Some(EngineError::Cancelled { .. })) => return Ok(None),
            Err(error) => return Err(error),
        };
        anyhow::ensure!(
            result.event.episodes > 0,
            "evaluation after step {step}: every episode was lost to faults"
        );
        self.progress.eval(&result.event);
        self.dir.metrics.write(&Event::Eval(result.event.clone()))?;
        self.dir.save_episodes(step, &result, self.config.save_episodes)?;
        if self
            .state
            .best_accuracy
            .is_none_or(|best| result.event.success_rate > best)
        {
            self.state.best_accuracy = Some(result.event.success_rate);
            self.state.best_step = step;
            self.state.evals_without_improvement = 0;
            self.checkpoints.save_adapter(&mut self.learner, "best_model")?;
        } else {
            self.state.evals_without_improvement += 1;
        }
        Ok(Some(result))
    }

    /// Why the run may end before its last step.
    fn enough(&self) -> Option<String> {
        let best = self.state.best_accuracy.unwrap_or(0.0);
        if self.state.evaluated && best >= self.config.target_accuracy {
            return Some(format!(
                "stopping: target_accuracy {} is reached",
                self.config.target_accuracy
            ));
        }
        let waited = self.state.evals_without_improvement;
        (self.config.patience > 0 && self.state.evaluated && waited >= self.config.patience)
            .then(|| format!("stopping: {waited} evaluations without improvement (patience)"))
    }

    /// Saves after an interruption and says how to go on.
    fn stopped(&mut self) -> Result<()> {
        self.progress.finish();
        if self.state.global_step == 0 {
            eprintln!("interrupted before the first step was done; nothing to resume");
            return Ok(());
        }
        let folder = self
            .checkpoints
            .save(&mut self.learner, &self.state, self.config.save_total_limit)?;
        let step = self.state.global_step;
        eprintln!(
            "interrupted after step {step}; go on with: trainer --resume {}",
            folder.display()
        );
        Ok(())
    }

    /// The last artefacts, the table, and what to type next.
    fn finish(&mut self) -> Result<()> {
        let adapter = self.checkpoints.save_adapter(&mut self.learner, "final")?;
        let report = crate::report::write_report(self.dir.path())?;
        self.progress.finish();
        let events = crate::metrics::read_metrics(self.dir.path())?;
        let evals: Vec<EvalEvent> = events
            .into_iter()
            .filter_map(|event| match event {
                Event::Eval(eval) => Some(eval),
                Event::Train(_) => None,
            })
            .collect();
        if let (Some(before), Some(after)) = (evals.first(), evals.last()) {
            eprintln!("\n{}", before_after(before, after));
        }
        let dir = self.dir.path();
        eprintln!("  run folder      {}", dir.display());
        eprintln!("  report          {} (open it in a browser)", report.display());
        eprintln!(
            "  best model      {} (after step {})",
            dir.join("best_model").display(),
            self.state.best_step
        );
        eprintln!("\nnext:");
        eprintln!(
            "  cargo run -p trainer -- eval --adapter {} --episodes 100",
            shown(&adapter)
        );
        let more = self.state.global_step + self.config.max_steps;
        eprintln!("  cargo run -p trainer -- --resume {} --max-steps {more}", shown(dir));
        Ok(())
    }

    /// The engine with this run's progress display.
    fn watched(&self, what: &str) -> RolloutEngine {
        let (progress, verbose, what) = (self.progress.clone(), self.config.verbose, what.to_owned());
        self.engine.clone().with_progress(move |now| {
            progress.episodes(&what, now.stats.episodes, now.stats.slots, now.stats.successes);
            match &now.event {
                RolloutEvent::Episode {
                    task, reward, turns, ..
                } if verbose => {
                    progress.line(format!("{what}: {task}  reward {reward}  {turns} turns"));
                }
                RolloutEvent::Turn { task, turn, action, .. } if verbose => {
                    progress.line(format!("{what}: {task}  turn {}: {action}", turn + 1));
                }
                RolloutEvent::Fault {
                    task, fault, retried, ..
                } => {
                    let next = if *retried { "trying again" } else { "given up" };
                    progress.line(format!("{what}: {task}  {fault} ({next})"));
                }
                _ => {}
            }
        })
    }
}

/// How training episodes are sampled.
fn rollout(config: &TrainConfig) -> RolloutConfig {
    RolloutConfig {
        concurrency: config.concurrency,
        max_turns: config.max_turns,
        max_context_tokens: config.context_limit(),
        max_new_tokens: config.max_new_tokens,
        temperature: config.temperature as f32,
        top_p: config.top_p as f32,
        top_k: config.top_k,
        max_retries: config.max_retries,
        seed: config.seed,
        lockstep: config.lockstep,
        ..Default::default()
    }
}

fn schedule(config: &TrainConfig) -> Schedule {
    Schedule {
        base: config.learning_rate,
        warmup_steps: config.warmup_steps as u64,
        max_steps: config.max_steps as u64,
        decay: config.lr_scheduler.into(),
        final_fraction: 0.0,
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

fn first_fault(collection: &Collection) -> String {
    let mut faults = collection.groups.iter().flat_map(|group| &group.faults);
    faults
        .next()
        .map_or_else(|| "none recorded".to_owned(), ToString::to_string)
}

fn due(every: usize, step: usize) -> bool {
    every > 0 && step.is_multiple_of(every)
}

/// A path as it can be typed where the user stands.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().context("no current folder").ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    relative.unwrap_or_else(|| path.to_path_buf()).display().to_string()
}
