//! Patterns of module paths in Python's dialect, and the ordered maps from patterns to values that PEFT keeps.

use crate::ModelError;
use onig::{MatchParam, RegexOptions, SearchOptions, Syntax};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;
use std::sync::OnceLock;

/// A compiled pattern. Look-ahead and the like work: adapters of other tools have them.
pub struct Regex {
    /// The pattern as it was written.
    pub(super) text: String,
    regex: onig::Regex,
    /// Where it stands.
    key: String,
    /// A path on which it was given up.
    given_up: OnceLock<String>,
}

/// Most characters of a pattern.
const MOST_CHARACTERS: usize = 4096;

/// Most patterns of a map.
const MOST_PATTERNS: usize = 4096;

/// Steps back that a pattern may take on one path; patterns of module names take a few hundred.
const MOST_STEPS: u32 = 100_000;

impl Regex {
    /// A pattern of the whole path (Python's `re.fullmatch`). `key` is where it stands, for the error.
    pub(super) fn whole(key: &str, text: &str, pattern: &str) -> Result<Self, ModelError> {
        Self::compile(key, text, &format!(r"\A(?:{pattern})\Z"))
    }

    /// A pattern of the path's end, from its start or after a dot: PEFT's `(.*\.)?(PATTERN)$`, whose groups count: the first
    /// group of the pattern is the third.
    pub(super) fn end(key: &str, pattern: &str) -> Result<Self, ModelError> {
        Self::compile(key, pattern, &format!(r"\A(.*\.)?({pattern})\Z"))
    }

    /// A pattern of what stands before the number of a layer, from the start of the path or after a dot.
    pub(super) fn list(key: &str, pattern: &str) -> Result<Self, ModelError> {
        Self::compile(key, pattern, &format!(r"\A(?:.*\.)?(?:{pattern})\Z"))
    }

    fn compile(key: &str, text: &str, anchored: &str) -> Result<Self, ModelError> {
        if text.chars().count() > MOST_CHARACTERS {
            return Err(ModelError::Config(format!(
                "{key}: expected patterns of at most {MOST_CHARACTERS} characters, found one of {}",
                text.chars().count()
            )));
        }
        let regex = onig::Regex::with_options(anchored, RegexOptions::REGEX_OPTION_CAPTURE_GROUP, Syntax::python());
        let regex = regex
            .map_err(|error| ModelError::Config(format!("{key}: `{text}` is no pattern: {}", error.description())))?;
        Ok(Self {
            text: text.to_owned(),
            regex,
            key: key.to_owned(),
            given_up: OnceLock::new(),
        })
    }

    /// Whether `path` matches. A pattern that takes too many steps on a path is given up: it matches nothing from then on,
    /// and [`Regex::check`] is an error.
    pub fn matches(&self, path: &str) -> bool {
        if self.given_up.get().is_some() {
            return false;
        }
        let mut bounds = MatchParam::default();
        bounds.set_retry_limit_in_match(MOST_STEPS);
        bounds.set_match_stack_limit(MOST_STEPS);
        let found = self
            .regex
            .match_with_param(path, 0, SearchOptions::SEARCH_OPTION_NONE, None, bounds);
        match found {
            Ok(length) => length.is_some(),
            Err(_) => {
                self.given_up.get_or_init(|| path.to_owned());
                false
            }
        }
    }

    /// That the pattern has not been given up.
    ///
    /// # Errors
    /// Names the pattern, and the path that it takes too many steps on.
    pub fn check(&self) -> Result<(), ModelError> {
        match self.given_up.get() {
            None => Ok(()),
            Some(path) => Err(ModelError::Config(format!(
                "{}: `{}` takes too many steps to match {path}; write it without repetitions of repetitions",
                self.key, self.text
            ))),
        }
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
        if self.0.len() > MOST_PATTERNS {
            return Err(ModelError::Config(format!(
                "{key}: expected at most {MOST_PATTERNS} patterns, found {}",
                self.0.len()
            )));
        }
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
