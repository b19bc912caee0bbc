//! Episodes and groups: what a rollout leaves behind.

use crate::{ActionRecord, Ending, Facts, Fault, Image, Row, StopReason, Task};

/// One turn of an episode, for logs and reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The screenshot that the policy saw, if there was one.
    pub screenshot: Option<Image>,
    /// The text of the reply.
    pub reply: String,
    /// What the reply did.
    pub action: ActionRecord,
    /// Range of the reply's tokens in the episode's row.
    pub tokens: std::ops::Range<usize>,
    /// Why the reply ended; anything but [`StopReason::Stop`] means that it was cut off.
    pub stop: StopReason,
}

/// One finished attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Number of the attempt within its group.
    pub attempt: u64,
    /// The turns, in order.
    pub turns: Vec<Turn>,
    /// Why it ended.
    pub ending: Ending,
    /// What the environment showed after the last action, if it showed anything: nothing follows a report.
    pub last_screenshot: Option<Image>,
    /// What was true at the end.
    pub facts: Facts,
    /// The number the reward made of the facts.
    pub reward: f32,
    /// All tokens and images of the conversation, as sampled.
    pub row: Row,
    /// Wall-clock seconds, start to finish.
    pub seconds: f64,
}

/// The attempts at one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The task that every episode attempts.
    pub task: Task,
    /// The finished attempts, ordered by [`Episode::attempt`].
    pub episodes: Vec<Episode>,
    /// Attempts lost to faults. Each was tried again until the limit of retries.
    pub faults: Vec<Fault>,
}

impl Group {
    /// Rewards of the episodes, `rewards_g`.
    pub fn rewards(&self) -> Vec<f32> {
        self.episodes.iter().map(|episode| episode.reward).collect()
    }
}
