//! The tokenizer: text to ids, with control tokens only where the caller means them.

use super::added::{self, Added};
use super::{Guard, PadIds, ProcessorError, qwen2, tokenizer_keys, words};
use crate::plain_text::is_there;
use cua_grpo_core::TokenId;
use serde_json::Value;
use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{NormalizedString, Normalizer};

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

/// Most bytes of text that are encoded at once.
const MOST_TEXT: usize = 16 << 20;

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
    /// One more than the largest id.
    ids: usize,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model folder, and `tokenizer_config.json` where there is one, as transformers 5 does for
    /// these models: vocabulary, merges and added tokens are the files', the latter those of `added_tokens_decoder` where the
    /// configuration has it, else those of `tokenizer.json` and of an older `added_tokens.json`. What else the files say
    /// (normaliser, split into words, truncation, padding, dropout) is left out, with a warning where it would change ids.
    ///
    /// # Errors
    /// [`ProcessorError::Io`], [`ProcessorError::Format`] (no `tokenizer.json`, a special literal is missing, the two files
    /// disagree, an added token swallows spaces), [`ProcessorError::Keys`] (a key that changes ids and is not obeyed) or
    /// [`ProcessorError::Tokenizer`].
    pub fn load(folder: &Path) -> Result<Self, ProcessorError> {
        let path = folder.join("tokenizer.json");
        if !is_there(&path) {
            return Err(no_tokenizer(folder));
        }
        let read = |name: &str, expected: &str| -> Result<(Value, PathBuf), ProcessorError> {
            let path = folder.join(name);
            let text = ProcessorError::read(&path)?;
            let value: serde_json::Result<Value> = serde_json::from_str(&text);
            let value = value.map_err(|error| ProcessorError::json(&path, expected, &error))?;
            Ok((value, path))
        };
        let optional =
            |name: &str, expected: &str| is_there(&folder.join(name)).then(|| read(name, expected)).transpose();
        let (json, _) = read("tokenizer.json", "a tokenizer")?;
        let config = optional("tokenizer_config.json", "a tokenizer config")?;
        // Older files, which transformers reads where the list of the configuration is not there.
        let is_listed = |(config, _): &(Value, PathBuf)| config.get("added_tokens_decoder").is_some();
        let (older, names) = match config.as_ref().is_some_and(is_listed) {
            true => (None, None),
            false => (
                optional("added_tokens.json", "a map from added tokens to ids")?,
                optional("special_tokens_map.json", "a map of special tokens")?,
            ),
        };
        let [config, older, names] =
            [&config, &older, &names].map(|file| file.as_ref().map(|(json, path)| (json, &**path)));
        let special = tokenizer_keys::special_texts(config, names);
        let added = added::read((&json, &path), config, older, &special)?;
        let words = words::of(folder);
        tokenizer_keys::check(config, names, &added, (&json, &path), words)?;
        // What a file of others brings into the library must not end the process.
        let build = AssertUnwindSafe(|| Self::build(&json, added, words, &path));
        std::panic::catch_unwind(build).unwrap_or_else(|_| {
            Err(ProcessorError::Tokenizer {
                operation: "build the tokenizer",
                message: format!(
                    "{}: the library does not survive this file; use the released tokenizer",
                    path.display()
                ),
            })
        })
    }

    fn build(json: &Value, mut added: Vec<Added>, words: &str, path: &Path) -> Result<Self, ProcessorError> {
        let (plain, ids) = qwen2::plain(json, words, path)?;
        let mut full = plain.clone();
        qwen2::add(&mut full, &added, path)?;
        for token in added.iter_mut().filter(|token| token.normalized) {
            token.literal = normalise(&plain, &token.literal)?.into_owned();
        }
        added.retain(|token| !token.literal.is_empty());
        added.sort_by(|a, b| b.literal.len().cmp(&a.literal.len()).then_with(|| a.id.cmp(&b.id)));
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
        let ids = added.iter().map(|token| token.id as usize + 1).fold(ids, usize::max);
        Ok(Self {
            full,
            plain,
            added,
            special,
            ids,
        })
    }

    /// The ids that the program has to know.
    pub fn special(&self) -> &SpecialIds {
        &self.special
    }

    /// One more than the largest id; a model may have more embedding rows than this.
    pub fn vocab_size(&self) -> usize {
        self.ids
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
        let literals = self.added.iter().map(|token| (token.literal.as_str(), token.special));
        let guard = Guard::new(literals, sources)?;
        let normalised = self.added.iter().filter(|token| token.normalized);
        let normalised: Vec<String> = normalised.map(|token| token.literal.clone()).collect();
        Ok(match self.plain.get_normalizer().filter(|_| !normalised.is_empty()) {
            Some(normalizer) => guard.with_normalised(normalizer.clone(), normalised),
            None => guard,
        })
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

    /// Encodes text: first the tokens that are matched as they stand, then, in what is between, those that are matched in
    /// normalised text.
    fn encode_with(&self, text: &str, clean: impl Fn(&str) -> String) -> Result<Vec<TokenId>, ProcessorError> {
        let mut ids = Vec::new();
        for piece in split(text, self.added.iter().filter(|token| !token.normalized)) {
            match piece {
                Piece::Token(id) => ids.push(id),
                Piece::Text(text) if self.added.iter().any(|token| token.normalized) => {
                    let text = normalise(&self.plain, text)?;
                    for piece in split(&text, self.added.iter().filter(|token| token.normalized)) {
                        match piece {
                            Piece::Token(id) => ids.push(id),
                            Piece::Text(text) => self.encode_plain(&clean(text), &mut ids)?,
                        }
                    }
                }
                Piece::Text(text) => self.encode_plain(&clean(text), &mut ids)?,
            }
        }
        Ok(ids)
    }

    fn encode_plain(&self, text: &str, ids: &mut Vec<TokenId>) -> Result<(), ProcessorError> {
        if text.len() > MOST_TEXT {
            return Err(ProcessorError::Tokenizer {
                operation: "encode",
                message: format!(
                    "expected at most {MOST_TEXT} bytes of text between control tokens, found {}; no context holds so much",
                    text.len()
                ),
            });
        }
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

/// `text` as the tokenizer's normaliser writes it.
fn normalise<'a>(plain: &tokenizers::Tokenizer, text: &'a str) -> Result<Cow<'a, str>, ProcessorError> {
    let Some(normalizer) = plain.get_normalizer() else {
        return Ok(Cow::Borrowed(text));
    };
    let mut normalised = NormalizedString::from(text);
    let done = normalizer.normalize(&mut normalised);
    done.map_err(|error| tokenizer_error("normalise", &error))?;
    Ok(Cow::Owned(normalised.get().to_owned()))
}

