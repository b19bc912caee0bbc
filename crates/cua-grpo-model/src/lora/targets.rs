//! Lists and patterns of module names, by PEFT's matching rules.

use super::pattern::Regex;
use crate::{ModelError, Qwen3Vl};
use serde::{Deserialize, Serialize};

/// `target_modules` or `exclude_modules` of an adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Targets {
    /// A regular expression (Python's) that must match the whole module path; or one of the words `all-linear` (every
    /// linear map but the head), `language`, `vision` (the blocks), `merger` (the merger and the deepstack mergers).
    Pattern(String),
    /// Module paths, or their last parts: an entry matches a path that equals it or ends in `.` and the entry. The
    /// words of `Pattern` are understood here too.
    Names(Vec<String>),
}

/// The regular expression of a shorthand word, over the paths of linear maps.
pub(super) fn shorthand(word: &str) -> Option<&'static str> {
    match word {
        "all-linear" => Some(r"model\..*"),
        "language" => Some(r"model\.language_model\..*"),
        "vision" => Some(r"model\.visual\.blocks\..*"),
        "merger" => Some(r"model\.visual\.(merger|deepstack_merger_list\.\d+)\..*"),
        _ => None,
    }
}

/// The paths of all linear maps of `model` that `targets` names, in model order. What else an adapter's configuration
/// says is not looked at: see [`super::resolve()`].
///
/// # Errors
/// When an entry matches no module: the error lists the nearest names. (Silently training less than was asked for is
/// how adapters go wrong.)
pub fn matched_modules(model: &Qwen3Vl, targets: &Targets) -> Result<Vec<String>, ModelError> {
    let mut paths = Vec::new();
    model.visit_linear(&mut |path, _| paths.push(path.to_owned()));
    let entries = Entry::all("lora_target_modules", targets)?;
    for entry in &entries {
        entry.check("linear module", &paths)?;
    }
    Ok(paths
        .into_iter()
        .filter(|path| entries.iter().any(|entry| entry.matches(path)))
        .collect())
}

/// One entry of a list, or the pattern.
pub(super) struct Entry {
    /// The configuration key it stands under.
    key: &'static str,
    /// As it was written.
    pub text: String,
    regex: Option<Regex>,
    /// Whether the entry is a word of ours.
    pub shorthand: bool,
}

impl Entry {
    /// All entries of `targets`, which stand under `key`.
    pub fn all(key: &'static str, targets: &Targets) -> Result<Vec<Self>, ModelError> {
        match targets {
            Targets::Pattern(pattern) => Ok(vec![Self::new(key, pattern, true)?]),
            Targets::Names(names) => names.iter().map(|name| Self::new(key, name, false)).collect(),
        }
    }

    /// As [`Entry::all`] with what an adapter's file says, where PEFT has no words but `all-linear` in the place of a list
    /// of targets.
    pub fn saved(key: &'static str, targets: &Targets, words: bool) -> Result<Vec<Self>, ModelError> {
        match targets {
            Targets::Pattern(word) if words && word.eq_ignore_ascii_case("all-linear") => {
                Ok(vec![Self::new(key, "all-linear", true)?])
            }
            Targets::Pattern(pattern) => Ok(vec![Self::literal(key, pattern, true)?]),
            Targets::Names(names) => names.iter().map(|name| Self::literal(key, name, false)).collect(),
        }
    }

    fn new(key: &'static str, text: &str, pattern: bool) -> Result<Self, ModelError> {
        let word = shorthand(text);
        match word {
            None => Self::literal(key, text, pattern),
            Some(word) => Ok(Self {
                key,
                text: text.to_owned(),
                regex: Some(Regex::whole(key, text, word)?),
                shorthand: true,
            }),
        }
    }

    /// A pattern of whole paths, or the end of a path.
    fn literal(key: &'static str, text: &str, pattern: bool) -> Result<Self, ModelError> {
        let regex = pattern.then(|| Regex::whole(key, text, text)).transpose()?;
        Ok(Self {
            key,
            text: text.to_owned(),
            regex,
            shorthand: false,
        })
    }

    /// Whether the entry names the module at `path`.
    pub fn matches(&self, path: &str) -> bool {
        match &self.regex {
            Some(regex) => regex.matches(path),
            None => path == self.text || path.strip_suffix(&self.text).is_some_and(|rest| rest.ends_with('.')),
        }
    }

    /// That the entry has not been given up.
    ///
    /// # Errors
    /// As [`Regex::check`].
    pub fn survived(&self) -> Result<(), ModelError> {
        self.regex.as_ref().map_or(Ok(()), Regex::check)
    }

    /// An error unless the entry matches one of `paths`; `what` is what those are.
    pub fn check(&self, what: &str, paths: &[String]) -> Result<(), ModelError> {
        let found = paths.iter().any(|path| self.matches(path));
        self.survived()?;
        if found {
            Ok(())
        } else {
            Err(unmatched(self.key, &self.text, what, paths))
        }
    }
}

/// The error for a name or pattern that matches none of `paths`.
pub(super) fn unmatched(key: &str, text: &str, what: &str, paths: &[String]) -> ModelError {
    let mut near: Vec<(f64, &str)> = paths
        .iter()
        .map(|path| (closeness(text, path), path.as_str()))
        .collect();
    near.sort_by(|left, right| right.0.total_cmp(&left.0));
    let near: Vec<&str> = near.into_iter().take(3).map(|(_, path)| path).collect();
    ModelError::Config(format!(
        "{key}: `{text}` matches no {what}; the nearest are {}",
        near.join(", ")
    ))
}

/// How near a wanted name is to a path: the best match with any tail of the path.
fn closeness(wanted: &str, path: &str) -> f64 {
    let tails = std::iter::once(path).chain(path.match_indices('.').map(|(index, _)| &path[index + 1..]));
    tails.map(|tail| strsim::jaro_winkler(wanted, tail)).fold(0.0, f64::max)
}
