//! What an evaluation means for the best model, for patience, and for the end of a run.

use crate::checkpoint::TrainingState;
use crate::compare::{lost, task_set};
use crate::config::TrainConfig;
use crate::metrics::EvalEvent;

/// What an evaluation says about the policy at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Episodes were lost, so it is on other instances than the others and says nothing.
    Incomplete,
    /// Better than all before on its task set.
    Best,
    /// The first on its task set.
    First {
        /// There is a best model of another task set.
        replaces: bool,
    },
    /// Not better than the best.
    Worse,
}

impl Verdict {
    /// Compares `event`, an evaluation on `task_set`, with what `state` remembers.
    pub(super) fn of(state: &TrainingState, event: &EvalEvent, task_set: &str) -> Self {
        if lost(event) > 0 {
            return Self::Incomplete;
        }
        let other = state.task_set.as_deref().is_some_and(|set| set != task_set);
        match state.best_accuracy {
            None => Self::First { replaces: false },
            Some(_) if other => Self::First { replaces: true },
            Some(best) if event.choosing_rate() > best => Self::Best,
            Some(_) => Self::Worse,
        }
    }

    /// Lets `state` remember the evaluation.
    pub(super) fn note(self, state: &mut TrainingState, event: &EvalEvent, task_set: &str) {
        state.accuracy = (self != Self::Incomplete).then_some(event.choosing_rate());
        match self {
            Self::Incomplete => {}
            Self::Worse => state.evals_without_improvement += 1,
            Self::Best | Self::First { .. } => {
                state.best_accuracy = Some(event.choosing_rate());
                state.best_step = event.step;
                state.evals_without_improvement = 0;
                state.task_set = Some(task_set.into());
            }
        }
    }
}

/// What the evaluation that closed a run means for the run that goes on from its last checkpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closed {
    /// Its verdict.
    pub(super) verdict: Verdict,
    /// Its step, which is that of the checkpoint.
    pub(super) step: usize,
    /// The step of the best model before it.
    pub(super) before: usize,
}

impl Closed {
    /// Lets `state`, which is that of the checkpoint, remember the evaluation `event` of the same weights. Its task set is
    /// the one that it was made on, which need not be `now`, that of the evaluations to come; older versions tell none.
    pub(super) fn note(state: &mut TrainingState, event: &EvalEvent, now: &str) -> Self {
        let before = state.best_step;
        let set = task_set(event).or(state.task_set.as_deref()).unwrap_or(now).to_owned();
        let verdict = Verdict::of(state, event, &set);
        verdict.note(state, event, &set);
        state.evaluated = true;
        let step = event.step;
        Self { verdict, step, before }
    }
}

