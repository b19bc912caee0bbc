//! What came out of each instance of an evaluation, so that two of them can be compared.

use crate::interval::{pass_at, wilson_of, words};
use cua_grpo_core::{Episode, Group, Novelty};
use serde::{Deserialize, Serialize};

/// What came out of each instance of an evaluation, in the order of its tasks; a lost one has `-` or null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Instances {
    /// `1` solved, of several attempts by any; `0` not.
    pub solved: String,
    /// `1` claimed as solved, of several attempts by any; `0` not.
    pub claimed: String,
    /// Rewards, of several attempts their mean.
    pub reward: Vec<Option<f64>>,
    /// Turns taken, by several attempts together.
    pub turns: Vec<Option<usize>>,
    /// `1` of a template that is held out from training, `2` in an app that is, `0` of others; absent where none is held
    /// out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<String>,
    /// The attempts at each, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Attempts>,
}

/// What became of several attempts at each instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// Attempts that were asked for at each.
    pub each: usize,
    /// Of each instance: solved, claimed as solved, ended without a fault.
    pub counts: Vec<[usize; 3]>,
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
    /// pass@k for all attempts at an instance, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_at_k: Option<f64>,
}

impl Distance {
    /// So many solved of so many, each of an instance of its own.
    pub fn new(solved: usize, episodes: usize) -> Self {
        Self::over(solved, episodes, episodes)
    }

    /// So many solved of so many, which are attempts at so many instances.
    fn over(solved: usize, episodes: usize, instances: usize) -> Self {
        let (low, high) = wilson_of(solved as f64 / episodes.max(1) as f64, instances).unzip();
        Self {
            solved,
            episodes,
            low,
            high,
            pass_at_k: None,
        }
    }

    /// The interval in words, e.g. `31 % to 64 %`; empty without episodes.
    pub fn interval(&self) -> String {
        words(self.low.zip(self.high))
    }

    /// Share of the episodes that were solved; none without episodes.
    pub fn rate(&self) -> Option<f64> {
        (self.episodes > 0).then(|| self.solved as f64 / self.episodes as f64)
    }
}

impl Instances {
    /// The outcomes of an evaluation's groups, each of the attempts at one instance that ended, of `each` asked for.
    pub fn of(groups: &[Group], each: usize) -> Self {
        let mut all = Self::default();
        let mut counts = Vec::new();
        for group in groups {
            let episodes = &group.episodes;
            let whole = episodes.len() == each && each > 0;
            let count = |holds: &dyn Fn(&Episode) -> bool| episodes.iter().filter(|episode| holds(episode)).count();
            let solved = count(&|episode| episode.facts.verified);
            let claimed = count(&|episode| episode.facts.claimed == Some(true));
            let sign = |count: usize| match (whole, count) {
                (false, _) => '-',
                (true, 0) => '0',
                (true, _) => '1',
            };
            all.solved.push(sign(solved));
            all.claimed.push(sign(claimed));
            let rewards = episodes.iter().map(|episode| f64::from(episode.reward)).sum::<f64>();
            all.reward.push(whole.then(|| rewards / each as f64));
            let turns = episodes.iter().map(|episode| episode.facts.turns).sum();
            all.turns.push(whole.then_some(turns));
            counts.push([solved, claimed, episodes.len()]);
        }
        all.attempts = (each > 1).then_some(Attempts { each, counts });
        if groups.iter().any(|group| group.task.is_held_out()) {
            let signs = groups.iter().map(|group| match group.task.novelty() {
                Novelty::Instance => '0',
                Novelty::Template => '1',
                Novelty::App => '2',
            });
            all.held_out = Some(signs.collect());
        }
        all
    }

    /// Solved, claimed as solved and ended attempts at the instance `index`.
    fn counts(&self, index: usize) -> [usize; 3] {
        if let Some(attempts) = &self.attempts {
            return attempts.counts.get(index).copied().unwrap_or_default();
        }
        let sign = |signs: &str| signs.as_bytes().get(index).copied();
        let (solved, claimed) = (sign(&self.solved), sign(&self.claimed));
        let ended = matches!(solved, Some(b'0' | b'1'));
        [solved == Some(b'1'), claimed == Some(b'1'), ended].map(usize::from)
    }

    /// Attempts that were asked for at each instance.
    pub fn each(&self) -> usize {
        self.attempts.as_ref().map_or(1, |attempts| attempts.each)
    }

    /// Solved, claimed and ended attempts at the instances `among`, all together.
    pub fn totals(&self, among: impl Iterator<Item = usize>) -> [usize; 3] {
        among.fold([0; 3], |[a, b, c], index| {
            let [solved, claimed, ended] = self.counts(index);
            [a + solved, b + claimed, c + ended]
        })
    }

