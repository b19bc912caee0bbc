//! The clipped surrogate of PPO, shared by GRPO, BNPO, Dr. GRPO, DAPO, GSPO and LUSPO.
//!
//! `q = -min(min(rho, delta) A, clamp(rho, 1 - eps, 1 + eps_high) A)`, then at most `|A| c` (dual clip). `delta` (two-
//! sided clipping) and `c` are optional and bound what one token with a negative advantage can cost.

use super::config::LossConfig;
use burn::tensor::Tensor;

/// Shapes: `ratio` `[rows, time]`, `advantages` `[rows, 1]`; the result is `[rows, time]`.
pub(super) fn surrogate(config: &LossConfig, ratio: Tensor<2>, advantages: Tensor<2>) -> Tensor<2> {
    let clipped = ratio.clone().clamp(1.0 - config.epsilon, 1.0 + config.high()) * advantages.clone();
    let free = match config.delta {
        Some(delta) => ratio.clamp_max(delta),
        None => ratio,
    };
    let losses = (free * advantages.clone()).min_pair(clipped).neg();
    match config.dual_clip {
        Some(bound) => losses
            .clone()
            .min_pair((advantages.abs() * bound).expand(losses.dims())),
        None => losses,
    }
}
