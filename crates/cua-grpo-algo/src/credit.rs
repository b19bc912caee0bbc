//! Step credit: an advantage for each turn of an episode, not one for all of them.
//!
//! An episode of `T` turns with the reward `r` at its end has at turn `t` (from 0) the discounted return
//! `R_t = gamma^(T - 1 - t) r`: an early turn is paid less for a success that came late.
//!
//! - `discounted`: the returns of all turns of a group are one group of rewards; `advantage.rs` says how they are scaled.
//! - `gigpo` (Feng et al., "Group-in-Group Policy Optimization", 2505.10978): turns of a group that saw the same state
//!   (an anchor) are compared with each other. `A_t = A_episode + w A_state`, where `A_state` is what `advantage.rs`
//!   makes of the returns of all turns at that state, and 0 where a state was seen once.
//!
//! Departures: verl-agent divides both terms by its own choice of deviation, here both follow `scale_rewards`; a reward
//! comes at the end of an episode only.

use crate::advantage::advantages_f64;
use crate::{AdvantageConfig, AlgoError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an advantage is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepCredit {
    /// A whole episode.
    #[default]
    Episode,
    /// A turn, by its discounted return.
    Discounted,
    /// A turn, by its discounted return among turns at the same state, and its episode.
    Gigpo,
}

impl StepCredit {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Episode, Self::Discounted, Self::Gigpo];
}

/// One attempt of a group, as step credit sees it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attempt {
    /// What the episode was paid.
    pub reward: f64,
    /// The state that each turn saw: equal numbers are equal states, `None` is like no other.
    pub states: Vec<Option<u64>>,
}

/// `gamma^(turns - 1 - t) reward` for each turn.
pub fn discounted_returns(reward: f64, turns: usize, gamma: f64) -> Vec<f64> {
    let mut returns = vec![0.0; turns];
    let mut ahead = reward;
    for place in returns.iter_mut().rev() {
        *place = ahead;
        ahead *= gamma;
    }
    returns
}

/// Advantages of each turn of each attempt of each group, from discounted returns.
///
/// # Errors
/// [`AlgoError::Value`] when a reward is not finite.
pub fn discounted_advantages(
    groups: &[Vec<Attempt>],
    gamma: f64,
    config: AdvantageConfig,
) -> Result<Vec<Vec<Vec<f64>>>, AlgoError> {
    let returns = returns(groups, gamma);
    let flat: Vec<Vec<f64>> = returns.iter().map(|group| group.concat()).collect();
    let scaled = advantages_f64(&flat, unfiltered(config))?;
    let shape = |(group, scaled): (&Vec<Vec<f64>>, Option<Vec<f64>>)| {
        let mut next = scaled.unwrap_or_default().into_iter();
        let turns = |attempt: &Vec<f64>| attempt.iter().map(|_| next.next().unwrap_or(0.0)).collect();
        group.iter().map(turns).collect()
    };
    Ok(returns.iter().zip(scaled).map(shape).collect())
}

/// Advantages of each turn of each attempt of each group, from `episodes` (the advantages of whole episodes) and from
/// turns at the same state, which count `weight` times.
///
/// # Errors
/// [`AlgoError::Value`] when a reward is not finite.
pub fn gigpo_advantages(
    groups: &[Vec<Attempt>],
    episodes: &[Vec<f64>],
    gamma: f64,
    weight: f64,
    config: AdvantageConfig,
) -> Result<Vec<Vec<Vec<f64>>>, AlgoError> {
    let returns = returns(groups, gamma);
    // Places of the turns at each state, state by state.
    let mut anchors: Vec<Vec<(usize, usize, usize)>> = Vec::new();
    for (g, group) in groups.iter().enumerate() {
        let mut states: BTreeMap<u64, Vec<(usize, usize, usize)>> = BTreeMap::new();
        for (i, attempt) in group.iter().enumerate() {
            for (t, state) in attempt.states.iter().enumerate() {
                if let Some(state) = state {
                    states.entry(*state).or_default().push((g, i, t));
                }
            }
        }
        anchors.extend(states.into_values());
    }
    let at = |places: &Vec<(usize, usize, usize)>| places.iter().map(|&(g, i, t)| returns[g][i][t]).collect();
    let rewards: Vec<Vec<f64>> = anchors.iter().map(at).collect();
    let scaled = advantages_f64(&rewards, unfiltered(config))?;
    let mut found: Vec<Vec<Vec<f64>>> = groups
        .iter()
        .zip(episodes)
        .map(|(group, episodes)| {
            let turns = |(attempt, &episode): (&Attempt, &f64)| vec![episode; attempt.states.len()];
            group.iter().zip(episodes).map(turns).collect()
        })
        .collect();
    for (places, scaled) in anchors.iter().zip(scaled) {
        for (&(g, i, t), advantage) in places.iter().zip(scaled.unwrap_or_default()) {
            found[g][i][t] += weight * advantage;
        }
    }
    Ok(found)
}

