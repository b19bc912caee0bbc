//! What came out of each instance of an evaluation, so that two of them can be compared.

use crate::interval::wilson;
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
    /// `1` of a template that is held out from training, `0` of one that is not; absent where none is held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<String>,
}

/// How often instances of one kind were solved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// Episodes whose device state fulfils the task.
    pub solved: usize,
    /// Episodes that ended without a fault.
    pub episodes: usize,
    /// The 95 % Wilson interval of the rate, as fractions of 1; null without episodes.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
}

impl Distance {
    /// So many solved of so many.
    pub fn new(solved: usize, episodes: usize) -> Self {
        let (low, high) = wilson(solved, episodes).unzip();
        Self {
            solved,
            episodes,
            low,
            high,
        }
    }

    /// Share of the episodes that were solved; none without episodes.
    pub fn rate(&self) -> Option<f64> {
        (self.episodes > 0).then(|| self.solved as f64 / self.episodes as f64)
    }
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
        if groups.iter().any(|group| group.task.is_held_out()) {
            let signs = groups
                .iter()
                .map(|group| if group.task.is_held_out() { '1' } else { '0' });
            all.held_out = Some(signs.collect());
        }
        all
    }

    /// Of the instances `among`: those of templates that are trained on, and those of templates that are held out; none
    /// where no template is held out.
    pub fn distances(&self, among: impl Iterator<Item = usize>) -> Option<(Distance, Distance)> {
        let held_out = self.held_out.as_ref()?.as_bytes();
        let mut counts = [(0, 0); 2];
        for index in among {
            let (solved, episodes) = &mut counts[usize::from(held_out.get(index) == Some(&b'1'))];
            match self.solved.as_bytes().get(index) {
                Some(b'1') => (*solved, *episodes) = (*solved + 1, *episodes + 1),
                Some(b'0') => *episodes += 1,
                _ => {}
            }
        }
        let [seen, unseen] = counts.map(|(solved, episodes)| Distance::new(solved, episodes));
        Some((seen, unseen))
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

#[cfg(test)]
mod tests {
    use super::*;
    use cua_grpo_core::{Ending, Episode, Facts, Row, Task};

    fn group(held_out: bool, verified: Option<bool>) -> Group {
        let task = Task::new("a/1", "");
        let task = if held_out { task.with_held_out() } else { task };
        let episode = |verified| Episode::new(0, Ending::Reported, Facts::new(verified), Row::new(1.0));
        Group::new(task).with_episodes(verified.map(episode).into_iter().collect())
    }

    #[test]
    fn instances_of_templates_that_are_held_out_are_counted_apart() {
        let groups = [
            group(false, Some(true)),
            group(true, Some(false)),
            group(false, Some(false)),
            group(true, None),
            group(true, Some(true)),
        ];
        let all = Instances::of(&groups);
        assert_eq!(all.held_out.as_deref(), Some("01011"));
        let (seen, unseen) = all.distances(0..all.len()).unwrap();
        assert_eq!((seen.solved, seen.episodes, seen.rate()), (1, 2, Some(0.5)));
        assert_eq!((unseen.solved, unseen.episodes), (1, 2), "a lost one is no episode");
        assert!(unseen.low.unwrap() < 0.1 && unseen.high.unwrap() > 0.9);
        // On some of them, as a comparison needs it.
        let (seen, unseen) = all.distances([0, 1].into_iter()).unwrap();
        assert_eq!((seen.episodes, unseen.episodes, unseen.rate()), (1, 1, Some(0.0)));
        // Nothing changes where nothing is held out.
        let plain = Instances::of(&groups[..1]);
        assert_eq!((plain.held_out.clone(), plain.distances(0..1)), (None, None));
        assert!(serde_json::to_value(&plain).unwrap().get("held_out").is_none());
        assert_eq!(Distance::new(0, 0).rate(), None);
    }
}
