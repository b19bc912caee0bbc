//! What came out of each instance of an evaluation, so that two of them can be compared.

use cua_grpo_core::Group;
use serde::{Deserialize, Serialize};

/// What came out of each instance of an evaluation, in the order of its tasks; a lost one has `-` or null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Instances {
    /// `1` solved, `0` not.
    pub solved: String,
    /// `1` claimed as solved, `0` not.
    pub claimed: String,
    /// Rewards.
    pub reward: Vec<Option<f64>>,
    /// Turns taken.
    pub turns: Vec<Option<usize>>,
}

impl Instances {
    /// The outcomes of an evaluation's groups, each of one episode or of none that ended.
    pub fn of(groups: &[Group]) -> Self {
        let mut all = Self::default();
        for group in groups {
            let episode = group.episodes.first();
            let sign = |holds: Option<bool>| holds.map_or('-', |holds| if holds { '1' } else { '0' });
            all.solved.push(sign(episode.map(|episode| episode.facts.verified)));
            all.claimed
                .push(sign(episode.map(|episode| episode.facts.claimed == Some(true))));
            all.reward.push(episode.map(|episode| f64::from(episode.reward)));
            all.turns.push(episode.map(|episode| episode.facts.turns));
        }
        all
    }

    /// How many there are, by the shortest of the lists.
    pub fn len(&self) -> usize {
        self.solved
            .len()
            .min(self.claimed.len())
            .min(self.reward.len())
            .min(self.turns.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the instance `index` was played to its end.
    pub fn has(&self, index: usize) -> bool {
        self.solved.as_bytes()[index] != b'-' && self.reward[index].is_some() && self.turns[index].is_some()
    }
}
