//! How episodes ended, and what they did beside their tasks.

use serde::{Deserialize, Serialize};

/// How episodes ended and what became of their replies. Faults are not among them: a fault is no episode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behaviour {
    /// Episodes that the policy ended by a report.
    pub ended_reported: usize,
    /// Episodes that ran out of turns.
    pub ended_max_turns: usize,
    /// Episodes whose context was full.
    pub ended_max_tokens: usize,
    /// Episodes that ran out of time; absent in files of older versions.
    #[serde(default)]
    pub ended_max_time: usize,
    /// Replies of all episodes.
    pub replies: usize,
    /// Replies that are no action in the grammar.
    pub replies_malformed: usize,
    /// Well-formed replies that could not be carried out, e.g. because the target is not on the screen.
    pub replies_refused: usize,
    /// Replies cut off before the policy stopped, by `max_new_tokens` or a full context.
    pub replies_truncated: usize,
}

/// What episodes did beside their tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Conduct {
    /// Episodes that claimed success which the state does not show.
    pub false_completes: usize,
    /// Episodes whose state shows success and that did not claim it.
    pub unreported_successes: usize,
    /// Episodes that changed something the task did not ask for; null where no environment could tell.
    pub side_effects: Option<usize>,
    /// Episodes whose environment could tell.
    pub side_effects_known: usize,
    /// Mean of an episode's turns over those of an expert, of the solved ones where they are known; null without any.
    pub turns_over_expert: Option<f64>,
    /// Episodes of which a judge has said whether their task is done; this and the next two are left out without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<usize>,
    /// Share of them of which it says what the state shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_agreement: Option<f64>,
    /// Those that it takes for done and whose state shows otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_false_successes: Option<usize>,
}
