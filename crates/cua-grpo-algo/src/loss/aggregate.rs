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
        Aggregation::SequenceMean => (losses.sum_dim(1) / row_lengths(mask)).sum() / totals.rows.max(1.0),
        Aggregation::MicroBatchTokenMean => {
            losses.sum() / mask.clone().sum().clamp_min(1.0) / totals.micro_batches.max(1.0)
        }
        Aggregation::Constant => losses.sum() / (totals.rows * totals.max_completion_tokens).max(1.0),
        Aggregation::TokenMean => losses.sum() / totals.tokens.max(1.0),
        Aggregation::SequenceSum => losses.sum() / totals.rows.max(1.0),
    }
}
