//! The parts of the trainer, as a library so that its tests and other binaries can use them.

pub mod cli;
pub mod config;
pub mod error;
pub mod metrics;
pub mod progress;
pub mod report;
pub mod resume;
