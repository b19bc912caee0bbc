//! Configuration of the engine: how many episodes at a time, and what bounds each of them.

use crate::EngineError;
use cua_grpo_core::{SamplingParams, derive_seed};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::time::Duration;

/// How episodes are collected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutConfig {
    /// Environments that may exist at a time.
    pub concurrency: usize,
    /// Upper bound of turns; a task's own bound applies too.
    pub max_turns: usize,
    /// Upper bound of tokens in one conversation, prompts, image pads and replies together.
    pub max_context_tokens: usize,
    /// Upper bound of tokens in one reply.
    pub max_new_tokens: usize,
    /// Pictures that stay when a context is cut back, which it is before it would hold more than twice as many; 0 never cuts.
    /// An episode then has a row for each stretch between two cuts.
    pub keep_screenshots: usize,
    /// Divides the logits; 0 means greedy.
    pub temperature: f32,
    /// Keep the smallest set of tokens whose mass reaches this; 1 keeps all.
    pub top_p: f32,
    /// Keep this many tokens; 0 keeps all.
    pub top_k: usize,
    /// How often a slot is tried again after a fault before it is given up.
    pub max_retries: usize,
    /// Wait before a retry; doubled with each further retry of the slot.
    pub retry_delay: Duration,
    /// Root of all sampling seeds.
    pub seed: u64,
    /// Start every environment of a wave before the first token is asked for, and open sessions in slot order: what
    /// a sampler with reproducible batches needs. Off, each episode goes ahead as soon as its environment is up.
    pub lockstep: bool,
    /// Most time that one step of an environment may take, and its release at the end; `None` waits. An environment that
    /// takes longer is a fault, and its slot is tried again.
    pub turn_timeout: Option<Duration>,
    /// Most time from the first observation on: a policy that has not ended by then is out of time, which is its own
    /// ending. It is looked at between turns and while a reply is drawn, so an episode lasts at most this and one step. An
    /// environment may take as long to start. `None` waits.
    pub episode_timeout: Option<Duration>,
    /// Attempts that a group begins for each episode that it needs, 1 or more. Above 1 a group is whole as soon as enough
    /// of its attempts have ended, and the others are given up: nobody waits for the slowest, and short episodes are seen
    /// more often. Not in lockstep.
    pub oversample: f64,
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self {
            concurrency: 8,
            max_turns: 15,
            max_context_tokens: 8192,
            max_new_tokens: 1024,
            keep_screenshots: 0,
            temperature: 0.7,
            top_p: 0.9,
            top_k: 0,
            max_retries: 2,
            retry_delay: Duration::from_millis(500),
            seed: 42,
            lockstep: false,
            turn_timeout: None,
            episode_timeout: None,
            oversample: 1.0,
        }
    }
}

