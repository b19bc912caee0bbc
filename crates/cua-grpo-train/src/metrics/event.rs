//! The lines of `metrics.jsonl`, as types. `docs/METRICS.md` says what each key means.
//!
//! A figure that was not measured is null, never a number that looks measured: a step without an update has no loss, a
//! run with `beta` 0 has no divergence. Keys that came later are absent from older files and read as absent.

use super::conduct::{Behaviour, Conduct};
use crate::faults::FaultFigures;
use crate::instances::{Distance, Instances};
use crate::interval::wilson_of;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// One line.
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, on its way to a line of the file"
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// An evaluation.
    Eval(EvalEvent),
    /// A training step.
    Train(TrainEvent),
}

#[cfg(test)]
impl Line {
    /// A line without figures: `e3` is the evaluation after step 3, `3` the step.
    pub(crate) fn short(word: &str) -> Self {
        match word.strip_prefix('e') {
            Some(step) => Self::Eval(EvalEvent {
                step: step.parse().unwrap(),
                ..Default::default()
            }),
            None => Self::Train(TrainEvent {
                step: word.parse().unwrap(),
                ..Default::default()
            }),
        }
    }
}

impl Line {
    /// The step: of an evaluation, the number of updates before it.
    pub fn step(&self) -> usize {
        match self {
            Self::Eval(event) => event.step,
            Self::Train(event) => event.step,
        }
    }

    /// The timeline that wrote the line; of older versions only the first line of a timeline tells it.
    pub fn timeline(&self) -> Option<&str> {
        match self {
            Self::Eval(event) => event.run.as_deref(),
            Self::Train(event) => event.run.as_deref(),
        }
    }

    /// The line as one of `timeline`.
    pub fn on(mut self, timeline: &str) -> Self {
        match &mut self {
            Self::Eval(event) => event.run = Some(timeline.into()),
            Self::Train(event) => event.run = Some(timeline.into()),
        }
        self
    }
}

/// Outcome of one template's instances in an evaluation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateCount {
    /// Episodes whose device state fulfils the task.
    pub solved: usize,
    /// Episodes that ended without a fault.
    pub episodes: usize,
}

impl TemplateCount {
    /// The 95 % interval of the rate. Attempts at one instance are alike: of several the instances count.
    pub fn interval(&self, attempts: Option<usize>) -> Option<(f64, f64)> {
        let rate = self.solved as f64 / self.episodes.max(1) as f64;
        wilson_of(rate, self.episodes.div_ceil(attempts.unwrap_or(1).max(1)))
    }
}

/// Episodes on task instances that training never sees; greedy, with one attempt at each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EvalEvent {
    /// Training steps done before.
    pub step: usize,
    /// Episodes that ended without a fault.
    pub episodes: usize,
    /// Fraction of them whose device state fulfils the task.
    #[serde(deserialize_with = "number")]
    pub success_rate: f64,
    /// Fraction of them that claimed success.
    #[serde(deserialize_with = "number")]
    pub claimed_success_rate: f64,
    /// Mean reward.
    #[serde(deserialize_with = "number")]
    pub reward_mean: f64,
    /// Mean number of turns.
    #[serde(default, deserialize_with = "number")]
    pub turns_mean: f64,
    /// Endings and replies; absent in files of older versions.
    #[serde(flatten)]
    pub behaviour: Option<Behaviour>,
    /// What they did beside their tasks; absent in files of older versions.
    #[serde(flatten)]
    pub conduct: Option<Conduct>,
    /// Attempts at each instance, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<usize>,
    /// pass@k for powers of two and for all attempts, by k, where there are several; mean over the instances.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pass_at: BTreeMap<String, f64>,
    /// Instances of templates that are trained on; absent, with the next two, in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_instances: Option<Distance>,
    /// Instances of templates that are held out from training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_templates: Option<Distance>,
    /// Instances in apps that are held out from training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen_apps: Option<Distance>,
    /// Outcomes by template; empty in files of older versions.
    #[serde(default)]
    pub templates: BTreeMap<String, TemplateCount>,
    /// Attempts lost to faults.
    #[serde(default)]
    pub faults: usize,
    /// What was lost, by kind.
    #[serde(flatten)]
    pub losses: FaultFigures,
    /// Wall-clock seconds.
    #[serde(default)]
    pub eval_s: f64,
    /// Episodes that were asked for; this and the next two are absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<usize>,
    /// A name of the instances and the conditions that they were played under: equal names can be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_set: Option<String>,
    /// What came out of each instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Instances>,
    /// The timeline that wrote the line; older versions left it out in all but the first line of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why it has failed, where more was lost than the configuration allows: its figures are compared with none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl EvalEvent {
    /// The 95 % interval of the success rate; none without episodes. Of several attempts the instances count.
    pub fn interval(&self) -> Option<(f64, f64)> {
        wilson_of(self.success_rate, self.episodes.div_ceil(self.attempts.unwrap_or(1)))
    }

    /// The success rate that chooses the best model and ends a run: what is held out chooses nothing, else it would be
    /// no measure any more.
    pub fn choosing_rate(&self) -> f64 {
        let trained = self.unseen_instances.and_then(|instances| instances.rate());
        trained.unwrap_or(self.success_rate)
    }
}

