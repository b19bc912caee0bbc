//! What the file system said of a file, for every kind of file of a run.

use super::is_mendable;
use std::path::{Path, PathBuf};

/// The file system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} `{}`: {reason}", path.display())]
pub struct FileError {
    /// What was tried.
    pub operation: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: std::io::Error,
}

impl FileError {
    /// Whether the user can mend it, as opposed to a disk that fails.
    pub fn is_mendable(&self) -> bool {
        is_mendable(&self.reason)
    }
}

/// Says what was tried with which file: for `map_err`.
pub fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> FileError {
    let path = path.to_path_buf();
    move |reason| FileError {
        operation,
        path,
        reason,
    }
}
