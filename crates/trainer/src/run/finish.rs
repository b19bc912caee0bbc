//! How a run ends: interrupted, or with its last artefacts and what to type next.

use super::Run;
use crate::checkpoint::{BEST, FINAL, step_of};
use crate::compare::first_and_last;
use crate::error::CliError;
use crate::faults::TooMany;
use crate::files::verify;
use crate::hint;
use crate::metrics::{EvalEvent, Event};
use crate::output;
use crate::progress::before_after;
use crate::report::ReportError;
use anyhow::Result;
use std::path::PathBuf;

impl Run {
    /// Saves after an interruption, writes the report, and says how to go on.
    ///
    /// # Errors
    /// [`CliError::Interrupted`] always, or why it could not be saved.
    pub(super) fn stopped(&mut self) -> Result<()> {
        self.save_here()?;
        self.refresh_report();
        self.progress.finish();
        output::say(format!("interrupted {}", self.way_on()));
        Err(CliError::Interrupted.into())
    }

    /// A checkpoint of what is reached. Where nothing was, the checkpoint that was resumed is this state and stays
    /// untouched, and a new run begins anew when it is resumed.
    pub(super) fn save_here(&mut self) -> Result<()> {
        if self.state == self.resumed {
            return Ok(());
        }
        self.save()
    }

    /// Where the run stands and what to type to go on.
    pub(super) fn way_on(&self) -> String {
        let command = hint::command(&["--resume", &hint::path(self.dir.path())]);
        match self.state.global_step {
            0 => format!("before the first step was done; go on with: {command}"),
            step => format!("after step {step}; go on with: {command}"),
        }
    }

    /// Writes the report, once the folder is this run's; a run does not fail for it, since it can be written at any
    /// time.
    pub(super) fn refresh_report(&self) -> Option<PathBuf> {
        if !self.dir.has_begun() {
            return None;
        }
        match crate::report::write_report(self.dir.path(), None) {
            Ok(path) => Some(path),
            Err(ReportError::Empty { .. }) => None,
            Err(error) => {
                output::warn(format!(
                    "no report: {error}; write it later with: {}",
                    hint::command(&["report", &hint::path(self.dir.path())])
                ));
                None
            }
        }
    }

    /// An error once too many updates in a row were left out.
    pub(super) fn check_skipped(&mut self) -> Result<()> {
        let (skipped, limit) = (self.state.skipped_in_a_row, self.config.max_skipped_updates);
        if skipped <= limit {
            return Ok(());
        }
        // A run that is resumed starts to count anew.
        self.state.skipped_in_a_row = 0;
        Err(TooMany(format!(
            "{skipped} updates in a row were left out because their gradient was not finite, and max_skipped_updates \
             allows {limit}; lower learning_rate or beta, or look at the rows that the warnings name"
        ))
        .into())
    }

    /// The last artefacts, the table, and what to type next.
    pub(super) fn finish(&mut self) -> Result<()> {
        let step = self.state.global_step;
        // A finished run that is resumed without a step to do keeps the configuration that its steps were made with.
        let last = self.dir.path().join(FINAL);
        let written = last.is_dir() && step_of(&last).is_none_or(|written| written >= step) && verify(&last).is_ok();
        let idle = self.state == self.resumed && step > 0 && written;
        let report = if idle {
            self.progress.line(format!(
                "nothing to do: step {step} is reached and max_steps is {}; the folder stays as it was",
                self.config.max_steps
            ));
            None
        } else {
            self.begin()?;
            self.checkpoints.save_adapter(&mut self.learner, step, FINAL)?;
            self.refresh_report()
        };
        self.progress.finish();
        let events = crate::metrics::read_metrics(self.dir.path())?;
        let evals: Vec<EvalEvent> = events
            .into_iter()
            .filter_map(|event| match event {
                Event::Eval(eval) => Some(eval),
                Event::Train(_) => None,
            })
            .collect();
        // An older checkpoint that is left as it is has nothing to do with what came after it.
        let evals = evals.iter().filter(|eval| eval.step <= step);
        if let Some((before, after, _)) = first_and_last(evals) {
            output::say(format!("\n{}", before_after(&before, &after)));
        }
        let dir = self.dir.path();
        output::say(format!("  run folder      {}", dir.display()));
        if let Some(report) = report {
            output::say(format!("  report          {} (open it in a browser)", report.display()));
        }
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
