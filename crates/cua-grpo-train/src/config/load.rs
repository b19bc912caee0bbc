//! Merges the layers: flag over environment variable over file over default.

use super::{ConfigError, Configuration, Flag, Key, Layer, Origin, OriginKind, Variable, process_variables};
use crate::files::{Limit, read_bytes, read_given, read_text};
use figment::{Figment, providers::Serialized};
use serde_yaml_ng::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where values come from, weakest first. Tests fill it by hand; [`Sources::process`] reads the real environment.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file named by `--config`; without it the compiled-in file holds.
    pub file: Option<PathBuf>,
    /// Whether the file is what a run saved ([`Configuration::BEFORE`]).
    pub saved: bool,
    /// Environment variables.
    pub environment: Vec<Variable>,
    /// Values of a run or an adapter that is used: stronger than the file, weaker than what the user gives.
    pub given: Vec<Flag>,
    /// Keys set on the command line, in order.
    pub flags: Vec<Flag>,
}

impl Sources {
    /// The environment of this process with its `.env`, a file and flags.
    pub fn process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        Self {
            file,
            environment: process_variables(),
            flags,
            ..Self::default()
        }
    }

    /// The text that a flag, else a variable gives `key`, before anything is checked.
    pub fn text_of<C: Configuration>(&self, key: &str) -> Option<&str> {
        let flag = self.flags.iter().rev().find(|flag| flag.key == key);
        let variable = |name: &str| {
            let found = self.environment.iter().find(|variable| variable.name == name);
            found
                .map(|variable| variable.value.trim())
                .filter(|value| !value.is_empty())
        };
        let original = || {
            let names = C::VARIABLES.iter().filter(|(_, of)| *of == key);
            names.filter_map(|(name, _)| variable(name)).next_back()
        };
        flag.map(|flag| flag.value.as_str())
            .or_else(|| variable(&format!("CUA_{}", key.to_uppercase())))
            .or_else(original)
    }
}

/// A configuration, and who chose each value.
#[derive(Debug, Clone)]
pub struct Resolved<C> {
    /// The values.
    pub config: C,
    origins: BTreeMap<String, Origin>,
    /// Whether the file is what a run saved.
    saved: bool,
}

impl<C> Resolved<C> {
    /// Where the value of `key` is from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or_else(Origin::default_value)
    }

    /// Whether the value of `key` is what a run saved, or what held before: nobody has given it now.
    pub(super) fn is_saved(&self, key: &str) -> bool {
        self.saved && self.origin(key).kind <= OriginKind::File
    }
}

/// Merges and validates: flag over environment variable over file over default.
pub fn resolve<C: Configuration>(sources: &Sources) -> Result<Resolved<C>, ConfigError> {
    resolve_over(sources, C::BUILT_IN_NAME, C::BUILT_IN)
}

/// [`resolve`] with the text of another compiled-in file, which holds where no file is named.
pub fn resolve_over<C: Configuration>(
    sources: &Sources,
    name: &str,
    built_in: &str,
) -> Result<Resolved<C>, ConfigError> {
    let mut layers = Vec::new();
    match &sources.file {
        Some(path) => {
            let origin = Origin::new(OriginKind::File, path.display().to_string());
            if sources.saved {
                layers.push(Layer::yaml::<C>(C::BEFORE, origin.clone())?);
            }
            layers.push(Layer::yaml::<C>(&read(path)?, origin)?);
        }
        None => layers.push(Layer::yaml::<C>(built_in, Origin::new(OriginKind::BuiltIn, name))?),
    }
    for flag in &sources.given {
        layers.push(Layer::given::<C>(flag)?);
    }
    layers.extend(Layer::environment::<C>(&sources.environment)?);
    for flag in &sources.flags {
        layers.push(Layer::flag::<C>(flag)?);
    }
    let mut figment = Figment::from(Serialized::defaults(C::default()));
    let mut origins = BTreeMap::new();
    for layer in layers {
        origins.extend(layer.keys().map(|key| (key.to_owned(), layer.origin().clone())));
        figment = figment.merge(layer);
    }
    for key in replaced::<C>(&figment, &mut origins)? {
        let value = written(&C::default())?[key].clone();
        figment = figment.merge(Serialized::default(key, value));
    }
    let config: C = figment.extract().map_err(merged)?;
    let resolved = Resolved {
        config,
        origins,
        saved: sources.saved,
    };
    resolved.config.validate(&|key| resolved.origin(key).to_string())?;
    let origin = |key: &str| resolved.origin(key);
    resolved.config.idle(&origin, &|key| resolved.is_saved(key))?;
    Ok(resolved)
}

