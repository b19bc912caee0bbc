//! The imitation run: demonstrate, train every weight, measure, write the model folder.

use super::fresh::{copy_processor, write_processor};
use crate::interrupt::{Interrupt, Notice};
use crate::model_folder::ModelFolder;
use crate::output;
use crate::world::{World, WorldConfig, device, tasks};
use anyhow::{Context, Result, bail};
use cua_grpo_algo::{AdamWConfig, Schedule};
use cua_grpo_android::tasks::Split;
use cua_grpo_android::{Prompts, SuccessRequires};
use cua_grpo_core::{Row, VerifiedSuccess, derive_seed};
use cua_grpo_model::batch::ImageCache;
use cua_grpo_model::checkpoint::{LoadOptions, SaveOptions, WeightDtype, load_model, save_model};
use cua_grpo_model::placement::is_card;
use cua_grpo_model::processor::{ChatRenderer, set_pixels};
use cua_grpo_model::{Policy, Qwen3Vl, Trainable};
use cua_grpo_rollout::{CancellationToken, GroupRequest, RolloutConfig, RolloutEngine, TaskCursor};
use cua_grpo_sim::{HERE, ScriptedPolicy, Skill};
use cua_grpo_train::config::SftConfig;
use cua_grpo_train::eval::{Candidate, Evaluation, evaluate, interrupted};
use cua_grpo_train::faults::{check_lost, first_fault};
use cua_grpo_train::files::Unfinished;
use cua_grpo_train::imitate::{Imitation, Learnt};
use cua_grpo_train::learner::Learner;
use cua_grpo_train::{Mendable, TrainError};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Episodes that are demonstrated at once.
const CONCURRENCY: usize = 32;
/// Demonstrations collected in one call.
const CHUNK: usize = 256;
/// Share of the demonstrations and of the evaluation that may be lost.
const MAX_LOST_SHARE: f64 = 0.25;
/// Memory that pictures are kept in.
const CACHE_BYTES: usize = 4 << 30;
/// Updates in a row that may be left out.
const MAX_SKIPPED: usize = 5;

