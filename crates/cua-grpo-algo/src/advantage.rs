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
}

impl Default for AdvantageConfig {
    fn default() -> Self {
        Self {
            scale: AdvantageScale::GroupPopulation,
            min_group_std: 0.05,
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

fn group_advantages(rewards: &[f64], config: AdvantageConfig, batch_std: f64) -> Option<Vec<f32>> {
    let population_std = std(rewards, 0);
    if rewards.len() < 2 || population_std < config.min_group_std {
        return None;
    }
    let count = rewards.len() as f64;
    let mean = rewards.iter().sum::<f64>() / count;
    let factor = match config.scale {
        AdvantageScale::GroupPopulation => 1.0 / (population_std + 1e-8),
        AdvantageScale::Group => 1.0 / (std(rewards, 1) + 1e-4),
        AdvantageScale::Batch => 1.0 / (batch_std + 1e-4),
        AdvantageScale::None => 1.0,
        // r_i - (sum - r_i) / (G - 1) = (r_i - mean) G / (G - 1)
        AdvantageScale::LeaveOneOut => count / (count - 1.0),
    };
    Some(rewards.iter().map(|reward| ((reward - mean) * factor) as f32).collect())
}

/// Standard deviation with `ddof` degrees of freedom taken off; 0 for fewer than `ddof + 1` values.
fn std(values: &[f64], ddof: usize) -> f64 {
    if values.len() <= ddof {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() - ddof) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REWARDS: [[f32; 2]; 2] = [[1.0, 0.0], [0.25, 0.75]];

    fn check(scale: AdvantageScale, expected: [f64; 4]) {
        let got = advantages(
            &REWARDS,
            AdvantageConfig {
                scale,
                min_group_std: 0.05,
            },
        )
        .unwrap();
        let got: Vec<f32> = got.into_iter().flatten().flatten().collect();
        assert_eq!(got.len(), 4);
        for (got, expected) in got.iter().zip(expected) {
            assert!(
                (f64::from(*got) - expected).abs() < 1e-6,
                "{scale:?}: got {got}, expected {expected}"
            );
        }
    }

    #[test]
    fn scales_give_the_peers_numbers() {
        check(
            AdvantageScale::Group,
            [0.7070067953, -0.7070067953, -0.7069068377, 0.7069068377],
        );
        check(
            AdvantageScale::Batch,
            [1.0952051676, -1.0952051676, -0.5476025838, 0.5476025838],
        );
        check(AdvantageScale::None, [0.5, -0.5, -0.25, 0.25]);
        check(AdvantageScale::LeaveOneOut, [1.0, -1.0, -0.5, 0.5]);
        check(
            AdvantageScale::GroupPopulation,
            [0.99999998, -0.99999998, -0.99999996, 0.99999996],
        );
    }

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
        let flat = AdvantageConfig {
            min_group_std: 0.0,
            ..config
        };
        assert_eq!(
            advantages(&[[1.0, 1.0]], flat).unwrap(),
            [Some(vec![0.0, 0.0])],
            "a threshold of 0 keeps all"
        );
    }

    #[test]
    fn a_reward_that_is_not_finite_is_refused() {
        let error = advantages(&[[0.0, f32::NAN]], AdvantageConfig::default()).unwrap_err();
        assert!(error.to_string().contains("finite rewards"), "{error}");
    }
}
