//! The tokenizer: text to ids, with control tokens only where the caller means them.

use super::{Guard, PadIds, ProcessorError};
use cua_grpo_core::TokenId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

/// The ids that the program itself has to know, found by their literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialIds {
    /// `<|endoftext|>`: padding, and a second stop token.
    pub endoftext: TokenId,
    /// `<|im_start|>`: begins a message.
    pub im_start: TokenId,
    /// `<|im_end|>`: ends a message; the stop token.
    pub im_end: TokenId,
    /// `<|vision_start|>`.
    pub vision_start: TokenId,
    /// `<|vision_end|>`.
    pub vision_end: TokenId,
    /// `<|image_pad|>`: stands for one merged patch of a picture.
    pub image_pad: TokenId,
    /// `<|video_pad|>`: stands for one merged patch of a clip.
    pub video_pad: TokenId,
}

impl SpecialIds {
    /// The pad ids with the spatial merge size, as positions need them.
    pub fn pads(&self, merge: usize) -> PadIds {
        PadIds {
            image: self.image_pad,
            video: self.video_pad,
            merge,
        }
    }

    /// Whether sampling stops at `token`: `<|im_end|>` or `<|endoftext|>`.
    pub fn is_stop(&self, token: TokenId) -> bool {
        token == self.im_end || token == self.endoftext
    }
}

/// A token that is added to the vocabulary of the byte-pair model and matched as a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Added {
    literal: String,
    id: TokenId,
    special: bool,
}

/// A byte-level BPE tokenizer with added tokens.
#[derive(Debug)]
pub struct Tokenizer {
    /// Knows the added tokens; used to decode.
    full: tokenizers::Tokenizer,
    /// Knows none of them; encodes the text between control tokens.
    plain: tokenizers::Tokenizer,
    /// Longest literal first.
    added: Vec<Added>,
    special: SpecialIds,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model folder, and `tokenizer_config.json` where there is one: added tokens that only the
    /// latter lists are taken from there.
    ///
    /// # Errors
    /// [`ProcessorError::Io`], [`ProcessorError::Format`] (a special literal is missing, the two files disagree, an added
    /// token swallows spaces) or [`ProcessorError::Tokenizer`].
    pub fn load(folder: &Path) -> Result<Self, ProcessorError> {
        let path = folder.join("tokenizer.json");
        let text = ProcessorError::read(&path)?;
        let mut json: Value =
            serde_json::from_str(&text).map_err(|error| ProcessorError::json(&path, "a tokenizer", &error))?;
        let config_path = folder.join("tokenizer_config.json");
        if config_path.exists() {
            let text = ProcessorError::read(&config_path)?;
            let config: Value = serde_json::from_str(&text)
                .map_err(|error| ProcessorError::json(&config_path, "a tokenizer config", &error))?;
            merge_added(&mut json, &config, &config_path)?;
        }
        Self::from_value(json, &path)
    }

    fn from_value(mut json: Value, path: &Path) -> Result<Self, ProcessorError> {
        let mut added = read_added(&json, path)?;
        added.sort_by(|a, b| b.literal.len().cmp(&a.literal.len()).then_with(|| a.id.cmp(&b.id)));
        let full = parse(&json)?;
        json["added_tokens"] = Value::Array(Vec::new());
        let plain = parse(&json)?;
        if let Some(letter) = ByteLevel::alphabet()
            .into_iter()
            .find(|c| plain.token_to_id(&c.to_string()).is_none())
        {
            return Err(ProcessorError::Format {
                path: path.to_owned(),
                expected: "a byte-level vocabulary with all 256 bytes".to_owned(),
                got: format!("no token for the byte letter {letter:?}; text would be lost"),
            });
        }
        let id = |literal: &str| {
            let found = added
                .iter()
                .find(|token| token.literal == literal)
                .map(|token| token.id);
            found.ok_or_else(|| ProcessorError::Format {
                path: path.to_owned(),
                expected: format!("an added token {literal}"),
                got: format!("{} added tokens without it", added.len()),
            })
        };
        let special = SpecialIds {
            endoftext: id("<|endoftext|>")?,
            im_start: id("<|im_start|>")?,
            im_end: id("<|im_end|>")?,
            vision_start: id("<|vision_start|>")?,
            vision_end: id("<|vision_end|>")?,
            image_pad: id("<|image_pad|>")?,
            video_pad: id("<|video_pad|>")?,
        };
        Ok(Self {
            full,
            plain,
            added,
            special,
        })
    }

    /// The ids that the program has to know.
    pub fn special(&self) -> &SpecialIds {
        &self.special
    }

