//! The key of several rewards: a map from rewards to weights.

use super::{Bounds, RewardKind, Setting};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rewards with their weights; none means the key `reward` alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RewardWeights(BTreeMap<RewardKind, f64>);

impl RewardWeights {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rewards and weights, in the order of their names' declaration.
    pub fn iter(&self) -> impl Iterator<Item = (RewardKind, f64)> + '_ {
        self.0.iter().map(|(kind, weight)| (*kind, *weight))
    }
}

impl FromIterator<(RewardKind, f64)> for RewardWeights {
    fn from_iter<I: IntoIterator<Item = (RewardKind, f64)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Setting for RewardWeights {
    fn expected() -> String {
        format!("a map from rewards ({}) to weights", RewardKind::expected())
    }

    fn expected_within(bounds: &Bounds) -> String {
        match bounds.words() {
            Some(words) => format!("{}, {words}", Self::expected()),
            None => Self::expected(),
        }
    }
}
