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
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self {
            concurrency: 8,
            max_turns: 15,
            max_context_tokens: 8192,
            max_new_tokens: 1024,
            temperature: 0.7,
            top_p: 0.9,
            top_k: 0,
            max_retries: 2,
            retry_delay: Duration::from_millis(500),
            seed: 42,
            lockstep: false,
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
        Ok(())
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
    pub(crate) fn sampling(&self, call: SeedPath, max_new_tokens: usize) -> SamplingParams {
        let SeedPath { salt, slot, play, turn } = call;
        SamplingParams::new(max_new_tokens)
            .with_temperature(self.temperature)
            .with_top_p(self.top_p)
            .with_top_k(self.top_k)
            .with_seed(derive_seed(&[self.seed, salt, slot as u64, play, turn as u64]))
    }
}

/// What one sampling call is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeedPath {
    /// The collection, e.g. the training step.
    pub salt: u64,
    /// Number of the slot in the collection.
    pub slot: usize,
    /// How many earlier attempts of this slot were lost after their environment had started.
    pub play: u64,
    /// Number of the turn.
    pub turn: usize,
}
