//! Episodes and groups: what a rollout leaves behind.

use crate::{ActionRecord, Ending, Facts, Fault, Image, Row, StopReason, Task};
use std::ops::Range;

/// One turn of an episode, for logs and reports.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Turn {
    /// The screenshot that the policy saw, if there was one.
    pub screenshot: Option<Image>,
    /// A number of the state that the environment was in, where it tells ([`crate::Observation::state`]).
    pub state: Option<u64>,
    /// The text of the reply.
    pub reply: String,
    /// What the reply did.
    pub action: ActionRecord,
    /// Number of the episode's row in which the reply was sampled, see [`Episode::rows`].
    pub row: usize,
    /// Range of the reply's tokens in that row.
    pub tokens: Range<usize>,
    /// Why the reply ended; anything but [`StopReason::Stop`] means that it was cut off.
    pub stop: StopReason,
}

impl Turn {
    /// A reply, what it did, where its tokens stand in the episode's first row, and why it ended.
    pub fn new(reply: impl Into<String>, action: ActionRecord, tokens: Range<usize>, stop: StopReason) -> Self {
        Self {
            screenshot: None,
            state: None,
            reply: reply.into(),
            action,
            row: 0,
            tokens,
            stop,
        }
    }

    /// The same turn with the screenshot that the policy saw before it.
    #[must_use]
    pub fn with_screenshot(self, screenshot: Option<Image>) -> Self {
        Self { screenshot, ..self }
    }

    /// The same turn with the number of the row in which its tokens stand.
    #[must_use]
    pub fn with_row(self, row: usize) -> Self {
        Self { row, ..self }
    }

    /// The same turn with a number of the state that the environment was in before it.
    #[must_use]
    pub fn with_state(self, state: Option<u64>) -> Self {
        Self { state, ..self }
    }
}

/// One finished attempt.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
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
    /// All tokens and images of the conversation, as sampled: up to where its context was cut back first, if it was.
    pub row: Row,
    /// A row for each time that the context was cut back, in order.
    pub later_rows: Vec<Row>,
    /// Wall-clock seconds, start to finish.
    pub seconds: f64,
}

impl Episode {
    /// The `attempt`-th attempt of a group, as it ended: without turns, reward 0, no time taken.
    pub fn new(attempt: u64, ending: Ending, facts: Facts, row: Row) -> Self {
        Self {
            attempt,
            turns: Vec::new(),
            ending,
            last_screenshot: None,
            facts,
            reward: 0.0,
            row,
            later_rows: Vec::new(),
            seconds: 0.0,
        }
    }

    /// The same attempt with the rows that came after the first.
    #[must_use]
    pub fn with_later_rows(self, later_rows: Vec<Row>) -> Self {
        Self { later_rows, ..self }
    }

    /// All rows, in order. A token that was sampled is trained on in one of them.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        std::iter::once(&self.row).chain(&self.later_rows)
    }

    /// Number of tokens that enter the loss, over all rows.
    pub fn trained_tokens(&self) -> usize {
        self.rows().map(Row::trained_tokens).sum()
    }

    /// The same attempt with its turns.
    #[must_use]
    pub fn with_turns(self, turns: Vec<Turn>) -> Self {
        Self { turns, ..self }
    }

    /// The same attempt with what the environment showed after the last action.
    #[must_use]
    pub fn with_last_screenshot(self, last_screenshot: Option<Image>) -> Self {
        Self {
            last_screenshot,
            ..self
        }
    }

    /// The same attempt with the number that the reward made of it.
    #[must_use]
    pub fn with_reward(self, reward: f32) -> Self {
        Self { reward, ..self }
    }

    /// The same attempt with its wall-clock seconds.
    #[must_use]
    pub fn with_seconds(self, seconds: f64) -> Self {
        Self { seconds, ..self }
    }
}

/// The attempts at one task.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Group {
    /// The task that every episode attempts.
    pub task: Task,
    /// The finished attempts, ordered by [`Episode::attempt`].
    pub episodes: Vec<Episode>,
    /// Attempts lost to faults. Each was tried again until the limit of retries.
    pub faults: Vec<Fault>,
}

impl Group {
    /// A task that nobody has attempted yet.
    pub fn new(task: Task) -> Self {
        Self {
            task,
            episodes: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// The same group with the attempts that ended, ordered by [`Episode::attempt`].
    #[must_use]
    pub fn with_episodes(self, episodes: Vec<Episode>) -> Self {
        Self { episodes, ..self }
    }

    /// The same group with the attempts that were lost.
    #[must_use]
    pub fn with_faults(self, faults: Vec<Fault>) -> Self {
        Self { faults, ..self }
    }

    /// Rewards of the episodes, `rewards_g`.
    pub fn rewards(&self) -> Vec<f32> {
        self.episodes.iter().map(|episode| episode.reward).collect()
    }
}
