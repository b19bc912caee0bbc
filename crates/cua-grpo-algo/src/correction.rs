//! Correction: importance weights for tokens that the sampler drew from a slightly different policy.
//!
//! The sampler's log-prob `s` and the learner's recomputed one `o` differ by numerics, and by updates when rollouts
//! run ahead. With `d = (o - s) m` the weight is `exp(d)` a token, `exp(sum_t d)` a row (its spread grows with
//! length), or `exp(sum_t d / n)` a row (geometric mean). A weight outside `[min, max]` is moved to the bound
//! (`truncate`) or set to 0 (`mask`). Weights carry no gradient. TRL's default is a masked row with `max` 3.

use crate::masked::{masked, row_lengths};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// What one weight is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionLevel {
    /// Each token.
    Token,
    /// A row: the product over its tokens.
    Sequence,
    /// A row: the geometric mean over its tokens.
    SequenceMean,
}

/// What happens to a weight outside of its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionAction {
    /// It is moved to the bound.
    Truncate,
    /// It becomes 0.
    Mask,
}

/// How the difference between sampler and learner is corrected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// What one weight is for.
    pub level: CorrectionLevel,
    /// What happens to a weight outside of its bounds.
    pub action: CorrectionAction,
    /// Lower bound.
    #[serde(default)]
    pub min: Option<f64>,
    /// Upper bound.
    pub max: f64,
}

impl CorrectionLevel {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Token, Self::Sequence, Self::SequenceMean];
}

impl CorrectionAction {
    /// Every action.
    pub const ALL: [Self; 2] = [Self::Truncate, Self::Mask];
}

impl Correction {
    /// The weights.
    ///
    /// # Shapes
    /// `old`, `sampler` and `mask` are `[rows, time]`; the result is `[rows, time]` for tokens and `[rows, 1]` for rows.
    pub fn weights(&self, old: Tensor<2>, sampler: Tensor<2>, mask: &Tensor<2>) -> Tensor<2> {
        let weights = self.log_weights(old, sampler, mask).exp();
        match self.action {
            CorrectionAction::Truncate => weights.clamp(self.min.unwrap_or(0.0), self.max),
            CorrectionAction::Mask => {
                let high = weights.clone().greater_scalar(self.max);
                let outside = match self.min {
                    Some(min) => high.bool_or(weights.clone().lower_scalar(min)),
                    None => high,
                };
                weights.mask_fill(outside, 0.0)
            }
        }
    }

    /// 1 where the unbounded weight lies outside of the bounds; the shape is that of the weights.
    pub(crate) fn outside(&self, old: Tensor<2>, sampler: Tensor<2>, mask: &Tensor<2>) -> Tensor<2> {
        let weights = self.log_weights(old, sampler, mask).exp();
        let high = weights.clone().greater_scalar(self.max);
        let outside = high.bool_or(weights.clone().lower_scalar(self.min.unwrap_or(0.0)));
        weights.zeros_like().mask_fill(outside, 1.0)
    }

    fn log_weights(&self, old: Tensor<2>, sampler: Tensor<2>, mask: &Tensor<2>) -> Tensor<2> {
        let difference = masked(old.detach() - sampler.detach(), mask);
        match self.level {
            CorrectionLevel::Token => difference,
            CorrectionLevel::Sequence => difference.sum_dim(1),
            CorrectionLevel::SequenceMean => difference.sum_dim(1) / row_lengths(mask),
        }
    }
}
