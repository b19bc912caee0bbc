//! The ratio between the policy now and the policy before the step.

use super::config::RatioLevel;
use crate::tensor::{masked, row_lengths};
use burn::tensor::Tensor;

/// Beyond this size of a log-ratio its exponential says nothing any more, and in f32 it would overflow at 88.
const LARGEST: f64 = 20.0;

/// `exp(log_ratio)`, with the exponent clamped to ±20 as in verl.
pub(super) fn ratio(log_ratio: Tensor<2>) -> Tensor<2> {
    log_ratio.clamp(-LARGEST, LARGEST).exp()
}

/// `l - o` under the mask; for a row, its mean over tokens at every token, with the gradient through the mean.
///
/// # Shapes
/// All `[rows, time]`, the result too.
pub(super) fn log_ratio(level: RatioLevel, logprobs: Tensor<2>, old: Tensor<2>, mask: &Tensor<2>) -> Tensor<2> {
    let difference = masked(logprobs - old.detach(), mask);
    match level {
        RatioLevel::Token => difference,
        RatioLevel::Sequence => {
            let shape = difference.dims();
            (difference.sum_dim(1) / row_lengths(mask)).expand(shape)
        }
    }
}