    /// One more than the largest id; a model may have more embedding rows than this.
    pub fn vocab_size(&self) -> usize {
        let largest_added = self.added.iter().map(|token| token.id as usize + 1).max().unwrap_or(0);
        self.plain.get_vocab_size(false).max(largest_added)
    }

    /// The id of a token by its text, added tokens included.
    pub fn token_to_id(&self, token: &str) -> Option<TokenId> {
        self.full.token_to_id(token)
    }

    /// Encodes text in which every literal of an added token means that token: what a template writes, what is replayed.
    ///
    /// # Errors
    /// [`ProcessorError::Tokenizer`].
    pub fn encode(&self, text: &str) -> Result<Vec<TokenId>, ProcessorError> {
        self.encode_with(text, str::to_owned)
    }

    /// Encodes text in which no literal means anything: `<|im_end|>` becomes the plain text tokens of its characters.
    ///
    /// # Errors
    /// [`ProcessorError::Tokenizer`].
    pub fn encode_data(&self, text: &str) -> Result<Vec<TokenId>, ProcessorError> {
        let mut ids = Vec::new();
        self.encode_plain(text, &mut ids)?;
        Ok(ids)
    }

    /// Encodes text whose data parts were protected by `guard`: unbroken literals are tokens, broken ones plain text.
    ///
    /// # Errors
    /// [`ProcessorError::Tokenizer`].
    pub fn encode_guarded(&self, text: &str, guard: &Guard) -> Result<Vec<TokenId>, ProcessorError> {
        self.encode_with(text, |plain| guard.strip(plain))
    }

    /// A guard for texts made of `sources`, knowing this tokenizer's literals.
    ///
    /// # Errors
    /// [`ProcessorError::Template`], see [`Guard::new`].
    pub fn guard(&self, sources: &[&str]) -> Result<Guard, ProcessorError> {
        Guard::new(
            self.added.iter().map(|token| (token.literal.as_str(), token.special)),
            sources,
        )
    }

    /// A guard that breaks no literal: every one in the messages means its token.
    pub(super) fn open_guard(&self, sources: &[&str]) -> Result<Guard, ProcessorError> {
        Guard::new([], sources)
    }

    /// The text of tokens, literals of added tokens included. An id that has no token (an unused embedding row) reads
    /// as U+FFFD, and so do bytes that are not UTF-8.
    pub fn decode(&self, tokens: &[TokenId]) -> String {
        let mut text = String::new();
        for (index, known) in tokens
            .split(|&token| self.full.id_to_token(token).is_none())
            .enumerate()
        {
            if index > 0 {
                text.push('\u{FFFD}');
            }
            // Decoding known ids with a byte-level decoder cannot fail; if it did, the loss must show.
            text.push_str(&self.full.decode(known, false).unwrap_or_else(|_| "\u{FFFD}".to_owned()));
        }
        text
    }

    fn encode_with(&self, text: &str, clean: impl Fn(&str) -> String) -> Result<Vec<TokenId>, ProcessorError> {
        let mut ids = Vec::new();
        let (mut start, mut index) = (0, 0);
        while index < text.len() {
            match self
                .added
                .iter()
                .find(|token| text[index..].starts_with(&token.literal))
            {
                Some(token) => {
                    self.encode_plain(&clean(&text[start..index]), &mut ids)?;
                    ids.push(token.id);
                    index += token.literal.len();
                    start = index;
                }
                None => index += text[index..].chars().next().map_or(1, char::len_utf8),
            }
        }
        self.encode_plain(&clean(&text[start..]), &mut ids)?;
        Ok(ids)
    }

    fn encode_plain(&self, text: &str, ids: &mut Vec<TokenId>) -> Result<(), ProcessorError> {
        if !text.is_empty() {
            let encoding = self.plain.encode_fast(text, false);
            ids.extend_from_slice(encoding.map_err(|error| tokenizer_error("encode", &error))?.get_ids());
        }
        Ok(())
    }
}

fn tokenizer_error(operation: &'static str, error: &impl ToString) -> ProcessorError {
    ProcessorError::Tokenizer {
        operation,
        message: error.to_string(),
    }
}

fn parse(json: &Value) -> Result<tokenizers::Tokenizer, ProcessorError> {
    json.to_string()
        .parse()
        .map_err(|error: tokenizers::Error| tokenizer_error("parse tokenizer.json", &error))
}

fn read_added(json: &Value, path: &Path) -> Result<Vec<Added>, ProcessorError> {
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
        added.push(Added {
            literal: literal.to_owned(),
            id,
            special: flag("special"),
        });
    }
    Ok(added)
}

/// Adds the tokens of `added_tokens_decoder` that `tokenizer.json` lacks; the files must not disagree on an id.
fn merge_added(json: &mut Value, config: &Value, path: &Path) -> Result<(), ProcessorError> {
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
