//! The training run, top to bottom: evaluate, then step by step roll out, score, update, publish; evaluate, save, report.

mod evaluate;
mod finish;
mod history;
mod start;
mod step;
mod verdict;

use crate::assemble::{self, Loaded};
use crate::checkpoint::{Checkpoints, TrainingState};
use crate::compare::task_set_of;
use crate::config::{Configuration, TrainConfig};
use crate::error::{CliError, Mendable};
use crate::eval::sampler;
use crate::faults::TooMany;
use crate::interrupt::{Interrupt, Notice};
use crate::learner::Learner;
use crate::metrics::Event;
use crate::output;
use crate::progress::Progress;
use crate::provenance::Base;
use crate::report::Invocation;
use crate::resume::ResumePoint;
use crate::run_dir::RunDir;
use crate::world::{World, WorldConfig, tasks};
use anyhow::Result;
use cua_grpo_algo::{AdamWConfig, Schedule};
use cua_grpo_android::tasks::Split;
use cua_grpo_core::derive_seed;
use cua_grpo_gbox::BoxPool;
use cua_grpo_model::generate::ModelSampler;
use cua_grpo_model::{Trainable, lora};
use cua_grpo_rollout::{Event as RolloutEvent, RolloutConfig, RolloutEngine, TaskCursor};
use start::Start;
use std::sync::Arc;
use verdict::{Closed, enough};

/// Everything a run holds between steps.
struct Run {
    config: TrainConfig,
    dir: RunDir,
    learner: Learner,
    sampler: ModelSampler,
    engine: RolloutEngine,
    pool: BoxPool,
    cursor: TaskCursor,
    checkpoints: Checkpoints,
    state: TrainingState,
    /// The state that the run goes on from; a fresh one where it is new.
    resumed: TrainingState,
    /// The evaluation that closed the run before, until its verdict is in the folder.
    closed: Option<Closed>,
    /// How the program was started, until that is in the folder.
    invocation: Option<Invocation>,
    schedule: Schedule,
    progress: Progress,
    interrupt: Interrupt,
}

/// Trains as `config` says, from the start or from a checkpoint.
pub async fn run(config: TrainConfig, resume: Option<ResumePoint>) -> Result<()> {
    let interrupt = Interrupt::listen(Notice::TRAINING);
    // Tasks first: an unknown template is told before anything is made.
    let source = tasks(config.seed, Split::Train, &config.templates)?;
    let folder = assemble::open(&config)?;
    let base = Base::of(&config.model_name, folder.path())?;
    let start = Start::of(&config, resume, &base)?;
    for note in start.notes() {
        match note.strip_prefix("warning: ") {
            Some(warning) => output::warn(warning),
            None => output::say(note),
        }
    }
    let Loaded { mut policy, renderer } = assemble::load(&config, &folder)?;
    let lora_config = assemble::lora(&config);
    let modules = lora::attach(policy.model_mut(), &lora_config, derive_seed(&[config.seed, 0]));
    let modules = modules.mendable("lora_target_modules")?;
    let adamw = AdamWConfig {
        weight_decay: config.weight_decay,
        ..Default::default()
    };
    let mut learner = Learner::new(policy, Trainable::Adapter, adamw, config.max_grad_norm)?;
    let mut state = start.load(&mut learner)?;
    let closed = start
        .closing()
        .map(|event| Closed::note(&mut state, event, &task_set_of(&config)));
    interrupt.hold();
    let world = interrupt.or(World::open(WorldConfig::of(&config))).await??;
    let dir = start.open(&config, &state)?;
    output::open_log(dir.path());
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
        base,
        config: config.clone(),
    };
    let arguments = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let invocation = Invocation::new(state.global_step, arguments, TrainConfig::keys());
    let mut run = Run {
        cursor: TaskCursor::new(source, state.task_cursor),
        schedule: schedule(&config),
        interrupt,
        config,
        dir,
        learner,
        sampler,
        engine,
        pool: world.pool.clone(),
        checkpoints,
        resumed: state.clone(),
        closed,
        invocation: Some(invocation),
        state,
        progress,
    };
    let outcome = run.all_steps().await;
    run.progress.finish();
    world.close().await;
    outcome
}

