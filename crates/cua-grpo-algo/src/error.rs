//! Errors of this crate: what was being computed, what was expected, what came instead.

/// Why a quantity could not be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlgoError {
    /// Two tensors that must agree in shape do not.
    #[error("{operation}: expected {what} of shape {expected:?}, got {got:?}")]
    Shape {
        /// What was being done.
        operation: &'static str,
        /// Which tensor.
        what: String,
        /// The shape that fits.
        expected: Vec<usize>,
        /// The shape that came.
        got: Vec<usize>,
    },
    /// A number is not finite or out of its range.
    #[error("{operation}: expected {what}, got {got}")]
    Value {
        /// What was being done.
        operation: &'static str,
        /// What was expected.
        what: &'static str,
        /// The value that came.
        got: String,
    },
    /// A computed number is not finite: an input was not, or the numbers grew too large.
    #[error("{operation}: expected {what} to be finite; look at the inputs, and for steps that are too large")]
    NotFinite {
        /// What was being done.
        operation: &'static str,
        /// Which number.
        what: &'static str,
    },
    /// An input that the configuration needs is missing.
    #[error("{operation}: {input} is needed because {reason}; compute it or change the configuration")]
    Missing {
        /// What was being done.
        operation: &'static str,
        /// The input.
        input: &'static str,
        /// What needs it.
        reason: &'static str,
    },
    /// A tensor could not be read from its device.
    #[error("{operation}: could not read a tensor from its device: {message}")]
    Read {
        /// What was being done.
        operation: &'static str,
        /// What the device says.
        message: String,
    },
}
