//! Range checks whose errors name the key, the value, what is accepted, and where the value came from.

use super::ConfigError;

/// Checks values.
pub(super) struct Checker<'a> {
    /// Where the value of a key came from.
    origin: &'a dyn Fn(&str) -> String,
    /// Keys whose values are let be.
    spared: &'a dyn Fn(&str) -> bool,
}

impl<'a> Checker<'a> {
    /// Checks every key; `origin` tells where the value of a key came from.
    pub(super) fn new(origin: &'a dyn Fn(&str) -> String) -> Self {
        let spared = &|_: &str| false;
        Self { origin, spared }
    }

    /// Lets the values of keys be for which `spared` holds.
    pub(super) fn sparing(self, spared: &'a dyn Fn(&str) -> bool) -> Self {
        Self { spared, ..self }
    }

    /// An error unless `holds`, or `key` is spared.
    pub(super) fn require(
        &self,
        holds: bool,
        key: &str,
        value: impl ToString,
        expected: &str,
    ) -> Result<(), ConfigError> {
        if holds || (self.spared)(key) {
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
