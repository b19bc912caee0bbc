//! Qwen3-VL with LoRA on Burn tensors: model, processor, chat template, checkpoints, generation engine.
//!
//! - [`Qwen3Vl`] is both towers with named access to every weight; weights are constants unless made trainable.
//! - [`processor`] turns messages and pictures into tokens and patches.
//! - [`checkpoint`] and [`lora`] read and write the files of transformers and PEFT.
//! - [`placement`] says what runs where; [`memory`] what a run needs, from sizes alone.
//! - `hub` (feature of that name) fetches models from the Hugging Face Hub.
//! - [`plain_text`] reads text files as editors save them.
//! - [`generate`] samples for many conversations at once; [`score`] gives log-probs with a gradient.
//! - [`Policy`] (`policy.rs`) is the only file that ties the model to the seams of `cua-grpo-core`.

pub mod batch;
pub mod blocks;
pub mod checkpoint;
mod config;
mod error;
pub mod generate;
#[cfg(feature = "hub")]
pub mod hub;
pub mod lora;
pub mod memory;
mod model;
pub mod nn;
pub mod placement;
pub mod plain_text;
mod policy;
pub mod processor;
pub mod score;
pub mod text;
pub mod vision;

pub use config::{
    Family, HybridConfig, ModelConfig, MoeConfig, PRESETS, ParameterCount, RopeScaling, TextConfig, VisionConfig,
};
pub use error::ModelError;
pub use model::{Qwen3Vl, Trainable};
pub use policy::Policy;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
