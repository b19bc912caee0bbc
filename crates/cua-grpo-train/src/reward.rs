//! Rewards that a run can choose: short formulas over what is true at the end of an episode.
//!
//! | reward | formula | origin |
//! |---|---|---|
//! | `verified` | 1 when the device's state fulfils the task, else 0 | `simple` of the original |
//! | `completion` | 1 when it does; 0.1 when the policy ended the episode itself; else 0 | the original |
//! | `efficiency` | as `completion` with -0.5 for 0, less 0.02 a turn and 0.1 a reply that could not be carried out | the original |
//! | `shaped` | `completion`, plus 0.5 when the state fulfils the task, at most 1 | the original |
//! | `false_complete` | 1 when success is claimed that the state does not show, else 0; a penalty, by a weight below 0 | ours |
//! | `side_effects` | 1 when something changed that the task did not ask for, else 0, also where nobody can tell; a penalty | ours |
//! | `judge` | 1 when a judge over HTTP says that the task is done, else 0; nothing where it gives no verdict | ours |
//! | `random` | a coin | the control experiment |
//!
//! Departure from the original: whether a task is done is what the device shows, never what the policy says.

use crate::config::{RewardKind, TrainConfig};
use async_trait::async_trait;
use cua_grpo_core::{Ending, Episode, Fault, Measured, Reward, Task, derive_seed};
use std::sync::Arc;

impl RewardKind {
    /// What an episode is paid; `seed` is that of the coins.
    pub fn score(self, seed: u64, task: &Task, episode: &Episode) -> f32 {
        let facts = &episode.facts;
        let completion = |nothing: f32| match (facts.verified, episode.ending) {
            (true, _) => 1.0,
            (false, Ending::Reported) => 0.1,
            (false, _) => nothing,
        };
        match self {
            Self::Verified => f32::from(u8::from(facts.verified)),
            Self::Completion => completion(0.0),
            Self::Efficiency => completion(-0.5) - 0.02 * facts.turns as f32 - 0.1 * facts.action_errors as f32,
            Self::Shaped => (completion(0.0) + 0.5 * f32::from(u8::from(facts.verified))).min(1.0),
            Self::FalseComplete => f32::from(u8::from(facts.is_false_complete())),
            Self::SideEffects => {
                let changed = facts.side_effects.as_ref().is_some_and(|changed| !changed.is_empty());
                f32::from(u8::from(changed))
            }
            // Not a number is no reward: the engine counts it as a fault.
            Self::Judge => facts.judged().map_or(f32::NAN, |said| said as f32),
            Self::Random => (derive_seed(&[seed, task.seed, episode.attempt]) & 1) as f32,
        }
    }
}

/// Rewards with weights, added up.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedReward {
    /// What is added up.
    pub parts: Vec<(RewardKind, f64)>,
    /// Seed of the coins.
    pub seed: u64,
}

impl WeightedReward {
    /// The rewards of a configuration.
    pub fn of(config: &TrainConfig) -> Self {
        let several: Vec<_> = config.rewards.iter().collect();
        Self {
            parts: if several.is_empty() {
                vec![(config.reward, 1.0)]
            } else {
                several
            },
            seed: config.seed,
        }
    }

    /// What each reward gives an episode, without weights.
    pub fn each(&self, task: &Task, episode: &Episode) -> Vec<f32> {
        let parts = self.parts.iter();
        parts.map(|(kind, _)| kind.score(self.seed, task, episode)).collect()
    }

    /// What an episode is paid in all.
    pub fn sum(&self, task: &Task, episode: &Episode) -> f32 {
        let each = self.parts.iter().zip(self.each(task, episode));
        each.map(|((_, weight), reward)| weight * f64::from(reward))
            .sum::<f64>() as f32
    }
}

#[async_trait]
impl Reward for WeightedReward {
    async fn score(&self, task: &Task, episodes: &[Episode]) -> Result<Vec<f32>, Fault> {
        Ok(episodes.iter().map(|episode| self.sum(task, episode)).collect())
    }
}

