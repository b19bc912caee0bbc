//! LoRA adapters in PEFT's form: targets, initialisation, files.

mod attach;
mod files;
mod targets;

pub use attach::{LoraConfig, attach};
pub use files::{load_adapter, save_adapter};
pub use targets::{Targets, matched_modules};
