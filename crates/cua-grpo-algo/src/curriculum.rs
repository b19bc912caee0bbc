//! Which kinds of tasks are drawn: one that keeps failing, or that is always solved, comes less often.
//!
//! With `f` the groups in a row of one kind in which no attempt succeeded, a task of that kind is drawn with the weight
//! `exp(-(f - patience))` once `f` is above the patience (MobileRL's failure curriculum filter); likewise with the groups
//! in a row in which every attempt succeeded (the easy pool of prime-rl). A group of both ends either row.
//!
//! Departures: MobileRL drops a task that failed for long, here the weight stays at 0.05 or more, so that what was learnt
//! elsewhere can show; prime-rl sorts tasks into pools by thresholds, here the weight falls with every group.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The least weight.
const FLOOR: f64 = 0.05;

/// How many groups in a row are waited for; absent means that such tasks are drawn as often as others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CurriculumConfig {
    /// Groups in which no attempt succeeded.
    pub failures: Option<u64>,
    /// Groups in which every attempt succeeded.
    pub solved: Option<u64>,
}

/// Groups in a row of one kind of task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    /// In which no attempt succeeded.
    pub failed: u64,
    /// In which every attempt succeeded.
    pub solved: u64,
}

/// How each kind of task stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Standing(BTreeMap<String, Streak>);

impl Standing {
    /// Whether nothing was observed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes note of one group of a kind of task. A group without attempts says nothing.
    pub fn observe(&mut self, kind: &str, successes: usize, attempts: usize) {
        if attempts == 0 {
            return;
        }
        let streak = self.0.entry(kind.to_owned()).or_default();
        *streak = Streak {
            failed: if successes == 0 { streak.failed + 1 } else { 0 },
            solved: if successes == attempts { streak.solved + 1 } else { 0 },
        };
    }

    /// How often a kind of task is drawn, in (0, 1].
    pub fn weight(&self, kind: &str, config: CurriculumConfig) -> f64 {
        let streak = self.0.get(kind).copied().unwrap_or_default();
        let beyond = |count: u64, patience: Option<u64>| patience.map_or(0, |patience| count.saturating_sub(patience));
        let most = beyond(streak.failed, config.failures).max(beyond(streak.solved, config.solved));
        (-(most as f64)).exp().max(FLOOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_fall_with_groups_in_a_row_beyond_the_patience_and_come_back() {
        let config = CurriculumConfig {
            failures: Some(2),
            solved: None,
        };
        let mut standing = Standing::default();
        let mut weights = Vec::new();
        for successes in [0, 0, 0, 0, 0, 0, 0, 1, 0] {
            standing.observe("a", successes, 4);
            weights.push(standing.weight("a", config));
        }
        let e = |n: i32| f64::from(-n).exp();
        assert_eq!(weights, [1.0, 1.0, e(1), e(2), FLOOR, FLOOR, FLOOR, 1.0, 1.0]);
        assert_eq!(standing.weight("b", config), 1.0);
        standing.observe("a", 0, 0);
        assert_eq!(standing.weight("a", config), 1.0);
    }

    #[test]
    fn what_is_always_solved_comes_less_often_where_that_is_asked_for() {
        let mut standing = Standing::default();
        (0..3).for_each(|_| standing.observe("a", 4, 4));
        let config = |solved| CurriculumConfig {
            failures: Some(1),
            solved,
        };
        assert_eq!(standing.weight("a", config(None)), 1.0);
        assert_eq!(standing.weight("a", config(Some(1))), (-2.0_f64).exp());
    }
}
