//! The imitation run: demonstrate, train every weight, measure, write the model folder.

use super::fresh::{copy_processor, model_config, write_processor};
use super::unfinished::Unfinished;
use crate::assemble::ModelFolder;
use crate::batching::micro_batches;
use crate::config::SftConfig;
use crate::error::{CliError, Mendable};
use crate::eval::{Candidate, Evaluation, evaluate, interrupted};
use crate::faults::{check_lost, first_fault};
use crate::interrupt::{Interrupt, Notice};
use crate::learner::Learner;
use crate::output;
use crate::plan::Available;
use crate::world::{World, WorldConfig, device, tasks};
use anyhow::{Context, Result};
use cua_grpo_algo::{AdamWConfig, Schedule};
use cua_grpo_android::Prompts;
use cua_grpo_android::tasks::Split;
use cua_grpo_core::{Row, VerifiedSuccess, derive_seed};
use cua_grpo_model::batch::ImageCache;
use cua_grpo_model::checkpoint::{LoadOptions, SaveOptions, WeightDtype, load_model, save_model};
use cua_grpo_model::processor::ChatRenderer;
use cua_grpo_model::{ModelConfig, Policy, Qwen3Vl, Trainable};
use cua_grpo_rollout::{CancellationToken, GroupRequest, RolloutConfig, RolloutEngine, TaskCursor};
use cua_grpo_sim::{ScriptedPolicy, Skill};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Episodes that are demonstrated at once.
const CONCURRENCY: usize = 32;
/// Demonstrations collected in one call.
const CHUNK: usize = 256;
/// Share of the demonstrations and of the evaluation that may be lost.
const MAX_LOST_SHARE: f64 = 0.25;
/// Updates in a row that may be left out.
const MAX_SKIPPED: usize = 5;
/// Padded tokens of a micro-batch.
const MICRO_BATCH_TOKENS: usize = 8192;

/// Makes the starter model that `config` describes.
///
/// # Errors
/// [`CliError::Interrupted`] after a signal: what is trained by then is saved.
pub async fn run(config: &SftConfig) -> Result<()> {
    let interrupt = Interrupt::listen(Notice::TRAINING);
    let started = Instant::now();
    let dir = Path::new(&config.output_dir);
    let device = device(config.device)?;
    let from = config.init_from.as_deref().map(ModelFolder::open).transpose();
    let from = from.context("init_from")?;
    interrupt.hold();
    let world = World::open(WorldConfig {
        base_url: "sim",
        api_key: None,
        concurrency: CONCURRENCY,
        max_turns: config.max_turns,
        target: config.target,
        prompt_style: config.prompt_style,
    })
    .await?;
    let made = Unfinished::beside(dir)?;
    match &from {
        None => write_processor(config, prompts(config), made.path())?,
        Some(from) => copy_processor(from.path(), made.path())?,
    }
    let renderer = Arc::new(ChatRenderer::load(made.path())?);
    let rows = match demonstrations(config, &world, renderer.clone(), interrupt.token()).await {
        Err(error) if interrupted(&error) => {
            world.close().await;
            output::say("interrupted before training: no model was made");
            return Err(CliError::Interrupted.into());
        }
        rows => rows?,
    };
    let tokens: usize = rows.iter().map(|row| row.len()).sum();
    let images: usize = rows.iter().map(|row| row.images().len()).sum();
    output::say(format!(
        "{} demonstrations: {images} screenshots, {tokens} tokens, {:.0} s",
        rows.len(),
        started.elapsed().as_secs_f64()
    ));

    let model = match &from {
        None => {
            let sizes = model_config(config, renderer.tokenizer());
            check_memory(config, &sizes)?;
            Qwen3Vl::init(&sizes, config.seed, &device)
        }
        Some(from) => load_model(from.path(), &LoadOptions::default(), &device).mendable("init_from")?,
    };
    let images = Arc::new(ImageCache::new(renderer.images().clone(), 4096));
    let adamw = AdamWConfig {
        weight_decay: config.weight_decay,
        ..Default::default()
    };
    let policy = Policy::new(model, images);
    let mut learner = Learner::new(policy, Trainable::Everything, adamw, config.max_grad_norm)?;
    let steps = train(config, &rows, &mut learner, &interrupt)?;

    // What is measured is what is saved: bf16 weights.
    let special = renderer.tokenizer().special();
    let options = SaveOptions::new(WeightDtype::Bf16);
    save_model(
        learner.policy.model_mut(),
        made.path(),
        &options,
        special.endoftext,
        special.im_end,
    )?;
    made.finish(dir)?;
    if interrupt.asked() {
        world.close().await;
        output::say(format!(
            "interrupted after step {steps}; the model so far is in {}",
            dir.display()
        ));
        return Err(CliError::Interrupted.into());
    }
    if config.eval_episodes > 0 {
        let model = load_model(dir, &LoadOptions::default(), &device)?;
        let policy = Policy::new(model, learner.policy.images().clone());
        let evaluation = Evaluation {
            episodes: config.eval_episodes,
            seed: config.eval_seed,
            templates: config.templates.clone(),
            max_turns: config.max_turns,
            max_new_tokens: 96,
            max_context_tokens: 4096,
            concurrency: CONCURRENCY,
            max_retries: 2,
            task_set: "starter".into(),
            max_lost_share: MAX_LOST_SHARE,
            saved: 0,
        };
        let candidate = Candidate {
            policy: &policy,
            renderer,
            reward: Arc::new(VerifiedSuccess),
        };
        let result = match evaluate(&evaluation, &world, candidate, None, interrupt.token(), |_| ()).await {
            Err(error) if interrupted(&error) => {
                world.close().await;
                output::say(format!(
                    "interrupted while measuring; the model is in {}",
                    dir.display()
                ));
                return Err(CliError::Interrupted.into());
            }
            result => result?,
        };
        output::say(result.by_template().trim_end());
        output::say(format!(
            "the starter solves {:.1} % of {} unseen instances greedily and claims {:.1} %",
            100.0 * result.event.success_rate,
            result.event.episodes,
            100.0 * result.event.claimed_success_rate
        ));
    }
    world.close().await;
    output::say(format!(
        "wrote {} in {:.0} s; use it with --model-name {}",
        dir.display(),
        started.elapsed().as_secs_f64(),
        crate::hint::argument(dir)
    ));
    Ok(())
}