/// Makes the starter model that `config` describes.
///
/// # Errors
/// [`TrainError::Interrupted`] after a signal: what is trained by then is saved.
pub async fn run(config: &SftConfig) -> Result<()> {
    let interrupt = Interrupt::listen(Notice::TRAINING);
    let started = Instant::now();
    let dir = Path::new(&config.output_dir);
    let device = device(config.device)?;
    let from = config.init_from.as_deref().map(ModelFolder::open).transpose();
    let from = from.context("init_from")?;
    interrupt.hold();
    let phones = WorldConfig {
        base_url: HERE,
        api_key: None,
        phone: config.phone,
        concurrency: CONCURRENCY,
        max_turns: config.max_turns,
        target: config.target,
        prompt_style: config.prompt_style,
        success: SuccessRequires::State,
        side_effects: false,
        outage_budget: Duration::ZERO,
    };
    let world = World::open(phones, None, &interrupt).await?;
    let made = Unfinished::beside(dir)?;
    match &from {
        None => write_processor(config, prompts(config), made.path())?,
        Some(from) => copy_processor(from.path(), made.path())?,
    }
    set_pixels(made.path(), config.pixels()).mendable("the model to make")?;
    let renderer = Arc::new(ChatRenderer::load(made.path())?);
    let rows = match demonstrations(config, &world, renderer.clone(), interrupt.token()).await {
        Err(error) if interrupted(&error) => {
            world.close().await;
            output::say("interrupted before training: no model was made");
            return Err(TrainError::Interrupted.into());
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
            let sizes = config.model(renderer.tokenizer());
            config.check_memory(&sizes).map_err(TrainError::Usage)?;
            Qwen3Vl::init(&sizes, config.seed, &device)
        }
        Some(from) => load_model(from.path(), &LoadOptions::default(), &device).mendable("init_from")?,
    };
    let images = Arc::new(ImageCache::new(renderer.images().clone(), 4096).within(CACHE_BYTES));
    let adamw = AdamWConfig {
        weight_decay: config.weight_decay,
        ..Default::default()
    };
    let policy = Policy::new(model, images);
    let mut learner = Learner::new(policy, Trainable::Everything, adamw, config.max_grad_norm)?;
    if config.dtype != WeightDtype::F32 && is_card(&device) {
        learner = learner.computing_in(config.dtype.burn())?;
    }
    let learnt = train(config, &rows, &mut learner, &interrupt)?;
    let diverged = learnt.diverged();
    if let Some(words) = &diverged {
        output::warn(words);
    }

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
    let dir = made.finish(dir)?;
    if interrupt.asked() {
        world.close().await;
        output::say(format!(
            "interrupted after step {}; the model so far is in {}",
            learnt.steps,
            dir.display()
        ));
        return Err(TrainError::Interrupted.into());
    }
    if config.eval_episodes > 0 {
        let model = load_model(&dir, &LoadOptions::default(), &device)?;
        let policy = Policy::new(model, learner.policy.images().clone());
        let evaluation = Evaluation {
            episodes: config.eval_episodes,
            attempts: 1,
            sampling: (1.0, 1.0, 0),
            seed: config.eval_seed,
            templates: config.templates.clone(),
            max_turns: config.max_turns,
            max_new_tokens: 96,
            max_context_tokens: config.max_seq_length,
            keep_screenshots: 0,
            concurrency: CONCURRENCY,
            max_retries: 2,
            task_set: "starter".into(),
            max_lost_share: MAX_LOST_SHARE,
            saved: 0,
        };
        let venue = world.venue(tasks(evaluation.seed, Split::Eval, config)?);
        let candidate = Candidate {
            policy: &policy,
            renderer,
            reward: Arc::new(VerifiedSuccess),
        };
        let result = match evaluate(&evaluation, &venue, candidate, None, interrupt.token(), |_| ()).await {
            Err(error) if interrupted(&error) => {
                world.close().await;
                output::say(format!(
                    "interrupted while measuring; the model is in {}",
                    dir.display()
                ));
                return Err(TrainError::Interrupted.into());
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
    if let Some(words) = diverged {
        bail!("wrote {}, but {words}", dir.display());
    }
    output::say(format!(
        "wrote {} in {:.0} s; use it with --model-name {}",
        dir.display(),
        started.elapsed().as_secs_f64(),
        crate::hint::argument(&dir)
    ));
    Ok(())
}

fn prompts(config: &SftConfig) -> Prompts {
    Prompts {
        style: config.prompt_style,
        targets: config.target,
    }
}

/// Plays the demonstrations and keeps their rows.
async fn demonstrations(
    config: &SftConfig,
    world: &World,
    renderer: Arc<ChatRenderer>,
    cancel: CancellationToken,
) -> Result<Vec<Row>> {
    let sim = world
        .phones
        .sim
        .as_ref()
        .context("demonstrations need the simulated phone")?;
    let skill = Skill {
        hurry: config.skill_hurry,
        slip: config.skill_slip,
        blunder: config.skill_blunder,
        target: config.target,
    };
    let mut cursor = TaskCursor::new(tasks(config.seed, Split::Train, config)?, 0);
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
            max_context_tokens: config.max_seq_length,
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
                .flat_map(|episode| std::iter::once(episode.row).chain(episode.later_rows)),
        );
    }
    Ok(rows)
}

/// Learns the demonstrations, with a line now and then; with fewer steps after an interruption.
fn train(config: &SftConfig, rows: &[Row], learner: &mut Learner, interrupt: &Interrupt) -> Result<Learnt> {
    let steps_an_epoch = rows.len().div_ceil(config.batch_size);
    let steps = config.max_steps.unwrap_or(config.epochs * steps_an_epoch);
    let imitation = Imitation {
        batch_size: config.batch_size,
        steps,
        schedule: Schedule {
            base: config.learning_rate,
            warmup_steps: config.warmup_steps as u64,
            max_steps: steps as u64,
            decay: config.lr_scheduler,
            final_fraction: 0.0,
        },
        micro_batch_tokens: config.micro_batch_tokens,
        max_skipped: MAX_SKIPPED,
        seed: config.seed,
    };
    let (mut sum, mut count, started) = (0.0, 0, Instant::now());
    let told = |step: usize, loss: Option<f64>| {
        if let Some(loss) = loss {
            (sum, count) = (sum + loss, count + 1);
        }
        if step.is_multiple_of(config.log_every) || step == steps {
            let left = started.elapsed().as_secs_f64() / step as f64 * (steps - step) as f64;
            let mean = sum / f64::from(count.max(1));
            output::say(format!("step {step}/{steps}  loss {mean:.4}  {left:.0} s left"));
            (sum, count) = (0.0, 0);
        }
    };
    imitation.train(rows, learner, || interrupt.asked(), told)
}
