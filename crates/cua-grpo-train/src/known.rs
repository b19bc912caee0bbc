//! What is known of the rows of a step before its first update: log-probs that stay the same in all of them, and which
//! tokens the policy loss is taken of.

use crate::batching::micro_batches_of;
use crate::config::TrainConfig;
use crate::learner::Learner;
use crate::selection::{Credit, Selection};
use anyhow::{Result, anyhow};
use burn::tensor::{Tensor, TensorData};
use cua_grpo_algo::{high_entropy_keep, m2po_keep};
use cua_grpo_core::Row;

/// What is known of one row: a number for each trained token.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Known {
    /// Log-probs of the policy before the first update.
    pub before: Option<Vec<f32>>,
    /// Log-probs of the reference.
    pub reference: Option<Vec<f32>>,
}

/// What follows from all rows of a step together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Before {
    /// Of each row.
    pub known: Vec<Known>,
    /// Which trained tokens of each row enter the policy loss; absent means all.
    pub keep: Option<Vec<Vec<bool>>>,
    /// The advantages, where they are not those of the selection.
    pub credit: Option<Credit>,
}

impl Before {
    /// Scores all rows, and what the configuration makes of that.
    ///
    /// # Errors
    /// When the rows cannot be scored.
    pub(crate) fn of(config: &TrainConfig, selection: &Selection<'_>, learner: &Learner) -> Result<Self> {
        let temperature = config.temperature as f32;
        let packed = learner.policy.model().packs_rows();
        let mut known = vec![Known::default(); selection.rows.len()];
        let mut entropies = vec![Vec::new(); selection.rows.len()];
        let sampled = |&number: &usize| selection.rows[number].trained_tokens() > 0;
        let sampled: Vec<usize> = (0..selection.rows.len()).filter(sampled).collect();
        for members in micro_batches_of(&selection.rows, sampled, config.micro_batch_tokens, packed) {
            let rows: Vec<&Row> = members.iter().map(|&number| selection.rows[number]).collect();
            let scores = learner.policy.score(&rows, temperature, true)?;
            let reference = match config.beta > 0.0 {
                true => Some(host(learner.policy.score(&rows, temperature, false)?.logprobs, &rows)?),
                false => None,
            };
            let each = host(scores.logprobs, &rows)?
                .into_iter()
                .zip(host(scores.entropies, &rows)?);
            for (place, (logprobs, own)) in each.enumerate() {
                let number = members[place];
                known[number].before = Some(logprobs);
                known[number].reference = reference.as_ref().map(|reference| reference[place].clone());
                entropies[number] = own;
            }
        }
        let mut before = Self {
            known,
            keep: None,
            credit: None,
        };
        if config.top_entropy_quantile < 1.0 {
            let numbers = |row: usize| entropies[row].iter().map(|&value| f64::from(value)).collect();
            before.leave(selection, numbers, |all| {
                high_entropy_keep(all, config.top_entropy_quantile)
            });
        }
        if let Some(threshold) = config.m2po_threshold {
            let known = before.known.clone();
            let numbers = |row: usize| squares(selection.rows[row], &known[row]);
            before.leave(selection, numbers, |all| m2po_keep(all, threshold));
        }
        if config.kl_in_reward {
            let penalty = |row: usize| config.beta * before.divergence(config, selection, row);
            let penalties: Vec<f64> = (0..selection.rows.len()).map(penalty).collect();
            before.credit = Some(selection.penalised(config, &penalties)?);
        }
        Ok(before)
    }

    /// Trained tokens of a row that enter the policy loss.
    pub(crate) fn kept(&self, selection: &Selection<'_>, row: usize) -> usize {
        let Some(keep) = &self.keep else {
            return selection.tokens_of(row);
        };
        let tokens = keep[row].iter().enumerate();
        tokens
            .filter(|(token, kept)| **kept && selection.enters(row, *token))
            .count()
    }

    /// Leaves out tokens by a rule over the numbers of all tokens that enter the loss.
    fn leave(
        &mut self,
        selection: &Selection<'_>,
        numbers: impl Fn(usize) -> Vec<f64>,
        rule: impl Fn(&[f64]) -> Vec<bool>,
    ) {
        let mut all = Vec::new();
        let mut places = Vec::new();
        for row in 0..selection.rows.len() {
            for (token, number) in numbers(row)
                .into_iter()
                .enumerate()
                .filter(|(token, _)| selection.enters(row, *token))
            {
                all.push(number);
                places.push((row, token));
            }
        }
        let every = || {
            selection
                .rows
                .iter()
                .map(|row| vec![true; row.trained_tokens()])
                .collect()
        };
        let keep = self.keep.get_or_insert_with(every);
        for ((row, token), kept) in places.into_iter().zip(rule(&all)) {
            keep[row][token] &= kept;
        }
    }

    /// The divergence of a row from the reference, summed over the tokens that enter the loss.
    fn divergence(&self, config: &TrainConfig, selection: &Selection<'_>, row: usize) -> f64 {
        let Known { before, reference } = &self.known[row];
        let (Some(before), Some(reference)) = (before, reference) else {
            return 0.0;
        };
        let pairs = before.iter().zip(reference).enumerate();
        let terms = pairs.filter(|(token, _)| selection.enters(row, *token));
        terms
            .map(|(_, (&before, &reference))| config.kl_estimator.of(f64::from(before), f64::from(reference)))
            .sum()
    }
}

/// `(s - o)^2` of the trained tokens of a row.
fn squares(row: &Row, known: &Known) -> Vec<f64> {
    let before = known.before.iter().flatten();
    let sampled = row
        .logprobs()
        .iter()
        .zip(row.trained())
        .filter(|(_, trained)| **trained);
    let pairs = sampled.zip(before);
    pairs.map(|((s, _), o)| f64::from(s - o).powi(2)).collect()
}

/// The numbers of the trained tokens of each row, from `[rows, completion]`.
///
/// # Errors
/// When they cannot be read from their device.
pub(crate) fn host(values: Tensor<2>, rows: &[&Row]) -> Result<Vec<Vec<f32>>> {
    let [_, time] = values.dims();
    let values = values.try_into_vec_as::<f32>();
    let values = values.map_err(|error| anyhow!("cannot read log-probs: {error:?}"))?;
    let row = |(index, row): (usize, &&Row)| values[index * time..][..row.trained_tokens()].to_vec();
    Ok(rows.iter().enumerate().map(row).collect())
}

/// Rows of numbers as `[rows, completion]`, beside `like`, padded with 0.
pub(crate) fn padded<'r>(rows: impl Iterator<Item = &'r [f32]>, like: &Tensor<2>) -> Tensor<2> {
    let [count, time] = like.dims();
    let mut values = vec![0.0_f32; count * time];
    for (index, row) in rows.enumerate() {
        values[index * time..][..row.len()].copy_from_slice(row);
    }
    let place = (&like.device().inner(), like.dtype());
    Tensor::from_data(TensorData::new(values, [count, time]), place)
}

/// Which tokens, as `[rows, completion]` of 1 and 0.
pub(crate) fn mask<'r>(rows: impl Iterator<Item = &'r [bool]>, like: &Tensor<2>) -> Tensor<2> {
    let rows: Vec<Vec<f32>> = rows
        .map(|row| row.iter().map(|&kept| f32::from(u8::from(kept))).collect())
        .collect();
    padded(rows.iter().map(Vec::as_slice), like)
}
