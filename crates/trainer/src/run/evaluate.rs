//! Evaluations of a run: what is logged and saved, which policy is the best, and when it is good enough.

use super::Run;
use crate::checkpoint::BEST;
use crate::compare::lost;
use crate::eval::{EvalResult, Evaluation};
use crate::metrics::{EvalEvent, Event};
use anyhow::Result;
use cua_grpo_rollout::EngineError;

impl Run {
    /// Evaluates, logs, saves the episodes and the best model; `None` when the user interrupted it.
    pub(super) async fn evaluate(&mut self) -> Result<Option<EvalResult>> {
        let step = self.state.global_step;
        let evaluation = Evaluation::of(&self.config);
        let engine = self.watched(&format!("evaluation after step {step}"));
        let played = evaluation.play(&engine, step, self.interrupt.token()).await;
        let result = match played {
            Ok(result) => result,
            Err(error) if matches!(error.downcast_ref(), Some(EngineError::Cancelled { .. })) => return Ok(None),
            Err(error) => return Err(error),
        };
        anyhow::ensure!(
            result.event.episodes > 0,
            "evaluation after step {step}: every episode was lost to faults"
        );
        self.begin()?;
        self.progress.eval(&result.event);
        self.dir.record(&Event::Eval(result.event.clone()))?;
        self.dir.save_episodes(step, &result, self.config.save_episodes)?;
        self.judge(&result.event, &evaluation.task_set)?;
        Ok(Some(result))
    }

    /// Compares an evaluation with the best one of its task set. An incomplete one says nothing: it is easy to be better
    /// on other instances.
    fn judge(&mut self, event: &EvalEvent, task_set: &str) -> Result<()> {
        self.state.accuracy = None;
        if lost(event) > 0 {
            self.progress.line(format!(
                "the evaluation after step {} is incomplete: it chooses no best model and does not count for patience",
                event.step
            ));
            return Ok(());
        }
        self.state.accuracy = Some(event.success_rate);
        let other = self.state.task_set.as_deref().is_some_and(|set| set != task_set);
        if other && self.state.best_accuracy.is_some() {
            let kept = self.checkpoints.keep_best(self.state.best_step)?;
            self.progress.line(format!(
                "evaluations are on another task set from here on: the best model of the earlier one is kept in {}, \
                 best model and patience begin anew",
                crate::hint::path(&kept)
            ));
            self.state.best_accuracy = None;
        }
        self.state.task_set = Some(task_set.into());
        if self.state.best_accuracy.is_none_or(|best| event.success_rate > best) {
            self.state.best_accuracy = Some(event.success_rate);
            self.state.best_step = event.step;
            self.state.evals_without_improvement = 0;
            self.checkpoints.save_adapter(&mut self.learner, event.step, BEST)?;
        } else {
            self.state.evals_without_improvement += 1;
        }
        Ok(())
    }

    /// Why the run may end before its last step: for the policy at hand, as its evaluation found it.
    pub(super) fn enough(&self) -> Option<String> {
        let reached = self.state.accuracy.filter(|rate| *rate >= self.config.target_accuracy);
        if let Some(rate) = reached.filter(|_| self.state.evaluated && self.state.global_step > 0) {
            return Some(format!(
                "stopping: target_accuracy {} is reached with {rate:.3} after step {}",
                self.config.target_accuracy, self.state.global_step
            ));
        }
        let waited = self.state.evals_without_improvement;
        (self.config.patience > 0 && self.state.evaluated && waited >= self.config.patience)
            .then(|| format!("stopping: {waited} evaluations without improvement (patience)"))
    }
}
