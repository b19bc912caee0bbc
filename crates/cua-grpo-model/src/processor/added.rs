//! Added tokens: literals that mean a token, as `tokenizer.json` and `tokenizer_config.json` list them.

use super::ProcessorError;
use crate::config::keys::shown;
use cua_grpo_core::TokenId;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Most added tokens.
const MOST: usize = 1 << 12;

/// A token that is added to the vocabulary of the byte-pair model and matched as a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) literal: String,
    pub(super) id: TokenId,
    pub(super) special: bool,
    /// Whether it is matched in normalised text, not in the text as it stands.
    pub(super) normalized: bool,
}

/// A JSON file and its place.
type File<'a> = (&'a Value, &'a Path);

/// A list of tokens and the file that it stands in.
struct Listed<'a> {
    path: &'a Path,
    tokens: Vec<Added>,
}

/// The added tokens of a folder, by id: those of `added_tokens_decoder` in the configuration where it has that key, else those of
/// `tokenizer.json` and, besides, of the older `added_tokens.json`, as in transformers 5. Of the latter those are special whose
/// texts are in `special`.
///
/// # Errors
/// [`ProcessorError::Format`] for a token that is not read here, and where a list, or two lists, give one text two ids or
/// one id two texts.
pub(super) fn read(
    (json, path): File<'_>,
    config: Option<File<'_>>,
    older: Option<File<'_>>,
    special: &BTreeSet<String>,
) -> Result<Vec<Added>, ProcessorError> {
    let tokens = json["added_tokens"].as_array();
    let tokens = tokens.map(|tokens| {
        let entries = tokens.iter().map(|token| (token["id"].as_u64(), token));
        Listed::of(entries, path)
    });
    let decoder = config.and_then(|(config, path)| {
        let entries = config["added_tokens_decoder"].as_object()?;
        Some(Listed::of(
            entries.iter().map(|(id, token)| (id.parse().ok(), token)),
            path,
        ))
    });
    let (own, listed) = (tokens.transpose()?, decoder.transpose()?);
    match (own, listed) {
        (own, Some(listed)) => {
            if let Some(own) = own {
                listed.check_against(&own)?;
                listed.warn_of_others(&own);
            }
            Ok(listed.tokens)
        }
        (Some(own), None) => match older {
            Some(older) => own.with(Listed::older(older, special)?),
            None => Ok(own.tokens),
        },
        (None, None) => Err(ProcessorError::Format {
            path: path.to_owned(),
            expected: "added_tokens with id and content".to_owned(),
            got: "no added_tokens".to_owned(),
        }),
    }
}

impl<'a> Listed<'a> {
    fn of<'v>(entries: impl Iterator<Item = (Option<u64>, &'v Value)>, path: &'a Path) -> Result<Self, ProcessorError> {
        let format = |expected: &str, got: String| ProcessorError::Format {
            path: path.to_owned(),
            expected: expected.to_owned(),
            got,
        };
        let mut tokens: BTreeMap<TokenId, Added> = BTreeMap::new();
        let mut ids: BTreeMap<String, TokenId> = BTreeMap::new();
        for (id, token) in entries.take(MOST + 1) {
            let flag = |name: &str| token[name].as_bool().unwrap_or(false);
            let id = id.and_then(|id| TokenId::try_from(id).ok());
            let literal = token["content"].as_str().filter(|literal| !literal.is_empty());
            let strips = flag("lstrip") || flag("rstrip") || flag("single_word");
            let (Some(id), Some(literal), false) = (id, literal, strips) else {
                return Err(format(
                    "added tokens with id and content, without lstrip, rstrip or single_word",
                    shown(token),
                ));
            };
            let special = flag("special");
            let added = Added {
                literal: literal.to_owned(),
                id,
                special,
                normalized: token["normalized"].as_bool().unwrap_or(!special),
            };
            if let Some(other) = ids.insert(added.literal.clone(), id).filter(|other| *other != id) {
                return Err(format(
                    "one id for each added token",
                    format!("{} with the ids {other} and {id}", shown(&literal.into())),
                ));
            }
            match tokens.get(&id) {
                Some(other) if *other != added => {
                    return Err(format(
                        "one added token for each id",
                        format!(
                            "the id {id} for {} and for {}, or twice with other flags",
                            shown(&other.literal.as_str().into()),
                            shown(&literal.into())
                        ),
                    ));
                }
                _ => drop(tokens.insert(id, added)),
            }
        }
        if tokens.len() > MOST {
            return Err(format(&format!("at most {MOST} added tokens"), "more".to_owned()));
        }
        Ok(Self {
            path,
            tokens: tokens.into_values().collect(),
        })
    }

    /// The tokens of `added_tokens.json`, a map from texts to ids.
    fn older((json, path): (&Value, &'a Path), special: &BTreeSet<String>) -> Result<Self, ProcessorError> {
        let entries = json.as_object().ok_or_else(|| ProcessorError::Format {
            path: path.to_owned(),
            expected: "a map from added tokens to ids".to_owned(),
            got: shown(json),
        })?;
        let tokens: Vec<(Option<u64>, Value)> = entries
            .iter()
            .take(MOST + 1)
            .map(|(text, id)| {
                let special = special.contains(text);
                (id.as_u64(), json!({"content": text, "special": special}))
            })
            .collect();
        Self::of(tokens.iter().map(|(id, token)| (*id, token)), path)
    }

    /// These tokens and those of another list, by id; where both have a token, its flags are those of this list.
    fn with(self, other: Listed<'_>) -> Result<Vec<Added>, ProcessorError> {
        other.check_against(&self)?;
        let pairs = other.tokens.into_iter().chain(self.tokens);
        let all: BTreeMap<TokenId, Added> = pairs.map(|token| (token.id, token)).collect();
        Ok(all.into_values().collect())
    }

    /// Holds the ids of another list against those of `tokenizer.json`.
    fn check_against(&self, own: &Listed<'_>) -> Result<(), ProcessorError> {
        let by_text: BTreeMap<&str, TokenId> = own
            .tokens
            .iter()
            .map(|token| (token.literal.as_str(), token.id))
            .collect();
        let by_id: BTreeMap<TokenId, &str> = own
            .tokens
            .iter()
            .map(|token| (token.id, token.literal.as_str()))
            .collect();
        for token in &self.tokens {
            let other = by_text.get(token.literal.as_str()).filter(|id| **id != token.id);
            let text = by_id.get(&token.id).filter(|text| **text != token.literal);
            let got = match (other, text) {
                (Some(other), _) => format!("the id {other}"),
                (None, Some(text)) => format!("{} under that id", shown(&(*text).into())),
                (None, None) => continue,
            };
            return Err(ProcessorError::Format {
                path: self.path.to_owned(),
                expected: format!(
                    "the same ids of added tokens as in tokenizer.json: {} has {} here",
                    shown(&token.literal.as_str().into()),
                    token.id
                ),
                got: format!("{got} there"),
            });
        }
        Ok(())
    }

    /// Names the tokens of `tokenizer.json` that the configuration's list, which is read in its place, does not have.
    fn warn_of_others(&self, own: &Listed<'_>) {
        let listed: BTreeSet<&str> = self.tokens.iter().map(|token| token.literal.as_str()).collect();
        let left: Vec<&str> = own
            .tokens
            .iter()
            .map(|token| token.literal.as_str())
            .filter(|literal| !listed.contains(literal))
            .collect();
        if !left.is_empty() {
            tracing::warn!(
                "{}: added tokens of tokenizer.json that added_tokens_decoder does not list are plain text, as in transformers 5: {}",
                self.path.display(),
                shown(&left.into())
            );
        }
    }
}
