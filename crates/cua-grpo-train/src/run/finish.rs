//! How a run ends: interrupted, or with its last artefacts.

use super::Run;
use crate::checkpoint::step_of;
use crate::faults::TooMany;
use crate::files::verify;
use crate::layout::FINAL;
use crate::run_dir::check_folder;
use crate::sink::{Event, Outcome};
use anyhow::Result;

impl Run {
    /// Saves after an interruption.
    pub(super) fn stopped(&mut self) -> Result<Outcome> {
        self.save_here()?;
        self.written();
        Ok(Outcome::Interrupted)
    }

    /// A checkpoint of what is reached. Where nothing was, the checkpoint that was resumed is this state and stays
    /// untouched, and a new run begins anew when it is resumed.
    pub(super) fn save_here(&mut self) -> Result<()> {
        if self.state == self.resumed {
            return Ok(());
        }
        self.save()
    }

    /// Tells that the folder has something new to show, once it is this run's. A run does not fail for it: a report can
    /// be made from the folder at any time.
    pub(super) fn written(&self) {
        if !self.dir.has_begun() || self.dir.check().is_err() {
            return;
        }
        let run_dir = self.dir.path();
        if let Err(error) = self.sinks.tell(&Event::Written { run_dir }) {
            tracing::warn!("{error:#}");
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

    /// The last artefacts.
    pub(super) fn finish(&mut self) -> Result<Outcome> {
        let step = self.state.global_step;
        // A finished run that is resumed without a step to do keeps the configuration that its steps were made with.
        let last = self.dir.path().join(FINAL);
        let own = check_folder(self.dir.path(), &last).is_ok();
        let written = last.is_dir() && step_of(&last).is_none_or(|written| written >= step) && verify(&last).is_ok();
        let written = written && own;
        if self.state == self.resumed && step > 0 && written {
            self.note(format!(
                "nothing to do: step {step} is reached and max_steps is {}; the folder stays as it was",
                self.config.max_steps
            ))?;
            return Ok(Outcome::Idle);
        }
        self.begin()?;
        // A death after the last checkpoint may have left one too many.
        self.checkpoints.prune(self.config.save_total_limit)?;
        self.checkpoints.save_adapter(&self.learner.lock(), step, FINAL)?;
        self.written();
        Ok(Outcome::Finished)
    }
}
