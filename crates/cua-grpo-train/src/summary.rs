//! The figures that follow from episodes alone: rewards, endings, replies, staleness.

use crate::config::TrainConfig;
use crate::metrics::{Behaviour, Conduct, TemplateCount, TrainEvent};
use cua_grpo_core::{Ending, Episode, Group, StopReason, Task};
use cua_grpo_rollout::RolloutStats;
use std::collections::BTreeMap;

/// Endings and replies of episodes.
pub fn behaviour<'a>(episodes: impl IntoIterator<Item = &'a Episode>) -> Behaviour {
    let mut counts = Behaviour::default();
    for episode in episodes {
        match episode.ending {
            Ending::Reported => counts.ended_reported += 1,
            Ending::MaxTurns => counts.ended_max_turns += 1,
            Ending::MaxTokens => counts.ended_max_tokens += 1,
            Ending::MaxTime => counts.ended_max_time += 1,
            Ending::Fault => {} // Such an attempt is no episode; it is counted as a fault.
        }
        for turn in &episode.turns {
            counts.replies += 1;
            counts.replies_malformed += usize::from(turn.action.malformed);
            counts.replies_refused += usize::from(turn.action.error.is_some() && !turn.action.malformed);
            counts.replies_truncated += usize::from(turn.stop != StopReason::Stop);
        }
    }
    counts
}

/// What episodes did beside their tasks.
pub fn conduct<'a>(episodes: impl IntoIterator<Item = (&'a Task, &'a Episode)>) -> Conduct {
    let mut counts = Conduct::default();
    let mut over = Vec::new();
    let (mut judged, mut agreed, mut overrated) = (0, 0, 0);
    for (task, episode) in episodes {
        let facts = &episode.facts;
        if let Some(said) = facts.judged() {
            let done = said >= 0.5;
            judged += 1;
            agreed += usize::from(done == facts.state());
            overrated += usize::from(done && !facts.state());
        }
        counts.false_completes += usize::from(facts.is_false_complete());
        counts.unreported_successes += usize::from(facts.is_unreported());
        if let Some(changed) = &facts.side_effects {
            counts.side_effects_known += 1;
            *counts.side_effects.get_or_insert(0) += usize::from(!changed.is_empty());
        }
        if let (Some(turns), true) = (task.expert_turns(), facts.verified) {
            over.push(facts.turns as f64 / turns as f64);
        }
    }
    if judged > 0 {
        counts.judged = Some(judged);
        counts.judge_agreement = Some(agreed as f64 / judged as f64);
        counts.judge_false_successes = Some(overrated);
    }
    counts.turns_over_expert = (!over.is_empty()).then(|| over.iter().sum::<f64>() / over.len() as f64);
    counts
}

/// Outcomes by template.
pub fn by_template(episodes: &[(Task, Episode)]) -> BTreeMap<String, TemplateCount> {
    let mut counts: BTreeMap<String, TemplateCount> = BTreeMap::new();
    for (task, episode) in episodes {
        let count = counts.entry(task.template.clone()).or_default();
        count.solved += usize::from(episode.facts.verified);
        count.episodes += 1;
    }
    counts
}

/// Rows of an episode, in the mean; `None` where contexts are not cut back.
pub fn rows_mean(config: &TrainConfig, groups: &[Group]) -> Option<f64> {
    let episodes = || groups.iter().flat_map(|group| &group.episodes);
    let rows: usize = episodes().map(|episode| episode.rows().count()).sum();
    let wanted = config.keep_screenshots > 0 && rows > 0;
    wanted.then(|| rows as f64 / episodes().count() as f64)
}