/// One training step. Rates are fractions of 1.
///
/// Figures of updates (`loss` to `sampler_gap`) are means over the updates of the step, `grad_norm` included; those
/// that end in `_last` are of the last update. With one update they are equal. All are null without an update.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainEvent {
    /// Number of the step, from 1.
    pub step: usize,
    /// Updates that were made, 0 when no group was kept; absent in files of older versions.
    #[serde(default)]
    pub updates: Option<usize>,
    /// Loss, mean over the updates.
    pub loss: Option<f64>,
    /// Mean reward of all episodes.
    #[serde(deserialize_with = "number")]
    pub reward_mean: f64,
    /// Population standard deviation of the rewards of all episodes.
    #[serde(deserialize_with = "number")]
    pub reward_std: f64,
    /// Fraction of episodes whose device state fulfils the task.
    #[serde(deserialize_with = "number")]
    pub success_rate: f64,
    /// Mean divergence from the reference, in nats a token; null also when `beta` is 0.
    pub kl: Option<f64>,
    /// Mean ratio of the trainer's probability to that of `o`; 1 in the first update at staleness 0.
    pub ratio_mean: Option<f64>,
    /// Fraction of trained tokens whose ratio was clipped.
    pub clip_fraction: Option<f64>,
    /// Global norm of the gradients before clipping.
    pub grad_norm: Option<f64>,
    /// Mean entropy of the policy at the trained tokens, in nats.
    #[serde(default)]
    pub entropy: Option<f64>,
    /// Mean distance between the sampler's and the trainer's log-prob of a token.
    #[serde(default)]
    pub sampler_gap: Option<f64>,
    /// Largest such distance of a token, in any update.
    #[serde(default)]
    pub sampler_gap_max: Option<f64>,
    /// Mean of `exp(d) - d - 1`, `d` the trainer's log-prob less the sampler's.
    #[serde(default)]
    pub mismatch_kl: Option<f64>,
    /// Mean importance weight between sampler and trainer; null without a correction.
    #[serde(default)]
    pub correction_mean: Option<f64>,
    /// Share of trained tokens whose importance weight was moved to a bound or to 0; null without a correction.
    #[serde(default)]
    pub correction_fraction: Option<f64>,
    /// Share of trained tokens that a mask or a rejection left out of the policy loss; null without any.
    #[serde(default)]
    pub masked_fraction: Option<f64>,
    /// `loss` of the last update.
    #[serde(default)]
    pub loss_last: Option<f64>,
    /// `kl` of the last update.
    #[serde(default)]
    pub kl_last: Option<f64>,
    /// `ratio_mean` of the last update.
    #[serde(default)]
    pub ratio_mean_last: Option<f64>,
    /// `clip_fraction` of the last update.
    #[serde(default)]
    pub clip_fraction_last: Option<f64>,
    /// `grad_norm` of the last update.
    #[serde(default)]
    pub grad_norm_last: Option<f64>,
    /// The figures of each update in order; left out when there are fewer than two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub each_update: Vec<UpdateFigures>,
    /// Learning rate of the step.
    #[serde(deserialize_with = "number")]
    pub learning_rate: f64,
    /// Tokens that the policy sampled.
    pub tokens_sampled: usize,
    /// Tokens that entered the loss of each update.
    pub tokens_trained: usize,
    /// Episodes that ended without a fault.
    pub episodes: usize,
    /// Attempts lost to faults.
    pub faults: usize,
    /// What was lost, by kind.
    #[serde(flatten)]
    pub losses: FaultFigures,
    /// Updates left out because their gradient was not finite.
    #[serde(default)]
    pub updates_skipped: usize,
    /// Rows left out of updates because their gradient was not finite.
    #[serde(default)]
    pub rows_skipped: usize,
    /// Groups that were trained on.
    pub groups_kept: usize,
    /// Groups left out because their rewards hardly differ. (Older versions counted lost groups here as well.)
    pub groups_filtered: usize,
    /// Groups left out because faults left fewer than two episodes; absent in files of older versions.
    #[serde(default)]
    pub groups_lost: Option<usize>,
    /// Groups that stand in for flat ones; this and the next two are absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_refilled: Option<usize>,
    /// Episodes left out because a token is older than `max_staleness`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episodes_dropped: Option<usize>,
    /// Groups without a success that were lent one of an earlier step; left out without `positive_replay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successes_replayed: Option<usize>,
    /// Attempts that were given up because their group had enough episodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episodes_surplus: Option<usize>,
    /// Mean number of turns.
    #[serde(default)]
    pub turns_mean: Option<f64>,
    /// Mean number of rows of an episode; left out without `keep_screenshots`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_mean: Option<f64>,
    /// Endings and replies; absent in files of older versions.
    #[serde(flatten)]
    pub behaviour: Option<Behaviour>,
    /// What the episodes did beside their tasks; absent in files of older versions.
    #[serde(flatten)]
    pub conduct: Option<Conduct>,
    /// Mean number of updates between sampling and training a token.
    #[serde(deserialize_with = "number")]
    pub staleness_mean: f64,
    /// Largest number of updates between sampling and training a token.
    pub staleness_max: u64,
    /// Wall-clock seconds of the rollouts.
    pub rollout_s: f64,
    /// Wall-clock seconds of scoring, loss and update.
    pub train_s: f64,
    /// Wall-clock seconds of the step; this and the next two are absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_s: Option<f64>,
    /// Seconds that places for episodes were taken, summed over places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots_busy_s: Option<f64>,
    /// Seconds in which any episode waited for tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler_busy_s: Option<f64>,
    /// Replies that were no action, or could not be carried out; this and the next are absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_errors: Option<usize>,
    /// Mean probability mass that top-p and top-k kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_mass_mean: Option<f64>,
    /// The timeline that wrote the line; older versions left it out in all but the first line of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// The figures of one update. Means are over the tokens that entered the loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdateFigures {
    /// The loss.
    pub loss: Option<f64>,
    /// Divergence from the reference; null when `beta` is 0.
    pub kl: Option<f64>,
    /// Ratio.
    pub ratio_mean: Option<f64>,
    /// Share of tokens that were clipped.
    pub clip_fraction: Option<f64>,
    /// Norm of the gradient before clipping.
    pub grad_norm: Option<f64>,
    /// Entropy in nats.
    pub entropy: Option<f64>,
    /// Distance between the sampler's and the trainer's log-prob.
    pub sampler_gap: Option<f64>,
    /// Largest such distance.
    #[serde(default)]
    pub sampler_gap_max: Option<f64>,
    /// `exp(d) - d - 1`, `d` the trainer's log-prob less the sampler's.
    #[serde(default)]
    pub mismatch_kl: Option<f64>,
    /// Importance weight; null without a correction.
    pub correction_mean: Option<f64>,
    /// Share of tokens whose importance weight was bounded; null without a correction.
    pub correction_fraction: Option<f64>,
    /// Share of tokens that a mask or a rejection left out of the policy loss; null without any.
    #[serde(default)]
    pub masked_fraction: Option<f64>,
}

