//! Range checks whose errors name the key, the value, what is accepted, and where the value came from.

use super::ConfigError;

/// Checks values; `origin` tells where the value of a key came from.
pub(super) struct Checker<'a> {
    pub(super) origin: &'a dyn Fn(&str) -> String,
}

impl Checker<'_> {
    /// An error unless `holds`.
    pub(super) fn require(
        &self,
        holds: bool,
        key: &str,
        value: impl ToString,
        expected: &str,
    ) -> Result<(), ConfigError> {
        if holds {
            return Ok(());
        }
        Err(ConfigError::Value {
            key: key.into(),
            value: value.to_string(),
            expected: expected.into(),
            origin: (self.origin)(key),
        })
    }

    /// An error when a feature that comes later is `wanted`; `what` is key, value and the feature in words.
    pub(super) fn later(&self, wanted: bool, what: [&str; 3], advice: &str) -> Result<(), ConfigError> {
        if !wanted {
            return Ok(());
        }
        let [key, value, feature] = what.map(str::to_owned);
        Err(ConfigError::Later {
            origin: (self.origin)(&key),
            key,
            value,
            feature,
            advice: advice.into(),
        })
    }
}
