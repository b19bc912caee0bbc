//! The constants of AdamW, and what a checkpoint keeps of it: plain numbers.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The constants of AdamW; the learning rate is given with each update.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamWConfig {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the squares.
    pub epsilon: f64,
    /// Share of a parameter that is taken off an update, times the learning rate.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// The two moments of one parameter, row-major.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// Mean of gradients (`exp_avg`).
    pub first: Vec<f32>,
    /// Mean of squared gradients (`exp_avg_sq`).
    pub second: Vec<f32>,
}

/// What a checkpoint keeps of an optimiser.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AdamWState {
    /// Updates so far.
    pub step: u64,
    /// The moments, by name of the parameter.
    pub moments: BTreeMap<String, Moments>,
}
