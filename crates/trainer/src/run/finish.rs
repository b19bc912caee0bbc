//! How a run ends: interrupted, or with its last artefacts and what to type next.

use super::Run;
use crate::metrics::{EvalEvent, Event};
use crate::output;
use crate::progress::before_after;
use anyhow::{Context, Result};
use std::path::Path;

impl Run {
    /// Saves after an interruption and says how to go on.
    pub(super) fn stopped(&mut self) -> Result<()> {
        self.progress.finish();
        if self.state.global_step == 0 {
            output::say("interrupted before the first step was done; nothing to resume");
            return Ok(());
        }
        let folder = self
            .checkpoints
            .save(&mut self.learner, &self.state, self.config.save_total_limit)?;
        let step = self.state.global_step;
        output::say(format!(
            "interrupted after step {step}; go on with: trainer --resume {}",
            folder.display()
        ));
        Ok(())
    }

    /// The last artefacts, the table, and what to type next.
    pub(super) fn finish(&mut self) -> Result<()> {
        let adapter = self.checkpoints.save_adapter(&mut self.learner, "final")?;
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
        if let (Some(before), Some(after)) = (evals.first(), evals.last()) {
            output::say(format!("\n{}", before_after(before, after)));
        }
        let dir = self.dir.path();
        output::say(format!("  run folder      {}", dir.display()));
        output::say(format!("  report          {} (open it in a browser)", report.display()));
        output::say(format!(
            "  best model      {} (after step {})",
            dir.join("best_model").display(),
            self.state.best_step
        ));
        output::say("\nnext:");
        output::say(format!(
            "  cargo run -p trainer -- eval --adapter {} --episodes 100",
            shown(&adapter)
        ));
        let more = self.state.global_step + self.config.max_steps;
        output::say(format!(
            "  cargo run -p trainer -- --resume {} --max-steps {more}",
            shown(dir)
        ));
        Ok(())
    }
}

/// A path as it can be typed where the user stands.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().context("no current folder").ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    relative.unwrap_or_else(|| path.to_path_buf()).display().to_string()
}
