//! One training step: groups become rows with advantages, rows become one update.

use crate::batching::{self, accumulate, micro_batches, read_sum};
use crate::config::TrainConfig;
use crate::learner::Learner;
use crate::metrics::UpdateFigures;
use anyhow::{Context, Result};
use burn::tensor::Tensor;
use cua_grpo_algo::{AlgoError, LossInputs, LossOutput, StatSums, Totals, advantages, policy_loss};
use cua_grpo_core::{Episode, Group, Row, Task, derive_seed};
use cua_grpo_model::score::RowScores;

/// Which of the run's random streams draws the masks of dropout.
const DROPOUT: u64 = 2;
/// Rows that a message names.
const MOST_NAMED: usize = 4;

/// Rows that are trained on, with one advantage each.
pub struct Selection<'a> {
    /// The rows of the groups that are kept.
    pub rows: Vec<&'a Row>,
    /// Their advantages.
    pub advantages: Vec<f32>,
    /// Their episodes with the tasks.
    pub episodes: Vec<(&'a Task, &'a Episode)>,
    /// Groups that are kept.
    pub kept: usize,
    /// Groups whose rewards hardly differ.
    pub filtered: usize,
    /// Groups that faults left with fewer than two episodes: there is nothing to compare.
    pub lost: usize,
}

impl<'a> Selection<'a> {
    /// Up to `count` episodes that show what a step learnt from: those with the largest advantages by size, the first
    /// of equal ones. Where nothing was kept, the first episodes of the step, without advantages.
    pub fn telling(&self, groups: &'a [Group], count: usize) -> Vec<(&'a Task, &'a Episode, Option<f32>)> {
        let mut kept: Vec<_> = self.episodes.iter().zip(&self.advantages).collect();
        kept.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        if kept.is_empty() {
            let all = groups
                .iter()
                .flat_map(|group| group.episodes.iter().map(move |episode| (&group.task, episode, None)));
            return all.take(count).collect();
        }
        let kept = kept.into_iter().take(count);
        kept.map(|((task, episode), advantage)| (*task, *episode, Some(*advantage)))
            .collect()
    }
}

/// Advantages within each group; flat groups, and those that faults left too small, are left out and counted apart.
pub fn select<'a>(config: &TrainConfig, groups: &'a [Group]) -> Result<Selection<'a>> {
    let rewards_g: Vec<Vec<f32>> = groups.iter().map(Group::rewards).collect();
    let advantages_g = advantages(&rewards_g, config.advantages())?;
    let mut selection = Selection {
        rows: Vec::new(),
        advantages: Vec::new(),
        episodes: Vec::new(),
        kept: 0,
        filtered: 0,
        lost: 0,
    };
    for (group, advantages) in groups.iter().zip(advantages_g) {
        match advantages {
            None if group.episodes.len() < 2 => selection.lost += 1,
            None => selection.filtered += 1,
            Some(advantages) => {
                selection.kept += 1;
                selection.advantages.extend(advantages);
                for episode in &group.episodes {
                    selection.rows.push(&episode.row);
                    selection.episodes.push((&group.task, episode));
                }
            }
        }
    }
    Ok(selection)
}

/// The loss of one micro-batch of a step that holds `totals`. `inputs` are those of its rows.
///
/// What the ratio compares with (`o` in ALGORITHM.md) is what the sampler reported, or, where the configuration asks
/// for it, `before`: the log-probs before the first update of the step, none in that update, where they are those of
/// `inputs` themselves without their gradient. `reference` is needed where `beta` is above 0.
///
/// # Shapes
/// `before` and `reference` are `[rows, completion]`, as the log-probs of `inputs`.
///
/// # Errors
/// When shapes disagree or the reference is missing.
pub fn micro_batch_loss(
    config: &TrainConfig,
    inputs: LossInputs,
    before: Option<Tensor<2>>,
    reference: Option<Tensor<2>>,
    totals: &Totals,
) -> Result<LossOutput, AlgoError> {
    let old = if config.recomputes_logprobs() {
        before
    } else {
        inputs.sampler.clone()
    };
    let inputs = LossInputs {
        old,
        reference,
        ..inputs
    };
    policy_loss(&config.loss(), &inputs, totals)
}

