//! The environment seam: a single-use world that takes replies, gives observations, and reports facts at the end.

use crate::{Fault, Message, Role, Task};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the policy sees next: messages to append to the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observation {
    /// New messages; the first observation holds the system prompt and the task, later ones a screenshot each.
    pub messages: Vec<Message>,
    /// A number of the state that the environment is in, where it can tell: equal states have equal numbers. Turns that
    /// began in one state can be compared.
    pub state: Option<u64>,
}

impl Observation {
    /// New messages, in order.
    pub fn new(messages: Vec<Message>) -> Self {
        Self { messages, state: None }
    }

    /// The same observation with a number of the state that it was made in.
    #[must_use]
    pub fn with_state(self, state: Option<u64>) -> Self {
        Self { state, ..self }
    }

    /// One message of text from the user.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(vec![Message::text(Role::User, text)])
    }
}

/// What a reply did, for logs and reports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActionRecord {
    /// The action in words, e.g. `click Wi-Fi`.
    pub summary: String,
    /// Where the device was touched, in screenshot pixels `(x, y)`; two points for a swipe.
    pub points: Vec<(f64, f64)>,
    /// Why the action was not carried out: a malformed reply, an unknown target. This is the policy's own fault.
    pub error: Option<String>,
    /// The reply is no action at all (`error` says what was expected), as opposed to one that could not be carried out.
    #[serde(default)]
    pub malformed: bool,
}

impl ActionRecord {
    /// An action that was carried out, in words.
    pub fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            ..Self::default()
        }
    }

    /// The same action with where it touched the device, in screenshot pixels `(x, y)`.
    #[must_use]
    pub fn with_points(self, points: Vec<(f64, f64)>) -> Self {
        Self { points, ..self }
    }

    /// The same action, which could not be carried out.
    #[must_use]
    pub fn with_error(self, error: impl Into<String>) -> Self {
        let error = Some(error.into());
        Self { error, ..self }
    }

    /// The same action, with whether the reply was an action at all.
    #[must_use]
    pub fn with_malformed(self, malformed: bool) -> Self {
        Self { malformed, ..self }
    }
}

/// The result of one reply.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// What was done.
    pub action: ActionRecord,
    /// What the policy sees next; `None` when the episode is over (the policy reported completion).
    pub observation: Option<Observation>,
}

impl Step {
    /// A step that ends the episode.
    pub fn new(action: ActionRecord) -> Self {
        Self {
            action,
            observation: None,
        }
    }

    /// The same step, after which the episode goes on: what the policy sees next.
    #[must_use]
    pub fn with_observation(self, observation: Observation) -> Self {
        let observation = Some(observation);
        Self { observation, ..self }
    }
}

/// Why an episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The policy reported that it is done (or has given up).
    Reported,
    /// The limit of turns was reached.
    MaxTurns,
    /// The limit of tokens in the context was reached.
    MaxTokens,
    /// The limit of time was reached.
    MaxTime,
    /// The episode is given up because of a fault; nothing is validated.
    Fault,
}

/// What is true at the end of an episode: facts, not a reward.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Facts {
    /// The task counts as done: the device's state fulfils every check, and whatever else the environment asks for holds.
    pub verified: bool,
    /// Whether the state alone fulfils every check, where more is asked for; `None` where `verified` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_holds: Option<bool>,
    /// What the policy claimed in its report; `None` when it made none.
    pub claimed: Option<bool>,
    /// What the policy said in its report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// What the episode changed although the task did not ask for it, a line each; `None` where the environment cannot
    /// tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side_effects: Option<Vec<String>>,
    /// Turns taken.
    pub turns: usize,
    /// Replies that could not be carried out.
    pub action_errors: usize,
    /// What was looked at to decide `verified`, in order; empty where an environment does not tell.
    #[serde(default)]
    pub checks: Vec<CheckOutcome>,
    /// Further measurements, by name.
    pub extra: BTreeMap<String, f64>,
}

impl Facts {
    /// Name of what a judge says of the episode, among [`Facts::extra`]: 1 that the task is done, 0 that it is not.
    pub const JUDGE: &str = "judge";

    /// What a judge says of the episode, where one was asked.
    pub fn judged(&self) -> Option<f64> {
        self.extra.get(Self::JUDGE).copied()
    }

