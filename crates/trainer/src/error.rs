//! The error of the binary, and the exit code that it means.

use crate::config::ConfigError;
use crate::files::LockError;
use crate::interrupt::INTERRUPTED;
use crate::metrics::MetricsError;
use crate::report::ReportError;
use crate::resume::ResumeError;

/// An error of the binary; tells its exit code.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration or a flag is wrong.
    #[error(transparent)]
    Config(Box<ConfigError>),
    /// There is nothing to resume from.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// A folder is another process's.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The report could not be made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// What was asked for cannot be done; the message says what to do.
    #[error("{0}")]
    Usage(String),
    /// A signal asked for the end, which came in order.
    #[error("interrupted")]
    Interrupted,
    /// The run failed.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Config(Box::new(error))
    }
}

/// Turns an error of whatever kind into one that the user can mend, with what was asked for in front.
pub trait Mendable<T> {
    /// The value, or [`CliError::Usage`] with `what` and the whole chain of causes.
    ///
    /// # Errors
    /// When `self` is one.
    fn mendable(self, what: impl std::fmt::Display) -> Result<T, CliError>;
}

impl<T, E: Into<anyhow::Error>> Mendable<T> for Result<T, E> {
    fn mendable(self, what: impl std::fmt::Display) -> Result<T, CliError> {
        self.map_err(|error| CliError::Usage(format!("{what}: {:#}", error.into())))
    }
}

impl CliError {
    /// 2 for errors of usage, 130 for what was interrupted, 1 for failed runs.
    pub fn exit_code(&self) -> u8 {
        match self {
            // An error of usage may come from below.
            Self::Failed(error) if error.downcast_ref().is_some_and(MetricsError::is_mendable) => 2,
            Self::Failed(error) if error.downcast_ref().is_some_and(ReportError::is_mendable) => 2,
            Self::Failed(error) => error.downcast_ref::<Self>().map_or(1, Self::exit_code),
            Self::Interrupted => INTERRUPTED,
            Self::Report(error) if !error.is_mendable() => 1,
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Error;

    #[test]
    fn a_chain_of_causes_tells_each_once() {
        let why = || Error::other("the reason");
        let path = std::path::PathBuf::from("p");
        let errors: [anyhow::Error; 5] = [
            ConfigError::Read {
                path: path.clone(),
                reason: why(),
            }
            .into(),
            LockError::Io {
                path: path.clone(),
                reason: why(),
            }
            .into(),
            MetricsError::Io {
                operation: "read",
                path: path.clone(),
                reason: why(),
            }
            .into(),
            ReportError::Unwritable {
                path: path.clone(),
                reason: why(),
                advice: String::new(),
            }
            .into(),
            cua_grpo_model::ModelError::io("read", &path)(why()).into(),
        ];
        for error in errors {
            let text = CliError::from(error.context("what was done")).to_string();
            assert_eq!(text.matches("the reason").count(), 1, "{text}");
        }
    }
}
