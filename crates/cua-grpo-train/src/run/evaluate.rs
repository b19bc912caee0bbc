//! Evaluations of a run: what is logged and saved, which policy is the best, and when it is good enough.

use super::Run;
use super::verdict::{Closed, Verdict};
use crate::eval::interrupted;
use crate::layout::BEST;
use crate::metrics::EvalEvent;
use crate::sink::Event;
use anyhow::Result;

impl Run {
    /// Evaluates, logs, saves the episodes and the best model; false when the user interrupted it. An evaluation that too
    /// much was lost of is named and chooses nothing; the run goes on. A replay has no phone and leaves it out.
    pub(super) async fn evaluate(&mut self) -> Result<bool> {
        if self.replay.is_some() {
            return Ok(true);
        }
        let step = self.state.global_step;
        let evaluation = self.judged.clone();
        let engine = self.watched(&format!("evaluation after step {step}"));
        // Whatever else is played ends or waits: the evaluation has all places, and one version of the policy.
        if let Some(stream) = &mut self.stream {
            stream.pause().await;
        }
        let before = (self.evaluation.counter)();
        let played = evaluation
            .play(&engine, &self.evaluation, Some(step), self.cancel.clone())
            .await;
        // The evaluation's line says what it spent.
        self.spent.add((self.evaluation.counter)().since(before));
        if let Some(stream) = &mut self.stream {
            stream.resume();
        }
        let result = match played {
            Ok(result) => result,
            Err(error) if interrupted(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        self.begin()?;
        // The line last: once it is there a resumed run does not evaluate again.
        self.dir.save_episodes(step, &result, self.config.save_episodes);
        self.tell(&Event::Eval(&result.event))?;
        self.written();
        self.eval_failed = result.event.failed.is_some();
        if let Some(failed) = &result.event.failed {
            self.warn(format!("the {failed}. The run goes on without its figures"))?;
        }
        self.judge(&result.event, &evaluation.task_set)?;
        Ok(true)
    }

    /// Compares an evaluation with the best one of its task set.
    fn judge(&mut self, event: &EvalEvent, task_set: &str) -> Result<()> {
        let verdict = Verdict::of(&self.state, event, task_set);
        let before = self.state.best_step;
        verdict.note(&mut self.state, event, task_set);
        if self.announce(verdict, event.step, before)? {
            self.checkpoints.save_adapter(&self.learner.lock(), event.step, BEST)?;
        }
        Ok(())
    }

    /// Gives the folder the best model that the evaluation after its checkpoint chose. The weights come from the
    /// checkpoint: those at hand may be further by now.
    pub(super) fn keep_closed(&mut self, closed: Closed) -> Result<()> {
        let Closed { verdict, step, before } = closed;
        if self.announce(verdict, step, before)? {
            self.checkpoints.take_best(step)?;
        }
        Ok(())
    }

    /// Says what a verdict on the evaluation after `step` means, and keeps a best model of another task set, which is of
    /// step `before`; true when there is a new best model.
    fn announce(&self, verdict: Verdict, step: usize, before: usize) -> Result<bool> {
        match verdict {
            Verdict::Incomplete => self.note(format!(
                "the evaluation after step {step} is incomplete: it chooses no best model and does not count for patience"
            ))?,
            Verdict::Worse => {}
            Verdict::Best | Verdict::First { .. } => {
                if verdict == (Verdict::First { replaces: true }) {
                    let kept = self.checkpoints.keep_best(before)?;
                    self.note(format!(
                        "evaluations are on another task set, or in another arithmetic, from here on: the best model of the earlier one is kept \
                         in {}, best model and patience begin anew",
                        crate::shell::path(&kept)
                    ))?;
                }
                return Ok(true);
            }
        }
        Ok(false)
    }
}
