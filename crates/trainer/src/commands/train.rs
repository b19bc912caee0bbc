//! `trainer train`, which is also what runs without a subcommand: objects from the configuration, the run, and what to
//! type next.

use crate::assemble::{self, Loaded};
use crate::interrupt::{Interrupt, Notice};
use crate::progress::Progress;
use crate::refresh::Refresh;
use crate::world::{World, WorldConfig, tasks};
use crate::{hint, output};
use anyhow::{Result, anyhow};
use cua_grpo_android::tasks::{Split, TemplateTasks};
use cua_grpo_report::{Invocation, before_after};
use cua_grpo_rollout::EngineError;
use cua_grpo_train::TrainError;
use cua_grpo_train::compare::first_and_last;
use cua_grpo_train::config::{Configuration, Environment, TrainConfig};
use cua_grpo_train::eval::{Venue, sampler};
use cua_grpo_train::faults::TooMany;
use cua_grpo_train::layout::{BEST, kept_words};
use cua_grpo_train::metrics::{EvalEvent, Line, read_metrics};
use cua_grpo_train::provenance::Base;
use cua_grpo_train::resume::ResumePoint;
use cua_grpo_train::run::{Parts, Run, Start};
use cua_grpo_train::sink::{Note, Outcome, Sinks};
use std::sync::Arc;

/// Trains as `config` says, from the start or from a checkpoint.
///
/// # Errors
/// [`TrainError::Interrupted`] after a signal, once what was reached is saved.
pub async fn train(config: TrainConfig, resume: Option<ResumePoint>) -> Result<()> {
    let interrupt = Interrupt::listen(Notice::TRAINING);
    // Tasks first: an unknown template is told before anything is made.
    let training = tasks(config.seed, Split::Train, &config)?;
    let unseen = tasks(config.eval_seed, Split::Eval, &config)?;
    said_twice(&config, &training, &unseen);
    let folder = assemble::open(&config)?;
    let base = Base::of(&config.model_name, folder.path())?;
    let start = Start::of(&config, resume, &base)?;
    for note in start.notes() {
        match note {
            Note::Warning(text) => output::warn(text),
            Note::Plain(text) => output::say(text),
        }
    }
    let Loaded { policy, renderer } = assemble::load(&config, &folder, |turns| turns.check(&config))?;
    let learning = start.learning(&config, policy, &*unseen)?;
    interrupt.hold();
    let label = Some(start.id().to_owned());
    let places = WorldConfig::of(&config);
    let world = match config.environment {
        Environment::Phone => Some(interrupt.or(World::open(places, label, &interrupt)).await??),
        Environment::Replay(_) => None,
    };
    let venue = |tasks: Arc<TemplateTasks>, unseen: bool| match &world {
        Some(world) if unseen => world.unseen(tasks),
        Some(world) => world.venue(tasks),
        None => Venue::nowhere(tasks),
    };
    let (step, version) = (learning.state.global_step, learning.state.policy_version);
    let sampler = sampler(
        &learning.learner.policy,
        &renderer,
        version,
        config.context_limit(),
        config.batching(),
    )?;
    let progress = Progress::new(step, config.max_steps).verbose(config.verbose);
    let progress = match &world {
        Some(world) => progress.watching(world.phones.pool.client().clone()),
        None => progress,
    };
    let arguments = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let refresh = Refresh::new(Invocation::new(step, arguments, TrainConfig::keys()));
    let parts = Parts {
        training: venue(training, false),
        evaluation: venue(unseen, true),
        renderer,
        sampler: Arc::new(sampler.clone()),
        publisher: Arc::new(sampler),
        reward: crate::pay::pay(&config)?,
        sinks: Sinks::new(vec![Box::new(progress.clone()), Box::new(refresh.clone())]),
        cancel: interrupt.token(),
    };
    let (modules, weights) = (learning.modules, learning.learner.adamw.layout().len());
    let mut run = Run::new(config, start, base, learning, parts)?;
    output::open_log(run.path());
    progress.line(format!(
        "run folder {}; adapters on {modules} modules, {weights} trained weights",
        run.path().display()
    ));
    let outcome = run.train().await;
    progress.finish();
    let outcome = told(&run, outcome, &refresh);
    if let Some(world) = world {
        world.close().await;
    }
    outcome
}

