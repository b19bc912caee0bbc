//! What can be wrong with a configuration; every message says where and what to do.

use std::path::PathBuf;

/// An error in the configuration of a run: always the user's to mend, so the exit code is 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration `{}`: {reason}. Check the path after --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// The resolved configuration could not be written.
    #[error("cannot write the configuration: {message}")]
    Write {
        /// Why.
        message: String,
    },
    /// The file is not a YAML mapping.
    #[error("{origin} is not valid YAML: {message}. Expected lines of the form `key: value`")]
    Syntax {
        /// Where the text came from.
        origin: String,
        /// What the parser said.
        message: String,
    },
    /// A key that does not exist.
    #[error(
        "unknown key `{key}` in {origin}.{} All keys are in docs/CONFIG.md",
        did_you_mean(nearest)
    )]
    UnknownKey {
        /// The key as written.
        key: String,
        /// Where it was written.
        origin: String,
        /// The most similar key, if one is similar.
        nearest: Option<String>,
    },
    /// A key of another trainer.
    #[error("unknown key `{key}` in {origin}: {advice}. All keys are in docs/CONFIG.md")]
    Foreign {
        /// The key as written.
        key: String,
        /// Where it was written.
        origin: String,
        /// Which key does it here, and what differs.
        advice: String,
    },
    /// A value of the wrong kind or out of range.
    #[error("`{key}` is {value} ({origin}): expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// The value as written.
        value: String,
        /// What is accepted.
        expected: String,
        /// Where it was written.
        origin: String,
    },
    /// An argument of `--set` without `=`.
    #[error("--set{}: expected key=value, e.g. --set learning_rate=1e-5", beginning(key))]
    Assignment {
        /// The key that it begins with, if it begins with one.
        key: Option<String>,
    },
    /// A feature that this version lacks.
    #[error("`{key}` is {value} ({origin}), but {feature} comes in a later version. {advice}")]
    Later {
        /// The key.
        key: String,
        /// The value that asks for it.
        value: String,
        /// Where it was written.
        origin: String,
        /// What is missing.
        feature: String,
        /// What to do instead.
        advice: String,
    },
    /// The layers could not be merged; a defect of this program.
    #[error("cannot merge the configuration: {message}. This is a bug")]
    Merge {
        /// What the merger said.
        message: String,
    },
}

fn beginning(key: &Option<String>) -> String {
    key.as_ref().map(|key| format!(" {key} …")).unwrap_or_default()
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|key| format!(" Did you mean `{key}`?"))
        .unwrap_or_default()
}
