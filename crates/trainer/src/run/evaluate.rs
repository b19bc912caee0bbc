//! Evaluations of a run: what is logged and saved, which policy is the best, and when it is good enough.

use super::Run;
use crate::eval::{EvalResult, Evaluation};
use crate::metrics::Event;
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
        self.progress.eval(&result.event);
        self.dir.metrics.write(&Event::Eval(result.event.clone()))?;
        self.dir.save_episodes(step, &result, self.config.save_episodes)?;
        if self
            .state
            .best_accuracy
            .is_none_or(|best| result.event.success_rate > best)
        {
            self.state.best_accuracy = Some(result.event.success_rate);
            self.state.best_step = step;
            self.state.evals_without_improvement = 0;
            self.checkpoints.save_adapter(&mut self.learner, "best_model")?;
        } else {
            self.state.evals_without_improvement += 1;
        }
        Ok(Some(result))
    }

    /// Why the run may end before its last step.
    pub(super) fn enough(&self) -> Option<String> {
        let best = self.state.best_accuracy.unwrap_or(0.0);
        if self.state.evaluated && best >= self.config.target_accuracy {
            return Some(format!(
                "stopping: target_accuracy {} is reached",
                self.config.target_accuracy
            ));
        }
        let waited = self.state.evals_without_improvement;
        (self.config.patience > 0 && self.state.evaluated && waited >= self.config.patience)
            .then(|| format!("stopping: {waited} evaluations without improvement (patience)"))
    }
}