/// The keys that fall back to their defaults, see [`Configuration::REPLACES`]; nobody has set them any more.
fn replaced<C: Configuration>(
    figment: &Figment,
    origins: &mut BTreeMap<String, Origin>,
) -> Result<Vec<&'static str>, ConfigError> {
    let (now, plain) = (
        written(&figment.extract::<C>().map_err(merged)?)?,
        written(&C::default())?,
    );
    let kind = |key: &str| origins.get(key).map_or(OriginKind::Default, |origin| origin.kind);
    let stronger = |(strong, weak): &&(&str, &str)| now[*strong] != plain[*strong] && kind(strong) > kind(weak);
    let keys: Vec<&str> = C::REPLACES.iter().filter(stronger).map(|(_, weak)| *weak).collect();
    keys.iter().for_each(|key| drop(origins.remove(*key)));
    Ok(keys)
}

fn merged(error: figment::Error) -> ConfigError {
    ConfigError::Merge {
        message: error.to_string(),
    }
}

fn written<C: Configuration>(config: &C) -> Result<Value, ConfigError> {
    serde_yaml_ng::to_value(config).map_err(|error| ConfigError::Write {
        message: error.to_string(),
    })
}

/// The values of [`resolve`] alone.
pub fn load<C: Configuration>(sources: &Sources) -> Result<C, ConfigError> {
    resolve(sources).map(|resolved| resolved.config)
}

/// [`resolve`] with the environment of this process.
pub fn resolve_process<C: Configuration>(file: Option<PathBuf>, flags: Vec<Flag>) -> Result<Resolved<C>, ConfigError> {
    resolve(&Sources::process(file, flags))
}

/// [`load`] with the environment of this process.
pub fn load_process<C: Configuration>(file: Option<PathBuf>, flags: Vec<Flag>) -> Result<C, ConfigError> {
    load(&Sources::process(file, flags))
}

/// Reads a saved configuration: the file over what held before its keys came, and over the defaults; nothing else.
///
/// # Errors
/// Also when the file is empty: a configuration is never saved empty, so it was lost.
pub fn read_yaml<C: Configuration>(path: &Path) -> Result<C, ConfigError> {
    // A pipe or a device in a run folder is no configuration, and has no end.
    read_bytes(path, Limit::SMALL).map_err(|reason| ConfigError::Read {
        path: path.into(),
        reason,
    })?;
    if read(path)?.trim().is_empty() {
        return Err(ConfigError::Syntax {
            origin: path.display().to_string(),
            message: "the file is empty".into(),
        });
    }
    load(&Sources {
        file: Some(path.into()),
        saved: true,
        ..Sources::default()
    })
}

/// Whether the saved configuration `path` is not whole: `copy`, which was saved with it or before, has keys of today that
/// it lacks, or it is no mapping any more. A saved configuration has every key, so lines of it were lost.
pub fn is_cut<C: Configuration>(path: &Path, copy: &Path) -> bool {
    let keys = |path: &Path| -> Option<serde_yaml_ng::Mapping> {
        let text = read_text(path, Limit::SMALL).ok()?;
        serde_yaml_ng::from_str(&text).ok()
    };
    let Some(saved) = keys(copy) else {
        return false;
    };
    let Some(found) = keys(path) else {
        return true;
    };
    let lost = |key: &Key| saved.contains_key(key.name) && !found.contains_key(key.name);
    C::keys().iter().any(lost)
}

/// The whole configuration as YAML, without secrets: what a run folder keeps as `config.yaml`.
pub fn to_yaml<C: Configuration>(config: &C) -> Result<String, ConfigError> {
    let mut value = written(config)?;
    if let Some(mapping) = value.as_mapping_mut() {
        for key in C::keys().iter().filter(|key| key.secret) {
            mapping.shift_remove(key.name);
        }
    }
    serde_yaml_ng::to_string(&value).map_err(|error| ConfigError::Write {
        message: error.to_string(),
    })
}

/// A file of at most a megabyte; the user may name a pipe, which has ten seconds to come to its end.
fn read(path: &Path) -> Result<String, ConfigError> {
    let wrong = |message| std::io::Error::new(std::io::ErrorKind::InvalidData, message);
    let text =
        read_given(path, Limit::SMALL).and_then(|bytes| cua_grpo_model::plain_text::decode(&bytes).map_err(wrong));
    text.map_err(|reason| ConfigError::Read {
        path: path.into(),
        reason,
    })
}
