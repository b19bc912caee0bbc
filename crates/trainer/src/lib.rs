//! The parts of the trainer, as a library so that its tests and other binaries can use them.

pub mod batching;
pub mod cli;
pub mod config;
pub mod error;
pub mod eval;
pub mod learner;
pub mod metrics;
pub mod progress;
pub mod report;
pub mod resume;
pub mod sft;
pub mod world;
