//! The training run, top to bottom: evaluate, then step by step roll out, score, update, publish; evaluate, save, report.

mod evaluate;
mod finish;
mod history;
mod rollout;
mod start;
mod step;
mod update;
mod verdict;

pub use start::{Learning, Start};

use crate::checkpoint::{Checkpoints, TrainingState};
use crate::config::TrainConfig;
use crate::curriculum::CurriculumTasks;
use crate::eval::{Evaluation, Venue};
use crate::faults::{DeviceCounts, TooMany};
use crate::learner_thread::LearnerThread;
use crate::provenance::Base;
use crate::publish::Publish;
use crate::record::{Recorder, Replay};
use crate::run_dir::RunDir;
use crate::sink::{Event, Outcome, Sink, Sinks};
use crate::successes::Successes;
use anyhow::Result;
use cua_grpo_algo::Schedule;
use cua_grpo_core::{Renderer, Reward, Sampler, TaskSource};
use cua_grpo_rollout::{CancellationToken, EngineError, GroupStream, RolloutEngine, TaskCursor};
use std::path::Path;
use std::sync::Arc;
use verdict::{Closed, enough};

/// What a run is plugged into: tasks, environments, a sampler, a reward, and who listens.
pub struct Parts {
    /// Where training episodes are played.
    pub training: Venue,
    /// Where evaluations are played.
    pub evaluation: Venue,
    /// Turns messages into tokens.
    pub renderer: Arc<dyn Renderer>,
    /// Samples the policy. Its version is that of the state that the run begins with.
    pub sampler: Arc<dyn Sampler>,
    /// Brings new versions of the policy to `sampler`.
    pub publisher: Arc<dyn Publish>,
    /// What episodes are paid for.
    pub reward: Arc<dyn Reward>,
    /// Who is told what happens, besides the run folder.
    pub sinks: Sinks,
    /// Asks the run to save and end.
    pub cancel: CancellationToken,
}

/// A training run. Everything that it holds between steps.
pub struct Run {
    config: TrainConfig,
    dir: RunDir,
    learner: LearnerThread,
    engine: RolloutEngine,
    /// Groups that are played beside training, from the first step on, where `max_staleness` lets them.
    stream: Option<GroupStream>,
    /// Where groups come from in place of the engine and the stream.
    replay: Option<Replay>,
    recorder: Recorder,
    training: Venue,
    evaluation: Venue,
    /// What an evaluation is, which does not change.
    judged: Evaluation,
    publisher: Arc<dyn Publish>,
    cursor: TaskCursor,
    /// Which tasks the cursor draws less often, where it does.
    curriculum: Option<CurriculumTasks>,
    checkpoints: Checkpoints,
    /// Successes that groups without one learn from, where `positive_replay` keeps any.
    successes: Option<Successes>,
    state: TrainingState,
    /// The state that the run goes on from; a fresh one where it is new.
    resumed: TrainingState,
    /// The evaluation that closed the run before, until its verdict is in the folder.
    closed: Option<Closed>,
    /// What was done with devices, as far as lines of the metrics say so.
    spent: DeviceCounts,
    /// The evaluation of the weights at hand has failed.
    eval_failed: bool,
    /// The sinks know that the folder is this run's.
    told: bool,
    schedule: Schedule,
    sinks: Sinks,
    cancel: CancellationToken,
}

impl Run {
    /// Opens the run folder. `base` is the model under the adapter of `learning`.
    ///
    /// # Errors
    /// When the folder cannot be opened, or a value of `config` is out of the engine's range.
    pub fn new(config: TrainConfig, start: Start, base: Base, learning: Learning, parts: Parts) -> Result<Self> {
        let Learning {
            learner,
            state,
            closed,
            successes,
            ..
        } = learning;
        let replay = Replay::of(&config, &base)?;
        let dir = start.open(&config, &state)?;
        if let Some(text) = start::elsewhere(&config.output_dir, dir.path()) {
            parts.sinks.tell(&Event::Note(&text))?;
        }
        let recorder = Recorder::new(dir.path(), config.record);
        let engine = RolloutEngine::new(
            parts.training.factory.clone(),
            parts.renderer,
            parts.sampler,
            parts.reward,
            config.rollout(),
        )?;
        let checkpoints = Checkpoints {
            run_dir: dir.path().to_path_buf(),
            lora: config.lora(),
            base,
            timeline: dir.identity().timeline.clone(),
            config: config.clone(),
        };
        let tasks = parts.training.tasks.clone();
        let curriculum = CurriculumTasks::of(&config, tasks.clone(), state.standing.clone());
        let drawn: Arc<dyn TaskSource> = match &curriculum {
            Some(curriculum) => Arc::new(curriculum.clone()),
            None => tasks,
        };
        Ok(Self {
            cursor: TaskCursor::new(drawn, state.task_cursor),
            curriculum,
            schedule: config.schedule(),
            judged: Evaluation::of(&config, &*parts.evaluation.tasks),
            config,
            dir,
            learner: LearnerThread::start(learner)?,
            engine,
            stream: None,
            replay,
            recorder,
            spent: (parts.training.counter)(),
            training: parts.training,
            evaluation: parts.evaluation,
            publisher: parts.publisher,
            checkpoints,
            successes,
            resumed: state.clone(),
            closed,
            eval_failed: false,
            told: false,
            state,
            sinks: parts.sinks,
            cancel: parts.cancel,
        })
    }

