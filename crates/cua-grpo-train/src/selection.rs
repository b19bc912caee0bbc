//! Groups into rows with advantages: which groups teach something, and how much each episode or turn was worth.

use crate::config::{RewardAggregation, TrainConfig};
use crate::reward::WeightedReward;
use anyhow::Result;
use cua_grpo_algo::{
    AdvantageConfig, Attempt, StepCredit, advantages_f64, discounted_advantages, gdpo, gigpo_advantages,
    overlong_penalty, shortest_path, whiten,
};
use cua_grpo_core::{Episode, Group, Row, StopReason, Task, Turn};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

/// Rows that are trained on, with their advantages.
pub struct Selection<'a> {
    /// The rows of the groups that are kept.
    pub rows: Vec<&'a Row>,
    /// Of each row its episode, by number among `episodes`, and which of the episode's rows it is.
    pub places: Vec<(usize, usize)>,
    /// What each episode or turn was worth.
    pub credit: Credit,
    /// Which of the trained tokens of each row enter the loss; absent means all.
    pub entering: Option<Vec<Vec<bool>>>,
    /// Their episodes with the tasks.
    pub episodes: Vec<(&'a Task, &'a Episode)>,
    /// Groups that are kept.
    pub kept: usize,
    /// Groups whose rewards hardly differ.
    pub filtered: usize,
    /// Groups that faults left with fewer than two episodes: there is nothing to compare.
    pub lost: usize,
    groups: &'a [Group],
    /// The rewards of all groups, shaped.
    rewards: Vec<Vec<f64>>,
    /// Numbers of the groups that are kept.
    chosen: Vec<usize>,
}

/// Advantages of rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Credit {
    /// One a row; the mean over its turns where they have their own.
    pub rows: Vec<f32>,
    /// One for each trained token of each row, where they differ within a row.
    pub tokens: Option<Vec<Vec<f32>>>,
}

impl<'a> Selection<'a> {
    /// Up to `count` episodes that show what a step learnt from: those with the largest advantages by size, the first
    /// of equal ones. Where nothing was kept, the first episodes of the step, without advantages.
    pub fn telling(&self, groups: &'a [Group], count: usize) -> Vec<(&'a Task, &'a Episode, Option<f32>)> {
        let mut kept: Vec<_> = self.episodes.iter().zip(self.worth()).collect();
        kept.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        if kept.is_empty() {
            let all = groups
                .iter()
                .flat_map(|group| group.episodes.iter().map(move |episode| (&group.task, episode, None)));
            return all.take(count).collect();
        }
        let kept = kept.into_iter().take(count);
        kept.map(|((task, episode), advantage)| (*task, *episode, Some(advantage)))
            .collect()
    }

    /// The advantage of each episode: that of its row, the mean over its tokens where it has several.
    fn worth(&self) -> Vec<f32> {
        let mut worth = vec![0.0; self.episodes.len()];
        let mut tokens = vec![0; self.episodes.len()];
        for ((&(episode, number), row), advantage) in self.places.iter().zip(&self.rows).zip(&self.credit.rows) {
            let (own, before) = (row.trained_tokens(), tokens[episode]);
            let mean = (worth[episode] * before as f32 + advantage * own as f32) / (before + own).max(1) as f32;
            worth[episode] = if number == 0 { *advantage } else { mean };
            tokens[episode] = before + own;
        }
        worth
    }

    /// Which part of its episode each row is, by the tokens that enter the loss; `None` where every episode is one row.
    pub fn shares(&self) -> Option<Vec<f64>> {
        if self.rows.len() == self.episodes.len() {
            return None;
        }
        let mut tokens = vec![0; self.episodes.len()];
        let mut rows = vec![0; self.episodes.len()];
        for (row, &(episode, _)) in self.places.iter().enumerate() {
            tokens[episode] += self.tokens_of(row);
            rows[episode] += 1;
        }
        let share = |(row, &(episode, _)): (usize, &(usize, usize))| match tokens[episode] {
            0 => 1.0 / f64::from(rows[episode]),
            all => self.tokens_of(row) as f64 / all as f64,
        };
        Some(self.places.iter().enumerate().map(share).collect())
    }

    /// The advantages when the episode of each row has lost the row's entry of `penalties`.
    ///
    /// # Errors
    /// When a penalty is not finite.
    pub fn penalised(&self, config: &TrainConfig, penalties: &[f64]) -> Result<Credit> {
        let mut rewards = self.rewards.clone();
        let mut lost = vec![0.0; self.episodes.len()];
        for (&(episode, _), penalty) in self.places.iter().zip(penalties) {
            lost[episode] += penalty;
        }
        let places = self.chosen.iter().flat_map(|&number| {
            let episodes = 0..self.groups[number].episodes.len();
            episodes.map(move |index| (number, index))
        });
        for ((number, index), penalty) in places.zip(lost) {
            rewards[number][index] -= penalty;
        }
        self.credit_of(config, &rewards)
    }

