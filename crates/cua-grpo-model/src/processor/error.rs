//! What can go wrong between messages and tokens: the operation, what was expected, what came, and what to do.

use std::path::PathBuf;

/// An error of the processor.
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// A file of the model folder could not be read or written.
    #[error("{operation} {path}: {reason}; check that the model folder is complete and readable")]
    Io {
        /// What was being done, e.g. `read`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: std::io::Error,
    },
    /// A file of the model folder does not have the expected form.
    #[error("parse {path}: expected {expected}, got {got}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A key of a file says what is not done here, or is missing.
    #[error("{path}: key `{key}`: expected {expected}, found {got}")]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What it may say.
        expected: String,
        /// What it says.
        got: String,
    },
    /// A key of a file asks for what is not done here.
    #[error("{path}: {message}")]
    Keys {
        /// The file.
        path: PathBuf,
        /// The key, what it may say, what it says, and what to do.
        message: String,
    },
    /// The processor cuts pictures otherwise than the model takes them.
    #[error(
        "{path}: `{key}` is {value}, but `{model_key}` in {model} is {model_value}; take both files from one model, or set one of the two keys"
    )]
    Misfit {
        /// The processor's file.
        path: PathBuf,
        /// Its key.
        key: &'static str,
        /// What it says.
        value: usize,
        /// The model's file.
        model: PathBuf,
        /// The model's key.
        model_key: String,
        /// What that one says.
        model_value: usize,
    },
    /// An encoded picture cannot be decoded.
    #[error("decode image of {bytes} bytes: expected a whole PNG, JPEG, WebP, GIF or BMP file, got: {message}")]
    Decode {
        /// Length of the encoded file.
        bytes: usize,
        /// The decoder's words.
        message: String,
    },
    /// A picture or clip has a size that the model cannot take.
    #[error("resize {height}x{width} (height x width): expected {expected}; crop or rescale it first")]
    Size {
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
        /// The rule that is broken.
        expected: String,
    },
    /// Limits of pixels that a caller asks for cannot be.
    #[error("min_pixels and max_pixels: {message}")]
    Limits {
        /// What is wrong, and what to do.
        message: String,
    },
    /// Lengths that must agree do not.
    #[error("{operation}: expected {expected}, got {got}")]
    Mismatch {
        /// What was being done.
        operation: &'static str,
        /// What the lengths should be.
        expected: String,
        /// What they are.
        got: String,
    },
    /// The tokenizer failed.
    #[error("{operation} with the tokenizer: {message}")]
    Tokenizer {
        /// What was being done.
        operation: &'static str,
        /// The cause.
        message: String,
    },
    /// The chat template failed or is not usable for extension.
    #[error("{operation} with the chat template: {message}")]
    Template {
        /// What was being done.
        operation: &'static str,
        /// The cause, with the chain of template errors.
        message: String,
    },
}

impl ProcessorError {
    /// Reads a text file without its byte order mark, naming it in the error.
    pub(super) fn read(path: &std::path::Path) -> Result<String, Self> {
        crate::plain_text::read(path).map_err(|reason| Self::Io {
            operation: "read",
            path: path.to_owned(),
            reason,
        })
    }

    /// Writes a text file, naming it in the error.
    pub(super) fn write(path: &std::path::Path, text: &str) -> Result<(), Self> {
        std::fs::write(path, text).map_err(|reason| Self::Io {
            operation: "write",
            path: path.to_owned(),
            reason,
        })
    }

    /// A JSON file that does not parse into the expected type.
    pub(super) fn json(path: &std::path::Path, expected: &str, error: &serde_json::Error) -> Self {
        Self::Format {
            path: path.to_owned(),
            expected: expected.to_owned(),
            got: error.to_string(),
        }
    }
}
