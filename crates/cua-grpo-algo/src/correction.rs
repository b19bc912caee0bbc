//! Correction: importance weights for tokens that the sampler drew from a slightly different policy.
//!
//! The sampler's log-prob `s` and the learner's recomputed one `o` differ by numerics, and by updates when rollouts
//! run ahead. With `d = (o - s) m` the weight is `exp(d)` a token, `exp(sum_t d)` a row (its spread grows with
//! length), or `exp(sum_t d / n)` a row (geometric mean). A weight outside `[min, max]` is moved to the bound
//! (`truncate`) or set to 0 (`mask`). Exponents are clamped to ±20. Weights carry no gradient. TRL's default is a masked
//! row with `max` 3.
//!
//! A [`Rejection`] leaves out what sampler and learner disagree about, whatever the weight is (AReaL
//! `rejection_sampling`): the surrogate of a token or a row becomes 0 where its metric lies outside of `[min, max]`. The
//! metric of a token is the ratio `exp(d)`, or k1 `d`, k2 `d^2 / 2` or k3 `exp(-d) - 1 + d`; that of a row is the mean,
//! sum or largest of its tokens (of the ratio in the logarithm). Denominators still count what was left out, and a ratio
//! a row is that of the tokens which are left. A difference that is not finite counts as 0.

use serde::{Deserialize, Serialize};

/// What one weight is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionLevel {
    /// Each token.
    Token,
    /// A row: the product over its tokens.
    Sequence,
    /// A row: the geometric mean over its tokens.
    SequenceMean,
}

/// What happens to a weight outside of its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionAction {
    /// It is moved to the bound.
    Truncate,
    /// It becomes 0.
    Mask,
}

/// How the difference between sampler and learner is corrected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// What one weight is for.
    pub level: CorrectionLevel,
    /// What happens to a weight outside of its bounds.
    pub action: CorrectionAction,
    /// Lower bound.
    #[serde(default)]
    pub min: Option<f64>,
    /// Upper bound.
    pub max: f64,
}

impl CorrectionLevel {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Token, Self::Sequence, Self::SequenceMean];
}

impl CorrectionAction {
    /// Every action.
    pub const ALL: [Self; 2] = [Self::Truncate, Self::Mask];
}

/// What is compared with the bounds of a [`Rejection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionMetric {
    /// `exp(d)`.
    Ratio,
    /// `d`.
    K1,
    /// `d^2 / 2`.
    K2,
    /// `exp(-d) - 1 + d`.
    K3,
}

/// What is left out together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionLevel {
    /// A token, by its own metric.
    Token,
    /// A row, by the mean over its tokens.
    SequenceMean,
    /// A row, by the sum over its tokens.
    SequenceSum,
    /// A row, by the largest of its tokens.
    SequenceMax,
}

/// Which tokens or rows are left out because sampler and learner disagree about them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    /// What is compared.
    pub metric: RejectionMetric,
    /// What is left out together.
    pub level: RejectionLevel,
    /// Lower bound.
    #[serde(default)]
    pub min: Option<f64>,
    /// Upper bound.
    pub max: f64,
}

impl RejectionMetric {
    /// Every metric.
    pub const ALL: [Self; 4] = [Self::Ratio, Self::K1, Self::K2, Self::K3];
}

impl RejectionLevel {
    /// Every level.
    pub const ALL: [Self; 4] = [Self::Token, Self::SequenceMean, Self::SequenceSum, Self::SequenceMax];
}