/// An error when weights, gradients and the moments of AdamW, each in f32, are more than the device has.
fn check_memory(config: &SftConfig, sizes: &ModelConfig) -> Result<(), CliError> {
    let weights = sizes.parameter_count().total();
    let needed = weights.saturating_mul(4 * 4);
    match Available::of_device(config.device) {
        Ok(available) if needed > available.free => Err(CliError::Usage(format!(
            "a model of {weights} weights takes {} GiB to train, {} GiB are free on {}; choose smaller sizes",
            needed >> 30,
            available.free >> 30,
            config.device
        ))),
        _ => Ok(()),
    }
}

fn prompts(config: &SftConfig) -> Prompts {
    Prompts {
        style: config.prompt_style.into(),
        targets: config.target.into(),
    }
}

/// Plays the demonstrations and keeps their rows.
async fn demonstrations(
    config: &SftConfig,
    world: &World,
    renderer: Arc<ChatRenderer>,
    cancel: CancellationToken,
) -> Result<Vec<Row>> {
    let sim = world.sim.as_ref().context("demonstrations need the simulated phone")?;
    let skill = Skill {
        hurry: config.skill_hurry,
        slip: config.skill_slip,
        blunder: config.skill_blunder,
        target: config.target.into(),
    };
    let mut cursor = TaskCursor::new(tasks(config.seed, Split::Train, &config.templates)?, 0);
    let mut rows = Vec::new();
    while rows.len() < config.demonstrations {
        let wanted = CHUNK.min(config.demonstrations - rows.len());
        let salt = cursor.position();
        let tasks = cursor.next_tasks(wanted);
        let sampler = ScriptedPolicy {
            phones: sim.phones(),
            roster: world.roster.clone(),
            renderer: renderer.clone(),
            tasks: tasks.iter().map(|task| (task.id.clone(), task.clone())).collect(),
            skill,
            seed: derive_seed(&[config.seed, salt]),
        };
        let rollout = RolloutConfig {
            concurrency: CONCURRENCY,
            max_turns: config.max_turns,
            max_context_tokens: 4096,
            max_new_tokens: 256,
            seed: config.seed,
            lockstep: false,
            ..Default::default()
        };
        let engine = RolloutEngine::new(
            world.factory.clone(),
            renderer.clone(),
            Arc::new(sampler),
            Arc::new(VerifiedSuccess),
            rollout,
        )?;
        let requests = tasks
            .into_iter()
            .map(|task| GroupRequest { task, group_size: 1 })
            .collect();
        let collection = engine.collect(requests, salt, cancel.clone()).await?;
        let first = first_fault(&collection.groups);
        check_lost(
            "demonstrations",
            collection.stats.lost,
            wanted,
            MAX_LOST_SHARE,
            first.as_deref(),
        )?;
        rows.extend(
            collection
                .groups
                .into_iter()
                .flat_map(|group| group.episodes)
                .map(|episode| episode.row),
        );
    }
    Ok(rows)
}

