//! Why there is no report.

use cua_grpo_train::TrainError;
use cua_grpo_train::episodes::EpisodeError;
use cua_grpo_train::files::FileError;
use cua_grpo_train::layout::CONFIG;
use cua_grpo_train::metrics::{METRICS, MetricsError};
use std::path::PathBuf;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A saved episode could not be read.
    #[error(transparent)]
    Episode(#[from] EpisodeError),
    /// The metrics could not be read.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The figures are those of another run, or the file that tells which run it is is broken.
    #[error(transparent)]
    Run(#[from] Box<TrainError>),
    /// Nothing to report.
    #[error("report of `{}`: expected a run folder with {METRICS} or {CONFIG}, found neither. Give the folder named by --output-dir", path.display())]
    Empty {
        /// What was given.
        path: PathBuf,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The report cannot be written where it should be.
    #[error("cannot write the report `{}`: {reason}. Write it to another place", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// A saved episode is broken.
    #[error("cannot use `{}`: {message}. Remove that episode's folder to leave it out", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

impl ReportError {
    /// Whether the user can mend it, as opposed to a disk that fails.
    pub fn is_mendable(&self) -> bool {
        match self {
            Self::Metrics(error) => error.is_mendable(),
            Self::Run(error) => error.is_mendable(),
            Self::Episode(error) => error.is_mendable(),
            Self::File(error) => error.is_mendable(),
            Self::Empty { .. } | Self::Record { .. } | Self::Unwritable { .. } => true,
        }
    }
}
