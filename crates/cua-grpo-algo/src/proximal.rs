//! The proximal policy without a forward pass of its own (AReaL `prox_logp_method`).
//!
//! A token was sampled by version `u`, the policy has version `v`, and the proximal policy `o` is one version behind it.
//! With `a = clamp((v - 1 - u) / (v - u), 0, 1)`, and 0 where `u` is `v`, `o` lies between the sampler's log-prob `s` and
//! the policy's `l`, which gives no gradient here:
//!
//! - `loglinear`: `o = s + a (l - s)`
//! - `linear`: `o = log((1 - a) exp(s) + a exp(l) + 1e-10)`
//!
//! A token that is one version old has `o = s`. AReaL holds `a` in f32, here it is in f64.

use serde::{Deserialize, Serialize};

/// Where the log-probs come from that the ratio compares with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proximal {
    /// A forward pass before the first update of a step.
    #[default]
    Recompute,
    /// Between sampler and policy, in the logarithm.
    Loglinear,
    /// Between sampler and policy, in the probability.
    Linear,
}

impl Proximal {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Recompute, Self::Loglinear, Self::Linear];

    /// The log-prob of a token between that of the `sampler` and that of the policy `now`, at the share `a` of the way;
    /// [`Proximal::Recompute`] has none of its own and gives that of `now`.
    pub fn between(self, sampler: f64, now: f64, a: f64) -> f64 {
        match self {
            Self::Recompute => now,
            Self::Loglinear => sampler + a * (now - sampler),
            Self::Linear => ((1.0 - a) * sampler.exp() + a * now.exp() + 1e-10).ln(),
        }
    }
}

/// The share `a` of a token that version `sampled_by` sampled, when the policy has version `version`.
pub fn proximal_share(version: u64, sampled_by: u64) -> f64 {
    if sampled_by >= version {
        return 0.0;
    }
    let gap = (version - sampled_by) as f64;
    ((gap - 1.0) / gap).clamp(0.0, 1.0)
}
