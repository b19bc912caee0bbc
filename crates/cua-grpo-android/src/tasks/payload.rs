//! What a phone needs to know of a task: the payload of [`cua_grpo_core::Task`] in this crate.

use cua_grpo_core::Task;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// One question to the phone, and the answer that means "done".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A shell command run on the phone, e.g. `settings get global wifi_on`.
    pub command: String,
    /// A regular expression that must match the whole trimmed output.
    pub expect: String,
}

/// What the report of an episode has to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportCheck {
    /// A regular expression that must match the whole trimmed text of the report; `None` asks for a report of success
    /// alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

/// The state to start from, and how the phone's state shows that the task is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskState {
    /// Shell commands that bring the phone to the initial state, run in order before the first screenshot.
    pub setup: Vec<String>,
    /// What must hold after the set-up: a phone on which it does not is no place for the task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub precheck: Vec<Check>,
    /// The task is done when every check holds. Before the first turn at least one must fail.
    pub checks: Vec<Check>,
    /// How an expert does it on the full phone; see [`Step`](super::Step).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expert: Vec<String>,
    /// What must be reported besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportCheck>,
    /// Beginnings of what may change although no check names it, e.g. `setting system volume_`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_change: Vec<String>,
}

impl TaskState {
    /// `task` with this state as its payload.
    #[must_use]
    pub fn into_task(self, task: Task) -> Task {
        let mut payload = json!({ "setup": self.setup, "checks": self.checks });
        if !self.precheck.is_empty() {
            payload["precheck"] = json!(self.precheck);
        }
        if !self.expert.is_empty() {
            payload["expert"] = json!(self.expert);
        }
        if let Some(report) = &self.report {
            payload["report"] = json!(report);
        }
        if !self.may_change.is_empty() {
            payload["may_change"] = json!(self.may_change);
        }
        task.with_payload(payload)
    }
}