fn returns(groups: &[Vec<Attempt>], gamma: f64) -> Vec<Vec<Vec<f64>>> {
    let attempt = |attempt: &Attempt| discounted_returns(attempt.reward, attempt.states.len(), gamma);
    groups.iter().map(|group| group.iter().map(attempt).collect()).collect()
}

/// Which groups teach something is decided by the rewards of episodes.
fn unfiltered(config: AdvantageConfig) -> AdvantageConfig {
    AdvantageConfig {
        min_group_std: 0.0,
        ..config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AdvantageScale;

    fn attempt(reward: f64, states: &[u64]) -> Attempt {
        let states = states.iter().map(|&state| Some(state)).collect();
        Attempt { reward, states }
    }

    fn plain() -> AdvantageConfig {
        AdvantageConfig {
            scale: AdvantageScale::None,
            ..Default::default()
        }
    }

    fn close(got: &[f64], expected: &[f64]) {
        assert_eq!(got.len(), expected.len());
        let near = got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near, "got {got:?}, expected {expected:?}");
    }

    #[test]
    fn returns_fall_by_gamma_towards_the_start() {
        assert_eq!(discounted_returns(2.0, 3, 0.5), [0.5, 1.0, 2.0]);
        assert_eq!(discounted_returns(1.0, 2, 1.0), [1.0, 1.0]);
        assert!(discounted_returns(1.0, 0, 0.9).is_empty());
    }

    #[test]
    fn turns_are_compared_with_all_turns_of_the_group() {
        let groups = [vec![attempt(1.0, &[0, 1]), attempt(0.0, &[0])]];
        let found = discounted_advantages(&groups, 0.5, plain()).unwrap();
        // Returns 0.5, 1 and 0 have the mean 0.5.
        close(&found[0][0], &[0.0, 0.5]);
        close(&found[0][1], &[-0.5]);
    }

    #[test]
    fn turns_at_one_state_are_compared_and_a_state_seen_once_adds_nothing() {
        // State 7 is seen by a turn of each attempt; 8 and 9 once.
        let groups = [vec![attempt(1.0, &[7, 8]), attempt(0.0, &[9, 7])]];
        let episodes = [vec![0.5, -0.5]];
        let found = gigpo_advantages(&groups, &episodes, 0.5, 2.0, plain()).unwrap();
        // Returns at 7: 0.5 and 0, so 0.25 and -0.25, twice.
        close(&found[0][0], &[0.5 + 0.5, 0.5]);
        close(&found[0][1], &[-0.5, -0.5 - 0.5]);
        let none = gigpo_advantages(&groups, &episodes, 0.5, 0.0, plain()).unwrap();
        close(&none[0][0], &[0.5, 0.5]);
        close(&none[0][1], &[-0.5, -0.5]);
    }

    #[test]
    fn a_state_of_another_group_or_one_that_is_not_known_is_no_anchor() {
        let unknown = Attempt {
            reward: 1.0,
            states: vec![None, None],
        };
        let groups = [vec![attempt(1.0, &[7]), unknown], vec![attempt(0.0, &[7])]];
        let episodes = [vec![0.25, 0.5], vec![0.0]];
        let found = gigpo_advantages(&groups, &episodes, 0.9, 1.0, plain()).unwrap();
        close(&found[0][0], &[0.25]);
        close(&found[0][1], &[0.5, 0.5]);
        close(&found[1][0], &[0.0]);
    }

    #[test]
    fn a_loop_is_paid_less_for_its_first_visit() {
        // One attempt sees state 3 twice: the second visit is nearer to the reward.
        let groups = [vec![attempt(1.0, &[3, 3]), attempt(1.0, &[3])]];
        let found = gigpo_advantages(&groups, &[vec![0.0, 0.0]], 0.5, 1.0, plain()).unwrap();
        let mean = 2.5 / 3.0;
        close(&found[0][0], &[0.5 - mean, 1.0 - mean]);
        close(&found[0][1], &[1.0 - mean]);
    }
}
