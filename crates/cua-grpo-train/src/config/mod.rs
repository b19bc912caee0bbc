//! Configuration: what a run is made of, from a file, the environment and the command line.

#[macro_use]
mod keys;
mod adapter;
mod alias_table;
mod aliases;
mod bounds;
mod changes;
mod choices;
mod commands;
mod correction;
mod dotenv;
mod environment;
mod error;
mod hosts;
mod idle;
mod layer;
mod load;
mod loss;
mod loss_rules;
mod origin;
mod parts;
mod reward_weights;
mod rules;
mod sft;
#[cfg(test)]
mod tests;
mod train;
mod validate;
mod variables;
mod yaml;

pub use aliases::foreign_keys;
pub use bounds::{ANY, Bounds, above, at_least};
pub use changes::{Change, changes};
pub use choices::{RewardAggregation, RewardKind};
pub use correction::{CorrectionMode, RejectionMode};
pub use cua_grpo_algo::Decay;
pub use cua_grpo_android::tasks::InstanceSplit;
pub use cua_grpo_android::{PhoneKind, PromptStyle, SuccessRequires, TargetStyle};
pub use cua_grpo_core::Secret;
pub use cua_grpo_model::checkpoint::WeightDtype;
pub use cua_grpo_model::generate::OnUpdate;
pub use cua_grpo_model::placement::DeviceSpec;
pub use dotenv::Dotenv;
pub use environment::Environment;
pub use error::ConfigError;
pub use keys::{Configuration, Key, Resume, Setting};
pub use layer::{Flag, Layer};
pub use load::{
    Resolved, Sources, is_cut, load, load_process, read_yaml, resolve, resolve_over, resolve_process, to_yaml,
};
pub use origin::{Origin, OriginKind, Variable, dotenv, process_variables};
pub use reward_weights::RewardWeights;
pub use sft::SftConfig;
pub use train::{STARTER, TrainConfig};