impl Run {
    /// The loop, and what is left behind when it fails: what was reached is saved, so that the run can go on.
    async fn all_steps(&mut self) -> Result<()> {
        let outcome = self.steps().await;
        match &outcome {
            Err(error) if error.is::<TooMany>() => {
                self.save_here()?;
                self.refresh_report();
                Err(TooMany(format!("{error}. What was reached is saved, {}", self.way_on())).into())
            }
            Err(error) if !matches!(error.downcast_ref(), Some(CliError::Interrupted)) => {
                self.refresh_report();
                outcome
            }
            _ => outcome,
        }
    }

    async fn steps(&mut self) -> Result<()> {
        if self.dir.has_begun() {
            self.begin()?; // A new run: its folder is its own already.
        }
        if !self.state.evaluated && (self.state.global_step == 0 || due(self.config.eval_steps, self.state.global_step))
        {
            // The baseline, or the evaluation that the checkpoint was saved without.
            if self.evaluate().await?.is_none() {
                return self.stopped();
            }
            self.state.evaluated = true;
            if self.state.global_step > 0 {
                self.save()?;
            }
        }
        if let Some(reason) = enough(&self.state, &self.config) {
            self.progress.line(format!("{reason}; another value on resume goes on"));
            return self.finish();
        }
        while self.state.global_step < self.config.max_steps {
            let Some(event) = self.step().await? else {
                return self.stopped();
            };
            self.progress.step(&event);
            self.dir.record(&Event::Train(event))?;
            self.check_skipped()?;
            let (step, last) = (self.state.global_step, self.state.global_step == self.config.max_steps);
            if due(self.config.eval_steps, step) {
                if self.evaluate().await?.is_none() {
                    return self.stopped();
                }
                self.state.evaluated = true;
            }
            let enough = enough(&self.state, &self.config);
            if last || enough.is_some() || due(self.config.save_steps, step) {
                self.save()?;
            }
            if let Some(reason) = enough {
                self.progress.line(reason);
                break;
            }
        }
        if !self.state.evaluated {
            if self.evaluate().await?.is_none() {
                return self.stopped();
            }
            // The checkpoint does not say so; whoever goes on from it finds the evaluation in the metrics.
            self.state.evaluated = true;
        }
        self.finish()
    }

    /// Makes the folder this run's before something is written there.
    fn begin(&mut self) -> Result<()> {
        if let Some(line) = self.dir.begin()? {
            self.progress.line(line);
        }
        if let Some(closed) = self.closed.take() {
            self.keep_closed(closed)?;
        }
        if let Some(invocation) = self.invocation.take() {
            let written = invocation.append(self.dir.path());
            if let Err(error) = written {
                output::warn(format!("the report will not say how the run was started: {error}"));
            }
        }
        Ok(())
    }

    /// Saves a checkpoint.
    fn save(&mut self) -> Result<()> {
        self.begin()?;
        let keep = self.config.save_total_limit;
        self.checkpoints.save(&mut self.learner, &self.state, keep)?;
        Ok(())
    }

    /// The engine with this run's progress display.
    fn watched(&self, what: &str) -> RolloutEngine {
        let (progress, verbose, what) = (self.progress.clone(), self.config.verbose, what.to_owned());
        self.engine.clone().with_progress(move |now| {
            progress.episodes(&what, now.stats.episodes, now.stats.slots, now.stats.successes);
            match &now.event {
                RolloutEvent::Episode {
                    task, verified, turns, ..
                } if verbose => {
                    let how = if *verified { "solved" } else { "not solved" };
                    progress.line(format!("{what}: {task}  {how}  {turns} turns"));
                }
                RolloutEvent::Turn { task, turn, action, .. } if verbose => {
                    progress.line(format!("{what}: {task}  turn {}: {action}", turn + 1));
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

fn due(every: usize, step: usize) -> bool {
    every > 0 && step.is_multiple_of(every)
}