/// Why a run may end before its last step: for the policy at hand, as its evaluation found it.
pub(super) fn enough(state: &TrainingState, config: &TrainConfig) -> Option<String> {
    if !state.evaluated || state.global_step == 0 {
        return None;
    }
    if let Some(rate) = state.accuracy.filter(|rate| *rate >= config.target_accuracy) {
        return Some(format!(
            "stopping: target_accuracy {} is reached with {rate:.3} after step {}",
            config.target_accuracy, state.global_step
        ));
    }
    let waited = state.evals_without_improvement;
    (config.patience > 0 && waited >= config.patience)
        .then(|| format!("stopping: {waited} evaluations without improvement (patience)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instances::Distance;

    /// An evaluation that lost some of its episodes, or none.
    fn eval(step: usize, rate: f64, lost: usize) -> EvalEvent {
        let mut event = EvalEvent {
            step,
            episodes: 10 - lost,
            success_rate: rate,
            ..Default::default()
        };
        event.requested = Some(10);
        event
    }

    fn after(evals: &[(EvalEvent, &str)]) -> (TrainingState, Vec<Verdict>) {
        let mut state = TrainingState {
            evaluated: true,
            ..Default::default()
        };
        let mut verdicts = Vec::new();
        for (event, set) in evals {
            state.global_step = event.step;
            verdicts.push(Verdict::of(&state, event, set));
            verdicts[verdicts.len() - 1].note(&mut state, event, set);
        }
        (state, verdicts)
    }

    #[test]
    fn an_incomplete_evaluation_neither_chooses_nor_counts() {
        let (state, verdicts) = after(&[(eval(0, 0.2, 0), "a"), (eval(1, 0.9, 4), "a"), (eval(2, 0.1, 0), "a")]);
        assert_eq!(
            verdicts,
            [Verdict::First { replaces: false }, Verdict::Incomplete, Verdict::Worse]
        );
        assert_eq!(
            (state.best_accuracy, state.best_step, state.evals_without_improvement),
            (Some(0.2), 0, 1)
        );
        let (state, _) = after(&[(eval(0, 0.2, 0), "a"), (eval(1, 0.9, 1), "a")]);
        assert_eq!((state.accuracy, state.evals_without_improvement), (None, 0));
        // Also the first of all.
        let (state, _) = after(&[(eval(0, 0.9, 1), "a")]);
        assert_eq!(state.best_accuracy, None);
    }

    #[test]
    fn what_is_held_out_chooses_no_model() {
        let with = |step, rate: f64, solved| {
            let mut event = eval(step, rate, 0);
            event.unseen_instances = Some(Distance::new(solved, 5));
            event.unseen_templates = Some(Distance::new((rate * 10.0) as usize - solved, 5));
            event
        };
        // All in all the second is better; on instances of what is trained on it is worse.
        let (state, verdicts) = after(&[(with(0, 0.4, 4), "a"), (with(1, 0.6, 2), "a")]);
        assert_eq!(verdicts[1], Verdict::Worse);
        assert_eq!((state.best_accuracy, state.accuracy), (Some(0.8), Some(0.4)));
    }

    #[test]
    fn evaluations_on_another_task_set_begin_anew() {
        let (state, verdicts) = after(&[(eval(0, 0.8, 0), "a"), (eval(1, 0.7, 0), "a"), (eval(2, 0.3, 0), "b")]);
        assert_eq!(verdicts[2], Verdict::First { replaces: true });
        assert_eq!(
            (state.best_accuracy, state.best_step, state.evals_without_improvement),
            (Some(0.3), 2, 0)
        );
        let (state, verdicts) = after(&[(eval(0, 0.3, 0), "a"), (eval(1, 0.9, 0), "b"), (eval(2, 0.4, 0), "b")]);
        assert_eq!(verdicts[2], Verdict::Worse);
        assert_eq!((state.best_accuracy, state.evals_without_improvement), (Some(0.9), 1));
        // A checkpoint of an older version tells no set; its run goes on with the one it has.
        let old = TrainingState {
            best_accuracy: Some(0.5),
            ..Default::default()
        };
        assert_eq!(Verdict::of(&old, &eval(3, 0.4, 0), "a"), Verdict::Worse);
    }

    #[test]
    fn the_target_is_reached_by_the_policy_at_hand_alone() {
        let config = TrainConfig {
            target_accuracy: 0.8,
            patience: 2,
            ..Default::default()
        };
        // The baseline, or an earlier policy, was better than the target; the one at hand is not.
        let (state, _) = after(&[(eval(0, 0.9, 0), "a"), (eval(1, 0.4, 0), "a")]);
        assert_eq!(enough(&state, &config), None);
        let (state, _) = after(&[(eval(0, 0.9, 0), "a"), (eval(1, 0.85, 0), "a")]);
        assert!(
            enough(&state, &config)
                .unwrap()
                .contains("target_accuracy 0.8 is reached with 0.850 after step 1")
        );
        // The baseline alone ends nothing, and neither does an incomplete evaluation.
        assert_eq!(enough(&after(&[(eval(0, 0.9, 0), "a")]).0, &config), None);
        let (state, _) = after(&[(eval(0, 0.1, 0), "a"), (eval(1, 0.9, 1), "a")]);
        assert_eq!(enough(&state, &config), None);
        let (state, _) = after(&[(eval(0, 0.5, 0), "a"), (eval(1, 0.5, 0), "a"), (eval(2, 0.5, 0), "a")]);
        assert!(
            enough(&state, &config)
                .unwrap()
                .contains("2 evaluations without improvement")
        );
    }
}
