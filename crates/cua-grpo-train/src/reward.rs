//! Rewards that a run can choose.

use crate::config::RewardKind;
use async_trait::async_trait;
use cua_grpo_core::{Episode, Fault, Reward, Task, VerifiedSuccess, derive_seed};
use std::sync::Arc;

/// A coin a task, attempt and step of the run: the control experiment in which nothing can be learnt.
#[derive(Debug, Clone, Copy)]
pub struct RandomReward {
    /// Seed of the coins.
    pub seed: u64,
}

#[async_trait]
impl Reward for RandomReward {
    async fn score(&self, task: &Task, episodes: &[Episode]) -> Result<Vec<f32>, Fault> {
        let coin = |episode: &Episode| (derive_seed(&[self.seed, task.seed, episode.attempt]) & 1) as f32;
        Ok(episodes.iter().map(coin).collect())
    }
}

/// The reward of a configuration.
pub fn reward(kind: RewardKind, seed: u64) -> Arc<dyn Reward> {
    match kind {
        RewardKind::Verified => Arc::new(VerifiedSuccess),
        RewardKind::Random => Arc::new(RandomReward { seed }),
    }
}
