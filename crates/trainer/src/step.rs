//! One training step: groups become rows with advantages, rows become one update.

use crate::batching::micro_batches;
use crate::config::{LossType, ScaleRewards, TrainConfig};
use crate::learner::Learner;
use anyhow::Result;
use burn::tensor::Tensor;
use cua_grpo_algo::{
    AdvantageConfig, AdvantageScale, LossConfig, LossInputs, LossKind, LossStats, StatSums, Totals, advantages,
    policy_loss,
};
use cua_grpo_core::{Group, Row, Scorer, derive_seed};
use cua_grpo_model::score::RowScores;

/// Which of the run's random streams draws the masks of dropout.
const DROPOUT: u64 = 2;
/// Rows that a message names.
const MOST_NAMED: usize = 4;

/// Rows that are trained on, with one advantage each.
pub struct Selection<'a> {
    /// The rows of the groups that are kept.
    pub rows: Vec<&'a Row>,
    /// Their tasks, and which attempts at these they are.
    pub episodes: Vec<(&'a str, u64)>,
    /// Their advantages.
    pub advantages: Vec<f32>,
    /// Groups that are kept.
    pub kept: usize,
    /// Groups whose rewards hardly differ.
    pub filtered: usize,
}

/// Advantages within each group; flat groups are left out.
pub fn select<'a>(config: &TrainConfig, groups: &'a [Group]) -> Result<Selection<'a>> {
    let scale = match config.scale_rewards {
        ScaleRewards::Group => AdvantageScale::GroupPopulation,
        ScaleRewards::Batch => AdvantageScale::Batch,
        ScaleRewards::None => AdvantageScale::None,
    };
    let rewards_g: Vec<Vec<f32>> = groups.iter().map(Group::rewards).collect();
    let advantages_g = advantages(
        &rewards_g,
        AdvantageConfig {
            scale,
            min_group_std: config.min_group_std,
        },
    )?;
    let mut selection = Selection {
        rows: Vec::new(),
        episodes: Vec::new(),
        advantages: Vec::new(),
        kept: 0,
        filtered: 0,
    };
    for (group, advantages) in groups.iter().zip(advantages_g) {
        match advantages {
            None => selection.filtered += 1,
            Some(advantages) => {
                selection.kept += 1;
                selection.rows.extend(group.episodes.iter().map(|episode| &episode.row));
                let episodes = group.episodes.iter();
                selection
                    .episodes
                    .extend(episodes.map(|episode| (group.task.id.as_str(), episode.attempt)));
                selection.advantages.extend(advantages);
            }
        }
    }
    Ok(selection)
}

/// The loss of a configuration.
pub fn loss_config(config: &TrainConfig) -> LossConfig {
    let kind = match config.loss_type {
        LossType::Grpo => LossKind::Grpo,
        LossType::Dapo => LossKind::Dapo,
        LossType::DrGrpo => LossKind::DrGrpo,
        LossType::Bnpo => LossKind::Bnpo,
        LossType::Gspo => LossKind::Gspo,
    };
    LossConfig {
        kind,
        epsilon: config.clip_epsilon,
        epsilon_high: config.clip_epsilon_high,
        beta: config.beta,
        ..Default::default()
    }
}

/// What an update did.
#[derive(Debug, Clone, Copy, Default)]
pub struct UpdateStats {
    /// Loss, ratio, clipping and divergence.
    pub loss: LossStats,
    /// Mean distance between the sampler's and the trainer's log-prob of a token, before the update.
    pub sampler_gap: f64,
    /// Mean entropy of the policy at the trained tokens, in nats.
    pub entropy: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
}

/// What became of an update.
#[derive(Debug, Clone)]
pub enum Update {
    /// It was made.
    Made(UpdateStats),
    /// The gradient was not finite: nothing was changed. Says where that came from.
    Skipped(String),
}

/// One update on the selected rows.
///
/// The ratio is that of the policy now to the policy that sampled, by the sampler's own log-probs: at staleness 0 it
/// is 1 up to rounding, and how far it is from 1 measures whether sampling and training agree. With `lora_dropout` above
/// 0 the policy that is trained drops entries and the one that sampled did not, so ratio and `sampler_gap` show the
/// noise of dropout too. (TRL draws masks for the old log-probs as well unless `disable_dropout` is set; verl computes
/// them in evaluation mode, as here.)
pub fn update(
    config: &TrainConfig,
    selection: &Selection<'_>,
    learner: &mut Learner,
    learning_rate: f64,
) -> Result<Update> {
    let batches = micro_batches(
        &selection.rows,
        config.micro_batch_tokens,
        learner.policy.model().packs_rows(),
    );
    let max_completion_tokens = config.max_new_tokens * config.max_turns;
    let totals = Totals::of_rows(selection.rows.iter().copied(), batches.len(), max_completion_tokens);
    let mut whole: Option<Part> = None;
    for (number, members) in batches.iter().enumerate() {
        let part = part(config, selection, learner, &totals, number, members)?;
        whole = Some(match whole {
            None => part,
            Some(sum) => sum.merge(part),
        });
    }
    let Some(whole) = whole else {
        return Ok(Update::Made(UpdateStats::default()));
    };
    let Some(grad_norm) = learner.update(whole.gradient, learning_rate)? else {
        return Ok(Update::Skipped(culprits(config, selection, learner, &totals)?));
    };
    Ok(Update::Made(UpdateStats {
        loss: whole.sums.read()?,
        entropy: whole.entropy / totals.tokens.max(1.0),
        sampler_gap: whole.gap / totals.tokens.max(1.0),
        grad_norm,
    }))
}

