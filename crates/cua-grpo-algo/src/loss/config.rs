//! Which loss, and its constants.

use crate::{Aggregation, AlgoError, Correction, CorrectionLevel, Rejection};
use serde::{Deserialize, Serialize};

/// The loss. Each is a surrogate a token, a level of the ratio, and an aggregation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Clipped ratio a token, mean over rows of the mean over tokens (DeepSeekMath).
    #[default]
    Grpo,
    /// Clipped ratio a token, mean over the tokens of the micro-batch.
    Bnpo,
    /// Clipped ratio a token, a constant denominator: no length bias (Dr. GRPO).
    DrGrpo,
    /// Clipped ratio a token, mean over the tokens of the optimiser step (DAPO).
    Dapo,
    /// Clipped ratio a row (geometric mean), mean over rows (GSPO).
    Gspo,
    /// Clipped ratio a row, weighted by the length of the row (LUSPO).
    Luspo,
    /// Log-prob weighted by a capped ratio without gradient (CISPO, MiniMax-M1).
    Cispo,
    /// A soft gate in place of the clip (SAPO).
    Sapo,
    /// Log-prob weighted by a gamma-shaped function of the row's whole weight (VESPO).
    Vespo,
}

/// Which estimator of the divergence from the reference is taken; `loss/kl.rs` has the formulas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    /// `l - f`.
    K1,
    /// `(l - f)^2 / 2`.
    K2,
    /// `exp(f - l) - (f - l) - 1`.
    #[default]
    K3,
}

impl KlEstimator {
    /// Every estimator.
    pub const ALL: [Self; 3] = [Self::K1, Self::K2, Self::K3];

    /// The estimate of one token, from its log-probs under the policy and the reference.
    pub fn of(self, logprob: f64, reference: f64) -> f64 {
        let difference = logprob - reference;
        match self {
            Self::K1 => difference,
            Self::K2 => difference * difference / 2.0,
            Self::K3 => {
                let back = (-difference).clamp(-20.0, 20.0);
                back.exp() - back - 1.0
            }
        }
    }
}

/// What one ratio is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RatioLevel {
    /// Each token: `exp(l - o)`.
    Token,
    /// A row: `exp(mean_t (l - o))`, the geometric mean of its tokens' ratios.
    Sequence,
}

impl LossKind {
    /// Every loss.
    pub const ALL: [Self; 9] = [
        Self::Grpo,
        Self::Bnpo,
        Self::DrGrpo,
        Self::Dapo,
        Self::Gspo,
        Self::Luspo,
        Self::Cispo,
        Self::Sapo,
        Self::Vespo,
    ];

    /// What one ratio is for.
    pub fn ratio_level(self) -> RatioLevel {
        match self {
            Self::Gspo | Self::Luspo => RatioLevel::Sequence,
            Self::Grpo | Self::Bnpo | Self::DrGrpo | Self::Dapo | Self::Cispo | Self::Sapo | Self::Vespo => {
                RatioLevel::Token
            }
        }
    }

    /// How a loss a token becomes one number.
    pub fn aggregation(self) -> Aggregation {
        match self {
            Self::Grpo | Self::Gspo | Self::Sapo => Aggregation::SequenceMean,
            Self::Bnpo => Aggregation::MicroBatchTokenMean,
            Self::DrGrpo => Aggregation::Constant,
            Self::Dapo | Self::Cispo | Self::Vespo => Aggregation::TokenMean,
            Self::Luspo => Aggregation::SequenceSum,
        }
    }
}

/// The loss and its constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// The loss.
    pub kind: LossKind,
    /// The ratio is clipped below `1 - epsilon`.
    pub epsilon: f64,
    /// The ratio is clipped above `1 + epsilon_high`; `epsilon` when absent.
    pub epsilon_high: Option<f64>,
    /// Cap of the ratio in the unclipped branch (two-sided clipping); for negative advantages it bounds the loss.
    pub delta: Option<f64>,
    /// Bound of the loss a token as a multiple of `|advantage|` (dual clip).
    pub dual_clip: Option<f64>,
    /// Weight of the divergence from the reference. 0 needs no reference.
    pub beta: f64,
    /// How the divergence is estimated.
    pub kl: KlEstimator,
    /// Multiplies the divergence by the ratio, which makes it unbiased off policy.
    pub kl_times_ratio: bool,
    /// Importance weights between sampler and learner.
    pub correction: Option<Correction>,
    /// Tokens or rows that are left out because sampler and learner disagree about them.
    pub rejection: Option<Rejection>,
    /// Weight of the mean entropy, which is subtracted from the loss. 0 needs no entropies.
    pub entropy_coef: f64,
    /// How the losses of tokens become one number, where that is not what the loss says.
    pub aggregation: Option<Aggregation>,
    /// Rows with a negative advantage are left out when `mean_t (s - l)`, how much less likely they have become, is
    /// above this (off-policy sequence masking).
    pub off_policy_threshold: Option<f64>,
    /// Cap of the ratio in CISPO (the cap itself, not an excess over 1).
    pub cispo_cap: f64,
    /// Temperature of SAPO's gate where the advantage is positive.
    pub sapo_tau_positive: f64,
    /// Temperature of SAPO's gate elsewhere.
    pub sapo_tau_negative: f64,
    /// VESPO's exponent of a row's whole weight where the advantage is at least 0.
    pub vespo_k_positive: f64,
    /// VESPO's damping of a row's whole weight where the advantage is at least 0.
    pub vespo_lambda_positive: f64,
    /// VESPO's exponent elsewhere.
    pub vespo_k_negative: f64,
    /// VESPO's damping elsewhere.
    pub vespo_lambda_negative: f64,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            kind: LossKind::Grpo,
            epsilon: 0.2,
            epsilon_high: None,
            delta: None,
            dual_clip: None,
            beta: 0.0,
            kl: KlEstimator::K3,
            kl_times_ratio: false,
            correction: None,
            rejection: None,
            entropy_coef: 0.0,
            aggregation: None,
            off_policy_threshold: None,
            cispo_cap: 5.0,
            sapo_tau_positive: 1.0,
            sapo_tau_negative: 1.05,
            vespo_k_positive: 2.0,
            vespo_lambda_positive: 3.0,
            vespo_k_negative: 3.0,
            vespo_lambda_negative: 2.0,
        }
    }
}

