//! The update: AdamW over one flat tensor (feature `burn`), and its constants.

mod config;
#[cfg(feature = "burn")]
mod flat;
#[cfg(feature = "burn")]
mod update;

pub use config::{AdamWConfig, AdamWState, Moments};
#[cfg(feature = "burn")]
pub use flat::FlatLayout;
#[cfg(feature = "burn")]
pub use update::{AdamW, clip_grad_norm};
