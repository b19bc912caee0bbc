//! Layers of values for figment: a YAML text, environment variables, flags. Each is checked key by key as it is read.

use super::aliases::{alias, group_advice, value_advice};
use super::commands::is_key;
use super::{ConfigError, Configuration, Key, Origin, OriginKind, Variable};
use crate::plain::without_middle;
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

    /// Reads the arguments of every `--set`.
    ///
    /// # Errors
    /// When one is no assignment.
    pub fn assignments(texts: &[String]) -> Result<Vec<Self>, ConfigError> {
        texts.iter().map(|text| Self::assignment(text)).collect()
    }

    /// Reads the argument of `--set`.
    pub fn assignment(text: &str) -> Result<Self, ConfigError> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| ConfigError::Assignment { key: key_at(text) })?;
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
    origin: Origin,
    values: Dict,
}

/// What every variable of ours begins with.
const PREFIX: &str = "CUA_";

/// Original names that are also common words of a shell: they count only where `.env` has them.
const SHARED: [&str; 2] = ["VERBOSE", "MAX_TOKENS"];

/// Most characters of a value or of an unknown key that are shown.
const SHOWN: usize = 200;

/// Variables that begin like ours and are none of a configuration.
const OTHERS: [&str; 1] = ["CUA_GRPO_"];

impl Layer {
    /// The values of a YAML mapping.
    pub fn yaml<C: Configuration>(text: &str, origin: Origin) -> Result<Self, ConfigError> {
        let syntax = |message: String| ConfigError::Syntax {
            origin: origin.to_string(),
            message: without_middle(&message, 2 * SHOWN).into_owned(),
        };
        // A byte order mark, as some editors put one before the first line, is no part of the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mapping = match super::yaml::value(text).map_err(syntax)? {
            Value::Mapping(mapping) => mapping,
            Value::Null => serde_yaml_ng::Mapping::new(),
            _ => return Err(syntax("the top level is not a mapping".into())),
        };
        let mut values = Dict::new();
        for (name, value) in &mapping {
            let name = name.as_str().ok_or_else(|| syntax("a key is not text".into()))?;
            let key = find::<C>(name, Some(value), &origin)?;
            if tagged(value) {
                return Err(syntax(format!(
                    "the value of `{}` has a tag (`!name`), which means nothing here",
                    key.name
                )));
            }
            check(key, value, &show(value), &origin)?;
            values.insert(name.into(), merged(value)?);
        }
        Ok(Self { origin, values })
    }

    /// The values of environment variables: `CUA_` and the key in upper case, or the original's name of the key. Empty
    /// ones count as unset, and a trailing ` # comment` is not part of the value.
    pub fn environment<C: Configuration>(variables: &[Variable]) -> Result<Vec<Self>, ConfigError> {
        let mut layers = Vec::new();
        let original = |variable: &Variable| {
            let (_, key) = C::VARIABLES.iter().find(|(name, _)| *name == variable.name)?;
            (variable.dotenv.is_some() || !SHARED.contains(&variable.name.as_str())).then_some(*key)
        };
        let ours = |variable: &Variable| variable.name.strip_prefix(PREFIX).map(str::to_lowercase);
        // The original's names first, so that ours win.
        for variable in variables {
            if let Some(key) = original(variable) {
                layers.extend(Self::variable(find::<C>(key, None, &variable.origin())?, variable)?);
            }
        }
        for variable in variables {
            if OTHERS.iter().any(|other| variable.name.starts_with(other)) || original(variable).is_some() {
                continue;
            }
            let Some(name) = ours(variable).filter(|_| !strip_comment(&variable.value).is_empty()) else {
                continue;
            };
            match find::<C>(&name, None, &variable.origin()) {
                Ok(key) => layers.extend(Self::variable(key, variable)?),
                Err(_) if is_key(&name) => (),
                Err(error) => return Err(error),
            }
        }
        Ok(layers)
    }

    fn variable(key: &Key, variable: &Variable) -> Result<Option<Self>, ConfigError> {
        let value = strip_comment(&variable.value);
        if value.is_empty() {
            return Ok(None);
        }
        Self::text(key, value, variable.origin()).map(Some)
    }

    /// A value of a run or an adapter, which counts as one of a file.
    pub fn given<C: Configuration>(flag: &Flag) -> Result<Self, ConfigError> {
        let origin = Origin::new(OriginKind::File, &flag.flag);
        Self::text(find::<C>(&flag.key, None, &origin)?, &flag.value, origin)
    }

    /// The value of one flag.
    pub fn flag<C: Configuration>(flag: &Flag) -> Result<Self, ConfigError> {
        let origin = Origin::new(OriginKind::Flag, &flag.flag);
        Self::text(find::<C>(&flag.key, None, &origin)?, &flag.value, origin)
    }

    fn text(key: &Key, text: &str, origin: Origin) -> Result<Self, ConfigError> {
        let shown = if key.secret {
            "hidden".into()
        } else {
            format!("`{}`", without_middle(text, SHOWN))
        };
        let value = (key.from_text)(text);
        let given = Value::String(text.into());
        let value = value.ok_or_else(|| wrong(key, &given, &shown, &origin))?;
        check(key, &value, &shown, &origin)?;
        Ok(Self {
            values: Dict::from([(key.name.into(), merged(&value)?)]),
            origin,
        })
    }

    /// Where the values are from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The keys that are set here.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.to_string())
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

