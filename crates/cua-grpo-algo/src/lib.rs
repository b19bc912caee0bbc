//! Advantages, losses and corrections: short pure files over numbers and tensors.
//!
//! Numbers that decide what is learnt are computed here and nowhere else. Rewards and advantages are host numbers;
//! losses take log-probs as Burn tensors `[rows, time]` and give a scalar with a gradient.
//!
//! | file | subject |
//! |---|---|
//! | `advantage.rs` | rewards of groups into advantages; flat groups are filtered |
//! | `loss/` | one file a family of policy losses, behind one function, [`policy_loss`] |
//! | `kl.rs` | estimators of the divergence from the reference |
//! | `aggregate.rs` | how a loss a token becomes one number, exact under gradient accumulation |
//! | `correction.rs` | importance weights between the sampler and the learner |
//! | `stats.rs` | ratio, clip fraction and the like, summed on the device and read once |
//! | `flat.rs`, `adamw.rs`, `schedule.rs` | the update: one flat tensor, clipping, AdamW, learning rate |
//! | `staleness.rs` | how far rollouts may run ahead of training |

mod adamw;
mod advantage;
mod aggregate;
mod correction;
mod error;
mod flat;
mod kl;
mod loss;
mod masked;
mod schedule;
mod staleness;
mod stats;

pub use adamw::{AdamW, AdamWConfig, AdamWState, Moments, clip_grad_norm};
pub use advantage::{AdvantageConfig, AdvantageScale, advantages};
pub use aggregate::{Aggregation, Totals, aggregate};
pub use correction::{Correction, CorrectionAction, CorrectionLevel};
pub use error::AlgoError;
pub use flat::FlatLayout;
pub use kl::{k1, k2, k3};
pub use loss::{LossConfig, LossInputs, LossKind, LossOutput, RatioLevel, policy_loss};
pub use schedule::{Decay, Schedule};
pub use staleness::{StalenessLimit, capacity};
pub use stats::{LossStats, StatSums};
