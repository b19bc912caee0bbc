//! The tokenizer as transformers 5 builds it for Qwen2Tokenizer: vocabulary and merges are the file's, everything else is new.
//! Normalisers, pre-tokenizers and decoders of a file are not even parsed.

use super::ProcessorError;
use super::added::Added;
use super::words::split;
use crate::config::keys::shown;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

/// Most tokens of a vocabulary, and one more than the largest id: that of the model's `vocab_size`.
const MOST_TOKENS: usize = 1 << 24;

/// The tokenizer without added tokens, which splits text by `words`, and one more than the largest id of its vocabulary.
///
/// # Errors
/// [`ProcessorError::Keys`] when `model` is no byte-pair model with a vocabulary and merges, or [`ProcessorError::Tokenizer`].
pub(super) fn plain(json: &Value, words: &str, path: &Path) -> Result<(Tokenizer, usize), ProcessorError> {
    let model = &json["model"];
    let wrong = |message: String| ProcessorError::Keys {
        path: path.to_owned(),
        message,
    };
    match &model["type"] {
        Value::String(kind) if kind == "BPE" => {}
        Value::Null if model.is_object() => {}
        other => {
            return Err(wrong(format!(
                "model.type: expected \"BPE\", found {}; is this the tokenizer of a Qwen3-VL or Qwen3.5 model?",
                shown(other)
            )));
        }
    }
    let failed = |error: tokenizers::Error| ProcessorError::Tokenizer {
        operation: "build the tokenizer",
        message: format!("{}: {error}", path.display()),
    };
    let (vocabulary, ids) = vocabulary(&model["vocab"]).map_err(wrong)?;
    let merges = merges(&model["merges"]).map_err(wrong)?;
    let bpe = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .continuing_subword_prefix(String::new())
        .end_of_word_suffix(String::new());
    let mut tokenizer = Tokenizer::new(bpe.build().map_err(failed)?);
    tokenizer
        .with_normalizer(Some(NFC))
        .with_pre_tokenizer(Some(split(words).map_err(failed)?))
        .with_decoder(Some(ByteLevel::default()));
    Ok((tokenizer, ids))
}

fn vocabulary(json: &Value) -> Result<(Vocab, usize), String> {
    let entries = json.as_object();
    let entries =
        entries.ok_or_else(|| format!("model.vocab: expected a map from tokens to ids, found {}", shown(json)))?;
    if entries.len() > MOST_TOKENS {
        return Err(format!(
            "model.vocab: expected at most {MOST_TOKENS} tokens, found {}",
            entries.len()
        ));
    }
    let mut texts: BTreeMap<u32, &str> = BTreeMap::new();
    for (token, id) in entries {
        let number = id.as_u64().filter(|id| *id < MOST_TOKENS as u64);
        let number = number.and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
            format!(
                "model.vocab: expected ids below {MOST_TOKENS}, found {} for {}",
                shown(id),
                shown(&Value::from(token.as_str()))
            )
        })?;
        if let Some(other) = texts.insert(number, token) {
            return Err(format!(
                "model.vocab: {} and {} have one id, {number}",
                shown(&other.into()),
                shown(&Value::from(token.as_str()))
            ));
        }
    }
    let ids = texts.last_key_value().map_or(0, |(id, _)| *id as usize + 1);
    Ok((
        texts.into_iter().map(|(id, token)| (token.to_owned(), id)).collect(),
        ids,
    ))
}

/// Pairs, or texts with one space.
fn merges(json: &Value) -> Result<Vec<(String, String)>, String> {
    let list = json.as_array();
    let list = list.ok_or_else(|| format!("model.merges: expected a list of pairs, found {}", shown(json)))?;
    let pair = |entry: &Value| {
        let parts = match entry {
            Value::String(text) => text.split(' ').map(str::to_owned).collect(),
            Value::Array(parts) => parts
                .iter()
                .map(|part| part.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
            _ => Vec::new(),
        };
        let [first, second]: [String; 2] = parts.try_into().ok()?;
        Some((first, second))
    };
    list.iter()
        .map(|entry| {
            pair(entry).ok_or_else(|| format!("model.merges: expected pairs of tokens, found {}", shown(entry)))
        })
        .collect()
}

/// Adds the tokens in the order of their ids, as transformers does: a token that is in the vocabulary keeps its id, another gets
/// the next one that is free.
///
/// # Errors
/// [`ProcessorError::Keys`] for a token that gets another id than the file says.
pub(super) fn add(tokenizer: &mut Tokenizer, added: &[Added], path: &Path) -> Result<(), ProcessorError> {
    let tokens: Vec<AddedToken> = added
        .iter()
        .map(|token| AddedToken::from(token.literal.as_str(), token.special).normalized(token.normalized))
        .collect();
    tokenizer.add_tokens(&tokens);
    for token in added {
        let id = tokenizer.token_to_id(&token.literal);
        if id != Some(token.id) {
            return Err(ProcessorError::Keys {
                path: path.to_owned(),
                message: format!(
                    "added tokens: {} has the id {}, but transformers gives it {}; save the tokenizer once with Python: \
                     AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER), and check that the model was trained with these ids",
                    shown(&token.literal.as_str().into()),
                    token.id,
                    id.map_or("none".to_owned(), |id| id.to_string())
                ),
            });
        }
    }
    Ok(())
}
