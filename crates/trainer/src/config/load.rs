//! Merges the layers: flag over environment variable over file over default.

use super::{ConfigError, Configuration, Flag, Layer};
use figment::{Figment, providers::Serialized};
use std::path::{Path, PathBuf};

/// Where values come from, weakest first. Tests fill it by hand; [`Sources::process`] reads the real environment.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file named by `--config`; without it the compiled-in file holds.
    pub file: Option<PathBuf>,
    /// Environment variables, name and value.
    pub environment: Vec<(String, String)>,
    /// Values of a run or an adapter that is used: stronger than the file, weaker than what the user gives.
    pub given: Vec<Flag>,
    /// Keys set on the command line, in order.
    pub flags: Vec<Flag>,
}

impl Sources {
    /// The environment of this process, a file and flags.
    pub fn process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            file,
            environment,
            flags,
            ..Self::default()
        }
    }
}

/// A configuration, and where its values came from.
#[derive(Debug, Clone)]
pub struct Resolved<C> {
    /// The configuration.
    pub config: C,
    merged: Figment,
}

impl<C> Resolved<C> {
    /// Where the value of `key` came from: a flag, an environment variable, a file, the default.
    pub fn origin(&self, key: &str) -> String {
        origin(&self.merged, key)
    }
}

fn origin(merged: &Figment, key: &str) -> String {
    match merged.find_metadata(key) {
        Some(metadata) if metadata.source.is_none() && !metadata.name.contains("::") => metadata.name.to_string(),
        _ => "the default".into(),
    }
}

/// Merges and validates: flag over environment variable over file over default.
pub fn load<C: Configuration>(sources: &Sources) -> Result<C, ConfigError> {
    resolve(sources).map(|resolved| resolved.config)
}

/// [`load`], with the places of the values.
pub fn resolve<C: Configuration>(sources: &Sources) -> Result<Resolved<C>, ConfigError> {
    let file = match &sources.file {
        Some(path) => Layer::yaml::<C>(&read(path)?, path.display().to_string())?,
        None => Layer::yaml::<C>(C::BUILT_IN, format!("built-in {}", C::BUILT_IN_NAME))?,
    };
    let mut figment = Figment::from(Serialized::defaults(C::default())).merge(file);
    for flag in &sources.given {
        figment = figment.merge(Layer::flag::<C>(flag)?);
    }
    for layer in Layer::environment::<C>(&sources.environment)? {
        figment = figment.merge(layer);
    }
    for flag in &sources.flags {
        figment = figment.merge(Layer::flag::<C>(flag)?);
    }
    let config: C = figment.extract().map_err(|error| ConfigError::Merge {
        message: error.to_string(),
    })?;
    config.validate(&|key| origin(&figment, key))?;
    Ok(Resolved {
        config,
        merged: figment,
    })
}

/// [`load`] with the environment of this process.
pub fn load_process<C: Configuration>(file: Option<PathBuf>, flags: Vec<Flag>) -> Result<C, ConfigError> {
    load(&Sources::process(file, flags))
}

/// Reads a saved configuration: the file over the defaults, nothing else.
///
/// # Errors
/// Also when the file is empty: a configuration is never saved empty, so it was lost.
pub fn read_yaml<C: Configuration>(path: &Path) -> Result<C, ConfigError> {
    if read(path)?.trim().is_empty() {
        return Err(ConfigError::Syntax {
            origin: path.display().to_string(),
            message: "the file is empty".into(),
        });
    }
    load(&Sources {
        file: Some(path.into()),
        ..Sources::default()
    })
}

/// The whole configuration as YAML, without secrets: what a run folder keeps as `config.yaml`.
pub fn to_yaml<C: Configuration>(config: &C) -> Result<String, ConfigError> {
    let wrong = |error: serde_yaml_ng::Error| ConfigError::Write {
        message: error.to_string(),
    };
    let mut value = serde_yaml_ng::to_value(config).map_err(wrong)?;
    if let Some(mapping) = value.as_mapping_mut() {
        for key in C::keys().iter().filter(|key| key.secret) {
            mapping.shift_remove(key.name);
        }
    }
    serde_yaml_ng::to_string(&value).map_err(wrong)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    cua_grpo_model::plain_text::read(path).map_err(|source| ConfigError::Read {
        path: path.into(),
        source,
    })
}