    /// pass@k over the instances `among` that had `k` attempts; none without any.
    pub fn pass_at(&self, k: usize, among: impl Iterator<Item = usize>) -> Option<f64> {
        let each = among.filter_map(|index| {
            let [solved, _, ended] = self.counts(index);
            pass_at(solved, ended, k)
        });
        let (sum, count) = each.fold((0.0, 0usize), |(sum, count), pass| (sum + pass, count + 1));
        (count > 0).then(|| sum / count as f64)
    }

    /// Of the instances `among`: those of templates that are trained on, those of templates that are held out, and those in
    /// apps that are.
    pub fn distances(&self, among: impl Iterator<Item = usize>) -> [Distance; 3] {
        let held_out = self.held_out.as_ref().map(String::as_bytes).unwrap_or_default();
        let mut parts = [const { Vec::new() }; 3];
        for index in among {
            let part = match held_out.get(index) {
                Some(b'1') => 1,
                Some(b'2') => 2,
                _ => 0,
            };
            parts[part].push(index);
        }
        parts.map(|part| {
            let [solved, _, ended] = self.totals(part.iter().copied());
            let played = part.iter().filter(|index| self.counts(**index)[2] > 0).count();
            let each = self.attempts.as_ref().map(|attempts| attempts.each);
            Distance {
                pass_at_k: each.and_then(|each| self.pass_at(each, part.iter().copied())),
                ..Distance::over(solved, ended, played)
            }
        })
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
    fn instances_of_templates_and_apps_that_are_held_out_are_counted_apart() {
        let mut groups = vec![
            group(false, Some(true)),
            group(true, Some(false)),
            group(false, Some(false)),
            group(true, None),
            group(true, Some(true)),
        ];
        let app = Group::new(Task::new("b/1", "").with_held_out_app());
        groups.push(app.with_episodes(groups[0].episodes.clone()));
        let all = Instances::of(&groups, 1);
        assert_eq!(all.held_out.as_deref(), Some("010112"));
        let [seen, unseen, apps] = all.distances(0..all.len());
        assert_eq!((seen.solved, seen.episodes, seen.rate()), (1, 2, Some(0.5)));
        assert_eq!((unseen.solved, unseen.episodes), (1, 2), "a lost one is no episode");
        assert_eq!((apps.solved, apps.episodes), (1, 1));
        assert!(unseen.low.unwrap() < 0.1 && unseen.high.unwrap() > 0.9);
        // On some of them, as a comparison needs it.
        let [seen, unseen, apps] = all.distances([0, 1].into_iter());
        assert_eq!((seen.episodes, unseen.episodes, unseen.rate()), (1, 1, Some(0.0)));
        assert_eq!((apps.rate(), apps.interval()), (None, String::new()));
        // Where nothing is held out, all are unseen instances.
        let plain = Instances::of(&groups[..1], 1);
        assert_eq!((plain.held_out.clone(), plain.distances(0..1)[0].episodes), (None, 1));
        let line = serde_json::to_value(&plain).unwrap();
        assert!(line.get("held_out").is_none() && line.get("attempts").is_none());
        assert_eq!(Distance::new(0, 0).rate(), None);
    }

    #[test]
    fn several_attempts_count_by_instance_and_give_pass_at_k() {
        let episode = |verified: bool| {
            let facts = Facts::new(verified).with_turns(3);
            Episode::new(0, Ending::Reported, facts, Row::new(1.0)).with_reward(f32::from(u8::from(verified)))
        };
        let group = |outcomes: &[bool]| {
            Group::new(Task::new("a/1", "")).with_episodes(outcomes.iter().map(|verified| episode(*verified)).collect())
        };
        let groups = [
            group(&[true, false, false, false]),
            group(&[false; 4]),
            group(&[true, true]),
        ];
        let all = Instances::of(&groups, 4);
        assert_eq!(
            (all.solved.as_str(), &all.reward),
            ("10-", &vec![Some(0.25), Some(0.0), None])
        );
        assert_eq!(all.turns, [Some(12), Some(12), None]);
        let [near, ..] = all.distances(0..3);
        assert_eq!((near.solved, near.episodes), (3, 10));
        assert_eq!(near.pass_at_k, Some(0.5), "of the two that had all their attempts");
        assert_eq!(all.pass_at(2, 0..3), Some((0.5 + 0.0 + 1.0) / 3.0));
        // Attempts at one instance are alike, so the interval is that of three observations.
        let narrow = Distance::new(3, 10);
        assert!(near.low < narrow.low && near.high > narrow.high, "{near:?} {narrow:?}");
        assert_eq!(all.totals([0, 1].into_iter()), [1, 0, 8]);
    }
}
