//! The parts of the trainer, as a library so that its tests and other binaries can use them.

pub mod assemble;
pub mod batching;
pub mod checkpoint;
pub mod cli;
pub mod commands;
pub mod config;
pub mod conversation;
pub mod error;
pub mod eval;
pub mod hub;
pub mod interrupt;
pub mod learner;
pub mod metrics;
pub mod output;
pub mod plan;
pub mod progress;
pub mod report;
pub mod resume;
pub mod reward;
pub mod run;
pub mod run_dir;
pub mod sft;
pub mod step;
pub mod tolerate;
pub mod world;
