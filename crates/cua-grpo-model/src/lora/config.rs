//! Hyperparameters of an adapter, under PEFT's key names.

use super::pattern::{Patterns, Regex};
use super::targets::Targets;
use crate::ModelError;
use serde::{Deserialize, Deserializer, Serialize};

/// The largest rank: that of the widest matrices.
const MOST_RANK: usize = 1 << 16;

/// The largest alpha, either side of 0.
const MOST_ALPHA: f64 = 1e9;

/// Hyperparameters of an adapter, with PEFT's key names. Keys that are absent or null mean PEFT's defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// Rank.
    pub r: usize,
    /// The update is scaled by `alpha / r` (or `alpha / sqrt(r)`).
    pub lora_alpha: f64,
    /// Scale by the square root of the rank (rsLoRA, Kalajdzievski 2023).
    #[serde(default)]
    pub use_rslora: bool,
    /// Fraction of the adapter's inputs that training drops. Sampling and reference never drop any.
    #[serde(default)]
    pub lora_dropout: f64,
    /// Modules to attach to.
    pub target_modules: Targets,
    /// Modules that stay without adapter although `target_modules` names them.
    #[serde(default)]
    pub exclude_modules: Option<Targets>,
    /// Numbers of the layers that get adapters; `None` means all.
    #[serde(default)]
    pub layers_to_transform: Option<OneOrMany<usize>>,
    /// What stands before the number of such a layer (`layers`, `blocks`), as patterns; `None` means anything.
    #[serde(default)]
    pub layers_pattern: Option<OneOrMany<String>>,
    /// Ranks of modules that differ from `r`: patterns of the path's end; the first that matches holds.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub rank_pattern: Patterns<usize>,
    /// Alphas of modules that differ from `lora_alpha`, as `rank_pattern`.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub alpha_pattern: Patterns<f64>,
}

/// A value or a list of values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// One value.
    One(T),
    /// Several values.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// All values.
    pub fn values(&self) -> &[T] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl LoraConfig {
    /// One rank and alpha for all modules that `target_modules` names, without dropout.
    pub fn new(r: usize, lora_alpha: f64, target_modules: Targets) -> Self {
        Self {
            r,
            lora_alpha,
            use_rslora: false,
            lora_dropout: 0.0,
            target_modules,
            exclude_modules: None,
            layers_to_transform: None,
            layers_pattern: None,
            rank_pattern: Patterns::default(),
            alpha_pattern: Patterns::default(),
        }
    }

    /// The factor of the update of a module without a rank or alpha of its own.
    pub fn scaling(&self) -> f64 {
        self.scaling_of(self.r, self.lora_alpha)
    }

    fn scaling_of(&self, rank: usize, alpha: f64) -> f64 {
        let rank = rank as f64;
        alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }

    /// Ranks and scales by module.
    ///
    /// # Errors
    /// When a rank or an alpha is out of bounds, the dropout is no fraction, or a key of `rank_pattern` or `alpha_pattern` is no pattern.
    pub fn ranks(&self) -> Result<Ranks, ModelError> {
        let bound = |rank: usize| match rank {
            0 => Some("at least 1".to_owned()),
            1..=MOST_RANK => None,
            _ => Some(format!("at most {MOST_RANK}")),
        };
        for (key, &rank) in self.rank_pattern.iter() {
            if let Some(bound) = bound(rank) {
                return Err(wrong(format!(
                    "lora_rank_pattern: `{key}`: expected a rank of {bound}, got {rank}; use lora_exclude_modules to leave modules out"
                )));
            }
        }
        if let Some(bound) = bound(self.r) {
            return Err(wrong(format!("lora_r: expected a rank of {bound}, got {}", self.r)));
        }
        let alphas = self.alpha_pattern.iter().map(|(key, alpha)| (key, *alpha));
        for (key, alpha) in std::iter::once(("", self.lora_alpha)).chain(alphas) {
            // Also what is no number.
            if !(-MOST_ALPHA..=MOST_ALPHA).contains(&alpha) {
                let place = if key.is_empty() {
                    "lora_alpha".to_owned()
                } else {
                    format!("lora_alpha_pattern: `{key}`")
                };
                return Err(wrong(format!(
                    "{place}: expected a number of at most {MOST_ALPHA} either side of 0, got {alpha}"
                )));
            }
        }
        if !(0.0..1.0).contains(&self.lora_dropout) {
            return Err(wrong(format!(
                "lora_dropout: expected a fraction of 0 or more and less than 1, got {}",
                self.lora_dropout
            )));
        }
        Ok(Ranks {
            ranks: self.rank_pattern.compile("lora_rank_pattern")?,
            alphas: self.alpha_pattern.compile("lora_alpha_pattern")?,
            config: self.clone(),
        })
    }
}

fn wrong(message: String) -> ModelError {
    ModelError::Config(message)
}

/// Ranks and scales by module path, with the patterns compiled.
pub struct Ranks {
    config: LoraConfig,
    pub(super) ranks: Vec<(Regex, usize)>,
    pub(super) alphas: Vec<(Regex, f64)>,
}

impl Ranks {
    /// Rank and factor of the update of the module at `path`.
    pub fn of(&self, path: &str) -> (usize, f64) {
        let rank = first(&self.ranks, path).unwrap_or(self.config.r);
        let alpha = first(&self.alphas, path).unwrap_or(self.config.lora_alpha);
        (rank, self.config.scaling_of(rank, alpha))
    }

    /// That no pattern has been given up.
    ///
    /// # Errors
    /// As [`Regex::check`].
    pub(super) fn check(&self) -> Result<(), ModelError> {
        let ranks = self.ranks.iter().map(|(regex, _)| regex);
        let alphas = self.alphas.iter().map(|(regex, _)| regex);
        ranks.chain(alphas).try_for_each(Regex::check)
    }

    /// Keys that match none of `paths`.
    pub(super) fn unmatched(&self, paths: &[String]) -> Vec<String> {
        let ranks = self.ranks.iter().map(|(regex, _)| ("rank_pattern", regex));
        let alphas = self.alphas.iter().map(|(regex, _)| ("alpha_pattern", regex));
        ranks
            .chain(alphas)
            .filter(|(_, regex)| !paths.iter().any(|path| regex.matches(path)))
            .map(|(key, regex)| format!("{key} `{}`", regex.text))
            .collect()
    }
}

fn first<T: Copy>(patterns: &[(Regex, T)], path: &str) -> Option<T> {
    let mut matching = patterns.iter().filter(|(regex, _)| regex.matches(path));
    matching.next().map(|(_, value)| *value)
}
