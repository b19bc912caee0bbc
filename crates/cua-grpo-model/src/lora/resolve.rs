//! From an adapter's configuration to the modules that it adapts, each with its rank: PEFT's rules, but nothing that
//! was asked for is dropped without a word.

use super::config::{LoraConfig, OneOrMany, Ranks};
use super::pattern::Regex;
use super::targets::{Entry, Targets, unmatched};
use crate::{ModelError, Qwen3Vl};
use std::collections::BTreeSet;

/// A module that gets an adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapted {
    /// Its path.
    pub path: String,
    /// Rank of the update.
    pub rank: usize,
    /// Factor of the update.
    pub scaling: f64,
}

/// The modules of `model` that `config` adapts, in model order.
///
/// PEFT's rules: an entry of `exclude_modules` wins over `target_modules`; `layers_to_transform` holds for entries that
/// are ends of paths (or our words), not for whole paths; of `rank_pattern` and `alpha_pattern` the first key that
/// matches the end of a path holds.
///
/// # Errors
/// Where PEFT drops something in silence or warns: an entry, layer or key that matches nothing (the nearest names are
/// listed), two keys that give one module different values, and targets that only PEFT adapts (embeddings, the output
/// head, the patch convolution).
pub fn resolve(model: &Qwen3Vl, config: &LoraConfig) -> Result<Vec<Adapted>, ModelError> {
    let ranks = config.ranks()?;
    let (linear, others) = modules(model);
    let targets = Entry::all("lora_target_modules", &config.target_modules)?;
    let excluded = match &config.exclude_modules {
        None => Vec::new(),
        Some(targets) => Entry::all("lora_exclude_modules", targets)?,
    };
    let every: Vec<String> = linear.iter().chain(&others).cloned().collect();
    for entry in &excluded {
        entry.check("module (the name of a group of modules excludes nothing)", &every)?;
    }
    let is_excluded = |path: &str| excluded.iter().any(|entry| entry.matches(path));
    for entry in targets.iter().filter(|entry| !entry.shorthand) {
        let taken = others.iter().find(|path| entry.matches(path) && !is_excluded(path));
        if let Some((path, kind)) = taken.and_then(|path| Some((path, without_adapter(path)?))) {
            return Err(ModelError::Config(format!(
                "lora_target_modules: `{}` also names {path}, {kind}, and only linear maps inside the towers take adapters here; \
                 name the wanted modules by longer ends of their paths, or add `{path}` to lora_exclude_modules",
                entry.text
            )));
        }
    }
    for entry in &targets {
        entry.check("linear module", &linear)?;
    }
    let layers = Layers::of(config)?;
    let chosen: Vec<&String> = linear
        .iter()
        .filter(|path| !is_excluded(path) && layers.choose(path, &targets))
        .collect();
    let named: Vec<&String> = linear
        .iter()
        .filter(|path| !is_excluded(path) && targets.iter().any(|entry| entry.matches(path)))
        .collect();
    targets.iter().chain(&excluded).try_for_each(Entry::survived)?;
    layers.check(&named)?;
    if chosen.is_empty() {
        return Err(ModelError::Config(
            "lora_target_modules: no module is left after lora_exclude_modules and lora_layers_to_transform; exclude less"
                .to_owned(),
        ));
    }
    let chosen: Vec<String> = chosen.into_iter().cloned().collect();
    check_patterns("lora_rank_pattern", &ranks.ranks, &chosen)?;
    check_patterns("lora_alpha_pattern", &ranks.alphas, &chosen)?;
    let adapted = with_ranks(chosen, &ranks);
    ranks.check()?;
    Ok(adapted)
}

/// The linear maps that `config` names, as PEFT finds them when it loads an adapter: what matches nothing is passed over.
///
/// # Errors
/// When a pattern is none, or layers are given beside a pattern of whole paths.
pub(super) fn named(model: &Qwen3Vl, config: &LoraConfig) -> Result<BTreeSet<String>, ModelError> {
    let targets = Entry::saved("target_modules", &config.target_modules, true)?;
    let excluded = config.exclude_modules.as_ref();
    let excluded = excluded.map_or(Ok(Vec::new()), |names| Entry::saved("exclude_modules", names, false))?;
    let layers = Layers::of(config)?;
    let mut paths = BTreeSet::new();
    model.visit_linear(&mut |path, _| {
        if !excluded.iter().any(|entry| entry.matches(path)) && layers.choose(path, &targets) {
            paths.insert(path.to_owned());
        }
    });
    targets.iter().chain(&excluded).try_for_each(Entry::survived)?;
    layers.survived()?;
    Ok(paths)
}

fn with_ranks(paths: Vec<String>, ranks: &Ranks) -> Vec<Adapted> {
    let adapted = paths.into_iter().map(|path| {
        let (rank, scaling) = ranks.of(&path);
        Adapted { path, rank, scaling }
    });
    adapted.collect()
}

/// Paths of the linear maps that may have adapters, and of all other modules with weights.
fn modules(model: &Qwen3Vl) -> (Vec<String>, Vec<String>) {
    let (mut linear, mut others) = (Vec::new(), vec!["lm_head".to_owned()]);
    model.visit_linear(&mut |path, _| linear.push(path.to_owned()));
    model.visit(&mut |name, _| {
        let path = name.strip_suffix(".weight").or(name.strip_suffix(".bias"));
        others.push(path.unwrap_or(name).to_owned());
    });
    let known: std::collections::HashSet<&String> = linear.iter().collect();
    others.retain(|path| !known.contains(path));
    others.dedup();
    (linear, others)
}