    /// The run folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the run stands.
    pub fn state(&self) -> &TrainingState {
        &self.state
    }

    /// The configuration.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Trains until the last step, until it is good enough, or until the end is asked for. What was reached is saved
    /// also where faults or updates that are left out ([`TooMany`]), or a failure of the engine, end the run.
    ///
    /// # Errors
    /// Why the run could not go on.
    pub async fn train(&mut self) -> Result<Outcome> {
        let outcome = self.steps().await;
        if let Some(stream) = self.stream.take() {
            stream.close().await;
        }
        if let Err(error) = &outcome {
            // An update that fails half-way leaves weights that are those of no step.
            if error.is::<TooMany>() || error.is::<EngineError>() {
                // Whoever goes on from here makes an evaluation that has failed again.
                self.state.evaluated &= !self.eval_failed;
                self.save_here()?;
            }
            self.written();
        }
        let ended = Event::Ended {
            run_dir: self.dir.path(),
            outcome: outcome.as_ref().ok().copied(),
        };
        if let Err(error) = self.sinks.tell(&ended) {
            tracing::warn!("{error:#}");
        }
        outcome
    }

    async fn steps(&mut self) -> Result<Outcome> {
        if self.dir.has_begun() {
            self.begin()?; // A new run: its folder is its own already.
        }
        if !self.state.evaluated && (self.state.global_step == 0 || due(self.config.eval_steps, self.state.global_step))
        {
            // The baseline, or the evaluation that the checkpoint was saved without.
            if !self.evaluate().await? {
                return self.stopped();
            }
            self.state.evaluated = true;
            if self.state.global_step > 0 {
                self.save()?;
            }
        }
        if let Some(reason) = enough(&self.state, &self.config) {
            self.note(format!("{reason}; another value on resume goes on"))?;
            return self.finish();
        }
        while self.state.global_step < self.config.max_steps {
            self.dir.check()?;
            if let Some(last) = self.record_is_over() {
                self.note(format!("the record ends after step {last}"))?;
                self.save_here()?;
                break;
            }
            let Some(event) = self.step().await? else {
                return self.stopped();
            };
            self.tell(&Event::Step(&event))?;
            self.check_gap(&event)?;
            self.check_skipped()?;
            let (step, last) = (self.state.global_step, self.state.global_step == self.config.max_steps);
            let due_to_save = last || due(self.config.save_steps, step);
            if due(self.config.eval_steps, step) {
                if due_to_save {
                    // The evaluation takes long and may fail.
                    self.save()?;
                }
                if !self.evaluate().await? {
                    return self.stopped();
                }
                self.state.evaluated = true;
            }
            let enough = enough(&self.state, &self.config);
            if enough.is_some() || due_to_save {
                self.save()?;
            }
            if let Some(reason) = enough {
                self.note(reason)?;
                break;
            }
        }
        if !self.state.evaluated {
            if !self.evaluate().await? {
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
            self.note(line)?;
        }
        self.checkpoints.timeline.clone_from(&self.dir.identity().timeline);
        if let Some(closed) = self.closed.take() {
            self.keep_closed(closed)?;
        }
        if !std::mem::replace(&mut self.told, true) {
            let (run_dir, step) = (self.dir.path(), self.resumed.global_step);
            self.sinks.tell(&Event::Begun { run_dir, step })?;
        }
        Ok(())
    }

    /// Saves a checkpoint.
    fn save(&mut self) -> Result<()> {
        self.begin()?;
        let keep = self.config.save_total_limit;
        let (learner, checkpoints) = (&mut self.learner.lock(), &self.checkpoints);
        let write = |partial: &Path| {
            checkpoints.write_learner(learner, partial)?;
            let kept = self.successes.as_ref();
            kept.map_or(Ok(()), |kept| kept.write(partial, &checkpoints.base))
        };
        checkpoints.save_with(write, &self.state, keep)?;
        Ok(())
    }

    /// The engine, whose episodes are told as `what`.
    fn watched(&self, what: &str) -> RolloutEngine {
        let (sinks, what) = (self.sinks.clone(), what.to_owned());
        self.engine.clone().with_progress(move |progress| {
            let what = &what;
            if let Err(error) = sinks.tell(&Event::Episodes { what, progress }) {
                tracing::warn!("{error:#}");
            }
        })
    }

    /// Tells the folder, then the sinks.
    fn tell(&mut self, event: &Event<'_>) -> Result<()> {
        self.dir.event(event)?;
        self.sinks.tell(event)
    }

    fn warn(&self, text: impl AsRef<str>) -> Result<()> {
        self.sinks.tell(&Event::Warning(text.as_ref()))
    }

    fn note(&self, text: impl AsRef<str>) -> Result<()> {
        self.sinks.tell(&Event::Note(text.as_ref()))
    }
}

fn due(every: usize, step: usize) -> bool {
    every > 0 && step.is_multiple_of(every)
}
