//! Run with `cargo run -p examples --example own_environment`: your own environment, reward and policy.
//!
//! A foreign project depends on `cua-grpo-core` for the seams and on `cua-grpo-rollout` for the engine, and brings
//! three things: an environment (here a number to be guessed), a reward (fewer guesses pay more) and a policy (here a
//! script). The engine makes groups of attempts; `cua-grpo-algo`, which needs no
//! tensors for that (feature `burn` left out), says how much better each attempt did than its group.

use async_trait::async_trait;
use cua_grpo_algo::{AdvantageConfig, advantages};
use cua_grpo_core::testing::{ByteRenderer, ScriptedSampler};
use cua_grpo_core::{ActionRecord, Ending, Environment, Episode, Facts, Fault, Observation, Step, Task};
use cua_grpo_rollout::{CancellationToken, GroupRequest, RolloutConfig, RolloutEngine};
use std::sync::Arc;

/// A world with a hidden number from 1 to 15. It tells whether a guess is too low or too high.
struct GuessTheNumber {
    hidden: u64,
    facts: Facts,
}

impl GuessTheNumber {
    fn new(task: &Task) -> Self {
        Self {
            hidden: task.seed,
            facts: Facts::default(),
        }
    }
}

#[async_trait]
impl Environment for GuessTheNumber {
    async fn start(&mut self) -> Result<Observation, Fault> {
        Ok(Observation::text("Guess a number from 1 to 15."))
    }

    async fn step(&mut self, reply: &str) -> Result<Step, Fault> {
        self.facts.turns += 1;
        let mut action = ActionRecord::new(format!("guess {reply}"));
        let answer = match reply.trim().parse::<u64>() {
            Ok(guess) if guess == self.hidden => {
                self.facts.verified = true;
                return Ok(Step::new(action));
            }
            Ok(guess) if guess < self.hidden => "Too low.",
            Ok(_) => "Too high.",
            // The policy's own mistake is an observation like any other; a Fault would be for a broken world.
            Err(error) => {
                self.facts.action_errors += 1;
                action.error = Some(error.to_string());
                "That is not a number."
            }
        };
        Ok(Step::new(action).with_observation(Observation::text(answer)))
    }

    async fn finish(&mut self, _ending: Ending) -> Result<Facts, Fault> {
        Ok(self.facts.clone())
    }
}

/// 1 for a number that was found, less a tenth for every guess after the first.
fn fewer_guesses(_task: &Task, episode: &Episode) -> f32 {
    if episode.facts.verified {
        1.0 - 0.1 * (episode.facts.turns as f32 - 1.0)
    } else {
        0.0
    }
}

/// Attempts differ in their stride: attempt `a` of a group guesses 1 + a, then 2 (1 + a), then 3 (1 + a), and so on.
fn policy(slot: usize, turn: usize) -> Result<String, Fault> {
    let stride = slot % GROUP_SIZE + 1;
    Ok((stride * (turn + 1)).to_string())
}

const GROUP_SIZE: usize = 4;

fn task(hidden: u64) -> Task {
    Task::new(format!("guess/{hidden}"), "Find the hidden number.")
        .with_seed(hidden)
        .with_max_turns(8)
}

/// Collects three groups and lays them out as a table.
async fn table() -> anyhow::Result<String> {
    // Any function from a task to an environment is a factory.
    let factory = |task: &Task| -> Result<Box<dyn Environment>, Fault> { Ok(Box::new(GuessTheNumber::new(task))) };
    let engine = RolloutEngine::new(
        Arc::new(factory),
        Arc::new(ByteRenderer),
        Arc::new(ScriptedSampler::new(policy)),
        Arc::new(fewer_guesses),
        RolloutConfig::default(),
    )?;
    let requests = [6, 8, 11].map(|hidden| GroupRequest {
        task: task(hidden),
        group_size: GROUP_SIZE,
    });
    let collection = engine.collect(requests.into(), 0, CancellationToken::new()).await?;

    let mut table = format!(
        "{:<10} {:>7} {:>7} {:>7} {:>10}\n",
        "task", "attempt", "guesses", "reward", "advantage"
    );
    let rewards: Vec<Vec<f32>> = collection.groups.iter().map(|group| group.rewards()).collect();
    // A threshold of 0 keeps groups that teach nothing, with advantages of 0; a trainer leaves them out.
    let config = AdvantageConfig {
        min_group_std: 0.0,
        ..AdvantageConfig::default()
    };
    for (group, advantages) in collection.groups.iter().zip(advantages(&rewards, config)?) {
        for (episode, advantage) in group.episodes.iter().zip(advantages.unwrap_or_default()) {
            let (attempt, guesses, reward) = (episode.attempt, episode.turns.len(), episode.reward);
            let task = &group.task.id;
            table += &format!("{task:<10} {attempt:>7} {guesses:>7} {reward:>7.2} {advantage:>10.3}\n");
        }
    }
    let stats = collection.stats;
    table += &format!(
        "{} episodes, {} solved, {} faults, {} tokens sampled\n",
        stats.episodes,
        stats.successes,
        stats.faults.total(),
        stats.tokens_sampled
    );
    Ok(table)
}

#[allow(clippy::print_stdout, reason = "the output of the example")]
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    print!("{}", table().await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn strides_that_hit_the_number_soonest_have_the_largest_advantage() {
        let table = table().await.unwrap();
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        // 6 is 6 steps of 1, 3 of 2, 2 of 3, and no multiple of 4.
        assert_eq!(rows[1], ["guess/6", "0", "6", "0.50", "-0.143"]);
        assert_eq!(rows[3][..4], ["guess/6", "2", "2", "0.90"]);
        assert_eq!(rows[4][..4], ["guess/6", "3", "8", "0.00"]);
        // No stride reaches 11 within 8 guesses: a group that teaches nothing.
        assert!(rows[9..13].iter().all(|row| row[3..] == ["0.00", "0.000"]), "{table}");
        assert!(
            table.ends_with("12 episodes, 6 solved, 0 faults, 172 tokens sampled\n"),
            "{table}"
        );
    }
}
