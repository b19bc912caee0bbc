//! Texts with parameters in them: `Turn {state} the alarm at {time}.`

use super::parameter::{Parameter, Word};
use super::yaml::{Place, Wrong};

/// A text with places for parameters. `{{name}}` stands for `{name}` as it is; other braces stand for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub at: Place,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Parameter(usize),
}

impl Pattern {
    /// Reads a text whose parameters are among `parameters`.
    pub(super) fn new(text: &str, at: Place, parameters: &[Parameter]) -> Result<Self, Wrong> {
        let find = |name: &str| parameters.iter().position(|parameter| parameter.name == name);
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            plain.push_str(&rest[..open]);
            rest = &rest[open..];
            if let Some(name) = name_in(rest, "{{", "}}") {
                plain.push_str(&format!("{{{name}}}"));
                rest = &rest[name.len() + 4..];
            } else if let Some(name) = name_in(rest, "{", "}") {
                let index = find(name).ok_or_else(|| Wrong::new(at, unknown(name, parameters)))?;
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(Part::Parameter(index));
                rest = &rest[name.len() + 2..];
            } else {
                plain.push('{');
                rest = &rest[1..];
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self { at, parts })
    }

    /// The text with `word` of each parameter's number in its place.
    pub(super) fn fill(&self, word: impl Fn(usize) -> String) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Parameter(index) => word(*index),
        });
        parts.collect()
    }

    /// The text with the values of parameters.
    pub(super) fn values(&self, words: &[Word]) -> String {
        self.fill(|index| words[index].value.clone())
    }

    /// The text as a person would say it.
    pub(super) fn spoken(&self, words: &[Word]) -> String {
        self.fill(|index| words[index].spoken.clone())
    }

    /// The text as a regular expression, in which values stand for themselves.
    pub(super) fn expression(&self, words: &[Word]) -> String {
        self.fill(|index| regex::escape(&words[index].value))
    }

    /// The numbers of the parameters that stand in it.
    pub(super) fn parameters(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().filter_map(|part| match part {
            Part::Parameter(index) => Some(*index),
            Part::Text(_) => None,
        })
    }
}

/// The name between `open` at the start of `text` and the `close` that follows it at once.
fn name_in<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inner = text.strip_prefix(open)?;
    let end = inner.find(|letter: char| !(letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'))?;
    let (name, after) = inner.split_at(end);
    let named = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    (named && after.starts_with(close)).then_some(name)
}

fn unknown(name: &str, parameters: &[Parameter]) -> String {
    let names: Vec<String> = parameters
        .iter()
        .map(|parameter| format!("`{}`", parameter.name))
        .collect();
    let known = match names.len() {
        0 => "there are none".to_owned(),
        _ => format!("there are {}", names.join(", ")),
    };
    format!(
        "no parameter `{name}` ({known}); declare it under `parameters`, or write {{{{{name}}}}} for the text itself"
    )
}
