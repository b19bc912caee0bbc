//! The record of a step, and the lines of its `step.jsonl`.

use crate::faults::FaultFigures;
use crate::provenance::Base;
use cua_grpo_core::{ActionRecord, Ending, Facts, Fault, Group, StopReason, Task};
use cua_grpo_rollout::RolloutStats;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// Version of the format.
pub(super) const FORMAT: u32 = 2;
/// Versions that are read: 1 has one row for each episode.
pub(super) const READ: std::ops::RangeInclusive<u32> = 1..=FORMAT;
/// Name of the lines.
pub(super) const LINES: &str = "step.jsonl";
/// Name of the tensors.
pub(super) const ROWS: &str = "rows.safetensors";
/// What stands before the hash in the name of a picture.
pub(super) const PICTURE: &str = "picture.";

/// What a step was trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    /// The step, and what its groups cost.
    pub head: Head,
    /// Cursors of the tasks, one for each group.
    pub cursors: Vec<u64>,
    /// The groups as they were taken, before any was left out.
    pub groups: Arc<Vec<Group>>,
}

/// A step without its groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Version of the format.
    pub format: u32,
    /// Number of the step, from 1.
    pub step: usize,
    /// Version of the policy before its updates.
    pub version: u64,
    /// The base model, whose tokenizer and processor made the rows.
    pub base: Base,
    /// Groups of the step.
    pub groups: usize,
    /// Groups that stand in for flat ones.
    pub refilled: usize,
    /// What the rollout cost. (The sum of the kept mass is exact in the tensors alone.)
    pub stats: RolloutStats,
    /// What was lost.
    pub losses: FaultFigures,
}

impl Head {
    /// The step number `step`, which the policy of `version` on `base` was trained by.
    pub fn new(step: usize, version: u64, base: Base) -> Self {
        Self {
            format: FORMAT,
            step,
            version,
            base,
            groups: 0,
            refilled: 0,
            stats: RolloutStats::default(),
            losses: FaultFigures::default(),
        }
    }
}

/// A line of `step.jsonl`.
#[allow(clippy::large_enum_variant, reason = "one at a time, on its way to or from a file")]
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Line {
    /// The first line.
    Step(Head),
    /// A group, whose episodes follow.
    Group(GroupLine),
    /// An episode.
    Episode(EpisodeLine),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GroupLine {
    /// Cursor of the task.
    pub cursor: u64,
    pub task: Task,
    pub faults: Vec<Fault>,
    /// Episodes that follow.
    pub episodes: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EpisodeLine {
    pub attempt: u64,
    pub ending: Ending,
    pub facts: Facts,
    pub reward: f32,
    pub temperature: f32,
    /// Tokens of the first row.
    pub tokens: usize,
    pub turns: Vec<TurnLine>,
    /// Hashes of the first row's pictures, in order.
    pub pictures: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later_rows: Vec<RowLine>,
    pub last_screenshot: Option<String>,
    pub seconds: f64,
}

/// A row after the first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RowLine {
    pub tokens: usize,
    /// Hashes of its pictures, in order.
    pub pictures: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TurnLine {
    pub screenshot: Option<String>,
    pub state: Option<u64>,
    pub reply: String,
    pub action: ActionRecord,
    /// Number of the row in which its tokens stand.
    #[serde(default, skip_serializing_if = "crate::episodes::is_first")]
    pub row: usize,
    pub tokens: Range<usize>,
    pub stop: StopReason,
}
