//! The reward seam: finished attempts in, one number for each out.

use crate::{Episode, Fault, Task};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// What a reward has found out about episodes before it scores them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Measured {
    /// Measurements by name, one map for each episode in their order; empty where nothing was measured.
    pub extra: Vec<BTreeMap<String, f64>>,
    /// Why some of it is missing.
    pub fault: Option<Fault>,
}

impl Measured {
    /// What was found of each episode.
    pub fn new(extra: Vec<BTreeMap<String, f64>>) -> Self {
        Self { extra, fault: None }
    }

    /// The same with why some of it is missing.
    #[must_use]
    pub fn with_fault(self, fault: Option<Fault>) -> Self {
        Self { fault, ..self }
    }
}

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
    /// Finds out what scoring takes and the environment does not tell, as what a judge says of the last screen. It is kept
    /// among the facts ([`Facts::extra`](crate::Facts::extra)), so that it is saved with them.
    ///
    /// Asked before [`Reward::score`], and again after a fault; what was found stands among the facts then already. A fault
    /// counts as one of scoring.
    async fn measure(&self, task: &Task, episodes: &[Episode]) -> Measured {
        let _ = (task, episodes);
        Measured::default()
    }

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
