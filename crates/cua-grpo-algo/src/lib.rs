//! Advantages, losses and corrections: short pure files over numbers and tensors.
//!
//! Numbers that decide what is learnt are computed here and nowhere else. Rewards and advantages are host numbers;
//! losses take log-probs as Burn tensors `[rows, time]` and give a scalar with a gradient.
//!
//! | file | subject |
//! |---|---|
//! | `advantage.rs` | rewards of groups into advantages; flat groups are filtered |
//! | `loss/` | one file for each family of policy losses, behind one function, `policy_loss` |
//! | `loss/kl.rs` | estimators of the divergence from the reference |
//! | `aggregation.rs` | how the losses of tokens become one number, exact under gradient accumulation |
//! | `correction.rs` | importance weights between the sampler and the learner |
//! | `loss/stats.rs` | ratio, clip fraction and the like, summed on the device and read once |
//! | `adamw/` | the update: one flat tensor, clipping, AdamW |
//! | `schedule.rs` | the learning rate |
//! | `staleness.rs` | how far rollouts may run ahead of training |
//!
//! # Features
//!
//! `burn` (default): everything that takes or gives a tensor, which stands in `loss/` and `adamw/` only. Without it
//! there are advantages, schedules, staleness and the constants of losses, and Burn is not compiled.

mod adamw;
mod advantage;
mod aggregation;
mod correction;
mod error;
mod loss;
mod schedule;
mod staleness;
#[cfg(feature = "burn")]
mod tensor;

pub use adamw::{AdamWConfig, AdamWState, Moments};
pub use advantage::{AdvantageConfig, AdvantageScale, advantages};
pub use aggregation::{Aggregation, Totals};
pub use correction::{Correction, CorrectionAction, CorrectionLevel};
pub use error::AlgoError;
pub use loss::{LossConfig, LossKind, RatioLevel};
pub use schedule::{Decay, Schedule};
pub use staleness::{StalenessLimit, capacity};

#[cfg(feature = "burn")]
pub use self::{
    adamw::{AdamW, FlatLayout, clip_grad_norm},
    loss::{LossInputs, LossOutput, LossStats, StatSums, aggregate, k1, k2, k3, policy_loss},
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
