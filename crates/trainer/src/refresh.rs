//! The sink that keeps `report.html` of a run up to date, and notes how the run was started.

use crate::{hint, output};
use anyhow::Result;
use cua_grpo_report::{Invocation, ReportError, write_report};
use cua_grpo_train::sink::{Event, Sink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Writes the report whenever there is something new. Clones are one sink.
#[derive(Debug, Clone)]
pub struct Refresh {
    invocation: Invocation,
    latest: Arc<Mutex<Option<PathBuf>>>,
}

impl Refresh {
    /// A sink for the run that `invocation` began.
    pub fn new(invocation: Invocation) -> Self {
        Self {
            invocation,
            latest: Arc::default(),
        }
    }

    /// The report, where the last writing of it went well.
    pub fn latest(&self) -> Option<PathBuf> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A run does not fail for its report, which can be made at any time.
    fn write(&self, run_dir: &Path) -> Option<PathBuf> {
        match write_report(run_dir, None) {
            Ok(path) => Some(path),
            Err(ReportError::Empty { .. }) => None,
            Err(error) => {
                output::warn(format!(
                    "no report: {error}; write it later with: {}",
                    hint::command(&["report", &hint::path(run_dir)])
                ));
                None
            }
        }
    }
}

impl Sink for Refresh {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Begun { run_dir, .. } => {
                if let Err(error) = self.invocation.append(run_dir) {
                    output::warn(format!("the report will not say how the run was started: {error}"));
                }
            }
            Event::Written { run_dir } => {
                *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = self.write(run_dir);
            }
            _ => {}
        }
        Ok(())
    }
}
