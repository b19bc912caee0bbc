//! Tasks by how their templates stand: those that keep failing, or that are always solved, are drawn less often.
//!
//! A task that is turned down gives its place to another one, which follows from the place alone. So what is drawn
//! follows from the seed and from the steps before, and a run that is resumed draws the same.

use crate::config::TrainConfig;
use cua_grpo_algo::{CurriculumConfig, Standing};
use cua_grpo_core::{Group, Task, TaskSource, derive_seed};
use std::sync::{Arc, Mutex, PoisonError};

/// Which of the run's random streams turns tasks down.
const CURRICULUM: u64 = 4;
/// Draws for one place; the last is taken as it is.
const DRAWS: u64 = 16;

/// A task source that draws from another one by the standing of templates.
#[derive(Clone)]
pub struct CurriculumTasks {
    inner: Arc<dyn TaskSource>,
    standing: Arc<Mutex<Standing>>,
    config: CurriculumConfig,
    seed: u64,
}

impl CurriculumTasks {
    /// Draws from `inner` as `config` says, beginning with `standing`; `None` where every task is drawn as often.
    pub fn of(config: &TrainConfig, inner: Arc<dyn TaskSource>, standing: Standing) -> Option<Self> {
        let patience = config.curriculum();
        let wanted = patience.failures.is_some() || patience.solved.is_some();
        wanted.then(|| Self {
            inner,
            standing: Arc::new(Mutex::new(standing)),
            config: patience,
            seed: config.seed,
        })
    }

    /// Takes note of the groups of a step; gives the standing after it.
    pub fn observe(&self, groups: &[Group]) -> Standing {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        for group in groups {
            let successes = group.episodes.iter().filter(|episode| episode.facts.verified).count();
            standing.observe(&group.task.template, successes, group.episodes.len());
        }
        standing.clone()
    }
}

impl TaskSource for CurriculumTasks {
    fn task(&self, cursor: u64) -> Task {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut task = self.inner.task(cursor);
        for draw in 1..DRAWS {
            let chance = (derive_seed(&[self.seed, CURRICULUM, cursor, draw]) >> 11) as f64 / (1_u64 << 53) as f64;
            if chance < standing.weight(&task.template, self.config) {
                break;
            }
            task = self.inner.task(derive_seed(&[CURRICULUM, cursor, draw]) >> 12);
        }
        task
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Configuration;

    struct Alternating;

    impl TaskSource for Alternating {
        fn task(&self, cursor: u64) -> Task {
            let mut task = Task::new(format!("t/{cursor}"), "");
            task.template = if cursor.is_multiple_of(2) { "hard" } else { "fair" }.to_owned();
            task
        }
    }

    fn hard(tasks: &CurriculumTasks) -> usize {
        (0..400).filter(|&cursor| tasks.task(cursor).template == "hard").count()
    }

    #[test]
    fn a_template_that_keeps_failing_is_drawn_less_and_comes_back() {
        assert!(TrainConfig::keys().iter().any(|key| key.name == "curriculum_failures"));
        let plain = TrainConfig::default();
        assert!(CurriculumTasks::of(&plain, Arc::new(Alternating), Standing::default()).is_none());
        let config = TrainConfig {
            curriculum_failures: Some(1),
            ..plain
        };
        let tasks = CurriculumTasks::of(&config, Arc::new(Alternating), Standing::default()).unwrap();
        assert_eq!(hard(&tasks), 200, "nothing is known yet");
        let group = |verified: bool| {
            let mut task = Task::new("t/0", "");
            task.template = "hard".to_owned();
            let facts = cua_grpo_core::Facts::new(verified);
            let row = cua_grpo_core::Row::new(1.0);
            let episode = cua_grpo_core::Episode::new(0, cua_grpo_core::Ending::Reported, facts, row);
            [Group::new(task).with_episodes(vec![episode])]
        };
        (0..4).for_each(|_| drop(tasks.observe(&group(false))));
        let saved = tasks.observe(&group(false));
        let few = hard(&tasks);
        assert!((4..60).contains(&few), "{few} of 400");
        // A run that is resumed draws the same.
        let again = CurriculumTasks::of(&config, Arc::new(Alternating), saved).unwrap();
        assert!((0..400).all(|cursor| again.task(cursor) == tasks.task(cursor)));
        tasks.observe(&group(true));
        assert_eq!(hard(&tasks), 200);
    }
}
