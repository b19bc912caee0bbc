//! LoRA adapters in PEFT's form: configuration, targets, initialisation, files.

mod attach;
mod config;
mod files;
mod keys;
mod pattern;
mod resolve;
mod targets;

pub use attach::attach;
pub use config::{LoraConfig, OneOrMany, Ranks};
pub use files::{load_adapter, read_config, save_adapter};
pub use pattern::{Patterns, Regex};
pub use resolve::{Adapted, resolve};
pub use targets::{Targets, matched_modules};
