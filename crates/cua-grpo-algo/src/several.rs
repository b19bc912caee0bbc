//! Several reward functions: one number of many, before or after each is normalised.
//!
//! With `r_ik` what function `k` gave attempt `i` (it may give nothing), and `w_k` its weight:
//!
//! - sum, then normalise (TRL `sum_then_normalize`, the default): `r_i = sum_k w_k r_ik`, what is missing counts 0.
//! - normalise, then sum (GDPO, TRL `normalize_then_sum`): `z_ik = (r_ik - mean_gk) / (std_gk + 1e-4)` in the group,
//!   with unbiased deviations over what is there, 0 where that is fewer than two; `R_i = sum_k w_k z_ik`;
//!   `A = (R - mean) / (std + 1e-4)` over all attempts of the batch.
//!
//! An attempt to which no function gave anything cannot be scored: it enters no mean and has no advantage. Departure
//! from TRL, whose rows of zeros stay in the batch: who calls this leaves such an attempt out.

use crate::AlgoError;
use crate::advantage::{mean, std};

/// `sum_k w_k r_ik` of one attempt; `None` when every function gave nothing.
///
/// # Errors
/// [`AlgoError::Value`] when the numbers of rewards and weights differ.
pub fn weighted_sum(rewards: &[Option<f64>], weights: &[f64]) -> Result<Option<f64>, AlgoError> {
    check(rewards.len(), weights.len())?;
    if rewards.iter().all(Option::is_none) {
        return Ok(None);
    }
    let terms = rewards
        .iter()
        .zip(weights)
        .filter_map(|(reward, weight)| reward.map(|reward| weight * reward));
    Ok(Some(terms.sum()))
}

/// GDPO's advantages: for each group, one number an attempt. `groups` holds, for each attempt, one reward of each
/// function. An attempt that nobody scored has the advantage 0 and enters no mean.
///
/// # Errors
/// [`AlgoError::Value`] when the numbers of rewards and weights differ, or a reward is not finite.
pub fn gdpo(groups: &[Vec<Vec<Option<f64>>>], weights: &[f64]) -> Result<Vec<Vec<f64>>, AlgoError> {
    let mut sums: Vec<Vec<Option<f64>>> = Vec::with_capacity(groups.len());
    for group in groups {
        let mut normalised = vec![vec![None; weights.len()]; group.len()];
        for function in 0..weights.len() {
            let mut there = Vec::new();
            for attempt in group {
                check(attempt.len(), weights.len())?;
                there.extend(attempt[function]);
            }
            if let Some(reward) = there.iter().find(|reward| !reward.is_finite()) {
                let (operation, what) = ("gdpo", "finite rewards");
                return Err(AlgoError::Value {
                    operation,
                    what,
                    got: reward.to_string(),
                });
            }
            let (centre, spread) = (mean(&there), std(&there, 1));
            for (attempt, place) in group.iter().zip(&mut normalised) {
                let z = |reward: f64| {
                    if there.len() < 2 {
                        0.0
                    } else {
                        (reward - centre) / (spread + 1e-4)
                    }
                };
                place[function] = attempt[function].map(z);
            }
        }
        let sum = |attempt: &Vec<Option<f64>>| weighted_sum(attempt, weights);
        sums.push(normalised.iter().map(sum).collect::<Result<_, _>>()?);
    }
    let all: Vec<f64> = sums.iter().flatten().copied().flatten().collect();
    let (centre, spread) = (mean(&all), std(&all, 1));
    let scaled = |sum: Option<f64>| sum.map_or(0.0, |sum| (sum - centre) / (spread + 1e-4));
    Ok(sums
        .into_iter()
        .map(|group| group.into_iter().map(scaled).collect())
        .collect())
}

fn check(rewards: usize, weights: usize) -> Result<(), AlgoError> {
    if rewards == weights {
        return Ok(());
    }
    Err(AlgoError::Value {
        operation: "several rewards",
        what: "one reward for each weight",
        got: format!("{rewards} rewards and {weights} weights"),
    })
}
