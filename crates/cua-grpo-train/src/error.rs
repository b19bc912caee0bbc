//! What can go wrong in a run, told apart by who can mend it.

use crate::config::ConfigError;
use crate::files::LockError;
use crate::metrics::MetricsError;
use crate::resume::ResumeError;

/// Why a run could not begin, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(Box<ConfigError>),
    /// There is nothing to resume from.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// A folder is another process's.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The metrics of a run cannot be read, or are none.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// What was asked for cannot be done; the message says what to do.
    #[error("{0}")]
    Usage(String),
    /// The end was asked for, and came in order.
    #[error("interrupted")]
    Interrupted,
    /// The run failed.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl From<ConfigError> for TrainError {
    fn from(error: ConfigError) -> Self {
        Self::Config(Box::new(error))
    }
}

impl TrainError {
    /// Whether it is the end that was asked for.
    pub fn is_interruption(&self) -> bool {
        match self {
            Self::Interrupted => true,
            Self::Failed(error) => error.downcast_ref().is_some_and(Self::is_interruption),
            _ => false,
        }
    }

    /// Whether the user can mend it by another configuration, another path or another folder.
    pub fn is_mendable(&self) -> bool {
        match self {
            // An error of usage may come from below.
            Self::Failed(error) => {
                error.downcast_ref().is_some_and(Self::is_mendable)
                    || error.downcast_ref().is_some_and(MetricsError::is_mendable)
            }
            Self::Interrupted => false,
            Self::Metrics(error) => error.is_mendable(),
            _ => true,
        }
    }
}

/// Turns an error of whatever kind into one that the user can mend, with what was asked for in front.
pub trait Mendable<T> {
    /// The value, or [`TrainError::Usage`] with `what` and the whole chain of causes.
    ///
    /// # Errors
    /// When `self` is one.
    fn mendable(self, what: impl std::fmt::Display) -> Result<T, TrainError>;
}

impl<T, E: Into<anyhow::Error>> Mendable<T> for Result<T, E> {
    fn mendable(self, what: impl std::fmt::Display) -> Result<T, TrainError> {
        self.map_err(|error| TrainError::Usage(format!("{what}: {:#}", error.into())))
    }
}