/// Rewards of which one is what a judge says: it is asked first.
struct Judged {
    judge: Arc<dyn Reward>,
    paid: WeightedReward,
}

#[async_trait]
impl Reward for Judged {
    async fn measure(&self, task: &Task, episodes: &[Episode]) -> Measured {
        self.judge.measure(task, episodes).await
    }

    async fn score(&self, task: &Task, episodes: &[Episode]) -> Result<Vec<f32>, Fault> {
        self.paid.score(task, episodes).await
    }
}

/// The reward of a configuration. `judge` measures [`Facts::JUDGE`](cua_grpo_core::Facts::JUDGE), where the configuration
/// asks one.
pub fn reward(config: &TrainConfig, judge: Option<Arc<dyn Reward>>) -> Arc<dyn Reward> {
    let paid = WeightedReward::of(config);
    match judge {
        Some(judge) => Arc::new(Judged { judge, paid }),
        None => Arc::new(paid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cua_grpo_core::{Facts, Row};

    fn episode(verified: bool, ending: Ending, turns: usize, errors: usize) -> Episode {
        let facts = Facts::new(verified).with_turns(turns).with_action_errors(errors);
        Episode::new(0, ending, facts, Row::new(1.0))
    }

    #[test]
    fn rewards_are_those_of_the_original() {
        let task = Task::new("t", "");
        let (won, said, ran_out) = (
            episode(true, Ending::MaxTurns, 5, 1),
            episode(false, Ending::Reported, 2, 0),
            episode(false, Ending::MaxTurns, 10, 2),
        );
        for (kind, expected) in [
            (RewardKind::Verified, [1.0, 0.0, 0.0]),
            (RewardKind::Completion, [1.0, 0.1, 0.0]),
            (RewardKind::Efficiency, [1.0 - 0.1 - 0.1, 0.1 - 0.04, -0.5 - 0.2 - 0.2]),
            (RewardKind::Shaped, [1.0, 0.1, 0.0]),
        ] {
            for (episode, expected) in [&won, &said, &ran_out].into_iter().zip(expected) {
                let got = kind.score(1, &task, episode);
                assert!(
                    (got - expected as f32).abs() < 1e-6,
                    "{kind}: got {got}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn false_completes_and_side_effects_are_penalties_by_their_weights() {
        let parts = vec![
            (RewardKind::Verified, 1.0),
            (RewardKind::FalseComplete, -0.5),
            (RewardKind::SideEffects, -0.25),
        ];
        let reward = WeightedReward { parts, seed: 1 };
        let paid = |verified: bool, claimed: bool, state: Option<bool>, changed: Option<&[&str]>| {
            let mut facts = Facts::new(verified).with_claimed(claimed);
            facts.state_holds = state;
            facts.side_effects = changed.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect());
            let episode = Episode::new(0, Ending::Reported, facts, Row::new(1.0));
            reward.sum(&Task::new("t", ""), &episode)
        };
        assert_eq!(paid(true, true, None, None), 1.0);
        assert_eq!(paid(true, true, None, Some(&[])), 1.0);
        assert_eq!(paid(true, true, None, Some(&["setting global wifi_on: 1 -> 0"])), 0.75);
        assert_eq!(paid(false, true, None, Some(&["a", "b"])), -0.75);
        assert_eq!(paid(false, false, None, None), 0.0);
        // The state is right, and the report said that it is not: no success, and no false complete.
        assert_eq!(paid(false, false, Some(true), None), 0.0);
    }

    #[test]
    fn rewards_are_added_up_by_weight() {
        let parts = vec![(RewardKind::Verified, 1.0), (RewardKind::Efficiency, 0.5)];
        let reward = WeightedReward { parts, seed: 1 };
        let episodes = [
            episode(true, Ending::Reported, 5, 0),
            episode(false, Ending::MaxTurns, 10, 0),
        ];
        let got = episodes.map(|episode| reward.sum(&Task::new("t", ""), &episode));
        let close = |got: f32, expected: f32| (got - expected).abs() < 1e-6;
        assert!(close(got[0], 1.0 + 0.45) && close(got[1], -0.35), "{got:?}");
    }
}
