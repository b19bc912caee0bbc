//! What can go wrong with `metrics.jsonl`.

use crate::files::FileError;
use std::path::PathBuf;

/// What can go wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line that is no event (and not a torn last line), or contradicts the lines before it.
    #[error("`{}` line {line}: {message}. Mend or remove the line", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

impl MetricsError {
    /// Whether the user can mend it: a line that is no event, a file that may not be read or written; as opposed to a disk
    /// that fails.
    pub fn is_mendable(&self) -> bool {
        match self {
            Self::Line { .. } => true,
            Self::File(error) => error.is_mendable(),
        }
    }
}
