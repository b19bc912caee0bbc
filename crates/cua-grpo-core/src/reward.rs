//! The reward seam: facts in, a number out.

use crate::{Facts, Task};

/// Scores one finished episode.
pub trait Reward: Send + Sync {
    /// The reward of an attempt at `task` that ended with `facts`. `attempt` seeds rewards that draw numbers.
    fn score(&self, task: &Task, facts: &Facts, attempt: u64) -> f32;
}

/// 1 when the device's state fulfils the task, else 0, whatever the policy claims.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifiedSuccess;

impl Reward for VerifiedSuccess {
    fn score(&self, _task: &Task, facts: &Facts, _attempt: u64) -> f32 {
        if facts.verified { 1.0 } else { 0.0 }
    }
}
