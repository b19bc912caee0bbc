//! Tasks: what the user asks for, and what the environment needs to know to set it up and to judge it.

use crate::{Fault, FaultKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// A task instance: everything an environment needs to run one attempt at it.
///
/// ```
/// use cua_grpo_core::Task;
/// let task = Task::new("guess/7", "Find the hidden number.").with_payload(7).with_max_turns(8);
/// assert_eq!(task.payload::<u64>().unwrap(), 7);
/// assert!(task.payload::<String>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Task {
    /// Unique among instances, e.g. `wifi_on/17`.
    pub id: String,
    /// The family of tasks that it belongs to, e.g. `wifi_on`; figures are grouped by it.
    pub template: String,
    /// What the user asks for, in words.
    pub instruction: String,
    /// Seed of the instance: layout, theme and initial state of a simulated device follow from it.
    pub seed: u64,
    /// Upper bound of turns for this task; the run's own limit applies too.
    pub max_turns: Option<NonZeroUsize>,
    /// Free-form facts about the task (difficulty, category, arguments of the template).
    pub tags: BTreeMap<String, String>,
    /// What its environment understands, and nobody else reads: commands that set it up, checks, a file to load.
    pub payload: Value,
}

impl Task {
    /// A task without a payload, of the family that its id names before the first `/`, with seed 0.
    pub fn new(id: impl Into<String>, instruction: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            template: id.split('/').next().unwrap_or_default().to_owned(),
            id,
            instruction: instruction.into(),
            seed: 0,
            max_turns: None,
            tags: BTreeMap::new(),
            payload: Value::Null,
        }
    }

    /// The same task with another seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same task with an upper bound of turns; 0 sets none.
    #[must_use]
    pub fn with_max_turns(self, turns: usize) -> Self {
        Self {
            max_turns: NonZeroUsize::new(turns),
            ..self
        }
    }

    /// The same task with one more tag.
    #[must_use]
    pub fn with_tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(name.into(), value.into());
        self
    }

    /// The same task, of a template that is kept from training: evaluations tell it apart from unseen instances of
    /// templates that are trained on. It is the tag `split` with the value `held_out`.
    #[must_use]
    pub fn with_held_out(self) -> Self {
        self.with_tag("split", "held_out")
    }

    /// The same task, in an app that is kept from training. It is the tag `split` with the value `held_out_app`.
    #[must_use]
    pub fn with_held_out_app(self) -> Self {
        self.with_tag("split", "held_out_app")
    }

    /// How far it is from what is trained on.
    pub fn novelty(&self) -> Novelty {
        match self.tags.get("split").map(String::as_str) {
            Some("held_out") => Novelty::Template,
            Some("held_out_app") => Novelty::App,
            _ => Novelty::Instance,
        }
    }

    /// Whether its template or its app is kept from training.
    pub fn is_held_out(&self) -> bool {
        self.novelty() != Novelty::Instance
    }

    /// The same task with the turns that an expert takes, its report among them: the tag `expert_turns`.
    #[must_use]
    pub fn with_expert_turns(self, turns: usize) -> Self {
        self.with_tag("expert_turns", turns.to_string())
    }

    /// The turns that an expert takes, where they are known.
    pub fn expert_turns(&self) -> Option<usize> {
        let turns: usize = self.tags.get("expert_turns")?.parse().ok()?;
        (turns > 0).then_some(turns)
    }

    /// The same task with what its environment needs, as JSON: a number, text, or `serde_json::json!({...})`.
    #[must_use]
    pub fn with_payload(self, payload: impl Into<Value>) -> Self {
        let payload = payload.into();
        Self { payload, ..self }
    }

    /// The payload as the type that the environment expects.
    ///
    /// # Errors
    /// A fault of kind [`FaultKind::Setup`] that names the task when the payload is something else.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        T::deserialize(&self.payload).map_err(|error| {
            let expected = std::any::type_name::<T>();
            let message = format!("task {}: expected a payload that reads as {expected}: {error}", self.id);
            Fault::new(FaultKind::Setup, "read task", message)
        })
    }
}

/// How far a task of an evaluation is from those that are trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Novelty {
    /// Another instance of a template that is trained on.
    Instance,
    /// A template that is not trained on.
    Template,
    /// A template in an app that no training task uses.
    App,
}

impl Novelty {
    /// All, from near to far.
    pub const ALL: [Self; 3] = [Self::Instance, Self::Template, Self::App];
}

/// An endless, seekable sequence of tasks: the same cursor always yields the same task, so a run can be resumed.
pub trait TaskSource: Send + Sync {
    /// The task at `cursor`.
    fn task(&self, cursor: u64) -> Task;
}
