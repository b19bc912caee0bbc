//! Tasks: an instruction, the state to start from, and how the device's state shows that it is done.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One question to the device, and the answer that means "done".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// A shell command run on the device, e.g. `settings get global wifi_on`.
    pub command: String,
    /// A regular expression that must match the whole trimmed output.
    pub expect: String,
}

/// A task instance: everything an environment needs to run one attempt at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Unique among instances, e.g. `wifi_on/17`.
    pub id: String,
    /// The template it was made from, e.g. `wifi_on`.
    pub template: String,
    /// What the user asks for, in words.
    pub instruction: String,
    /// Seed of the instance: layout, theme and initial state of a simulated device follow from it.
    pub seed: u64,
    /// Shell commands that bring the device to the initial state, run in order before the first screenshot.
    pub setup: Vec<String>,
    /// The task is done when every check holds. Before the first turn at least one must fail.
    pub checks: Vec<Check>,
    /// Upper bound of turns for this task; the run's own limit applies too.
    pub max_turns: usize,
    /// Free-form facts about the task (difficulty, category, arguments of the template).
    pub tags: BTreeMap<String, String>,
}

/// An endless, seekable sequence of tasks: the same cursor always yields the same task, so a run can be resumed.
pub trait TaskSource: Send + Sync {
    /// The task at `cursor`.
    fn task(&self, cursor: u64) -> Task;
}