/// A step's line without what its updates add: its groups, and what they cost. `version` is the policy's before them.
pub fn summarise(groups: &[Group], stats: &RolloutStats, version: u64) -> TrainEvent {
    let rewards: Vec<f64> = groups.iter().flat_map(Group::rewards).map(f64::from).collect();
    let count = rewards.len().max(1) as f64;
    let mean = rewards.iter().sum::<f64>() / count;
    let variance = rewards.iter().map(|reward| (reward - mean).powi(2)).sum::<f64>() / count;
    let (mut gaps, mut tokens, mut largest) = (0u64, 0u64, 0u64);
    for row in groups.iter().flat_map(|group| &group.episodes).flat_map(Episode::rows) {
        for (sampled_by, _) in row
            .versions()
            .iter()
            .zip(row.trained())
            .filter(|(_, trained)| **trained)
        {
            let gap = version.saturating_sub(*sampled_by);
            (gaps, tokens, largest) = (gaps + gap, tokens + 1, largest.max(gap));
        }
    }
    TrainEvent {
        reward_mean: mean,
        reward_std: variance.sqrt(),
        success_rate: stats.successes as f64 / stats.episodes.max(1) as f64,
        tokens_sampled: stats.tokens_sampled,
        episodes: stats.episodes,
        faults: stats.faults.total(),
        turns_mean: (stats.episodes > 0).then(|| stats.turns as f64 / stats.episodes as f64),
        behaviour: Some(behaviour(groups.iter().flat_map(|group| &group.episodes))),
        conduct: Some(conduct(groups.iter().flat_map(|group| {
            let episodes = group.episodes.iter();
            episodes.map(|episode| (&group.task, episode))
        }))),
        staleness_mean: gaps as f64 / tokens.max(1) as f64,
        staleness_max: largest,
        episodes_surplus: Some(stats.surplus),
        slots_busy_s: Some(stats.busy_seconds),
        sampler_busy_s: Some(stats.sampler_seconds),
        action_errors: Some(stats.action_errors),
        kept_mass_mean: Some(stats.kept_mass_mean()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cua_grpo_core::{ActionRecord, Facts, Row, Turn};

    fn turn(malformed: bool, error: bool, stop: StopReason) -> Turn {
        let mut action = ActionRecord::new("").with_malformed(malformed);
        action.error = error.then(|| "why".to_owned());
        Turn::new("", action, 0..0, stop)
    }

    fn episode(ending: Ending, turns: Vec<Turn>) -> Episode {
        Episode::new(0, ending, Facts::default(), Row::new(1.0)).with_turns(turns)
    }

    #[test]
    fn what_is_claimed_changed_and_dawdled_is_counted() {
        let expert = Task::new("a/1", "").with_expert_turns(4);
        let unknown = Task::new("b/1", "");
        let play = |facts: Facts| Episode::new(0, Ending::Reported, facts, Row::new(1.0));
        let played = [
            (
                &expert,
                play(
                    Facts::new(true)
                        .with_claimed(true)
                        .with_turns(6)
                        .with_side_effects(Vec::new()),
                ),
            ),
            (&expert, play(Facts::new(true).with_turns(4))),
            (&expert, play(Facts::new(false).with_claimed(true).with_turns(40))),
            (
                &unknown,
                play(
                    Facts::new(false)
                        .with_claimed(false)
                        .with_side_effects(vec!["a".into(), "b".into()]),
                ),
            ),
            // Done, and reported as failed: where a report is asked for, no success.
            (
                &unknown,
                play(Facts::new(false).with_claimed(false).with_state_holds(true)),
            ),
        ];
        let counts = conduct(played.iter().map(|(task, episode)| (*task, episode)));
        let expected = Conduct {
            false_completes: 1,
            unreported_successes: 2,
            side_effects: Some(1),
            side_effects_known: 2,
            turns_over_expert: Some(1.25),
            ..Default::default()
        };
        assert_eq!(counts, expected);
        let nothing = conduct([(&unknown, &play(Facts::default()))]);
        assert_eq!(
            (nothing.side_effects, nothing.turns_over_expert),
            (None, None),
            "nobody could tell"
        );
    }

    #[test]
    fn a_judge_is_held_against_the_state() {
        let task = Task::new("a/1", "");
        let play = |facts: Facts, said: Option<f64>| {
            let facts = said.map_or(facts.clone(), |said| facts.with_extra(Facts::JUDGE, said));
            (&task, Episode::new(0, Ending::Reported, facts, Row::new(1.0)))
        };
        let played = [
            play(Facts::new(true), Some(1.0)),
            play(Facts::new(true), Some(0.0)),
            play(Facts::new(false), Some(1.0)),
            // The state is right, and the report was missing: the judge is right about the state.
            play(Facts::new(false).with_state_holds(true), Some(1.0)),
            play(Facts::new(true), None),
        ];
        let counts = conduct(played.iter().map(|(task, episode)| (*task, episode)));
        assert_eq!(
            (counts.judged, counts.judge_agreement, counts.judge_false_successes),
            (Some(4), Some(0.5), Some(1))
        );
        let line = serde_json::to_string(&conduct([(&task, &play(Facts::new(true), None).1)])).unwrap();
        assert!(!line.contains("judge"), "{line}");
    }

    #[test]
    fn endings_and_replies_are_counted_each_once() {
        let (stop, cut, full) = (StopReason::Stop, StopReason::MaxTokens, StopReason::ContextFull);
        let episodes = [
            episode(
                Ending::Reported,
                vec![turn(false, false, stop), turn(false, true, stop)],
            ),
            episode(Ending::MaxTurns, vec![turn(true, true, cut)]),
            episode(Ending::MaxTurns, Vec::new()),
            episode(Ending::MaxTime, Vec::new()),
            episode(
                Ending::MaxTokens,
                vec![turn(true, true, full), turn(false, false, stop)],
            ),
        ];
        let expected = Behaviour {
            ended_reported: 1,
            ended_max_turns: 2,
            ended_max_tokens: 1,
            ended_max_time: 1,
            replies: 5,
            replies_malformed: 2,
            replies_refused: 1,
            replies_truncated: 2,
        };
        assert_eq!(behaviour(&episodes), expected);
    }
}