impl RolloutConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`EngineError::Config`] names the first value that is out of its range.
    pub fn validate(&self) -> Result<(), EngineError> {
        let positive = [
            ("concurrency", self.concurrency),
            ("max_turns", self.max_turns),
            ("max_context_tokens", self.max_context_tokens),
            ("max_new_tokens", self.max_new_tokens),
        ];
        for (name, value) in positive {
            if value == 0 {
                return Err(EngineError::Config {
                    name,
                    expected: "at least 1",
                    got: "0".to_owned(),
                });
            }
        }
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            let got = self.temperature.to_string();
            return Err(EngineError::Config {
                name: "temperature",
                expected: "finite and at least 0",
                got,
            });
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(EngineError::Config {
                name: "top_p",
                expected: "in (0, 1]",
                got: self.top_p.to_string(),
            });
        }
        let oversample = self.oversample;
        let (expected, right) = if self.lockstep {
            ("1 in lockstep", oversample == 1.0)
        } else {
            ("from 1 to 16", (1.0..=16.0).contains(&oversample))
        };
        if !right {
            return Err(EngineError::Config {
                name: "oversample",
                expected,
                got: oversample.to_string(),
            });
        }
        for (name, limit) in [
            ("turn_timeout", self.turn_timeout),
            ("episode_timeout", self.episode_timeout),
        ] {
            if limit == Some(Duration::ZERO) {
                return Err(EngineError::Config {
                    name,
                    expected: "above 0",
                    got: "0".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Attempts that a group of `size` begins.
    pub(crate) fn attempts(&self, size: usize) -> usize {
        // A product that rounding put just above a whole number is that number.
        ((size as f64 * self.oversample - 1e-9).ceil() as usize).max(size)
    }

    /// Turns that an attempt at a task with its own bound `task_turns` may take.
    pub(crate) fn turns(&self, task_turns: Option<NonZeroUsize>) -> usize {
        task_turns.map_or(self.max_turns, |turns| self.max_turns.min(turns.get()))
    }

    /// The temperature at which log-probs are reported: that of sampling, 1 where replies are greedy.
    pub(crate) fn logprob_temperature(&self) -> f32 {
        if self.temperature == 0.0 { 1.0 } else { self.temperature }
    }

    /// Sampling parameters of one call. The seed is made of what the call is for, never of when it happens.
    pub(crate) fn sampling(&self, stream: [u64; 2], play: u64, turn: usize, max_new_tokens: usize) -> SamplingParams {
        let [salt, number] = stream;
        SamplingParams::new(max_new_tokens)
            .with_temperature(self.temperature)
            .with_top_p(self.top_p)
            .with_top_k(self.top_k)
            .with_seed(derive_seed(&[self.seed, salt, number, play, turn as u64]))
    }
}

/// How tasks are cut into batches, one for each update. The random stream of an attempt follows from this, its task's
/// cursor and its number in the group: the same whether the group is collected with others or comes out of a stream.
///
/// The stream of the attempt `a` at the task `c` is numbered by the batch that `c` falls into, from 1, and by the place
/// in it, `(c mod groups) * group_size + a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batches {
    /// Groups of a batch.
    pub groups: usize,
    /// Episodes of a group.
    pub group_size: usize,
}

impl Batches {
    /// Episodes of a batch.
    pub fn episodes(&self) -> usize {
        self.groups * self.group_size
    }

    /// The random stream of an attempt. Attempts beyond the group's size come after all others.
    pub(crate) fn stream(&self, cursor: u64, attempt: u64) -> [u64; 2] {
        let (groups, size) = (self.groups.max(1) as u64, self.group_size as u64);
        let place = cursor % groups;
        let number = match attempt.checked_sub(size) {
            None => place * size + attempt,
            Some(beyond) => groups * size + beyond * groups + place,
        };
        [cursor / groups + 1, number]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn attempts_of_all_tasks_have_streams_of_their_own() {
        let batches = Batches {
            groups: 3,
            group_size: 4,
        };
        assert_eq!(batches.stream(0, 0), [1, 0]);
        assert_eq!(batches.stream(7, 2), [3, 6], "the second task of the third batch");
        let all = (0..12).flat_map(|cursor| (0..9).map(move |attempt| batches.stream(cursor, attempt)));
        assert_eq!(all.collect::<BTreeSet<_>>().len(), 12 * 9);
    }

    #[test]
    fn a_group_begins_as_many_attempts_as_the_factor_says() {
        let attempts = |oversample, size| {
            RolloutConfig {
                oversample,
                ..RolloutConfig::default()
            }
            .attempts(size)
        };
        assert_eq!([attempts(1.0, 4), attempts(1.25, 4), attempts(1.1, 10)], [4, 5, 11]);
        assert_eq!([attempts(1.01, 4), attempts(2.0, 3)], [5, 6]);
    }
}
/// How a stream runs ahead of whoever trains on its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamConfig {
    /// Groups of a batch, and their size.
    pub batches: Batches,
    /// How many steps may be made between the beginning of a group and the step that trains on it.
    pub max_staleness: u64,
    /// Batches that will be taken in all; nothing is begun for more.
    pub steps: u64,
}
