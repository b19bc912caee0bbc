//! Configuration: what a run is made of, from a file, the environment and the command line.

#[macro_use]
mod keys;
mod adapter;
mod changes;
mod choices;
mod error;
mod layer;
mod load;
mod sft;
#[cfg(test)]
mod tests;
mod train;
mod validate;

pub use changes::{Change, changes};
pub use choices::{DeviceSpec, Dtype, LossType, LrScheduler, PromptStyle, RewardKind, ScaleRewards, Secret, Target};
pub use error::ConfigError;
pub use keys::{Configuration, Key, Resume, Setting};
pub use layer::{Flag, Layer};
pub use load::{Resolved, Sources, load, load_process, read_yaml, resolve, to_yaml};
pub use sft::SftConfig;
pub use train::TrainConfig;
