//! What is wrong with files of tasks.

use super::yaml::Wrong;
use std::path::{Path, PathBuf};

/// A file of tasks that cannot be used. The user can mend it.
#[derive(Debug, thiserror::Error)]
pub enum TaskFileError {
    /// It cannot be read.
    #[error("tasks: cannot read `{}`: {reason}; name a *.yaml file, or a folder of them", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// It cannot be written.
    #[error("tasks: cannot write `{}`: {reason}; name a file that is not there yet, in a folder that is", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// It says something that cannot be.
    #[error("{}:{line}:{column}: {what}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong and what to do.
        what: String,
    },
    /// There are too many, or none.
    #[error("tasks `{}`: {what}", path.display())]
    Count {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
}

impl TaskFileError {
    pub(in crate::tasks) fn at(path: &Path, wrong: Wrong) -> Self {
        Self::At {
            path: path.into(),
            line: wrong.at.line,
            column: wrong.at.column,
            what: wrong.what,
        }
    }

    pub(in crate::tasks) fn count(path: &Path, what: impl Into<String>) -> Self {
        Self::Count {
            path: path.into(),
            what: what.into(),
        }
    }
}
