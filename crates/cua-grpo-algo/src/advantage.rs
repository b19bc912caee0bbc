//! Advantages: how much better an attempt did than the other attempts at the same task.
//!
//! With `r` the rewards of a group of `G` attempts, `mean` their mean:
//!
//! | scale | advantage | origin |
//! |---|---|---|
//! | `group_population` | `(r - mean) / (std_population + 1e-8)` | the Python original; the default |
//! | `group` | `(r - mean) / (std_unbiased + 1e-4)` | GRPO as in TRL |
//! | `batch` | `(r - mean) / (std_unbiased of all rewards of the batch + 1e-4)` | TRL `scale_rewards="batch"` |
//! | `none` | `r - mean` | Dr. GRPO |
//! | `leave_one_out` | `r_i - mean of the others` | RLOO |
//!
//! A group teaches nothing when it has fewer than two attempts or when all did equally well. It is filtered: no
//! other group takes its place. Departure from TRL, which keeps such groups as rows of zeros that still enter the denominators.
//! [`AdvantageConfig::epsilon`] replaces what is added to a standard deviation; AReaL adds 1e-5 to each of them.

use crate::AlgoError;
use serde::{Deserialize, Serialize};

/// What the centred rewards are divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdvantageScale {
    /// Population standard deviation of the group (denominator `G`), plus 1e-8: that of the Python original.
    #[default]
    GroupPopulation,
    /// Unbiased standard deviation of the group (denominator `G - 1`), plus 1e-4: that of TRL.
    Group,
    /// Unbiased standard deviation of all rewards, plus 1e-4.
    Batch,
    /// Nothing.
    None,
    /// Nothing, and the mean leaves out the attempt itself.
    LeaveOneOut,
}

impl AdvantageScale {
    /// Every scale.
    pub const ALL: [Self; 5] = [
        Self::GroupPopulation,
        Self::Group,
        Self::Batch,
        Self::None,
        Self::LeaveOneOut,
    ];
}

/// How advantages are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdvantageConfig {
    /// What the centred rewards are divided by.
    pub scale: AdvantageScale,
    /// Groups whose population standard deviation is below this are filtered.
    pub min_group_std: f64,
    /// What is added to a standard deviation; absent means what the scale says.
    pub epsilon: Option<f64>,
}

impl Default for AdvantageConfig {
    fn default() -> Self {
        Self {
            scale: AdvantageScale::GroupPopulation,
            min_group_std: 0.05,
            epsilon: None,
        }
    }
}

/// Advantages of each group, one an attempt; `None` for a group that is filtered.
///
/// The standard deviation of a batch is that of all rewards given, filtered groups included.
///
/// # Errors
/// [`AlgoError::Value`] when a reward is not finite.
pub fn advantages(
    rewards_g: &[impl AsRef<[f32]>],
    config: AdvantageConfig,
) -> Result<Vec<Option<Vec<f32>>>, AlgoError> {
    let groups: Vec<Vec<f64>> = rewards_g
        .iter()
        .map(|group| group.as_ref().iter().map(|&reward| f64::from(reward)).collect())
        .collect();
    let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
    let found = advantages_f64(&groups, config)?;
    Ok(found.into_iter().map(|group| group.map(single)).collect())
}

/// [`advantages`] in double precision.
///
/// # Errors
/// As [`advantages`].
pub fn advantages_f64(groups: &[Vec<f64>], config: AdvantageConfig) -> Result<Vec<Option<Vec<f64>>>, AlgoError> {
    let all: Vec<f64> = groups.iter().flatten().copied().collect();
    if let Some(reward) = all.iter().find(|reward| !reward.is_finite()) {
        let (operation, what) = ("advantages", "finite rewards");
        return Err(AlgoError::Value {
            operation,
            what,
            got: reward.to_string(),
        });
    }
    let batch_std = std(&all, 1);
    Ok(groups
        .iter()
        .map(|group| group_advantages(group, config, batch_std))
        .collect())
}

fn group_advantages(rewards: &[f64], config: AdvantageConfig, batch_std: f64) -> Option<Vec<f64>> {
    let population_std = std(rewards, 0);
    if rewards.len() < 2 || population_std < config.min_group_std {
        return None;
    }
    let count = rewards.len() as f64;
    let largest = rewards.iter().fold(0.0, |most: f64, reward| most.max(reward.abs()));
    if population_std <= f64::EPSILON * count * largest {
        // Equal rewards: what their mean is off by is rounding.
        return Some(vec![0.0; rewards.len()]);
    }
    let mean = mean(rewards);
    let over = |std: f64, epsilon: f64| 1.0 / (std + config.epsilon.unwrap_or(epsilon));
    let factor = match config.scale {
        AdvantageScale::GroupPopulation => over(population_std, 1e-8),
        AdvantageScale::Group => over(std(rewards, 1), 1e-4),
        AdvantageScale::Batch => over(batch_std, 1e-4),
        AdvantageScale::None => 1.0,
        // r_i - (sum - r_i) / (G - 1) = (r_i - mean) G / (G - 1)
        AdvantageScale::LeaveOneOut => count / (count - 1.0),
    };
    Some(rewards.iter().map(|reward| (reward - mean) * factor).collect())
}

/// The mean; 0 of nothing.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation with `ddof` degrees of freedom taken off; 0 for fewer than `ddof + 1` values.
pub(crate) fn std(values: &[f64], ddof: usize) -> f64 {
    if values.len() <= ddof {
        return 0.0;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - ddof) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_teach_nothing_are_filtered() {
        let config = AdvantageConfig::default();
        let groups: [&[f32]; 5] = [&[], &[1.0], &[1.0, 1.0, 1.0], &[0.5, 0.55], &[0.0, 0.2]];
        let kept: Vec<bool> = advantages(&groups, config)
            .unwrap()
            .iter()
            .map(Option::is_some)
            .collect();
        assert_eq!(kept, [false, false, false, false, true]);
        for epsilon in [None, Some(0.0)] {
            let flat = AdvantageConfig {
                min_group_std: 0.0,
                epsilon,
                ..config
            };
            assert_eq!(
                advantages(&[[1.0, 1.0]], flat).unwrap(),
                [Some(vec![0.0, 0.0])],
                "a threshold of 0 keeps all"
            );
        }
    }

    #[test]
    fn equal_rewards_whose_mean_is_rounded_have_no_advantage() {
        for (value, count) in [(0.95f64.powi(3), 7), (0.1, 3), (1e9 / 3.0, 6), (-0.7, 11)] {
            let rewards = vec![value; count];
            for scale in AdvantageScale::ALL {
                let config = AdvantageConfig {
                    scale,
                    min_group_std: 0.0,
                    epsilon: Some(0.0),
                };
                let found = group_advantages(&rewards, config, std(&rewards, 1)).unwrap();
                assert_eq!(found, vec![0.0; count], "{scale:?} of {value}");
            }
        }
    }

    #[test]
    fn a_reward_that_is_not_finite_is_refused() {
        let error = advantages(&[[0.0, f32::NAN]], AdvantageConfig::default()).unwrap_err();
        assert!(error.to_string().contains("finite rewards"), "{error}");
    }
}
