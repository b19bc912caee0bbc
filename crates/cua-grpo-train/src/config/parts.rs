//! What a configuration means to the parts of a run: adapter, optimiser, schedule, rollouts.

use super::validate::Checker;
use super::{ConfigError, TrainConfig};
use cua_grpo_algo::{AdamWConfig, CurriculumConfig, PositivesConfig, Schedule};
use cua_grpo_model::generate::{Batching, OnUpdate};
use cua_grpo_model::lora::{LoraConfig, OneOrMany, Targets};
use cua_grpo_model::placement::Placement;
use cua_grpo_model::processor::PixelLimits;
use cua_grpo_rollout::{Batches, RolloutConfig};
use std::time::Duration;

impl TrainConfig {
    /// Most tokens of an episode's context.
    pub fn context_limit(&self) -> usize {
        self.max_context_tokens
            .unwrap_or(self.max_seq_length)
            .min(self.max_seq_length)
    }

    /// Whether the simulated phone inside this process is used.
    pub fn simulated(&self) -> bool {
        self.gbox_base_url == "sim"
    }

    /// The adapter that the configuration asks for.
    pub fn lora(&self) -> LoraConfig {
        let layers = &self.lora_layers_to_transform;
        let before = &self.lora_layers_pattern;
        let exclude = &self.lora_exclude_modules;
        LoraConfig {
            r: self.lora_r,
            lora_alpha: self.lora_alpha,
            use_rslora: self.use_rslora,
            lora_dropout: self.lora_dropout,
            target_modules: self.lora_target_modules.clone(),
            exclude_modules: (*exclude != Targets::Names(Vec::new())).then(|| exclude.clone()),
            layers_to_transform: (!layers.is_empty()).then(|| OneOrMany::Many(layers.clone())),
            layers_pattern: (!before.is_empty()).then(|| OneOrMany::Many(before.clone())),
            rank_pattern: self.lora_rank_pattern.clone(),
            alpha_pattern: self.lora_alpha_pattern.clone(),
        }
    }

    /// What is asked of the size of pictures.
    pub fn pixels(&self) -> PixelLimits {
        PixelLimits {
            min_pixels: self.min_pixels,
            max_pixels: self.max_pixels,
        }
    }

    /// Which tasks are drawn less often.
    pub fn curriculum(&self) -> CurriculumConfig {
        CurriculumConfig {
            failures: self.curriculum_failures,
            solved: self.curriculum_solved,
        }
    }

    /// Which successes are kept for groups without one.
    pub fn positives(&self) -> PositivesConfig {
        PositivesConfig {
            most: self.positive_replay,
            max_age: self.positive_replay_age as u64,
        }
    }

    /// The optimiser of the adapter.
    pub fn adamw(&self) -> AdamWConfig {
        AdamWConfig {
            beta1: self.adam_beta1,
            beta2: self.adam_beta2,
            epsilon: self.adam_epsilon,
            weight_decay: self.weight_decay,
        }
    }

    /// How training episodes are sampled.
    pub fn rollout(&self) -> RolloutConfig {
        RolloutConfig {
            concurrency: self.concurrency,
            max_turns: self.max_turns,
            max_context_tokens: self.context_limit(),
            keep_screenshots: self.keep_screenshots,
            max_new_tokens: self.max_new_tokens,
            temperature: self.temperature as f32,
            top_p: self.top_p as f32,
            top_k: self.top_k,
            max_retries: self.max_retries,
            seed: self.seed,
            lockstep: self.lockstep,
            turn_timeout: self.turn_timeout.map(Duration::from_secs_f64),
            episode_timeout: self.episode_timeout.map(Duration::from_secs_f64),
            oversample: self.oversample,
            ..Default::default()
        }
    }

    /// Where the model is wanted, and in what form.
    pub fn placement(&self) -> Placement {
        Placement {
            device: self.device,
            dtype: self.dtype,
            four_bits: self.load_in_4bit,
        }
    }

    /// That nothing is asked of lockstep that it cannot give.
    pub(super) fn check_pace(&self, check: &Checker) -> Result<(), ConfigError> {
        let curriculum = self.curriculum_failures.is_some() || self.curriculum_solved.is_some();
        check.require(
            !curriculum || self.max_staleness == 0,
            "max_staleness",
            self.max_staleness,
            "0 with curriculum_failures or curriculum_solved: what they draw follows from the steps before",
        )?;
        check.require(
            !self.lockstep || self.max_staleness == 0,
            "max_staleness",
            self.max_staleness,
            "0 with `lockstep: true`, which waits for all episodes of a step; set lockstep to false",
        )?;
        check.require(
            !self.lockstep || self.oversample == 1.0,
            "oversample",
            self.oversample,
            "1 with `lockstep: true`, which waits for all episodes of a step; set lockstep to false",
        )
    }

    /// When conversations draw tokens, and what an update means to their replies.
    pub fn batching(&self) -> (Batching, OnUpdate) {
        let batching = if self.lockstep {
            Batching::Lockstep
        } else {
            Batching::Eager
        };
        (batching, self.on_update)
    }

    /// The groups of a step, and their size.
    pub fn batches(&self) -> Batches {
        Batches {
            groups: self.batch_size * self.gradient_accumulation_steps,
            group_size: self.num_rollouts,
        }
    }

    /// The learning rate of each step.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            base: self.learning_rate,
            warmup_steps: self.warmup_steps as u64,
            max_steps: self.max_steps as u64,
            decay: self.lr_scheduler,
            final_fraction: if self.learning_rate > 0.0 {
                self.min_learning_rate / self.learning_rate
            } else {
                0.0
            },
        }
    }
}
