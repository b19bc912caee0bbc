//! What can go wrong in this crate: the operation, what was expected, what was found.

use std::path::PathBuf;

/// An error of the model crate.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("cannot {operation} {path}: {reason}", path = path.display())]
    Io {
        /// `read`, `write`, `create`, `remove`.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A file was read but its contents are not what they should be.
    #[error("{path}: {message}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        message: String,
    },
    /// A value of the configuration cannot work.
    #[error("{0}")]
    Config(String),
    /// The weights of a checkpoint take more memory than there is.
    #[error("{path}: the weights take {needed}, and {room}. {advice}", path = path.display())]
    Memory {
        /// The checkpoint.
        path: PathBuf,
        /// What they take, in the number format in which they are to be held.
        needed: String,
        /// What there is, and where.
        room: String,
        /// What helps.
        advice: String,
    },
    /// A checkpoint lacks tensors or has them in other shapes.
    #[error("checkpoint does not fit the model:\n  {}", first(.0))]
    Tensors(Vec<String>),
    /// The card refused.
    #[error("decode on the card: {0}")]
    Card(String),
    /// Rows given to the model do not fit it (too long, images and pad tokens disagree, ...).
    #[error("{operation}: expected {expected}, got {got}")]
    Input {
        /// What was being done.
        operation: &'static str,
        /// What was expected.
        expected: String,
        /// What came instead.
        got: String,
    },
}

/// The first lines, and how many more there are.
fn first(lines: &[String]) -> String {
    const MOST: usize = 200;
    let mut text = lines.iter().take(MOST).cloned().collect::<Vec<_>>().join("\n  ");
    if lines.len() > MOST {
        text.push_str(&format!("\n  and {} more", lines.len() - MOST));
    }
    text
}

impl ModelError {
    /// An [`ModelError::Io`] for `path`.
    pub fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |reason| Self::Io {
            operation,
            path,
            reason,
        }
    }

    /// A [`ModelError::Format`] for `path`.
    pub fn format(path: impl Into<PathBuf>, message: impl ToString) -> Self {
        Self::Format {
            path: path.into(),
            message: message.to_string(),
        }
    }
}
