//! Rewards that a run can choose.

use crate::config::RewardKind;
use cua_grpo_core::{Facts, Reward, Task, VerifiedSuccess, derive_seed};
use std::sync::Arc;

/// A coin a task, attempt and step of the run: the control experiment in which nothing can be learnt.
#[derive(Debug, Clone, Copy)]
pub struct RandomReward {
    /// Seed of the coins.
    pub seed: u64,
}

impl Reward for RandomReward {
    fn score(&self, task: &Task, _facts: &Facts, attempt: u64) -> f32 {
        (derive_seed(&[self.seed, task.seed, attempt]) & 1) as f32
    }
}

/// The reward of a configuration.
pub fn reward(kind: RewardKind, seed: u64) -> Arc<dyn Reward> {
    match kind {
        RewardKind::Verified => Arc::new(VerifiedSuccess),
        RewardKind::Random => Arc::new(RandomReward { seed }),
    }
}
