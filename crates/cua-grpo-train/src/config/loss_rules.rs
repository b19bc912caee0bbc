//! Which keys of divergence, correction, rewards and advantages fit together.

use super::choices::written;
use super::validate::Checker;
use super::{ConfigError, Environment, RewardAggregation, RewardKind, TrainConfig};
use cua_grpo_algo::{AdvantageScale, KlEstimator, LossKind, Proximal, StepCredit};

/// A number that may be absent, as it is written.
fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "null".into(), |value| value.to_string())
}

impl TrainConfig {
    /// Divergence, entropy and aggregation.
    pub(super) fn check_divergence(&self, check: &Checker<'_>) -> Result<(), ConfigError> {
        let (k1, k3) = (KlEstimator::K1, KlEstimator::K3);
        check.require(
            self.beta > 0.0 || self.kl_estimator == k3,
            "kl_estimator",
            written(self.kl_estimator),
            "k3 where beta is 0: there is no divergence to estimate",
        )?;
        check.require(
            self.beta > 0.0 || !self.kl_in_reward,
            "kl_in_reward",
            true,
            "false where beta is 0: there is no divergence to take from the rewards",
        )?;
        check.require(
            !(self.kl_in_reward && self.use_bias_correction_kl),
            "use_bias_correction_kl",
            true,
            "false with kl_in_reward: a reward has no ratio and no gradient",
        )?;
        check.require(
            self.kl_estimator != k1 || self.kl_in_reward || self.use_bias_correction_kl,
            "kl_estimator",
            written(self.kl_estimator),
            "k2 or k3, or k1 with kl_in_reward or use_bias_correction_kl: in the loss the gradient of k1 has mean zero",
        )?;
        let own = matches!(
            self.loss_type,
            LossKind::Bnpo | LossKind::DrGrpo | LossKind::Dapo | LossKind::Luspo
        );
        let name = written(self.loss_type);
        check.require(
            !own || self.loss_aggregation.is_none(),
            "loss_aggregation",
            self.loss_aggregation.map(written).unwrap_or_default(),
            &format!("null with loss_type {name}, which is what it is by its aggregation"),
        )
    }

    /// What compares sampler and trainer.
    pub(super) fn check_sampler(&self, check: &Checker<'_>) -> Result<(), ConfigError> {
        let defaults = Self::default();
        check.require(
            self.positive_replay == 0 || !self.recomputes_logprobs() || self.importance_sampling_mode.is_some(),
            "positive_replay",
            self.positive_replay,
            "0, or importance_sampling_mode set, where log-probs are recomputed before the step: a success of an older policy \
             has no weight then",
        )?;
        check.require(
            self.positive_replay > 0 || self.positive_replay_age == defaults.positive_replay_age,
            "positive_replay_age",
            self.positive_replay_age,
            "unset, or positive_replay above 0: nothing is kept",
        )?;
        let (min, max) = (self.rejection_sampling_min, self.rejection_sampling_max);
        if self.rejection_sampling_mode.is_none() {
            let unused = "unset, or rejection_sampling_mode set: without it nothing is left out";
            let same = max == defaults.rejection_sampling_max;
            check.require(same, "rejection_sampling_max", max, unused)?;
            check.require(min.is_none(), "rejection_sampling_min", shown(min), unused)?;
        }
        check.require(
            min.is_none_or(|min| min < max),
            "rejection_sampling_min",
            shown(min),
            &format!("less than rejection_sampling_max, which is {max}, or null"),
        )?;
        let compared = self.importance_sampling_mode.is_some() || self.rejection_sampling_mode.is_some();
        check.require(
            compared || !self.correct_kept_mass,
            "correct_kept_mass",
            true,
            "false, or importance_sampling_mode or rejection_sampling_mode set: it says what they compare with",
        )?;
        let method = self.prox_logp_method;
        let expected = "recompute with recompute_logprob or m2po_threshold, which need the log-probs before the step";
        check.require(
            method == Proximal::Recompute || !(self.recompute_logprob || self.m2po_threshold.is_some()),
            "prox_logp_method",
            written(method),
            expected,
        )
    }

    /// Whether a judge is asked: by weight 0 too, where what it says pays nothing and is held against the state.
    pub fn is_judged(&self) -> bool {
        self.reward == RewardKind::Judge || self.rewards.iter().any(|(kind, _)| kind == RewardKind::Judge)
    }