/// Maximises the likelihood of the demonstrated replies, a mean over tokens. Gives the steps that were made: fewer after
/// an interruption.
fn train(config: &SftConfig, rows: &[Row], learner: &mut Learner, interrupt: &Interrupt) -> Result<usize> {
    let steps_an_epoch = rows.len().div_ceil(config.batch_size);
    let steps = config.max_steps.unwrap_or(config.epochs * steps_an_epoch);
    let schedule = Schedule {
        base: config.learning_rate,
        warmup_steps: config.warmup_steps as u64,
        max_steps: steps as u64,
        decay: config.lr_scheduler.into(),
        final_fraction: 0.0,
    };
    let mut order: Vec<usize> = Vec::new();
    let mut rng = ChaCha8Rng::seed_from_u64(derive_seed(&[config.seed, 1]));
    let (mut sum, mut count, started) = (0.0, 0, Instant::now());
    let mut skipped = 0;
    for step in 0..steps {
        if interrupt.asked() {
            return Ok(step);
        }
        if order.len() < config.batch_size.min(rows.len()) {
            let mut next: Vec<usize> = (0..rows.len()).collect();
            next.shuffle(&mut rng);
            order.extend(next);
        }
        let batch: Vec<&Row> = order
            .drain(..config.batch_size.min(order.len()))
            .map(|number| &rows[number])
            .collect();
        match imitate(&batch, learner, schedule.learning_rate(step as u64))? {
            Some(loss) => (sum, count, skipped) = (sum + loss, count + 1, 0),
            None => {
                skipped += 1;
                anyhow::ensure!(
                    skipped <= MAX_SKIPPED,
                    "{skipped} updates in a row have a gradient that is not finite; lower learning_rate"
                );
                tracing::warn!(step = step + 1, "an update was skipped: its gradient is not finite");
            }
        }
        if (step + 1) % config.log_every == 0 || step + 1 == steps {
            let left = started.elapsed().as_secs_f64() / (step + 1) as f64 * (steps - step - 1) as f64;
            output::say(format!(
                "step {}/{steps}  loss {:.4}  {left:.0} s left",
                step + 1,
                sum / f64::from(count.max(1))
            ));
            (sum, count) = (0.0, 0);
        }
    }
    Ok(steps)
}

/// One update on a batch; returns the mean negative log-likelihood a token. `None`: the gradient was not finite, and
/// nothing was changed.
fn imitate(batch: &[&Row], learner: &mut Learner, learning_rate: f64) -> Result<Option<f64>> {
    let total: usize = batch.iter().map(|row| row.trained_tokens()).sum();
    let mut gradient = None;
    let mut loss_sum = 0.0;
    for members in micro_batches(batch, MICRO_BATCH_TOKENS, learner.policy.model().packs_rows()) {
        let rows: Vec<&Row> = members.iter().map(|&number| batch[number]).collect();
        let mut policy = learner.differentiable();
        let scores = policy.score(&rows, 1.0, true)?;
        let loss = scores.logprobs.sum().neg() / total as f64;
        let part = learner.gradient(&mut policy, &loss)?;
        gradient = Some(match gradient {
            None => part,
            Some(sum) => sum + part,
        });
        loss_sum += f64::from(loss.into_scalar::<f32>());
    }
    let Some(gradient) = gradient else {
        return Ok(Some(loss_sum));
    };
    let made = learner.update(gradient, learning_rate)?;
    Ok(made.map(|_| loss_sum))
}
