//! Estimators, a token, of the divergence of the policy from the reference.
//!
//! With `l` the policy's log-prob of the sampled token and `f` the reference's (Schulman, "Approximating KL
//! divergence"): `k1 = l - f`, `k2 = (l - f)^2 / 2`, `k3 = exp(f - l) - (f - l) - 1`. As a loss, only k2 and k3 have
//! a useful gradient: that of k1 has mean zero, unless it is multiplied by the ratio.
//!
//! Departure from TRL: `f - l` is clamped to ±20 in k3 (as verl does), because `exp` overflows in f32 beyond 88.

use super::config::KlEstimator;
use burn::tensor::Tensor;

impl KlEstimator {
    /// The estimates of tokens. Shapes `[rows, time]`.
    pub fn tensor(self, logprobs: Tensor<2>, reference: Tensor<2>) -> Tensor<2> {
        match self {
            Self::K1 => k1(logprobs, reference),
            Self::K2 => k2(logprobs, reference),
            Self::K3 => k3(logprobs, reference),
        }
    }
}

/// `l - f`: unbiased, can be negative. Shapes `[rows, time]`.
pub fn k1(logprobs: Tensor<2>, reference: Tensor<2>) -> Tensor<2> {
    logprobs - reference
}

/// `(l - f)^2 / 2`: biased, never negative. Shapes `[rows, time]`.
pub fn k2(logprobs: Tensor<2>, reference: Tensor<2>) -> Tensor<2> {
    (logprobs - reference).square() * 0.5
}

/// `exp(f - l) - (f - l) - 1`: unbiased, never negative. Shapes `[rows, time]`.
pub fn k3(logprobs: Tensor<2>, reference: Tensor<2>) -> Tensor<2> {
    let difference = (reference - logprobs).clamp(-20.0, 20.0);
    difference.clone().exp() - difference - 1.0
}