    /// The judge is known where a reward needs it.
    fn check_judge(&self, check: &Checker<'_>) -> Result<(), ConfigError> {
        let (url, model) = (self.judge_base_url.as_deref(), self.judge_model.as_deref());
        for (key, value, expected) in [
            (
                "judge_base_url",
                url,
                "an address with http:// or https://, without user, `?` and `#` (the key goes into CUA_JUDGE_API_KEY)",
            ),
            ("judge_model", model, "the name of a model of the service"),
        ] {
            let plain = |url: &str| url.starts_with("http") && url.contains("://") && !url.contains(['@', '?', '#']);
            let fits = value.is_none_or(|value| !value.trim().is_empty() && (key == "judge_model" || plain(value)));
            check.require(fits, key, "hidden", expected)?;
            check.require(
                value.is_some() || !self.is_judged() || self.environment != Environment::Phone,
                key,
                "null",
                &format!("{expected}, which the reward `judge` needs"),
            )?;
        }
        check.require(
            !self.is_judged() || self.judge_screenshots > 0 || self.judge_transcript,
            "judge_screenshots",
            self.judge_screenshots,
            "at least 1 without judge_transcript: the judge would see nothing",
        )
    }

    /// Rewards and their shaping.
    pub(super) fn check_rewards(&self, check: &Checker<'_>) -> Result<(), ConfigError> {
        check.require(
            self.rewards.is_empty() || self.reward == RewardKind::Verified,
            "reward",
            self.reward,
            "verified (its default) where `rewards` names rewards with weights: put it there",
        )?;
        check.require(
            self.rewards.is_empty() || self.rewards.iter().any(|(_, weight)| weight != 0.0),
            "rewards",
            "all 0",
            "a weight other than 0",
        )?;
        self.check_judge(check)?;
        let together = self.multi_objective_aggregation == RewardAggregation::SumThenNormalize;
        check.require(
            together || self.rewards.iter().count() >= 2,
            "multi_objective_aggregation",
            self.multi_objective_aggregation,
            "sum_then_normalize, or two or more `rewards`",
        )?;
        check.require(
            self.overlong_buffer <= self.max_new_tokens,
            "overlong_buffer",
            self.overlong_buffer,
            "at most max_new_tokens, before which it lies",
        )?;
        check.require(
            self.overlong_buffer > 0 || self.overlong_penalty == Self::default().overlong_penalty,
            "overlong_penalty",
            self.overlong_penalty,
            "unset, or overlong_buffer above 0: without it there is no penalty",
        )
    }

    /// How rewards become advantages, and updates.
    pub(super) fn check_credit(&self, check: &Checker<'_>) -> Result<(), ConfigError> {
        let (defaults, scale) = (Self::default(), self.scale_rewards);
        let gdpo = self.multi_objective_aggregation == RewardAggregation::NormalizeThenSum;
        let alone = "its default with normalize_then_sum, which normalises in its own way";
        check.require(
            !gdpo || scale == defaults.scale_rewards,
            "scale_rewards",
            written(scale),
            alone,
        )?;
        let divides = !matches!(scale, AdvantageScale::None | AdvantageScale::LeaveOneOut);
        check.require(
            (divides && !gdpo) || self.advantage_epsilon.is_none(),
            "advantage_epsilon",
            shown(self.advantage_epsilon),
            "null where advantages are not divided, or in a way of their own",
        )?;
        check.require(
            !(self.whiten_advantages && (gdpo || scale == AdvantageScale::Batch)),
            "whiten_advantages",
            true,
            "false where advantages are scaled over the whole step already",
        )?;
        let credit = self.step_credit;
        check.require(
            credit == StepCredit::Episode || !gdpo,
            "step_credit",
            written(credit),
            "episode with normalize_then_sum",
        )?;
        check.require(
            !(gdpo && self.kl_in_reward),
            "kl_in_reward",
            true,
            "false with normalize_then_sum",
        )?;
        for (key, value) in [
            ("overlong_buffer", self.overlong_buffer as f64),
            ("shortest_path_alpha", self.shortest_path_alpha),
        ] {
            check.require(
                !gdpo || value == 0.0,
                key,
                value,
                "0 with normalize_then_sum, which compares each reward alone: what shapes their sum changes no advantage",
            )?;
        }
        check.require(
            credit != StepCredit::Episode || self.gamma == defaults.gamma,
            "gamma",
            self.gamma,
            "unset, or step_credit other than episode: an episode has one return",
        )?;
        check.require(
            credit == StepCredit::Gigpo || self.step_advantage_weight == defaults.step_advantage_weight,
            "step_advantage_weight",
            self.step_advantage_weight,
            "unset, or step_credit gigpo",
        )?;
        let episodes = self.batch_size * self.num_rollouts * self.gradient_accumulation_steps;
        check.require(
            self.num_minibatches <= episodes,
            "num_minibatches",
            self.num_minibatches,
            &format!("at most the episodes of a step, which are {episodes}"),
        )?;
        let (low, constant) = (self.min_learning_rate, super::Decay::Constant);
        check.require(
            low == 0.0 || self.lr_scheduler != constant,
            "min_learning_rate",
            low,
            "0 with lr_scheduler constant, which does not fall",
        )?;
        let peak = self.learning_rate;
        check.require(
            low <= peak,
            "min_learning_rate",
            low,
            &format!("at most learning_rate, which is {peak}"),
        )
    }
}
