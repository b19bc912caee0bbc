//! What differs between two configurations of one run, by the kinds of the keys.

use super::{ConfigError, Configuration, Resume};

/// A key with two values, as YAML on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: &'static str,
    /// What another value means on resume.
    pub kind: Resume,
    /// The value of the first configuration.
    pub before: String,
    /// The value of the second.
    pub now: String,
}

/// The keys whose values differ, in the order of the table. Secrets, which are never saved, are left out; a key without
/// a kind counts as refused.
///
/// # Errors
/// When a configuration cannot be written as YAML.
pub fn changes<C: Configuration>(before: &C, now: &C) -> Result<Vec<Change>, ConfigError> {
    let value = |config: &C| {
        serde_yaml_ng::to_value(config).map_err(|error| ConfigError::Write {
            message: error.to_string(),
        })
    };
    let (before, now) = (value(before)?, value(now)?);
    let keys = C::keys()
        .iter()
        .filter(|key| !key.secret && before[key.name] != now[key.name]);
    let change = |key: &super::Key| Change {
        key: key.name,
        kind: key.resume.unwrap_or(Resume::Refused),
        before: super::layer::line(&before[key.name]),
        now: super::layer::line(&now[key.name]),
    };
    Ok(keys.map(change).collect())
}
