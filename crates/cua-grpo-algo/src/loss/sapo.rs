//! SAPO: a sigmoid gate in place of the clip, `q = -(4 / tau) sigmoid(tau (rho - 1)) A`.
//!
//! `tau` is a little larger where the advantage is not positive, which damps those updates more.

use super::config::LossConfig;
use burn::tensor::{Tensor, activation::sigmoid};

/// Shapes: `ratio` `[rows, time]`, `advantages` `[rows, 1]`; the result is `[rows, time]`.
pub(super) fn surrogate(config: &LossConfig, ratio: Tensor<2>, advantages: Tensor<2>) -> Tensor<2> {
    let positive = advantages.clone().greater_scalar(0.0);
    let tau = advantages
        .full_like(config.sapo_tau_negative)
        .mask_fill(positive, config.sapo_tau_positive);
    let gate = sigmoid((ratio - 1.0) * tau.clone());
    (gate * (advantages / tau) * 4.0).neg()
}
