//! Policy losses: one file for each family, behind `policy_loss`. The choice of a loss is plain numbers; what computes
//! it is behind the feature `burn`.

mod config;
pub use config::{KlEstimator, LossConfig, LossKind, RatioLevel};

#[cfg(feature = "burn")]
mod aggregate;
#[cfg(feature = "burn")]
mod cispo;
#[cfg(feature = "burn")]
mod clipped;
#[cfg(feature = "burn")]
mod inputs;
#[cfg(feature = "burn")]
mod kl;
#[cfg(feature = "burn")]
mod policy;
#[cfg(feature = "burn")]
mod proximal;
#[cfg(feature = "burn")]
mod ratio;
#[cfg(feature = "burn")]
mod reject;
#[cfg(feature = "burn")]
mod sapo;
#[cfg(feature = "burn")]
mod stats;
#[cfg(feature = "burn")]
mod vespo;
#[cfg(feature = "burn")]
mod weights;

#[cfg(feature = "burn")]
pub use self::{
    aggregate::aggregate,
    inputs::LossInputs,
    kl::{k1, k2, k3},
    policy::{LossOutput, policy_loss},
    stats::{LossStats, StatSums},
    vespo::vespo_phi,
    weights::batch_normalised,
};
