//! The reward seam: finished attempts in, one number for each out.

use crate::{Episode, Fault, Task};
use async_trait::async_trait;

/// Scores the finished attempts at one task. It may wait (a judge behind a service) and may fail.
///
/// Any `Fn(&Task, &Episode) -> f32` is one, so a reward of one line stays one line:
///
/// ```
/// use cua_grpo_core::{Episode, Reward, Task};
/// fn takes(_reward: impl Reward) {}
/// takes(|_: &Task, episode: &Episode| if episode.facts.verified { 1.0 } else { 0.0 });
/// ```
#[async_trait]
pub trait Reward: Send + Sync {
    /// One reward for each of `episodes`, in their order; each must be finite.
    ///
    /// `episodes` are all attempts of a group that ended without a fault, ordered by [`Episode::attempt`]; their
    /// [`Episode::reward`] is still 0. A fault loses the whole group: it is counted, and nothing is trained on it.
    async fn score(&self, task: &Task, episodes: &[Episode]) -> Result<Vec<f32>, Fault>;
}

#[async_trait]
impl<F> Reward for F
where
    F: Fn(&Task, &Episode) -> f32 + Send + Sync,
{
    async fn score(&self, task: &Task, episodes: &[Episode]) -> Result<Vec<f32>, Fault> {
        Ok(episodes.iter().map(|episode| self(task, episode)).collect())
    }
}

/// 1 when the device's state fulfils the task, else 0, whatever the policy claims.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifiedSuccess;

#[async_trait]
impl Reward for VerifiedSuccess {
    async fn score(&self, _task: &Task, episodes: &[Episode]) -> Result<Vec<f32>, Fault> {
        let reward = |episode: &Episode| if episode.facts.verified { 1.0 } else { 0.0 };
        Ok(episodes.iter().map(reward).collect())
    }
}