impl LossConfig {
    /// The default constants with another loss.
    pub fn new(kind: LossKind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// How the losses of tokens become one number.
    pub fn aggregation(&self) -> Aggregation {
        self.aggregation.unwrap_or_else(|| self.kind.aggregation())
    }

    /// The upper clip range.
    pub fn high(&self) -> f64 {
        self.epsilon_high.unwrap_or(self.epsilon)
    }

    /// Beyond which ratios a token counts as clipped in the statistics: `(low, high)`, infinite where the loss does not
    /// cut on that side. Every loss says its own; a loss without a clip has none.
    pub fn clip_bounds(&self) -> (f64, f64) {
        match self.kind {
            LossKind::Grpo | LossKind::Bnpo | LossKind::DrGrpo | LossKind::Dapo | LossKind::Gspo | LossKind::Luspo => {
                (1.0 - self.epsilon, 1.0 + self.high())
            }
            LossKind::Cispo => (f64::NEG_INFINITY, self.cispo_cap),
            LossKind::Sapo | LossKind::Vespo => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`AlgoError::Value`] names the first constant that is out of its range.
    pub fn validate(&self) -> Result<(), AlgoError> {
        let refuse = |what, got: String| {
            Err(AlgoError::Value {
                operation: "loss config",
                what,
                got,
            })
        };
        if !(self.epsilon > 0.0 && self.epsilon <= 1.0) {
            return refuse("epsilon in (0, 1]", self.epsilon.to_string());
        }
        if !(self.high() > 0.0 && self.high().is_finite()) {
            return refuse("epsilon_high above 0", self.high().to_string());
        }
        if self
            .delta
            .is_some_and(|delta| delta.is_nan() || delta <= 1.0 + self.high())
        {
            return refuse("delta above 1 + epsilon_high", format!("{:?}", self.delta));
        }
        if self.dual_clip.is_some_and(|bound| bound.is_nan() || bound <= 1.0) {
            return refuse("dual_clip above 1", format!("{:?}", self.dual_clip));
        }
        if !(self.beta >= 0.0 && self.beta.is_finite()) {
            return refuse("beta of at least 0", self.beta.to_string());
        }
        if !self.entropy_coef.is_finite() {
            return refuse("entropy_coef that is finite", self.entropy_coef.to_string());
        }
        if let Some(Rejection { min, max, .. }) = self.rejection
            && (max.is_nan() || min.is_some_and(|min| min.is_nan() || min >= max))
        {
            return refuse("bounds of a rejection with min < max", format!("{min:?} and {max}"));
        }
        let positive = |value: f64| value > 0.0 && value.is_finite();
        if self.kind == LossKind::Cispo && !(self.cispo_cap >= 1.0 && self.cispo_cap.is_finite()) {
            return refuse("cispo_cap of at least 1", self.cispo_cap.to_string());
        }
        if !(positive(self.sapo_tau_positive) && positive(self.sapo_tau_negative)) {
            let got = format!("{} and {}", self.sapo_tau_positive, self.sapo_tau_negative);
            return refuse("sapo temperatures above 0", got);
        }
        let vespo = [
            self.vespo_k_positive,
            self.vespo_lambda_positive,
            self.vespo_k_negative,
            self.vespo_lambda_negative,
        ];
        if !vespo.iter().all(|&value| value >= 0.0 && value.is_finite()) {
            return refuse("vespo constants of at least 0", format!("{vespo:?}"));
        }
        if self.off_policy_threshold.is_some_and(f64::is_nan) {
            return refuse("a threshold that is a number", "NaN".to_owned());
        }
        if let Some(Correction { min, max, .. }) = self.correction {
            let low = min.unwrap_or(0.0);
            if !(low >= 0.0 && max > low && max.is_finite()) {
                return refuse(
                    "bounds of a correction with 0 <= min < max",
                    format!("{min:?} and {max}"),
                );
            }
        }
        let row_weights = self
            .correction
            .is_some_and(|correction| correction.level != CorrectionLevel::Token);
        if self.kind == LossKind::Vespo && row_weights {
            return refuse(
                "a correction a token, because vespo sums their logs",
                format!("{:?}", self.correction),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_has_the_clip_bounds_of_its_own_surrogate() {
        let none = f64::INFINITY;
        let bounds = LossKind::ALL.map(|kind| {
            let config = LossConfig {
                epsilon: 0.25,
                epsilon_high: Some(0.5),
                ..LossConfig::new(kind)
            };
            config.clip_bounds()
        });
        let clipped = (0.75, 1.5);
        let free = (-none, none);
        let [grpo, bnpo, dr_grpo, dapo, gspo, luspo, cispo, sapo, vespo] = bounds;
        assert_eq!([grpo, bnpo, dr_grpo, dapo, gspo, luspo], [clipped; 6]);
        assert_eq!((cispo, sapo, vespo), ((-none, 5.0), free, free));
    }
}
