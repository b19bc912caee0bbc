//! The weights that a [`Correction`] gives to tokens or rows.

use crate::tensor::{masked, row_lengths};
use crate::{Correction, CorrectionAction, CorrectionLevel};
use burn::tensor::Tensor;

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
        let logs = match self.level {
            CorrectionLevel::Token => difference,
            CorrectionLevel::Sequence => difference.sum_dim(1),
            CorrectionLevel::SequenceMean => difference.sum_dim(1) / row_lengths(mask),
        };
        logs.clamp(-20.0, 20.0)
    }
}

/// Weights divided by their mean under the mask (verl `rollout_is_batch_normalize`).
///
/// # Shapes
/// Both `[rows, time]`, the result too.
pub fn batch_normalised(weights: Tensor<2>, mask: &Tensor<2>) -> Tensor<2> {
    let mean = masked(weights.clone(), mask).sum() / mask.clone().sum().clamp_min(1.0);
    weights / mean.reshape([1, 1])
}