impl TrainEvent {
    /// Sampled tokens a second of the step, or of its rollout in files of older versions, which lack the former. `None`
    /// where nothing was sampled in the step, as in a replay.
    pub fn tokens_per_s(&self) -> Option<f64> {
        let seconds = self.step_s.unwrap_or(self.rollout_s);
        let sampled = seconds > 0.0 && self.tokens_sampled > 0 && self.sampler_busy_s != Some(0.0);
        sampled.then(|| self.tokens_sampled as f64 / seconds)
    }

    /// `seconds` as a share of the step's.
    pub fn share(&self, seconds: Option<f64>) -> Option<f64> {
        let step = self.step_s.filter(|step| *step > 0.0)?;
        Some((seconds? / step).min(1.0))
    }

    /// Groups that the step rolled out.
    pub fn groups(&self) -> usize {
        self.groups_kept + self.groups_filtered + self.groups_lost.unwrap_or(0)
    }

    /// Takes out what older versions made up: they wrote a loss of 0 and a ratio of 1 for steps without an update.
    pub(super) fn without_made_up_figures(self) -> Self {
        if self.updates.is_some() || self.groups_kept > 0 {
            return self;
        }
        Self {
            loss: None,
            kl: None,
            ratio_mean: None,
            clip_fraction: None,
            grad_norm: None,
            entropy: None,
            sampler_gap: None,
            ..self
        }
    }

    /// Fills in the figures of the updates that were made, in order.
    pub fn set_updates(&mut self, updates: &[UpdateFigures]) {
        let mean = |value: fn(&UpdateFigures) -> Option<f64>| {
            let values: Vec<f64> = updates.iter().filter_map(value).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        self.updates = Some(updates.len());
        self.loss = mean(|update| update.loss);
        self.kl = mean(|update| update.kl);
        self.ratio_mean = mean(|update| update.ratio_mean);
        self.clip_fraction = mean(|update| update.clip_fraction);
        self.grad_norm = mean(|update| update.grad_norm);
        self.entropy = mean(|update| update.entropy);
        self.sampler_gap = mean(|update| update.sampler_gap);
        self.sampler_gap_max = updates
            .iter()
            .filter_map(|update| update.sampler_gap_max)
            .reduce(f64::max);
        self.mismatch_kl = mean(|update| update.mismatch_kl);
        self.correction_mean = mean(|update| update.correction_mean);
        self.correction_fraction = mean(|update| update.correction_fraction);
        self.masked_fraction = mean(|update| update.masked_fraction);
        let last = updates.last().copied().unwrap_or_default();
        self.loss_last = last.loss;
        self.kl_last = last.kl;
        self.ratio_mean_last = last.ratio_mean;
        self.clip_fraction_last = last.clip_fraction;
        self.grad_norm_last = last.grad_norm;
        self.each_update = if updates.len() > 1 {
            updates.to_vec()
        } else {
            Vec::new()
        };
    }
}

/// JSON has no NaN: it is written as null and read back as NaN.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
