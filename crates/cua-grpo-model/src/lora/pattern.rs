//! Patterns of module paths in Python's dialect, and the ordered maps from patterns to values that PEFT keeps.

use crate::ModelError;
use onig::{RegexOptions, Syntax};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;

/// A compiled pattern. Look-ahead and the like work: adapters of other tools have them.
pub struct Regex {
    /// The pattern as it was written.
    pub(super) text: String,
    regex: onig::Regex,
}

impl Regex {
    /// A pattern of the whole path (Python's `re.fullmatch`). `key` is where it stands, for the error.
    pub(super) fn whole(key: &str, text: &str, pattern: &str) -> Result<Self, ModelError> {
        Self::compile(key, text, &format!(r"\A(?:{pattern})\Z"))
    }

    /// A pattern of the path's end, from its start or after a dot: PEFT's `(.*\.)?(PATTERN)$`.
    pub(super) fn end(key: &str, pattern: &str) -> Result<Self, ModelError> {
        Self::compile(key, pattern, &format!(r"\A(?:.*\.)?(?:{pattern})\Z"))
    }

    fn compile(key: &str, text: &str, anchored: &str) -> Result<Self, ModelError> {
        let regex = onig::Regex::with_options(anchored, RegexOptions::REGEX_OPTION_NONE, Syntax::python());
        let regex = regex
            .map_err(|error| ModelError::Config(format!("{key}: `{text}` is no pattern: {}", error.description())))?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    /// Whether `path` matches.
    pub fn matches(&self, path: &str) -> bool {
        self.regex.find(path).is_some()
    }
}

/// A map from patterns of path ends to values, in the order of the file: the first pattern that matches holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Patterns<T>(Vec<(String, T)>);

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<(String, T)> for Patterns<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl<T> Patterns<T> {
    /// Patterns and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(pattern, value)| (pattern.as_str(), value))
    }
}

impl<T: Copy> Patterns<T> {
    pub(super) fn compile(&self, key: &str) -> Result<Vec<(Regex, T)>, ModelError> {
        self.iter()
            .map(|(pattern, value)| Ok((Regex::end(key, pattern)?, *value)))
            .collect()
    }
}

impl<T: Serialize> Serialize for Patterns<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patterns<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Patterns<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map from module names to values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Patterns<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Patterns(pairs))
            }
        }

        deserializer.deserialize_map(Pairs(PhantomData))
    }
}