/// A part of a text.
enum Piece<'a> {
    Token(TokenId),
    Text(&'a str),
}

/// Cuts `text` at the literals of `tokens`, which come longest first.
fn split<'a, 't>(text: &'a str, tokens: impl Iterator<Item = &'t Added> + Clone) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let (mut start, mut index) = (0, 0);
    while index < text.len() {
        match tokens.clone().find(|token| text[index..].starts_with(&token.literal)) {
            Some(token) => {
                pieces.push(Piece::Text(&text[start..index]));
                pieces.push(Piece::Token(token.id));
                index += token.literal.len();
                start = index;
            }
            None => index += text[index..].chars().next().map_or(1, char::len_utf8),
        }
    }
    pieces.push(Piece::Text(&text[start..]));
    pieces
}

/// What to do where `tokenizer.json` is missing, by what is there instead.
fn no_tokenizer(folder: &Path) -> ProcessorError {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names: Vec<String> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let has = |name: &str| names.iter().any(|other| other == name);
    let make = "make it once with Python: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)";
    let parts = || {
        let part = |name: &&String| {
            name.starts_with("tokenizer") && name.contains("json") && name.as_str() != "tokenizer_config.json"
        };
        names.iter().filter(part).cloned().collect::<Vec<_>>()
    };
    let got = if has("vocab.json") && has("merges.txt") {
        format!("vocab.json and merges.txt, from which it is made; {make}")
    } else if has("vocab.json") || has("merges.txt") {
        "only one of vocab.json and merges.txt; copy tokenizer.json of the released model".to_owned()
    } else if let Some(name) = ["tokenizer.model", "spiece.model", "tekken.json", "vocab.txt"]
        .into_iter()
        .find(|name| has(name))
    {
        format!(
            "{name}, a tokenizer of another kind than Qwen's; is this a Qwen3-VL model? copy tokenizer.json of the released one"
        )
    } else if !parts().is_empty() {
        format!(
            "{}; if these are parts of one file, join them in order: cat PARTS > tokenizer.json",
            parts().join(", ")
        )
    } else {
        "no file of a tokenizer; copy tokenizer.json and tokenizer_config.json of the released model".to_owned()
    };
    ProcessorError::Format {
        path: folder.to_owned(),
        expected: "tokenizer.json".to_owned(),
        got,
    }
}
