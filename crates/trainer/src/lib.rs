//! The parts of the trainer, as a library so that its tests and other binaries can use them.

pub mod assemble;
pub mod cli;
pub mod commands;
pub mod error;
pub mod hint;
pub mod hub;
pub mod interrupt;
pub mod model_folder;
pub mod output;
pub mod pay;
pub mod plan;
pub mod progress;
pub mod refresh;
pub mod sft;
pub mod start;
pub mod world;
