//! Losses of tokens into one number, as [`Aggregation`] says.

use crate::tensor::{masked, row_lengths};
use crate::{Aggregation, Totals};
use burn::tensor::Tensor;

/// Aggregates `losses` to a scalar of shape `[1]`.
///
/// # Shapes
/// `losses` and `mask` are `[rows, time]`.
pub fn aggregate(aggregation: Aggregation, losses: Tensor<2>, mask: &Tensor<2>, totals: &Totals) -> Tensor<1> {
    let losses = masked(losses, mask);
    match aggregation {
        Aggregation::SequenceMean => over((losses.sum_dim(1) / row_lengths(mask)).sum(), totals.rows),
        Aggregation::MicroBatchTokenMean => {
            let mean = losses.sum() / mask.clone().sum().clamp_min(1.0);
            over(mean, totals.micro_batches)
        }
        Aggregation::Constant => over(losses.sum(), totals.rows * totals.max_completion_tokens),
        Aggregation::TokenMean => over(losses.sum(), totals.tokens),
        Aggregation::SequenceSum => over(losses.sum(), totals.rows),
    }
}

/// A sum over a count of at least 1. The count is a tensor, because autodiff takes the reciprocal of a plain number in
/// f32, also where the tensors are in f64.
pub(super) fn over(sum: Tensor<1>, count: f64) -> Tensor<1> {
    let count = sum.full_like(count.max(1.0));
    sum / count
}