    /// Whether the goal was reached; nothing else is known. [`Facts::default`] is a goal that was not reached.
    pub fn new(verified: bool) -> Self {
        Self {
            verified,
            ..Self::default()
        }
    }

    /// The same facts with what the policy claimed.
    #[must_use]
    pub fn with_claimed(self, claimed: bool) -> Self {
        let claimed = Some(claimed);
        Self { claimed, ..self }
    }

    /// The same facts after so many turns.
    #[must_use]
    pub fn with_turns(self, turns: usize) -> Self {
        Self { turns, ..self }
    }

    /// The same facts after so many replies that could not be carried out.
    #[must_use]
    pub fn with_action_errors(self, action_errors: usize) -> Self {
        Self { action_errors, ..self }
    }

    /// The same facts with what was looked at.
    #[must_use]
    pub fn with_checks(self, checks: Vec<CheckOutcome>) -> Self {
        Self { checks, ..self }
    }

    /// The same facts with whether the state alone fulfils the checks.
    #[must_use]
    pub fn with_state_holds(self, state_holds: bool) -> Self {
        let state_holds = Some(state_holds);
        Self { state_holds, ..self }
    }

    /// The same facts with what was changed without being asked for.
    #[must_use]
    pub fn with_side_effects(self, side_effects: Vec<String>) -> Self {
        let side_effects = Some(side_effects);
        Self { side_effects, ..self }
    }

    /// Whether the state of the device fulfils the checks, whatever the policy said.
    pub fn state(&self) -> bool {
        self.state_holds.unwrap_or(self.verified)
    }

    /// The policy claimed success, and the state does not show it.
    pub fn is_false_complete(&self) -> bool {
        self.claimed == Some(true) && !self.state()
    }

    /// The state shows success, and the policy did not claim it.
    pub fn is_unreported(&self) -> bool {
        self.claimed != Some(true) && self.state()
    }

    /// The same facts with one more measurement.
    #[must_use]
    pub fn with_extra(mut self, name: impl Into<String>, value: f64) -> Self {
        self.extra.insert(name.into(), value);
        self
    }
}

/// One thing that decided whether an attempt succeeded: why it failed can be read from these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckOutcome {
    /// What was looked at, e.g. the command that asked the device.
    pub check: String,
    /// What it had to be.
    pub expected: String,
    /// What it was.
    pub found: String,
    /// Whether that is what was expected.
    pub held: bool,
}

impl CheckOutcome {
    /// What was looked at, what it had to be and what it was; it held when they are equal.
    pub fn new(check: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        let (expected, found) = (expected.into(), found.into());
        Self {
            check: check.into(),
            held: expected == found,
            expected,
            found,
        }
    }

    /// The same check where equality of the texts does not decide.
    #[must_use]
    pub fn with_held(self, held: bool) -> Self {
        Self { held, ..self }
    }
}

/// One attempt at one task. Single-use: there is no reset.
///
/// The order of calls is `start`, then `step` any number of times, then `finish` exactly once, also after a fault.
#[async_trait]
pub trait Environment: Send {
    /// Leases the device, sets up the initial state, checks that the goal is not already met, and looks.
    async fn start(&mut self) -> Result<Observation, Fault>;

    /// Carries out one reply of the policy and looks again.
    async fn step(&mut self, reply: &str) -> Result<Step, Fault>;

    /// Validates the device's state (unless `ending` is [`Ending::Fault`]) and releases the device.
    async fn finish(&mut self, ending: Ending) -> Result<Facts, Fault>;
}

/// Makes environments. Any `Fn(&Task) -> Result<Box<dyn Environment>, Fault>` is one.
#[async_trait]
pub trait EnvironmentFactory: Send + Sync {
    /// An environment for one attempt at `task`.
    ///
    /// `slot` numbers the attempts that are collected together; the conversation of this attempt is opened with the
    /// same number ([`Sampler::open`](crate::Sampler::open)). A slot that is tried again keeps its number.
    async fn create(&self, task: &Task, slot: usize) -> Result<Box<dyn Environment>, Fault>;
}

#[async_trait]
impl<F> EnvironmentFactory for F
where
    F: Fn(&Task) -> Result<Box<dyn Environment>, Fault> + Send + Sync,
{
    async fn create(&self, task: &Task, _slot: usize) -> Result<Box<dyn Environment>, Fault> {
        self(task)
    }
}
