//! Statistics of a loss: summed on the device over micro-batches, read once an optimiser step.

use super::config::LossConfig;
use crate::AlgoError;
use crate::tensor::{masked, read};
use burn::tensor::Tensor;
use serde::Serialize;

const COUNT: usize = 10;

/// Sums over tokens, on the device: `[loss, tokens, ratio, clipped low, clipped high, kl, weight, outside, gap, masked]`.
#[derive(Debug, Clone)]
pub struct StatSums {
    sums: Tensor<1>,
    /// Whether a divergence, a correction, the sampler's log-probs and a mask were given: what was not has no mean.
    given: [bool; 4],
}

/// Statistics of one optimiser step; means are over the tokens that enter the loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LossStats {
    /// The loss of the step.
    pub loss: f64,
    /// Tokens that entered the loss.
    pub tokens: f64,
    /// Mean ratio between the policy now and before the step.
    pub ratio_mean: f64,
    /// Share of tokens that the lower clip cut off (advantage below 0).
    pub clip_fraction_low: f64,
    /// Share of tokens that the upper clip, or CISPO's cap, cut off (advantage above 0).
    pub clip_fraction_high: f64,
    /// Mean divergence from the reference, as it entered the loss; none without a reference.
    pub kl: Option<f64>,
    /// Mean importance weight between sampler and learner; none without a correction.
    pub correction_mean: Option<f64>,
    /// Share of tokens whose weight was truncated or masked; none without a correction.
    pub correction_fraction: Option<f64>,
    /// Mean `|o - s|`, how far learner and sampler disagree; none when the sampler's log-probs were not given.
    pub sampler_gap: Option<f64>,
    /// Share of tokens whose surrogate was left out by a mask or a rejection; none without any.
    pub masked_fraction: Option<f64>,
}

impl LossStats {
    /// Share of tokens that either clip cut off.
    pub fn clip_fraction(&self) -> f64 {
        self.clip_fraction_low + self.clip_fraction_high
    }
}

impl StatSums {
    #[allow(clippy::too_many_arguments, reason = "one argument a quantity, one caller")]
    pub(crate) fn new(
        config: &LossConfig,
        loss: &Tensor<1>,
        ratio: Tensor<2>,
        advantages: &Tensor<2>,
        mask: &Tensor<2>,
        divergence: Option<Tensor<2>>,
        corrected: Option<(Tensor<2>, Tensor<2>)>,
        sampler_gap: Option<Tensor<2>>,
        left_out: Option<Tensor<2>>,
    ) -> Self {
        let mask = mask.clone().inner();
        let ratio = ratio.inner();
        let shape = ratio.dims();
        let sign = advantages.clone().inner().sign().expand(shape);
        let (low, high) = config.clip_bounds();
        let share = |outside| masked(ratio.zeros_like().mask_fill(outside, 1.0), &mask).sum();
        let clipped_low = share(ratio.clone().lower_scalar(low).bool_and(sign.clone().lower_scalar(0.0)));
        let clipped_high = share(ratio.clone().greater_scalar(high).bool_and(sign.greater_scalar(0.0)));
        let total = |values: Option<Tensor<2>>| match values {
            Some(values) => masked(values.inner(), &mask).sum(),
            None => mask.clone().sum().zeros_like(),
        };
        let given = [
            divergence.is_some(),
            corrected.is_some(),
            sampler_gap.is_some(),
            left_out.is_some(),
        ];
        let (weights, outside) = corrected.unzip();
        let sums = vec![
            loss.clone().inner(),
            mask.clone().sum(),
            masked(ratio.clone(), &mask).sum(),
            clipped_low,
            clipped_high,
            total(divergence),
            total(weights),
            total(outside),
            total(sampler_gap),
            total(left_out),
        ];
        Self {
            sums: Tensor::cat(sums, 0),
            given,
        }
    }

    /// The sums of two micro-batches.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            sums: self.sums + other.sums,
            given: std::array::from_fn(|index| self.given[index] && other.given[index]),
        }
    }

    /// Reads the sums and divides them: one wait for the device.
    ///
    /// # Errors
    /// [`AlgoError::Read`] when the device cannot be read.
    pub fn read(self) -> Result<LossStats, AlgoError> {
        let [divergence, corrected, sampler, left_out] = self.given;
        let values = read("loss statistics", self.sums)?;
        let sums: [f32; COUNT] = values.try_into().map_err(|values: Vec<f32>| AlgoError::Shape {
            operation: "loss statistics",
            what: "sums".to_owned(),
            expected: vec![COUNT],
            got: vec![values.len()],
        })?;
        let [loss, tokens, ratio, low, high, kl, weight, outside, gap, masked] = sums.map(f64::from);
        let mean = |sum: f64| sum / tokens.max(1.0);
        Ok(LossStats {
            loss,
            tokens,
            ratio_mean: mean(ratio),
            clip_fraction_low: mean(low),
            clip_fraction_high: mean(high),
            kl: divergence.then(|| mean(kl)),
            correction_mean: corrected.then(|| mean(weight)),
            correction_fraction: corrected.then(|| mean(outside)),
            sampler_gap: sampler.then(|| mean(gap)),
            masked_fraction: left_out.then(|| mean(masked)),
        })
    }
}
