//! Advantages, losses and corrections: short pure files over numbers and tensors.
//!
//! Numbers that decide what is learnt are computed here and nowhere else. Rewards and advantages are host numbers;
//! losses take log-probs as Burn tensors `[rows, time]` and give a scalar with a gradient.
//!
//! | file | subject |
//! |---|---|
//! | `advantage.rs` | rewards of groups into advantages; flat groups are filtered |
//! | `several.rs` | several reward functions: weighted sums, GDPO |
//! | `credit.rs` | an advantage for each turn: discounted returns, GiGPO |
//! | `whiten.rs` | advantages of tokens scaled once more over the batch |
//! | `curriculum.rs` | which kinds of tasks are drawn less often |
//! | `positives.rs` | which successes of the past join groups without one |
//! | `overlong.rs`, `shortest_path.rs` | shaping of rewards: replies cut off, successes that took long |
//! | `selective.rs` | which tokens enter the surrogate: M2PO, high entropy |
//! | `proximal.rs` | the proximal policy without a forward pass |
//! | `loss/` | one file for each family of policy losses, behind one function, `policy_loss` |
//! | `loss/kl.rs` | estimators of the divergence from the reference |
//! | `aggregation.rs` | how the losses of tokens become one number, exact under gradient accumulation |
//! | `correction.rs` | importance weights between the sampler and the learner, and what is left out |
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
mod credit;
mod curriculum;
mod error;
mod loss;
mod overlong;
mod positives;
mod proximal;
mod schedule;
mod selective;
mod several;
mod shortest_path;
mod staleness;
#[cfg(feature = "burn")]
mod tensor;
mod whiten;

pub use adamw::{AdamWConfig, AdamWState, Moments};
pub use advantage::{AdvantageConfig, AdvantageScale, advantages, advantages_f64};
pub use aggregation::{Aggregation, Totals};
pub use correction::{Correction, CorrectionAction, CorrectionLevel, Rejection, RejectionLevel, RejectionMetric};
pub use credit::{Attempt, StepCredit, discounted_advantages, discounted_returns, gigpo_advantages};
pub use curriculum::{CurriculumConfig, Standing, Streak};
pub use error::AlgoError;
pub use loss::{KlEstimator, LossConfig, LossKind, RatioLevel};
pub use overlong::overlong_penalty;
pub use positives::{Positive, Positives, PositivesConfig};
pub use proximal::{Proximal, proximal_share};
pub use schedule::{Decay, Schedule};
pub use selective::{high_entropy_keep, m2po_keep};
pub use several::{gdpo, weighted_sum};
pub use shortest_path::shortest_path;
pub use staleness::{StalenessLimit, capacity};
pub use whiten::whiten;

#[cfg(feature = "burn")]
pub use self::{
    adamw::{AdamW, FlatLayout, clip_grad_norm},
    loss::{
        LossInputs, LossOutput, LossStats, StatSums, aggregate, batch_normalised, k1, k2, k3, policy_loss, vespo_phi,
    },
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