/// Instructions of training that are compared with those of an evaluation.
const COMPARED: usize = 2000;

/// Says how many instances of an evaluation have an instruction that training gives too.
fn said_twice(config: &TrainConfig, training: &TemplateTasks, unseen: &TemplateTasks) {
    let given = config.max_steps * config.batch_size * config.gradient_accumulation_steps;
    let asked = config.eval_episodes;
    let shared = unseen.shared_with(training, asked as u64, given.min(COMPARED) as u64);
    if shared > 0 {
        output::say(format!(
            "note: {shared} of {asked} evaluation instances have an instruction that training gives too, on another layout \
             (instance_split: {})",
            config.instance_split.words()
        ));
    }
}

/// Says how the run ended and what to type next.
fn told(run: &Run, outcome: Result<Outcome>, refresh: &Refresh) -> Result<()> {
    match outcome {
        Ok(Outcome::Interrupted) => {
            output::say(format!("interrupted {}", way_on(run)));
            Err(TrainError::Interrupted.into())
        }
        Ok(Outcome::Finished | Outcome::Idle) => finished(run, refresh),
        Err(error) if error.is::<TooMany>() || error.is::<EngineError>() => {
            Err(TooMany(format!("{error}. What was reached is saved, {}", way_on(run))).into())
        }
        Err(error) => match TrainError::from(error) {
            error if error.is_mendable() || error.is_interruption() => Err(error.into()),
            error => Err(anyhow!("{error}. {}", kept_words(run.path(), &resume(run)))),
        },
    }
}

/// What to type to go on.
fn resume(run: &Run) -> String {
    hint::command(&["--resume", &hint::path(run.path())])
}

/// Where the run stands and what to type to go on.
fn way_on(run: &Run) -> String {
    let command = resume(run);
    match run.state().global_step {
        0 => format!("before the first step was done; go on with: {command}"),
        step => format!("after step {step}; go on with: {command}"),
    }
}

/// The table, where everything is, and what to type next.
fn finished(run: &Run, refresh: &Refresh) -> Result<()> {
    let (dir, state) = (run.path(), run.state());
    let step = state.global_step;
    let evals: Vec<EvalEvent> = read_metrics(dir)?
        .into_iter()
        .filter_map(|line| match line {
            Line::Eval(eval) => Some(eval),
            Line::Train(_) => None,
        })
        .collect();
    // An older checkpoint that is left as it is has nothing to do with what came after it.
    let (failed, evals): (Vec<_>, Vec<_>) = evals
        .iter()
        .filter(|eval| eval.step <= step)
        .partition(|eval| eval.failed.is_some());
    if let Some((before, after, _)) = first_and_last(evals) {
        output::say(format!("\n{}", before_after(&before, &after)));
    }
    if !failed.is_empty() {
        let steps: Vec<String> = failed.iter().map(|eval| eval.step.to_string()).collect();
        output::warn(format!(
            "evaluations that failed, and are in no table: after step {}",
            steps.join(", ")
        ));
    }
    output::say(format!("  run folder      {}", dir.display()));
    if let Some(report) = refresh.latest() {
        output::say(format!("  report          {} (open it in a browser)", report.display()));
    }
    if state.best_accuracy.is_some() {
        output::say(format!(
            "  best model      {} (after step {})",
            dir.join(BEST).display(),
            state.best_step
        ));
    }
    output::say("\nnext:");
    let path = hint::path(dir);
    let more = (step + run.config().max_steps).to_string();
    for arguments in [
        ["eval", "--adapter", &path, "--episodes", "100"].as_slice(),
        &["--resume", &path, "--max-steps", &more],
    ] {
        output::say(format!("  {}", hint::command(arguments)));
    }
    Ok(())
}
