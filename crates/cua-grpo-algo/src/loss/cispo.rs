//! CISPO: REINFORCE weighted by a capped ratio, `q = -stopgrad(min(rho, cap)) A l`; no token loses its gradient.

use super::config::LossConfig;
use burn::tensor::Tensor;

/// Shapes: `ratio` and `logprobs` `[rows, time]`, `advantages` `[rows, 1]`; the result is `[rows, time]`.
pub(super) fn surrogate(
    config: &LossConfig,
    ratio: Tensor<2>,
    logprobs: Tensor<2>,
    advantages: Tensor<2>,
) -> Tensor<2> {
    (ratio.detach().clamp_max(config.cispo_cap) * advantages * logprobs).neg()
}
