//! GRPO training as a library: what learns, what is kept of it, and what a run folder holds.

pub mod adapter;
pub mod batching;
pub mod checkpoint;
pub mod compare;
pub mod config;
pub mod curriculum;
pub mod episodes;
pub mod error;
pub mod eval;
pub mod faults;
pub mod files;
pub mod imitate;
pub mod instances;
pub mod interval;
mod known;
pub mod layout;
pub mod learner;
pub mod learner_thread;
pub mod measured;
pub mod metrics;
mod parity;
pub mod provenance;
pub mod publish;
pub mod resume;
pub mod reward;
pub mod run;
pub mod run_dir;
mod selection;
pub mod shell;
pub mod sink;
pub mod step;
pub mod summary;
pub mod tolerate;

pub use error::{Mendable, TrainError};