    /// Whether a trained token of a row enters the loss.
    pub fn enters(&self, row: usize, token: usize) -> bool {
        self.entering.as_ref().is_none_or(|entering| entering[row][token])
    }

    /// The rows in a message.
    pub(crate) fn names(&self, rows: &[usize]) -> Vec<String> {
        rows.iter().map(|&row| self.name(row)).collect()
    }

    fn name(&self, row: usize) -> String {
        let (episode, number) = self.places[row];
        let (task, episode) = self.episodes[episode];
        let later = if number > 0 {
            format!(" row {number}")
        } else {
            String::new()
        };
        format!("task {} episode {}{later}", task.id, episode.attempt)
    }

    /// Trained tokens of a row that enter the loss.
    pub fn tokens_of(&self, row: usize) -> usize {
        match &self.entering {
            None => self.rows[row].trained_tokens(),
            Some(entering) => entering[row].iter().filter(|enters| **enters).count(),
        }
    }

    fn credit_of(&self, config: &TrainConfig, rewards: &[Vec<f64>]) -> Result<Credit> {
        let scale = AdvantageConfig {
            min_group_std: 0.0,
            ..config.advantages()
        };
        let of_episodes = if config.multi_objective_aggregation == RewardAggregation::NormalizeThenSum {
            let reward = WeightedReward::of(config);
            let weights: Vec<f64> = reward.parts.iter().map(|(_, weight)| *weight).collect();
            let each = |task: &Task, episode: &Episode| -> Vec<Option<f64>> {
                let each = reward.each(task, episode).into_iter();
                each.map(|reward| Some(f64::from(reward))).collect()
            };
            let group = |group: &Group| group.episodes.iter().map(|one| each(&group.task, one)).collect();
            gdpo(&self.groups.iter().map(group).collect::<Vec<_>>(), &weights)?
        } else {
            let found = advantages_f64(rewards, scale)?.into_iter();
            found.map(Option::unwrap_or_default).collect()
        };
        let chosen: Vec<&Vec<f64>> = self.chosen.iter().map(|&number| &of_episodes[number]).collect();
        let flat: Vec<f64> = chosen.iter().copied().flatten().copied().collect();
        let turns = self.of_turns(config, scale, rewards, &chosen)?;
        let whole = |&(episode, _): &(usize, usize)| flat[episode];
        let mut credit = Credit {
            rows: self.places.iter().map(|place| whole(place) as f32).collect(),
            tokens: None,
        };
        let mut tokens: Option<Vec<Vec<f64>>> = turns.map(|turns| {
            let each = self.rows.iter().zip(&self.places);
            each.map(|(row, place @ &(number, _))| {
                let own = self.turns_of(place).map(|(turn, tokens)| (tokens, turns[number][turn]));
                spread(row, whole(place), own)
            })
            .collect()
        });
        if config.whiten_advantages {
            let rows = self.rows.iter().zip(&self.places);
            let mut all = tokens.unwrap_or_else(|| {
                rows.map(|(row, place)| vec![whole(place); row.trained_tokens()])
                    .collect()
            });
            let every = || all.iter().map(|row| vec![true; row.len()]).collect();
            let entering = self.entering.clone().unwrap_or_else(every);
            whiten(&mut all, &entering);
            tokens = Some(all);
        }
        if let Some(tokens) = tokens {
            let mean = |row: &Vec<f64>| (row.iter().sum::<f64>() / row.len().max(1) as f64) as f32;
            credit.rows = tokens.iter().map(mean).collect();
            let single = |row: Vec<f64>| row.into_iter().map(|value| value as f32).collect();
            credit.tokens = Some(tokens.into_iter().map(single).collect());
        }
        Ok(credit)
    }

    /// The turns whose replies stand in the row at a place, by number, each with the tokens of its reply there.
    fn turns_of(&self, &(episode, row): &(usize, usize)) -> impl Iterator<Item = (usize, Range<usize>)> {
        let turns = self.episodes[episode].1.turns.iter().enumerate();
        turns
            .filter(move |(_, turn)| turn.row == row)
            .map(|(number, turn)| (number, turn.tokens.clone()))
    }

