//! One declaration per key: the struct field, its default, its bounds, its documentation and how its text is read.

use super::{Bounds, ConfigError, Origin};
use serde::{Serialize, de::DeserializeOwned};
use serde_yaml_ng::Value;

/// A type that a configuration key can have.
pub trait Setting: Serialize + DeserializeOwned {
    /// True for values that are never written to disk.
    const SECRET: bool = false;

    /// What a value looks like, for errors and documentation: `a whole number`, `cpu, cuda or cuda:N`.
    fn expected() -> String;

    /// The same with the bounds of a key: `a whole number, 1 to 64`.
    fn expected_within(bounds: &Bounds) -> String {
        match bounds.words() {
            Some(words) => format!("{}, {words}", Self::expected()),
            None => Self::expected(),
        }
    }

    /// Reads text of an environment variable or a flag; `None` when it cannot be read.
    fn from_text(text: &str) -> Option<Value> {
        let value = super::yaml::value(text).ok()?;
        Self::accepts(&value).then_some(value)
    }

    /// Whether a value of a file can be read.
    fn accepts(value: &Value) -> bool {
        serde_yaml_ng::from_value::<Self>(value.clone()).is_ok()
    }
}

/// What another value of a key means when a run is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Nothing for what was measured and trained so far: the new value holds from now on.
    Free,
    /// The run goes on, but not as it would have: a line says so.
    Warned,
    /// The saved weights would mean something else: the run is not resumed.
    Refused,
}

impl Resume {
    /// The kind, as the documentation calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Warned => "warned",
            Self::Refused => "refused",
        }
    }
}

/// What is known about one key.
#[derive(Clone, Copy)]
pub struct Key {
    /// Name in files and after `--set`.
    pub name: &'static str,
    /// What the key does.
    pub doc: &'static str,
    /// What numbers it accepts.
    pub bounds: Bounds,
    /// What a value looks like, within bounds.
    pub expected_within: fn(&Bounds) -> String,
    /// Reads the text of a variable or a flag.
    pub from_text: fn(&str) -> Option<Value>,
    /// Whether a value of a file can be read.
    pub accepts: fn(&Value) -> bool,
    /// True when the value is never written to disk.
    pub secret: bool,
    /// What another value means on resume; `None` for keys of runs that cannot be resumed.
    pub resume: Option<Resume>,
}

impl Key {
    /// What a value looks like: `a whole number, 1 to 64`.
    pub fn expected(&self) -> String {
        (self.expected_within)(&self.bounds)
    }
}

/// A struct whose fields are configuration keys. Made by `configuration!`, except for validation.
pub trait Configuration: Serialize + DeserializeOwned + Default + Clone + PartialEq {
    /// Name of the file that is compiled in, for messages.
    const BUILT_IN_NAME: &'static str;
    /// The file that is compiled in: what holds when no file is named.
    const BUILT_IN: &'static str;

    /// Environment variables besides `CUA_KEY`: each with the key that it sets. They are the original's names.
    const VARIABLES: &'static [(&'static str, &'static str)] = &[];

    /// Pairs of keys: where the first is set by a stronger source than the second, the second falls back to its default.
    const REPLACES: &'static [(&'static str, &'static str)] = &[];

    /// YAML of keys that came after some saved configurations, with the values that runs had before. A saved configuration
    /// is whole: where it lacks such a key, the run is older than the key.
    const BEFORE: &'static str = "";

    /// All keys, in the order of the documentation.
    fn keys() -> &'static [Key];

    /// Checks combinations of values, each of which is within the bounds of its key. `origin` tells where the value of a key came from.
    fn validate(&self, origin: &dyn Fn(&str) -> String) -> Result<(), ConfigError>;

    /// Checks that no value is set that can do nothing. Runs of older versions may have saved such values: keys whose value
    /// is `saved` are let be.
    fn idle(&self, _origin: &dyn Fn(&str) -> Origin, _saved: &dyn Fn(&str) -> bool) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// Declares a configuration struct with its defaults, and the table of its keys. After its documentation a key says
/// what another value means on resume: `#[resume = Free]`, see [`Resume`]. Bounds of its numbers stand in brackets
/// between type and default: `lora_r: usize [at_least(1.0).at_most(64.0)] = 16`.
macro_rules! configuration {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[doc = $doc:literal])+ $(#[resume = $resume:ident])? $key:ident: $type:ty $([$bounds:expr])? = $default:expr,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $key: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $name {
            pub(in crate::config) const KEYS: &'static [$crate::config::Key] = &[$($crate::config::Key {
                name: stringify!($key),
                doc: concat!($($doc),+),
                bounds: [$($bounds,)? $crate::config::ANY][0],
                expected_within: <$type as $crate::config::Setting>::expected_within,
                from_text: <$type as $crate::config::Setting>::from_text,
                accepts: <$type as $crate::config::Setting>::accepts,
                secret: <$type as $crate::config::Setting>::SECRET,
                resume: configuration!(@resume $($resume)?),
            },)*];
        }
    };
    (@resume) => { None };
    (@resume $kind:ident) => { Some($crate::config::Resume::$kind) };
}

impl Setting for bool {
    fn expected() -> String {
        "true or false".into()
    }

    fn from_text(text: &str) -> Option<Value> {
        match text.to_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(Value::Bool(true)),
            "false" | "0" | "no" | "off" => Some(Value::Bool(false)),
            _ => None,
        }
    }
}

/// Whole numbers, which are at least 0 without any bound.
macro_rules! whole {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            fn expected() -> String {
                "a whole number".into()
            }

            fn expected_within(bounds: &Bounds) -> String {
                format!("{}, {}", Self::expected(), bounds.words().unwrap_or_else(|| "0 or more".into()))
            }
        }
    )*};
}

whole!(usize, u64);

impl Setting for f64 {
    fn expected() -> String {
        "a number".into()
    }
}

impl Setting for String {
    fn expected() -> String {
        "text".into()
    }

    fn from_text(text: &str) -> Option<Value> {
        Some(Value::String(text.into()))
    }
}

impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;

    fn expected() -> String {
        format!("{} or null", T::expected())
    }

    fn expected_within(bounds: &Bounds) -> String {
        format!("{} or null", T::expected_within(bounds))
    }

    fn from_text(text: &str) -> Option<Value> {
        if matches!(text, "null" | "none" | "None" | "~") {
            Some(Value::Null)
        } else {
            T::from_text(text)
        }
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn expected() -> String {
        format!("a list, each {}", T::expected())
    }

    fn expected_within(bounds: &Bounds) -> String {
        format!("a list, each {}", T::expected_within(bounds))
    }

    fn from_text(text: &str) -> Option<Value> {
        let text = text.trim();
        // Brackets come in a pair; a single one belongs to an item, which may be a pattern.
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let inner = inner.unwrap_or(text);
        let items = inner
            .split(',')
            .map(|item| item.trim().trim_matches(['"', '\'']))
            .filter(|item| !item.is_empty());
        items.map(T::from_text).collect::<Option<Vec<_>>>().map(Value::Sequence)
    }
}