fn find<C: Configuration>(name: &str, value: Option<&Value>, origin: &Origin) -> Result<&'static Key, ConfigError> {
    if let Some(key) = C::keys().iter().find(|key| key.name == name) {
        return Ok(key);
    }
    let (key, origin) = (without_middle(name, SHOWN).into_owned(), origin.to_string());
    if let Some(advice) = value.and_then(group_advice::<C>).or_else(|| alias::<C>(name)) {
        return Err(ConfigError::Foreign { key, origin, advice });
    }
    let similar = C::keys()
        .iter()
        .map(|key| (strsim::jaro_winkler(&name.to_lowercase(), key.name), key.name));
    let best = similar
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score > 0.7);
    let nearest = best.map(|(_, name)| name.to_owned());
    Err(ConfigError::UnknownKey { key, origin, nearest })
}

/// An error unless `value` is of the key's kind and within its bounds.
fn check(key: &Key, value: &Value, shown: &str, origin: &Origin) -> Result<(), ConfigError> {
    if (key.accepts)(value) && key.bounds.admit(value) {
        Ok(())
    } else {
        Err(wrong(key, value, shown, origin))
    }
}

fn wrong(key: &Key, value: &Value, shown: &str, origin: &Origin) -> ConfigError {
    let outside = (key.accepts)(value) || (key.from_text)(value.as_str().unwrap_or_default()).is_some();
    let reason = if outside { key.bounds.reason() } else { String::new() };
    ConfigError::Value {
        key: key.name.into(),
        value: if key.secret { "hidden".into() } else { shown.into() },
        expected: format!("{}{reason}{}", key.expected(), value_advice(key.name, value)),
        origin: origin.to_string(),
    }
}

/// The key at the beginning of `text`. What follows may be a secret that was meant as its value, so it is not told.
fn key_at(text: &str) -> Option<String> {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let word = text[..end.unwrap_or(text.len())].to_lowercase();
    is_key(&word).then_some(word)
}

fn tagged(value: &Value) -> bool {
    match value {
        Value::Tagged(_) => true,
        Value::Sequence(items) => items.iter().any(tagged),
        Value::Mapping(entries) => entries.iter().any(|(key, value)| tagged(key) || tagged(value)),
        _ => false,
    }
}

fn show(value: &Value) -> String {
    format!("`{}`", without_middle(&line(value), SHOWN))
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
