//! The keys of advantages and loss, as `cua-grpo-algo` takes them.

use super::choices::written;
use super::validate::Checker;
use super::{ConfigError, TrainConfig};
use cua_grpo_algo::{AdvantageConfig, Correction, CorrectionLevel, LossConfig, LossKind, Proximal, Rejection};

impl TrainConfig {
    /// How rewards become advantages.
    pub fn advantages(&self) -> AdvantageConfig {
        AdvantageConfig {
            scale: self.scale_rewards,
            min_group_std: self.min_group_std,
            epsilon: self.advantage_epsilon,
        }
    }

    /// The loss and its constants.
    pub fn loss(&self) -> LossConfig {
        let defaults = LossConfig::new(self.loss_type);
        let cispo = self.loss_type == LossKind::Cispo;
        LossConfig {
            epsilon: self.clip_epsilon,
            epsilon_high: self.clip_epsilon_high.filter(|_| !cispo),
            cispo_cap: self.clip_epsilon_high.filter(|_| cispo).unwrap_or(defaults.cispo_cap),
            delta: self.delta,
            dual_clip: self.dual_clip,
            beta: if self.kl_in_reward { 0.0 } else { self.beta },
            kl: self.kl_estimator,
            kl_times_ratio: self.use_bias_correction_kl,
            entropy_coef: self.entropy_coef,
            aggregation: self.loss_aggregation,
            correction: self.importance_sampling_mode.map(|mode| Correction {
                level: mode.level,
                action: mode.action,
                min: self.importance_sampling_clip_min,
                max: self.importance_sampling_clip_max,
            }),
            rejection: self.rejection_sampling_mode.map(|mode| Rejection {
                metric: mode.metric,
                level: mode.level,
                min: self.rejection_sampling_min,
                max: self.rejection_sampling_max,
            }),
            off_policy_threshold: self.off_policy_mask_threshold,
            sapo_tau_positive: self.sapo_temperature_pos,
            sapo_tau_negative: self.sapo_temperature_neg,
            vespo_k_positive: self.vespo_k_pos,
            vespo_lambda_positive: self.vespo_lambda_pos,
            vespo_k_negative: self.vespo_k_neg,
            vespo_lambda_negative: self.vespo_lambda_neg,
            ..defaults
        }
    }

    /// Whether the ratio compares with the policy before the step (recomputed, or between sampler and policy), not with
    /// the sampler's log-probs. What corrects or leaves out by the difference of the two needs it: between the sampler
    /// and itself there is nothing to correct.
    pub fn recomputes_logprobs(&self) -> bool {
        self.recompute_logprob
            || self.prox_logp_method != Proximal::Recompute
            || self.importance_sampling_mode.is_some()
            || self.rejection_sampling_mode.is_some()
            || self.m2po_threshold.is_some()
    }

    /// Whether every row is scored before the first update of a step: when updates see parts of the rows, or something
    /// depends on all of them.
    pub fn scores_before(&self) -> bool {
        let parts =
            self.num_minibatches > 1 && self.recomputes_logprobs() && self.prox_logp_method == Proximal::Recompute;
        parts || self.kl_in_reward || self.m2po_threshold.is_some() || self.top_entropy_quantile < 1.0
    }

    /// Most tokens that the policy can sample in one episode, for `dr_grpo`: as many as all turns allow, never more than
    /// a context holds. It depends on the configuration alone, not on what was sampled, so it adds no length bias.
    pub fn completion_limit(&self) -> usize {
        let replies = self.max_new_tokens.saturating_mul(self.max_turns);
        // The replies of an episode whose context is cut back are not in one context.
        match self.keep_screenshots {
            0 => replies.min(self.context_limit()),
            _ => replies,
        }
    }

    /// That the keys of the loss fit together, and that none is set that the loss does not use.
    pub(super) fn check_loss(&self, check: &Checker<'_>) -> Result<(), ConfigError> {
        let (loss, defaults) = (self.loss_type, Self::default());
        let name = written(loss);
        let clips = !matches!(loss, LossKind::Cispo | LossKind::Sapo | LossKind::Vespo);
        let shown = |value: Option<f64>| value.map_or_else(|| "null".into(), |value| value.to_string());
        let high = self.clip_epsilon_high;
        check.require(
            loss != LossKind::Cispo || high.is_none_or(|cap| cap >= 1.0),
            "clip_epsilon_high",
            shown(high),
            "1 or more with loss_type cispo, where it is the cap of the ratio itself, or null for 5",
        )?;
        for (key, value) in [("delta", self.delta), ("dual_clip", self.dual_clip)] {
            let expected = format!("null with loss_type {name}, which does not clip");
            check.require(clips || value.is_none(), key, shown(value), &expected)?;
        }
        let least = 1.0 + high.unwrap_or(self.clip_epsilon);
        check.require(
            self.delta.is_none_or(|delta| delta > least),
            "delta",
            shown(self.delta),
            &format!("more than {least}, where the ratio is clipped, or null"),
        )?;
        check.require(
            !self.use_bias_correction_kl || self.beta > 0.0,
            "use_bias_correction_kl",
            true,
            "false where beta is 0: there is no divergence to correct",
        )?;
        let (min, max) = (self.importance_sampling_clip_min, self.importance_sampling_clip_max);
        check.require(
            min.is_none_or(|min| min < max),
            "importance_sampling_clip_min",
            shown(min),
            &format!("less than importance_sampling_clip_max, which is {max}, or null"),
        )?;
        match self.importance_sampling_mode {
            None => {
                let unused = "unset, or importance_sampling_mode set: without it there are no weights to bound";
                let same = max == defaults.importance_sampling_clip_max;
                check.require(same, "importance_sampling_clip_max", max, unused)?;
                check.require(min.is_none(), "importance_sampling_clip_min", shown(min), unused)?;
            }
            Some(mode) => check.require(
                loss != LossKind::Vespo || mode.level == CorrectionLevel::Token,
                "importance_sampling_mode",
                mode,
                "token_truncate or token_mask with loss_type vespo, which sums the logarithms of a row itself",
            )?,
        }
        let own = |config: &Self| {
            [
                ("sapo_temperature_pos", config.sapo_temperature_pos, LossKind::Sapo),
                ("sapo_temperature_neg", config.sapo_temperature_neg, LossKind::Sapo),
                ("vespo_k_pos", config.vespo_k_pos, LossKind::Vespo),
                ("vespo_lambda_pos", config.vespo_lambda_pos, LossKind::Vespo),
                ("vespo_k_neg", config.vespo_k_neg, LossKind::Vespo),
                ("vespo_lambda_neg", config.vespo_lambda_neg, LossKind::Vespo),
            ]
        };
        for ((key, value, owner), (_, default, _)) in own(self).into_iter().zip(own(&defaults)) {
            let expected = format!("{default} with loss_type {name}, which does not use it");
            check.require(loss == owner || value == default, key, value, &expected)?;
        }
        self.check_divergence(check)?;
        self.check_sampler(check)?;
        self.check_rewards(check)?;
        self.check_credit(check)
    }
}
