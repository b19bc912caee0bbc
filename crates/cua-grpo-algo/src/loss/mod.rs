//! Policy losses: one file a family, behind [`policy_loss`].

mod cispo;
mod clipped;
mod config;
mod inputs;
mod policy;
mod ratio;
mod sapo;
mod vespo;

pub use config::{LossConfig, LossKind, RatioLevel};
pub use inputs::LossInputs;
pub use policy::{LossOutput, policy_loss};
