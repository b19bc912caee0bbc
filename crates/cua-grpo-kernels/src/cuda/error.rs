//! What can go wrong on the card: the call, and what it answered.

/// A failed call of the driver, of a vendor library, or of the run-time compiler.
#[derive(Debug)]
pub struct CudaError {
    call: String,
    answer: String,
}

impl CudaError {
    pub(crate) fn new(call: impl Into<String>, answer: impl std::fmt::Debug) -> Self {
        Self {
            call: call.into(),
            answer: format!("{answer:?}"),
        }
    }
}

impl std::fmt::Display for CudaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {}; see that the driver is CUDA 12.5 or newer and that the card has memory left",
            self.call, self.answer
        )
    }
}

impl std::error::Error for CudaError {}

/// Turns an answer of the driver or of a vendor library into a [`CudaError`] that names the call.
pub(crate) trait Named<T> {
    fn named(self, call: &str) -> Result<T, CudaError>;
}

impl<T, E: std::fmt::Debug> Named<T> for Result<T, E> {
    fn named(self, call: &str) -> Result<T, CudaError> {
        self.map_err(|error| CudaError::new(call, error))
    }
}