/// What became of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// It was made.
    Made,
    /// The gradient was not finite: nothing was changed. Says where that came from.
    Skipped(String),
}

/// What some rows add to an update. Figures stay where they were computed until the whole update is.
struct Part {
    gradient: Tensor<1>,
    sums: StatSums,
    /// Sums over tokens, one for each micro-batch.
    entropy: Vec<Tensor<1>>,
    /// Sums over tokens, one for each micro-batch.
    gap: Vec<Tensor<1>>,
}

impl batching::Part for Part {
    fn merge(self, later: Self) -> Self {
        Self {
            gradient: self.gradient + later.gradient,
            sums: self.sums.merge(later.sums),
            entropy: [self.entropy, later.entropy].concat(),
            gap: [self.gap, later.gap].concat(),
        }
    }
}

/// Log-probs of a micro-batch that are the same in all updates of a step, `[rows, completion]`.
#[derive(Clone, Default)]
struct Constant {
    /// Of the policy before the first update.
    before: Option<Tensor<2>>,
    /// Of the reference.
    reference: Option<Tensor<2>>,
}

/// The updates of one step: they share their rows, and what the policy was before the first of them.
pub struct Updates<'a> {
    config: &'a TrainConfig,
    selection: &'a Selection<'a>,
    /// What later updates use again, for each micro-batch; kept only where there are later ones.
    constant: Vec<Constant>,
    /// The figures of the updates that were made.
    pub figures: Vec<UpdateFigures>,
}

