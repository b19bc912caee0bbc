//! Infrastructure faults: what went wrong outside the policy, so that it is never mistaken for a bad action.

use serde::{Deserialize, Serialize};

/// Where a fault arose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A device could not be had, was lost, or did not answer.
    Environment,
    /// The initial state could not be established, or the goal was already met before the first turn.
    Setup,
    /// The validator could not read the device's state.
    Validator,
    /// The sampler failed or was shut down.
    Sampler,
    /// Messages could not be turned into tokens (an image that does not decode, a template that fails).
    Renderer,
    /// The reward failed: a judge that does not answer, a number that is not finite.
    Reward,
}

/// A fault excludes its episode from the group; it is counted and the slot is refilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind:?} fault in {operation}: {message}")]
pub struct Fault {
    /// Where it arose.
    pub kind: FaultKind,
    /// What was being done, e.g. `create box`.
    pub operation: String,
    /// What was expected and what came instead.
    pub message: String,
}

impl Fault {
    /// A fault of `kind` while doing `operation`.
    pub fn new(kind: FaultKind, operation: impl Into<String>, message: impl ToString) -> Self {
        Self {
            kind,
            operation: operation.into(),
            message: message.to_string(),
        }
    }
}
