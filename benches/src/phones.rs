//! Phones that only take their time: as long to boot, to act and to show their screen as rented ones do.

use async_trait::async_trait;
use cua_grpo_core::{
    ActionRecord, Ending, Environment, EnvironmentFactory, Facts, Fault, FaultKind, Message, Observation, Role, Step,
    Task, TaskSource, derive_seed,
};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// Seconds to boot.
const BOOT: [f64; 2] = [3.0, 30.0];
/// Seconds of an action.
const ACTION: [f64; 2] = [0.3, 1.5];
/// Seconds of a screenshot.
const SCREENSHOT: [f64; 2] = [0.2, 0.8];
/// Episodes in a hundred that a fault ends.
const FAULTS: u64 = 2;
/// One phone in so many is slow ...
const STRAGGLERS: u64 = 50;
/// ... by this factor.
const SLOW: f64 = 5.0;

/// Tasks that are numbers.
pub struct Numbered;

impl TaskSource for Numbered {
    fn task(&self, cursor: u64) -> Task {
        Task::new(format!("task/{cursor}"), "").with_seed(cursor)
    }
}

/// Makes phones. What each does follows from task, slot and attempt, never from the moment.
pub struct Phones {
    seed: u64,
    /// How much faster time goes.
    haste: f64,
    made: Mutex<HashMap<(u64, usize), u64>>,
}

impl Phones {
    /// Phones whose times follow from `seed`, and take that many times less than rented ones do.
    pub fn new(seed: u64, haste: f64) -> Self {
        Self {
            seed,
            haste,
            made: Mutex::default(),
        }
    }
}

#[async_trait]
impl EnvironmentFactory for Phones {
    async fn create(&self, task: &Task, slot: usize) -> Result<Box<dyn Environment>, Fault> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let number = made.entry((task.seed, slot)).or_default();
        *number += 1;
        let mut dice = Dice(derive_seed(&[self.seed, task.seed, slot as u64, *number]), 0);
        let fails = (dice.below(100) < FAULTS).then(|| dice.below(4) as usize);
        let pace = if dice.below(STRAGGLERS) == 0 { SLOW } else { 1.0 } / self.haste;
        Ok(Box::new(Phone {
            task: task.id.clone(),
            dice,
            fails,
            pace,
            turns: 0,
        }))
    }
}

/// Numbers that follow from a seed.
struct Dice(u64, u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.1 += 1;
        derive_seed(&[self.0, self.1])
    }

    fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    fn between(&mut self, [low, high]: [f64; 2]) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

struct Phone {
    task: String,
    dice: Dice,
    /// The turn after which the phone is lost.
    fails: Option<usize>,
    pace: f64,
    turns: usize,
}

impl Phone {
    async fn take(&mut self, range: [f64; 2]) {
        let seconds = self.pace * self.dice.between(range);
        sleep(Duration::from_secs_f64(seconds)).await;
    }

    async fn look(&mut self) -> Result<Observation, Fault> {
        self.take(SCREENSHOT).await;
        if self.fails == Some(self.turns) {
            return Err(Fault::new(FaultKind::Environment, "look", "planned"));
        }
        let text = format!("{}, turn {}", self.task, self.turns);
        Ok(Observation::new(vec![Message::text(Role::User, text)]))
    }
}

#[async_trait]
impl Environment for Phone {
    async fn start(&mut self) -> Result<Observation, Fault> {
        self.take(BOOT).await;
        self.look().await
    }

    async fn step(&mut self, reply: &str) -> Result<Step, Fault> {
        self.turns += 1;
        let step = Step::new(ActionRecord::new(reply));
        if reply.starts_with("done") {
            return Ok(step);
        }
        self.take(ACTION).await;
        Ok(step.with_observation(self.look().await?))
    }

    async fn finish(&mut self, ending: Ending) -> Result<Facts, Fault> {
        if ending != Ending::Fault {
            self.take(ACTION).await;
        }
        Ok(Facts::new(self.dice.below(2) == 0).with_turns(self.turns))
    }
}