impl<'a> Updates<'a> {
    /// Updates on the selected rows, of which there must be one or more.
    pub fn new(config: &'a TrainConfig, selection: &'a Selection<'a>) -> Self {
        Self {
            config,
            selection,
            constant: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// One update on the selected rows.
    ///
    /// Unless log-probs are recomputed, the ratio is that of the policy now to the policy that sampled, by the
    /// sampler's own log-probs: at staleness 0 it is 1 up to rounding in the first update, and how far it is from 1
    /// measures whether sampling and training agree. With `lora_dropout` above 0 the policy that is trained drops
    /// entries and the one that sampled did not, so ratio and `sampler_gap` show the noise of dropout too. (TRL draws
    /// masks for the old log-probs as well unless `disable_dropout` is set; verl computes them in evaluation mode, as
    /// here.)
    ///
    /// # Errors
    /// When the rows cannot be scored; an update that is skipped is no error.
    pub fn make(&mut self, learner: &mut Learner, learning_rate: f64) -> Result<Update> {
        let batches = micro_batches(
            &self.selection.rows,
            self.config.micro_batch_tokens,
            learner.policy.model().packs_rows(),
        );
        let totals = Totals::of_rows(
            self.selection.rows.iter().copied(),
            batches.len(),
            self.config.completion_limit(),
        );
        let keeps = self.config.num_updates > 1;
        let mut constant = std::mem::take(&mut self.constant);
        let whole = accumulate(&batches, |number, members| {
            let known = constant.get(number).cloned();
            let first = known.is_none();
            let (part, used) = self.part(learner, &totals, number, members, known.unwrap_or_default())?;
            if first && keeps {
                constant.push(used);
            }
            Ok(part)
        })?;
        self.constant = constant;
        let whole = whole.context("an update without rows: this is a bug")?;
        let Some(grad_norm) = learner.update(whole.gradient, learning_rate)? else {
            return Ok(Update::Skipped(self.culprits(learner, &totals, &batches)?));
        };
        let stats = whole.sums.read()?;
        let (entropy, gap) = (read_sum(whole.entropy)?, read_sum(whole.gap)?);
        let mean = |sum: f64| (totals.tokens > 0.0).then(|| sum / totals.tokens);
        self.figures.push(UpdateFigures {
            loss: Some(stats.loss),
            kl: stats.kl,
            ratio_mean: Some(stats.ratio_mean),
            clip_fraction: Some(stats.clip_fraction()),
            grad_norm: Some(grad_norm),
            entropy: mean(entropy),
            sampler_gap: mean(gap),
            correction_mean: stats.correction_mean,
            correction_fraction: stats.correction_fraction,
        });
        Ok(Update::Made)
    }

    /// Scores the rows `members`, micro-batch `number` of an update of `totals`, and takes the gradient of their loss.
    /// What `known` lacks is computed, and comes back for later updates.
    fn part(
        &self,
        learner: &Learner,
        totals: &Totals,
        number: usize,
        members: &[usize],
        known: Constant,
    ) -> Result<(Part, Constant)> {
        let (config, selection) = (self.config, self.selection);
        let temperature = config.temperature as f32;
        let rows: Vec<&Row> = members.iter().map(|&number| selection.rows[number]).collect();
        let advantages: Vec<f32> = members.iter().map(|&number| selection.advantages[number]).collect();
        let reference = match known.reference {
            None if config.beta > 0.0 => Some(learner.policy.score(&rows, temperature, false)?.logprobs),
            reference => reference,
        };
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
        let logprobs = scores.logprobs;
        let now = logprobs.clone().inner();
        let inputs = LossInputs::from_rows(&rows, &advantages, logprobs.clone())?;
        let apart = |sampled: &Tensor<2>| ((now.clone() - sampled.clone()).abs() * inputs.mask.clone()).sum();
        let gap = inputs.sampler.as_ref().map(apart).into_iter().collect();
        let entropy = vec![(scores.entropies * inputs.mask.clone()).sum()];
        let (before, used) = (known.before.clone(), reference.clone());
        let output = micro_batch_loss(config, inputs, before, reference, totals)?;
        let gradient = match tape {
            None => learner.gradient(&mut policy, &output.loss)?,
            Some(tape) => {
                let grad = logprobs.grad(&output.loss.backward());
                let grad = grad.unwrap_or_else(|| logprobs.zeros_like().inner());
                learner.gradient_by_blocks(&mut policy, tape, grad)?
            }
        };
        let part = Part {
            gradient,
            sums: output.sums,
            entropy,
            gap,
        };
        let compared = self.config.recomputes_logprobs();
        let constant = Constant {
            before: known.before.or_else(|| compared.then_some(now)),
            reference: used,
        };
        Ok((part, constant))
    }

    /// Which rows of an update have a gradient that is not finite: each is taken alone, once more.
    fn culprits(&self, learner: &Learner, totals: &Totals, batches: &[Vec<usize>]) -> Result<String> {
        let mut found = Vec::new();
        for (number, members) in batches.iter().enumerate() {
            for (place, &row) in members.iter().enumerate() {
                let tokens = self.selection.rows[row].trained_tokens();
                let known = self.constant.get(number).cloned().unwrap_or_default();
                let alone = |whole: Tensor<2>| whole.slice([place..place + 1, 0..tokens]);
                let known = Constant {
                    before: known.before.map(alone),
                    reference: known.reference.map(alone),
                };
                let (alone, _) = self.part(learner, totals, row, &[row], known)?;
                let square = alone.gradient.square().sum().into_scalar::<f32>();
                if !square.is_finite() {
                    let (task, episode) = self.selection.episodes[row];
                    found.push((row, format!("task {} episode {}", task.id, episode.attempt)));
                }
            }
        }
        found.sort();
        let found: Vec<String> = found.into_iter().map(|(_, name)| name).collect();
        let all = found.len();
        Ok(match found.get(..all.min(MOST_NAMED)) {
            None | Some([]) => "each row's gradient is finite, their sum is not".to_owned(),
            Some(named) if all > MOST_NAMED => format!("{} and {} more rows", named.join(", "), all - MOST_NAMED),
            Some(named) => named.join(", "),
        })
    }

    /// Tokens that enter the loss of each update.
    pub fn tokens(&self) -> usize {
        self.selection.rows.iter().map(|row| row.trained_tokens()).sum()
    }
}