    /// Advantages of the turns of each episode, where they have their own.
    fn of_turns(
        &self,
        config: &TrainConfig,
        scale: AdvantageConfig,
        rewards: &[Vec<f64>],
        of_episodes: &[&Vec<f64>],
    ) -> Result<Option<Vec<Vec<f64>>>> {
        if config.step_credit == StepCredit::Episode {
            return Ok(None);
        }
        let attempt = |(episode, reward): (&Episode, &f64)| Attempt {
            reward: *reward,
            states: episode.turns.iter().map(state_of).collect(),
        };
        let group = |&number: &usize| -> Vec<Attempt> {
            let episodes = self.groups[number].episodes.iter();
            episodes.zip(&rewards[number]).map(attempt).collect()
        };
        let groups: Vec<Vec<Attempt>> = self.chosen.iter().map(group).collect();
        let found = match config.step_credit {
            StepCredit::Gigpo => {
                let whole: Vec<Vec<f64>> = of_episodes.iter().copied().cloned().collect();
                gigpo_advantages(&groups, &whole, config.gamma, config.step_advantage_weight, scale)?
            }
            _ => discounted_advantages(&groups, config.gamma, scale)?,
        };
        Ok(Some(found.concat()))
    }
}

/// A number of the state that a turn began in: what the environment tells, else a number of the screenshot's bytes.
fn state_of(turn: &Turn) -> Option<u64> {
    let of_screenshot = || {
        let mut hasher = DefaultHasher::new();
        turn.screenshot.as_ref()?.bytes.hash(&mut hasher);
        Some(hasher.finish())
    };
    turn.state.or_else(of_screenshot)
}

/// A value for each trained token of a row: that of the reply that it stands in, or `other` where it stands in none.
fn spread<T: Copy>(row: &Row, other: T, replies: impl Iterator<Item = (Range<usize>, T)>) -> Vec<T> {
    let mut all = vec![other; row.len()];
    for (tokens, value) in replies {
        if let Some(tokens) = all.get_mut(tokens) {
            tokens.fill(value);
        }
    }
    let tokens = all.into_iter().zip(row.trained());
    tokens
        .filter(|(_, trained)| **trained)
        .map(|(value, _)| value)
        .collect()
}

/// The rewards of a group with what the configuration adds to and takes from them.
fn shaped(config: &TrainConfig, group: &Group) -> Vec<f64> {
    let mut rewards: Vec<f64> = group.episodes.iter().map(|one| f64::from(one.reward)).collect();
    if config.shortest_path_alpha > 0.0 {
        let success = |episode: &Episode| (episode.facts.verified, episode.turns.len());
        let successes: Vec<(bool, usize)> = group.episodes.iter().map(success).collect();
        shortest_path(&mut rewards, &successes, config.shortest_path_alpha);
    }
    if config.overlong_buffer > 0 {
        for (reward, episode) in rewards.iter_mut().zip(&group.episodes) {
            let longest = episode.turns.iter().map(|turn| turn.tokens.len()).max().unwrap_or(0);
            let (limit, buffer) = (config.max_new_tokens, config.overlong_buffer);
            *reward += overlong_penalty(longest, limit, buffer, config.overlong_penalty);
        }
    }
    rewards
}

/// Advantages within each group; flat groups, and those that faults left too small, are left out and counted apart.
///
/// # Errors
/// When a reward is not finite.
pub fn select<'a>(config: &TrainConfig, groups: &'a [Group]) -> Result<Selection<'a>> {
    let rewards: Vec<Vec<f64>> = groups.iter().map(|group| shaped(config, group)).collect();
    let kept = advantages_f64(&rewards, config.advantages())?;
    let mut selection = Selection {
        rows: Vec::new(),
        places: Vec::new(),
        credit: Credit::default(),
        entering: None,
        episodes: Vec::new(),
        kept: 0,
        filtered: 0,
        lost: 0,
        groups,
        rewards: Vec::new(),
        chosen: Vec::new(),
    };
    for (number, (group, kept)) in groups.iter().zip(kept).enumerate() {
        match kept {
            None if group.episodes.len() < 2 => selection.lost += 1,
            None => selection.filtered += 1,
            Some(_) => {
                selection.kept += 1;
                selection.chosen.push(number);
                for episode in &group.episodes {
                    for (row, tokens) in episode.rows().enumerate() {
                        selection.rows.push(tokens);
                        selection.places.push((selection.episodes.len(), row));
                    }
                    selection.episodes.push((&group.task, episode));
                }
            }
        }
    }
    if config.mask_truncated_completions {
        // The tokens of replies that did not end by themselves stay out.
        let uncut = |(row, place): (&&Row, &(usize, usize))| {
            let turns = &selection.episodes[place.0].1.turns;
            let cut = selection
                .turns_of(place)
                .filter(|(turn, _)| turns[*turn].stop != StopReason::Stop);
            spread(row, true, cut.map(|(_, tokens)| (tokens, false)))
        };
        selection.entering = Some(selection.rows.iter().zip(&selection.places).map(uncut).collect());
    }
    selection.credit = selection.credit_of(config, &rewards)?;
    selection.rewards = rewards;
    Ok(selection)
}
