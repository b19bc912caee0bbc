//! How a run ends: interrupted, or with its last artefacts and what to type next.

use super::Run;
use crate::checkpoint::{BEST, FINAL};
use crate::compare::first_and_last;
use crate::hint;
use crate::metrics::{EvalEvent, Event};
use crate::output;
use crate::progress::before_after;
use anyhow::Result;

impl Run {
    /// Saves after an interruption and says how to go on.
    pub(super) fn stopped(&mut self) -> Result<()> {
        self.progress.finish();
        if self.state.global_step == 0 {
            output::say("interrupted before the first step was done; nothing to resume");
            return Ok(());
        }
        // Otherwise the checkpoint that was resumed is this state, and its folder is still untouched.
        if self.state != self.resumed {
            self.save()?;
        }
        let step = self.state.global_step;
        let command = hint::command(&["--resume", &hint::path(self.dir.path())]);
        output::say(format!("interrupted after step {step}; go on with: {command}"));
        Ok(())
    }

    /// The last artefacts, the table, and what to type next.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.begin()?;
        let step = self.state.global_step;
        self.checkpoints.save_adapter(&mut self.learner, step, FINAL)?;
        let report = crate::report::write_report(self.dir.path())?;
        self.progress.finish();
        let events = crate::metrics::read_metrics(self.dir.path())?;
        let evals: Vec<EvalEvent> = events
            .into_iter()
            .filter_map(|event| match event {
                Event::Eval(eval) => Some(eval),
                Event::Train(_) => None,
            })
            .collect();
        if let Some((before, after, _)) = first_and_last(&evals) {
            output::say(format!("\n{}", before_after(&before, &after)));
        }
        let dir = self.dir.path();
        output::say(format!("  run folder      {}", dir.display()));
        output::say(format!("  report          {} (open it in a browser)", report.display()));
        if self.state.best_accuracy.is_some() {
            output::say(format!(
                "  best model      {} (after step {})",
                dir.join(BEST).display(),
                self.state.best_step
            ));
        }
        output::say("\nnext:");
        let run = hint::path(dir);
        let more = (self.state.global_step + self.config.max_steps).to_string();
        for arguments in [
            ["eval", "--adapter", &run, "--episodes", "100"].as_slice(),
            &["--resume", &run, "--max-steps", &more],
        ] {
            output::say(format!("  {}", hint::command(arguments)));
        }
        Ok(())
    }
}