/// What a module is that PEFT could adapt and this version does not.
pub(super) fn without_adapter(path: &str) -> Option<&'static str> {
    let kinds = [
        ("lm_head", "the output head"),
        ("embed_tokens", "an embedding"),
        ("pos_embed", "an embedding"),
        ("patch_embed.proj", "a convolution"),
    ];
    kinds.iter().find(|(end, _)| path.ends_with(end)).map(|(_, kind)| *kind)
}

/// `layers_to_transform` and `layers_pattern`.
struct Layers {
    numbers: Option<Vec<usize>>,
    /// What stands before the number; any name when empty.
    before: Vec<Regex>,
}

impl Layers {
    fn of(config: &LoraConfig) -> Result<Self, ModelError> {
        let numbers = config.layers_to_transform.as_ref().map(OneOrMany::values);
        let before = config.layers_pattern.as_ref().map_or(&[][..], OneOrMany::values);
        let before: Vec<Regex> = before
            .iter()
            .map(|name| Regex::list("lora_layers_pattern", name))
            .collect::<Result<_, _>>()?;
        let pattern =
            matches!(&config.target_modules, Targets::Pattern(text) if super::targets::shorthand(text).is_none());
        if pattern && (numbers.is_some() || !before.is_empty()) {
            return Err(ModelError::Config(
                "lora_layers_to_transform: expected lora_target_modules to be a list, got a pattern; write the layers into the pattern"
                    .to_owned(),
            ));
        }
        if numbers.is_none() && !before.is_empty() {
            return Err(ModelError::Config(
                "lora_layers_pattern: expected lora_layers_to_transform beside it, got none; set the layers too"
                    .to_owned(),
            ));
        }
        Ok(Self {
            // PEFT reads an empty list as all layers.
            numbers: numbers.filter(|numbers| !numbers.is_empty()).map(<[usize]>::to_vec),
            before,
        })
    }

    /// Number of the layer that the module at `path` is in, by the first of the patterns that finds one; within a path
    /// the first number counts, so an expert's number is not taken for its layer's.
    fn number(&self, path: &str) -> Option<usize> {
        let parts: Vec<&str> = path.split('.').collect();
        let number = |fits: &dyn Fn(usize) -> bool| {
            // Something follows the number: it is a list's, not the module's own.
            let inner = 1..parts.len().saturating_sub(1);
            inner
                .filter(|&at| parts[at].bytes().all(|byte| byte.is_ascii_digit()) && fits(at))
                .find_map(|at| parts[at].parse().ok())
        };
        if self.before.is_empty() {
            return number(&|at| at >= 2);
        }
        let mut found = self
            .before
            .iter()
            .map(|regex| number(&|at| regex.matches(&parts[..at].join("."))));
        found.find_map(|number| number)
    }

    /// Whether one of `targets` names the module at `path`: by its whole path, or in one of the layers.
    fn choose(&self, path: &str, targets: &[Entry]) -> bool {
        let naming = || targets.iter().filter(|entry| entry.matches(path));
        naming().any(|entry| entry.text == path) || naming().next().is_some() && self.keep(path)
    }

    fn keep(&self, path: &str) -> bool {
        let Some(numbers) = &self.numbers else { return true };
        self.number(path).is_some_and(|number| numbers.contains(&number))
    }

    /// That no name before layers has been given up.
    fn survived(&self) -> Result<(), ModelError> {
        self.before.iter().try_for_each(Regex::check)
    }

    /// An error for a layer, or a name before layers, that none of the targeted modules has.
    fn check(&self, targeted: &[&String]) -> Result<(), ModelError> {
        self.survived()?;
        let Some(numbers) = &self.numbers else { return Ok(()) };
        for regex in &self.before {
            let lists: Vec<String> = lists(targeted);
            if !lists.iter().any(|list| regex.matches(list)) {
                return Err(unmatched("lora_layers_pattern", &regex.text, "list of layers", &lists));
            }
        }
        let there: BTreeSet<usize> = targeted.iter().filter_map(|path| self.number(path)).collect();
        match numbers.iter().find(|number| !there.contains(number)) {
            None => Ok(()),
            Some(number) => Err(ModelError::Config(format!(
                "lora_layers_to_transform: no targeted module is in a layer {number}; the layers are {} to {}",
                there.first().copied().unwrap_or(0),
                there.last().copied().unwrap_or(0)
            ))),
        }
    }
}

/// Paths of the numbered lists that the modules are in.
fn lists(paths: &[&String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for path in paths {
        let parts: Vec<&str> = path.split('.').collect();
        for at in 1..parts.len() {
            if parts[at].bytes().all(|byte| byte.is_ascii_digit()) {
                all.push(parts[..at].join("."));
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

/// An error for a key that matches no adapted module, and for two keys that give one module different values.
fn check_patterns<T: Copy + PartialEq + std::fmt::Display>(
    key: &str,
    patterns: &[(Regex, T)],
    adapted: &[String],
) -> Result<(), ModelError> {
    for (regex, _) in patterns {
        if !adapted.iter().any(|path| regex.matches(path)) {
            return Err(unmatched(key, &regex.text, "adapted module", adapted));
        }
    }
    for path in adapted {
        let mut matching = patterns.iter().filter(|(regex, _)| regex.matches(path));
        let Some((first, value)) = matching.next() else {
            continue;
        };
        if let Some((second, other)) = matching.find(|(_, other)| other != value) {
            return Err(ModelError::Config(format!(
                "{key}: `{}` gives {path} {value} and `{}` gives it {other}; make the keys match different modules",
                first.text, second.text
            )));
        }
    }
    Ok(())
}
