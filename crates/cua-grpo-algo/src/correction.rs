//! Correction: importance weights for tokens that the sampler drew from a slightly different policy.
//!
//! The sampler's log-prob `s` and the learner's recomputed one `o` differ by numerics, and by updates when rollouts
//! run ahead. With `d = (o - s) m` the weight is `exp(d)` a token, `exp(sum_t d)` a row (its spread grows with
//! length), or `exp(sum_t d / n)` a row (geometric mean). A weight outside `[min, max]` is moved to the bound
//! (`truncate`) or set to 0 (`mask`). Weights carry no gradient. TRL's default is a masked row with `max` 3.

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
