//! Added tokens: literals that mean a token, as `tokenizer.json` and `tokenizer_config.json` list them.

use super::ProcessorError;
use cua_grpo_core::TokenId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A token that is added to the vocabulary of the byte-pair model and matched as a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Added {
    pub(super) literal: String,
    pub(super) id: TokenId,
    pub(super) special: bool,
    /// Whether it is matched in normalised text, not in the text as it stands.
    pub(super) normalized: bool,
}

/// The tokens that `tokenizer.json` lists.
pub(super) fn read_added(json: &Value, path: &Path) -> Result<Vec<Added>, ProcessorError> {
    let format = |got: String| ProcessorError::Format {
        path: path.to_owned(),
        expected: "added_tokens with id and content, without lstrip, rstrip or single_word".to_owned(),
        got,
    };
    let tokens = json["added_tokens"]
        .as_array()
        .ok_or_else(|| format("no added_tokens".to_owned()))?;
    let mut added = Vec::with_capacity(tokens.len());
    for token in tokens {
        let flag = |name: &str| token[name].as_bool().unwrap_or(false);
        let id = token["id"].as_u64().and_then(|id| TokenId::try_from(id).ok());
        let literal = token["content"].as_str().filter(|literal| !literal.is_empty());
        let strips = flag("lstrip") || flag("rstrip") || flag("single_word");
        let (Some(id), Some(literal), false) = (id, literal, strips) else {
            return Err(format(token.to_string()));
        };
        let special = flag("special");
        added.push(Added {
            literal: literal.to_owned(),
            id,
            special,
            normalized: token["normalized"].as_bool().unwrap_or(!special),
        });
    }
    Ok(added)
}

/// Adds the tokens of `added_tokens_decoder` that `tokenizer.json` lacks; the files must not disagree on an id.
pub(super) fn merge_added(json: &mut Value, config: &Value, path: &Path) -> Result<(), ProcessorError> {
    let Some(decoder) = config["added_tokens_decoder"].as_object() else {
        return Ok(());
    };
    let known = json["added_tokens"].as_array().cloned().unwrap_or_default();
    let mut missing = BTreeMap::new();
    for (key, token) in decoder {
        let listed = known.iter().find(|other| other["content"] == token["content"]);
        let id: Option<u64> = key.parse().ok();
        match (id, listed) {
            (Some(id), Some(other)) if other["id"].as_u64() == Some(id) => {}
            (Some(id), None) => {
                let mut token = token.clone();
                token["id"] = id.into();
                missing.insert(id, token);
            }
            _ => {
                return Err(ProcessorError::Format {
                    path: path.to_owned(),
                    expected: "the same ids of added tokens as in tokenizer.json".to_owned(),
                    got: format!("{key}: {token}"),
                });
            }
        }
    }
    if let Some(tokens) = json["added_tokens"].as_array_mut() {
        tokens.extend(missing.into_values());
    } else {
        json["added_tokens"] = missing.into_values().collect();
    }
    Ok(())
}
