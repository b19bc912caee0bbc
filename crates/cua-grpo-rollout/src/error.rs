//! Errors that end a whole collection; a fault of one episode is data, not one of these.

/// Why a collection, or the making of an engine, failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A value of the configuration is out of its range.
    #[error("rollout config: {name} must be {expected}, got {got}")]
    Config {
        /// Name of the value.
        name: &'static str,
        /// The range.
        expected: &'static str,
        /// The value.
        got: String,
    },
    /// The collection was cancelled; every environment has been finished.
    #[error("rollout cancelled: {finished} of {slots} episodes were finished and are dropped")]
    Cancelled {
        /// Episodes that were finished by then.
        finished: usize,
        /// Slots of the collection.
        slots: usize,
    },
    /// A task of the engine panicked: a defect of an environment, sampler, renderer or reward.
    #[error("rollout: an episode panicked ({message}); this is a defect, please report it")]
    Panicked {
        /// What the runtime says about it.
        message: String,
    },
}
