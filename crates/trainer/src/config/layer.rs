//! Layers of values for figment: a YAML text, environment variables, flags. Each is checked key by key as it is read.

use super::{ConfigError, Configuration, Key};
use figment::value::{Dict, Map, Value as Merged};
use figment::{Metadata, Profile, Provider};
use serde_yaml_ng::Value;

/// A key set on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The configuration key.
    pub key: String,
    /// Its value, as text.
    pub value: String,
    /// The flag as the user knows it: `--max-steps`, `--set`.
    pub flag: String,
}

impl Flag {
    /// A flag of its own, such as `--max-steps`.
    pub fn new(key: &str, value: impl ToString) -> Self {
        Self {
            key: key.into(),
            value: value.to_string(),
            flag: format!("--{}", key.replace('_', "-")),
        }
    }

    /// Reads the argument of `--set`.
    pub fn assignment(text: &str) -> Result<Self, ConfigError> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| ConfigError::Assignment { text: text.into() })?;
        Ok(Self {
            key: key.trim().into(),
            value: value.trim().into(),
            flag: "--set".into(),
        })
    }
}

/// Checked values from one place.
#[derive(Debug, Clone)]
pub struct Layer {
    origin: String,
    values: Dict,
}

impl Layer {
    /// The values of a YAML mapping; `origin` is how messages call it.
    pub fn yaml<C: Configuration>(text: &str, origin: impl Into<String>) -> Result<Self, ConfigError> {
        let origin = origin.into();
        let syntax = |message: String| ConfigError::Syntax {
            origin: origin.clone(),
            message,
        };
        let mapping = match serde_yaml_ng::from_str(text).map_err(|error| syntax(error.to_string()))? {
            Value::Mapping(mapping) => mapping,
            Value::Null => serde_yaml_ng::Mapping::new(),
            _ => return Err(syntax("the top level is not a mapping".into())),
        };
        let mut values = Dict::new();
        for (name, value) in &mapping {
            let name = name
                .as_str()
                .ok_or_else(|| syntax(format!("the key {} is not text", show(name))))?;
            let key = find::<C>(name, &origin)?;
            if !(key.accepts)(value) {
                return Err(wrong(key, show(value), &origin));
            }
            values.insert(name.into(), merged(value)?);
        }
        Ok(Self { origin, values })
    }

    /// The values of the environment variables that are named like keys in upper case. Empty ones count as unset, and
    /// a trailing ` # comment` is not part of the value.
    pub fn environment<C: Configuration>(variables: &[(String, String)]) -> Result<Vec<Self>, ConfigError> {
        let mut layers = Vec::new();
        for key in C::keys() {
            let Some((name, value)) = variables.iter().find(|(name, _)| *name == key.variable()) else {
                continue;
            };
            let value = strip_comment(value);
            if !value.is_empty() {
                layers.push(Self::text(key, value, format!("environment variable {name}"))?);
            }
        }
        Ok(layers)
    }

    /// The value of one flag.
    pub fn flag<C: Configuration>(flag: &Flag) -> Result<Self, ConfigError> {
        Self::text(find::<C>(&flag.key, &flag.flag)?, &flag.value, flag.flag.clone())
    }

    fn text(key: &Key, text: &str, origin: String) -> Result<Self, ConfigError> {
        let shown = if key.secret {
            "hidden".into()
        } else {
            format!("`{text}`")
        };
        let value = (key.from_text)(text).ok_or_else(|| wrong(key, shown, &origin))?;
        Ok(Self {
            values: Dict::from([(key.name.into(), merged(&value)?)]),
            origin,
        })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn merged(value: &Value) -> Result<Merged, ConfigError> {
    Merged::serialize(value).map_err(|error| ConfigError::Merge {
        message: error.to_string(),
    })
}

fn find<C: Configuration>(name: &str, origin: &str) -> Result<&'static Key, ConfigError> {
    C::keys().iter().find(|key| key.name == name).ok_or_else(|| {
        let similar = C::keys()
            .iter()
            .map(|key| (strsim::jaro_winkler(&name.to_lowercase(), key.name), key.name));
        let best = similar
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(score, _)| *score > 0.7);
        let nearest = best.map(|(_, name)| name.to_owned());
        ConfigError::UnknownKey {
            key: name.into(),
            origin: origin.into(),
            nearest,
        }
    })
}

fn wrong(key: &Key, value: String, origin: &str) -> ConfigError {
    ConfigError::Value {
        key: key.name.into(),
        value,
        expected: (key.expected)(),
        origin: origin.into(),
    }
}

fn show(value: &Value) -> String {
    format!("`{}`", line(value))
}

/// A value on one line, as a flag takes it.
pub(super) fn line(value: &Value) -> String {
    if let Some(items) = value.as_sequence() {
        let items: Vec<String> = items.iter().map(line).collect();
        return format!("[{}]", items.join(", "));
    }
    let text = serde_yaml_ng::to_string(value).unwrap_or_default();
    text.trim().replace('\n', ", ")
}

fn strip_comment(value: &str) -> &str {
    let value = value.trim();
    if value.starts_with('#') {
        return "";
    }
    value.split_once(" #").map_or(value, |(before, _)| before).trim()
}
