//! Configurations and groups made for the tests.

use cua_grpo_core::{Completion, Ending, Episode, Facts, Group, Prompt, Row, StopReason, Task};
use cua_grpo_train::config::{ConfigError, Flag, Sources, TrainConfig, load};

/// The configuration that `--set` of each of `keys` gives.
pub fn configured(keys: &[&str]) -> Result<TrainConfig, ConfigError> {
    let flags = keys.iter().map(|key| Flag::assignment(key).unwrap()).collect();
    load(&Sources {
        flags,
        ..Sources::default()
    })
}

pub fn group(rewards: &[f32]) -> Group {
    let episode = |(index, &reward): (usize, &f32)| {
        Episode::new(index as u64, Ending::Reported, Facts::default(), row(index as u32, 0.0)).with_reward(reward)
    };
    Group::new(Task::new("test/0", "").with_max_turns(1))
        .with_episodes(rewards.iter().enumerate().map(episode).collect())
}

/// A row of a prompt of two tokens and a reply; `gap` is how far the sampler's log-probs lie above -3.
pub fn row(number: u32, gap: f32) -> Row {
    let count = 5 + number as usize;
    let token = |index: usize| 40 + 3 * index as u32 + 7 * number;
    row_of((0..count).map(|index| (token(index), (index >= 2).then_some(gap - 3.0))))
}

/// A row of tokens, each with the sampler's log-prob where it was sampled.
pub fn row_of(tokens: impl IntoIterator<Item = (u32, Option<f32>)>) -> Row {
    let mut row = Row::new(1.0);
    for (token, logprob) in tokens {
        match logprob {
            Some(logprob) => {
                let reply = Completion::new(vec![token], vec![logprob], 0, StopReason::Stop).unwrap();
                row.push_completion(&reply).unwrap();
            }
            None => row.push_prompt(&Prompt::new(vec![token])),
        }
    }
    row
}
