//! Values that could do nothing: set in vain, they are refused. [`Configuration::idle`](super::Configuration::idle) says
//! where they are let be.

use super::choices::written;
use super::validate::Checker;
use super::{ConfigError, OriginKind, Resolved, TrainConfig};
use cua_grpo_algo::{LossKind, Proximal, RejectionMetric};
use cua_grpo_model::generate::OnUpdate;

impl Resolved<TrainConfig> {
    /// A line for a value of a file that another key overrules. A flag or a variable is refused; a file may be one that a
    /// run saved, which has every key.
    pub fn overruled(&self) -> Option<String> {
        let (config, key) = (&self.config, "recompute_logprob");
        let origin = self.origin(key);
        if config.recompute_logprob || !config.recomputes_logprobs() || origin.kind != OriginKind::File {
            return None;
        }
        let by = [
            ("prox_logp_method", config.prox_logp_method != Proximal::Recompute),
            ("importance_sampling_mode", config.importance_sampling_mode.is_some()),
            ("rejection_sampling_mode", config.rejection_sampling_mode.is_some()),
            ("m2po_threshold", config.m2po_threshold.is_some()),
        ];
        let by: Vec<&str> = by.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect();
        Some(format!(
            "note: `{key}` is false ({origin}) and has no effect: {} takes the log-probs before the step whatever it says",
            by.join(", ")
        ))
    }
}

impl TrainConfig {
    /// That no key is set in vain; `kind` tells what kind of place the value of a key is from.
    pub(super) fn check_idle(&self, check: &Checker<'_>, kind: &dyn Fn(&str) -> OriginKind) -> Result<(), ConfigError> {
        self.check_clips(check)?;
        self.check_never(check)?;
        self.check_ages(check)?;
        self.check_nobody_judges(check)?;
        check.require(
            self.max_refills == 0 || self.min_group_std > 0.0,
            "max_refills",
            self.max_refills,
            "0 where min_group_std is 0: no group is flat then",
        )?;
        // A file may be one that a run saved, which has every key.
        let said = kind("recompute_logprob") > OriginKind::File && !self.recompute_logprob;
        let needs = self.recomputes_logprobs() && self.prox_logp_method == Proximal::Recompute;
        check.require(
            !(said && needs),
            "recompute_logprob",
            false,
            "true or unset with importance_sampling_mode, rejection_sampling_mode or m2po_threshold, which need the \
             log-probs before the step; prox_logp_method has some without a forward pass",
        )
    }

    /// The clipping range.
    fn check_clips(&self, check: &Checker<'_>) -> Result<(), ConfigError> {
        let (loss, default) = (self.loss_type, Self::default().clip_epsilon);
        let name = written(loss);
        let uses = !matches!(loss, LossKind::Cispo | LossKind::Sapo | LossKind::Vespo);
        check.require(
            uses || self.clip_epsilon == default,
            "clip_epsilon",
            self.clip_epsilon,
            &format!("{default} with loss_type {name}, which does not use it"),
        )?;
        let high = self.clip_epsilon_high;
        check.require(
            uses || loss == LossKind::Cispo || high.is_none(),
            "clip_epsilon_high",
            high.unwrap_or_default(),
            &format!("null with loss_type {name}, which does not use it"),
        )
    }

    /// Bounds that nothing is ever within, or never outside of. Where sampler and trainer agree, a weight is 1 and what a
    /// rejection compares is that of a ratio of 1: a token of the policy at hand is never left out.
    fn check_never(&self, check: &Checker<'_>) -> Result<(), ConfigError> {
        let (least, most) = (self.importance_sampling_clip_min, self.importance_sampling_clip_max);
        let bounds = [
            ("importance_sampling_clip_max", most >= 1.0, most, "1 or more"),
            (
                "importance_sampling_clip_min",
                least.is_none_or(|least| least <= 1.0),
                least.unwrap_or_default(),
                "at most 1",
            ),
        ];
        for (key, holds, value, expected) in bounds {
            let expected = format!("{expected}: the weight of a token of the policy at hand is 1");
            check.require(holds, key, value, &expected)?;
        }
        check.require(
            least != Some(0.0),
            "importance_sampling_clip_min",
            0,
            "more than 0, or null: no weight is below 0",
        )?;
        let Some(mode) = self.rejection_sampling_mode else {
            return Ok(());
        };
        let (min, max) = (self.rejection_sampling_min, self.rejection_sampling_max);
        // What is compared where the ratio is 1, and what it is never below.
        let (agreed, lowest) = match mode.metric {
            RejectionMetric::K1 => (0.0, f64::NEG_INFINITY),
            RejectionMetric::Ratio => (1.0, 0.0),
            RejectionMetric::K2 | RejectionMetric::K3 => (0.0, 0.0),
        };
        let agrees =
            format!("with rejection_sampling_mode {mode}, which compares {agreed} where sampler and trainer agree");
        check.require(
            max >= agreed,
            "rejection_sampling_max",
            max,
            &format!("{agreed} or more {agrees}: else everything is left out"),
        )?;
        let Some(min) = min else { return Ok(()) };
        check.require(
            min <= agreed && min > lowest,
            "rejection_sampling_min",
            min,
            &match lowest < agreed {
                true => format!("above {lowest} and at most {agreed}, or null {agrees}"),
                false => format!("null with rejection_sampling_mode {mode}: nothing is below {lowest}"),
            },
        )
    }

    /// Keys of a judge that nothing asks.
    fn check_nobody_judges(&self, check: &Checker<'_>) -> Result<(), ConfigError> {
        let default = Self::default();
        for (key, is_default) in [
            ("judge_base_url", self.judge_base_url.is_none()),
            ("judge_model", self.judge_model.is_none()),
            ("judge_timeout", self.judge_timeout == default.judge_timeout),
            ("judge_screenshots", self.judge_screenshots == default.judge_screenshots),
            ("judge_transcript", self.judge_transcript == default.judge_transcript),
        ] {
            check.require(
                self.is_judged() || is_default,
                key,
                "set",
                "its default where nothing asks a judge: set reward=judge or rewards={verified: 1, judge: 0.5}",
            )?;
        }
        Ok(())
    }

    /// What only tokens of older policies are touched by.
    fn check_ages(&self, check: &Checker<'_>) -> Result<(), ConfigError> {
        check.require(
            self.on_update == OnUpdate::Keep || self.max_staleness > 0,
            "on_update",
            written(self.on_update),
            "keep where max_staleness is 0: no reply is under way when the policy is updated",
        )?;
        // A token that is at most one version old has the sampler's own log-prob by any method (`algo/src/proximal.rs`).
        let older = self.max_staleness > 1 || self.positive_replay > 0;
        check.require(
            self.prox_logp_method == Proximal::Recompute || older || self.correct_kept_mass,
            "prox_logp_method",
            written(self.prox_logp_method),
            "recompute where max_staleness is 0 or 1 and positive_replay is 0: only what is older lies between sampler and \
             policy",
        )
    }
}
