//! Configurations and groups made for the tests.

use cua_grpo_core::{Ending, Episode, Facts, Group, Row, Task};
use std::collections::BTreeMap;
use trainer::config::{ConfigError, Flag, Sources, TrainConfig, load};

/// The configuration that `--set` of each of `keys` gives.
pub fn configured(keys: &[&str]) -> Result<TrainConfig, ConfigError> {
    let flags = keys.iter().map(|key| Flag::assignment(key).unwrap()).collect();
    load(&Sources {
        flags,
        ..Sources::default()
    })
}

pub fn group(rewards: &[f32]) -> Group {
    let episode = |(index, &reward): (usize, &f32)| Episode {
        attempt: index as u64,
        turns: Vec::new(),
        ending: Ending::Reported,
        last_screenshot: None,
        facts: Facts::default(),
        reward,
        row: row(index as u32, 0.0),
        seconds: 0.0,
    };
    let task = Task {
        id: "test/0".into(),
        template: "test".into(),
        instruction: String::new(),
        seed: 0,
        setup: Vec::new(),
        checks: Vec::new(),
        max_turns: 1,
        tags: BTreeMap::new(),
    };
    Group {
        task,
        episodes: rewards.iter().enumerate().map(episode).collect(),
        faults: Vec::new(),
    }
}

/// A row of a prompt of two tokens and a reply; `gap` is how far the sampler's log-probs lie above -3.
pub fn row(number: u32, gap: f32) -> Row {
    let count = 5 + number as usize;
    Row {
        tokens: (0..count as u32).map(|token| 40 + 3 * token + 7 * number).collect(),
        trained: (0..count).map(|index| index >= 2).collect(),
        logprobs: (0..count)
            .map(|index| if index >= 2 { gap - 3.0 } else { 0.0 })
            .collect(),
        versions: vec![0; count],
        images: Vec::new(),
    }
}
