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

/// An address with asterisks where a user and a password stand in it.
pub(super) fn without_password(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}***{}", &url[..start], &url[start + at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_found_and_not_shown() {
        for (url, shown) in [
            ("https://gbox.ai/api/v1", "https://gbox.ai/api/v1"),
            ("https://me:pass@gbox.ai/a", "https://***@gbox.ai/a"),
            ("https://me:p@ss@gbox.ai", "https://***@gbox.ai"),
            ("me:pass@gbox.ai", "***@gbox.ai"),
            ("https://gbox.ai/@me", "https://gbox.ai/@me"),
            ("sim", "sim"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
