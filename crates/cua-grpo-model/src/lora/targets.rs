//! Which modules an adapter attaches to, by PEFT's matching rules.

use crate::{ModelError, Qwen3Vl};
use regex::Regex;
use serde::{Deserialize, Serialize};

/// `target_modules` of an adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Targets {
    /// A regular expression that must match the whole module path; or one of the words `all-linear` (every linear map
    /// but the head), `language`, `vision` (the blocks), `merger` (the merger and the deepstack mergers).
    Pattern(String),
    /// Module paths, or their last parts: an entry matches a path that equals it or ends in `.` and the entry. The
    /// words of `Pattern` are understood here too.
    Names(Vec<String>),
}

/// The regular expression of a shorthand word.
fn shorthand(word: &str) -> Option<&'static str> {
    match word {
        "all-linear" => Some(r".*"),
        "language" => Some(r"model\.language_model\..*"),
        "vision" => Some(r"model\.visual\.blocks\..*"),
        "merger" => Some(r"model\.visual\.(merger|deepstack_merger_list\.\d+)\..*"),
        _ => None,
    }
}

/// The module paths of `model` that `targets` names, in model order.
///
/// # Errors
/// When an entry matches no module: the error lists the nearest names. (Silently training less than was asked for is
/// how adapters go wrong.)
pub fn matched_modules(model: &mut Qwen3Vl, targets: &Targets) -> Result<Vec<String>, ModelError> {
    let mut paths = Vec::new();
    model.visit_linear(&mut |path, _| paths.push(path.to_owned()));
    let entries: Vec<Entry> = match targets {
        Targets::Pattern(pattern) => vec![Entry::pattern(pattern, shorthand(pattern).unwrap_or(pattern))?],
        Targets::Names(names) => names.iter().map(|name| Entry::name(name)).collect::<Result<_, _>>()?,
    };
    for entry in &entries {
        if !paths.iter().any(|path| entry.matches(path)) {
            let mut near: Vec<(f64, &str)> = paths
                .iter()
                .map(|path| (closeness(&entry.text, path), path.as_str()))
                .collect();
            near.sort_by(|left, right| right.0.total_cmp(&left.0));
            let near: Vec<&str> = near.into_iter().take(3).map(|(_, path)| path).collect();
            return Err(ModelError::Config(format!(
                "lora_target_modules: `{}` matches no linear module; the nearest are {}",
                entry.text,
                near.join(", ")
            )));
        }
    }
    Ok(paths
        .into_iter()
        .filter(|path| entries.iter().any(|entry| entry.matches(path)))
        .collect())
}

struct Entry {
    text: String,
    regex: Option<Regex>,
}

impl Entry {
    fn pattern(text: &str, pattern: &str) -> Result<Self, ModelError> {
        let regex = Regex::new(&format!("^(?:{pattern})$"))
            .map_err(|error| ModelError::Config(format!("lora_target_modules: `{text}` is no pattern: {error}")))?;
        Ok(Self {
            text: text.to_owned(),
            regex: Some(regex),
        })
    }

    fn name(text: &str) -> Result<Self, ModelError> {
        match shorthand(text) {
            Some(pattern) => Self::pattern(text, pattern),
            None => Ok(Self {
                text: text.to_owned(),
                regex: None,
            }),
        }
    }

    fn matches(&self, path: &str) -> bool {
        match &self.regex {
            Some(regex) => regex.is_match(path),
            None => path == self.text || path.strip_suffix(&self.text).is_some_and(|rest| rest.ends_with('.')),
        }
    }
}

/// How near a wanted name is to a path: the best match with any tail of the path.
fn closeness(wanted: &str, path: &str) -> f64 {
    let tails = std::iter::once(path).chain(path.match_indices('.').map(|(index, _)| &path[index + 1..]));
    tails.map(|tail| strsim::jaro_winkler(wanted, tail)).fold(0.0, f64::max)
}
