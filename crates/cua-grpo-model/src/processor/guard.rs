//! Keeps data from forging control tokens, while the template still sees (almost) the text itself.
//!
//! A marker character that occurs nowhere in the conversation is put inside every literal of an added token that data
//! contains, right after its first character, and at the edges where a literal could be completed across two pieces of
//! text. A literal with a marker inside is not found when the rendered text is split at control tokens; the markers
//! are dropped when the stretches in between are encoded as plain text.

use super::ProcessorError;
use serde_json::Value;
use std::borrow::Cow;
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

/// How far a piece of text is trusted to contain the literals of added tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Users and tools: every literal is plain text.
    Data,
    /// The operator's system prompt and tools, and the policy's own words: markup such as `<tool_call>` (added tokens that
    /// are not flagged special) stays a token; literals of control tokens are plain text.
    Markup,
}

/// The marker of one rendering.
#[derive(Debug, Clone)]
pub struct Guard {
    marker: char,
    /// Every added literal, with whether it is flagged special (a control token).
    literals: Vec<(String, bool)>,
    /// The tokenizer's normaliser, and the literals that are matched in normalised text.
    normalised: Option<(NormalizerWrapper, Vec<String>)>,
}

impl Guard {
    /// A guard for texts that consist of `sources` and nothing else: its marker occurs in none of them.
    ///
    /// # Errors
    /// [`ProcessorError::Template`] when the sources use up all 65 534 candidates, the private characters of plane 16.
    pub fn new<'a>(
        literals: impl IntoIterator<Item = (&'a str, bool)>,
        sources: &[&str],
    ) -> Result<Self, ProcessorError> {
        let mut candidates = '\u{100000}'..='\u{10FFFD}';
        let marker = candidates.find(|&candidate| !sources.iter().any(|source| source.contains(candidate)));
        let marker = marker.ok_or_else(|| ProcessorError::Template {
            operation: "choose a marker",
            message: "the messages contain every private-use character of plane 16; remove one".to_owned(),
        })?;
        let literals = literals
            .into_iter()
            .map(|(text, special)| (text.to_owned(), special))
            .collect();
        Ok(Self {
            marker,
            literals,
            normalised: None,
        })
    }

    /// The same guard for a tokenizer that matches some of its `literals` in text that `normalizer` has gone over.
    #[must_use]
    pub fn with_normalised(mut self, normalizer: NormalizerWrapper, literals: Vec<String>) -> Self {
        self.normalised = Some((normalizer, literals));
        self
    }

    /// `text` with normalised literals as they are matched. Plain text is normalised when it is encoded anyway, so its
    /// tokens are the same.
    fn as_matched<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some((normalizer, literals)) = &self.normalised else {
            return Cow::Borrowed(text);
        };
        let mut normalised = NormalizedString::from(text);
        match normalizer.normalize(&mut normalised) {
            Ok(()) if literals.iter().any(|literal| normalised.get().contains(literal)) => {
                Cow::Owned(normalised.get().to_owned())
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// `text` with markers that break the literals which `trust` forbids; unchanged when there are none.
    pub fn protect(&self, text: &str, trust: Trust) -> String {
        let text = &*self.as_matched(text);
        let forbidden = || {
            self.literals
                .iter()
                .filter(|(_, special)| *special || trust == Trust::Data)
        };
        let forbidden = || forbidden().map(|(literal, _)| literal.as_str());
        let mut out = String::with_capacity(text.len());
        // A tail of a literal at the very start could complete a head that stands before this text.
        let tails = |literal: &str| {
            let cuts = literal.char_indices().skip(1).map(|(cut, _)| cut).collect::<Vec<_>>();
            cuts.into_iter().any(|cut| text.starts_with(&literal[cut..]))
        };
        if forbidden().any(tails) {
            out.push(self.marker);
        }
        for (index, character) in text.char_indices() {
            out.push(character);
            let rest = &text[index..];
            if forbidden().any(|literal| rest.starts_with(literal) || literal.starts_with(rest)) {
                out.push(self.marker);
            }
        }
        out
    }

    /// A copy of a JSON value with every string and key protected.
    pub fn protect_json(&self, value: &Value, trust: Trust) -> Value {
        match value {
            Value::String(text) => Value::String(self.protect(text, trust)),
            Value::Array(items) => items.iter().map(|item| self.protect_json(item, trust)).collect(),
            Value::Object(fields) => {
                let protect =
                    |(key, item): (&String, &Value)| (self.protect(key, trust), self.protect_json(item, trust));
                Value::Object(fields.iter().map(protect).collect())
            }
            other => other.clone(),
        }
    }

    /// The text without markers.
    pub fn strip(&self, text: &str) -> String {
        text.replace(self.marker, "")
    }
}