/// What some rows add to an update.
struct Part {
    gradient: Tensor<1>,
    sums: StatSums,
    /// Summed over tokens.
    entropy: f64,
    /// Summed over tokens.
    gap: f64,
}

impl Part {
    fn merge(self, other: Self) -> Self {
        Self {
            gradient: self.gradient + other.gradient,
            sums: self.sums.merge(other.sums),
            entropy: self.entropy + other.entropy,
            gap: self.gap + other.gap,
        }
    }
}

/// Scores the rows `members`, micro-batch `number` of an update of `totals`, and takes the gradient of their loss.
fn part(
    config: &TrainConfig,
    selection: &Selection<'_>,
    learner: &Learner,
    totals: &Totals,
    number: usize,
    members: &[usize],
) -> Result<Part> {
    let temperature = if config.temperature > 0.0 {
        config.temperature as f32
    } else {
        1.0
    };
    let rows: Vec<&Row> = members.iter().map(|&number| selection.rows[number]).collect();
    let reference = learner.policy.score(&rows, temperature, false)?.logprobs;
    // The masks follow from the update and the micro-batch: a repeated forward pass drops the same entries.
    let seed = derive_seed(&[config.seed, DROPOUT, learner.adamw.steps(), number as u64]);
    let mut policy = learner.differentiable().with_dropout(config.lora_dropout, seed);
    let (scores, tape) = if learner.by_blocks() {
        let constant = learner.policy.with_dropout(config.lora_dropout, seed);
        let (scores, tape) = constant.score_by_blocks(&rows, temperature)?;
        let logprobs = scores.logprobs.autodiff().require_grad();
        let entropies = scores.entropies;
        (RowScores { logprobs, entropies }, Some(tape))
    } else {
        (policy.score(&rows, temperature, true)?, None)
    };
    let logprobs = scores.logprobs.clone();
    let advantages: Vec<f32> = members.iter().map(|&number| selection.advantages[number]).collect();
    let mut inputs = LossInputs::from_rows(&rows, &advantages, scores.logprobs)?;
    let mut gap = 0.0;
    if let Some(sampled) = &inputs.sampler {
        let apart = (inputs.logprobs.clone().inner() - sampled.clone()).abs() * inputs.mask.clone();
        gap = f64::from(apart.sum().into_scalar::<f32>());
    }
    let entropy = f64::from((scores.entropies * inputs.mask.clone()).sum().into_scalar::<f32>());
    inputs.old = inputs.sampler.clone();
    inputs.reference = Some(reference);
    let output = policy_loss(&loss_config(config), &inputs, totals)?;
    let gradient = match tape {
        None => learner.gradient(&mut policy, &output.loss)?,
        Some(tape) => {
            let grad = logprobs.grad(&output.loss.backward());
            let grad = grad.unwrap_or_else(|| logprobs.zeros_like().inner());
            learner.gradient_by_blocks(&mut policy, tape, grad)?
        }
    };
    Ok(Part {
        gradient,
        sums: output.sums,
        entropy,
        gap,
    })
}

/// Which rows of an update have a gradient that is not finite: each is taken alone, once more.
fn culprits(config: &TrainConfig, selection: &Selection<'_>, learner: &Learner, totals: &Totals) -> Result<String> {
    let mut found = Vec::new();
    for row in 0..selection.rows.len() {
        let alone = part(config, selection, learner, totals, row, &[row])?;
        let square = alone.gradient.square().sum().into_scalar::<f32>();
        if !square.is_finite() {
            let (task, attempt) = selection.episodes[row];
            found.push(format!("task {task} episode {attempt}"));
        }
    }
    let all = found.len();
    Ok(match found.get(..all.min(MOST_NAMED)) {
        None | Some([]) => "each row's gradient is finite, their sum is not".to_owned(),
        Some(named) if all > MOST_NAMED => format!("{} and {} more rows", named.join(", "), all - MOST_NAMED),
        Some(named) => named.join(", "),
    })
}
