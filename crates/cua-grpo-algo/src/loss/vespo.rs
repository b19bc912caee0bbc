//! VESPO: REINFORCE weighted by a gamma-shaped function of the row's whole importance weight.
//!
//! `q = -stopgrad(phi) A l`, `phi = exp(lambda + k W - lambda exp(W))` with
//! `W = clamp(sum_t clamp(l - o, ±20) + sum_t clamp(log w, log 1e-8, 20), log 1e-8, 20)`, where `w` are the weights of
//! the correction (they are not applied again); `(k, lambda)` is by default (2, 3) for advantages of at least 0, else
//! (3, 2).

use super::config::LossConfig;
use crate::tensor::masked;
use burn::tensor::Tensor;

const LOG_FLOOR: f64 = -18.420_680_743_952_367; // ln 1e-8
const LOG_CEILING: f64 = 20.0;

/// Shapes: `log_ratio`, `logprobs`, `weights` and `mask` `[rows, time]`, `advantages` `[rows, 1]` or `[rows, time]`; the
/// result is `[rows, time]`.
pub(super) fn surrogate(
    config: &LossConfig,
    log_ratio: Tensor<2>,
    logprobs: Tensor<2>,
    weights: Option<Tensor<2>>,
    advantages: Tensor<2>,
    mask: &Tensor<2>,
) -> Tensor<2> {
    let phi = vespo_phi(config, log_ratio, weights, advantages.clone(), mask);
    (phi * advantages * logprobs).neg()
}

/// `phi(W)`, without gradient.
///
/// # Shapes
/// As of the surrogate; the result has the shape of `advantages`.
pub fn vespo_phi(
    config: &LossConfig,
    log_ratio: Tensor<2>,
    weights: Option<Tensor<2>>,
    advantages: Tensor<2>,
    mask: &Tensor<2>,
) -> Tensor<2> {
    let mut total = log_ratio.detach().clamp(-20.0, 20.0).sum_dim(1);
    if let Some(weights) = weights {
        let logs = weights.clamp_min(1e-8).log().clamp(LOG_FLOOR, LOG_CEILING);
        total = total + masked(logs, mask).sum_dim(1);
    }
    let total = total.clamp(LOG_FLOOR, LOG_CEILING);
    let negative = advantages.clone().lower_scalar(0.0);
    let k = advantages
        .full_like(config.vespo_k_positive)
        .mask_fill(negative.clone(), config.vespo_k_negative);
    let lambda = advantages
        .full_like(config.vespo_lambda_positive)
        .mask_fill(negative, config.vespo_lambda_negative);
    (lambda.clone() + k * total.clone() - lambda * total.exp())
        .exp()
        .detach()
}
