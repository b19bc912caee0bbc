//! Trains a small tokenizer of the same make as Qwen's, for models that start from nothing.

use super::{ChatTemplate, ProcessorError, words};
use std::path::Path;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, TokenizerBuilder};

/// The added tokens of Qwen3, in order, with the flag "special": control tokens are, markup is not.
pub const ADDED_TOKENS: [(&str, bool); 26] = [
    ("<|endoftext|>", true),
    ("<|im_start|>", true),
    ("<|im_end|>", true),
    ("<|object_ref_start|>", true),
    ("<|object_ref_end|>", true),
    ("<|box_start|>", true),
    ("<|box_end|>", true),
    ("<|quad_start|>", true),
    ("<|quad_end|>", true),
    ("<|vision_start|>", true),
    ("<|vision_end|>", true),
    ("<|vision_pad|>", true),
    ("<|image_pad|>", true),
    ("<|video_pad|>", true),
    ("<tool_call>", false),
    ("</tool_call>", false),
    ("<|fim_prefix|>", false),
    ("<|fim_middle|>", false),
    ("<|fim_suffix|>", false),
    ("<|fim_pad|>", false),
    ("<|repo_name|>", false),
    ("<|file_sep|>", false),
    ("<tool_response>", false),
    ("</tool_response>", false),
    ("<think>", false),
    ("</think>", false),
];

/// The 256 letters of the byte alphabet; a vocabulary cannot be smaller than these and the added tokens.
const BYTES: usize = 256;

/// Trains a byte-level BPE tokenizer on `corpus` and writes `tokenizer.json`, `tokenizer_config.json` and
/// `chat_template.jinja` to `folder`.
///
/// `vocab_size` counts the added tokens; they come last, in the order of [`ADDED_TOKENS`], as in the released
/// tokenizers. A corpus that is used up early gives fewer tokens. Their literals in the corpus are not learnt as
/// text. Equal corpora give equal files.
///
/// # Errors
/// [`ProcessorError::Mismatch`] when `vocab_size` is too small, [`ProcessorError::Tokenizer`] or [`ProcessorError::Io`].
pub fn train_tokenizer(
    corpus: impl Iterator<Item = String>,
    vocab_size: usize,
    folder: &Path,
) -> Result<(), ProcessorError> {
    let fail = |error: tokenizers::Error| ProcessorError::Tokenizer {
        operation: "train",
        message: error.to_string(),
    };
    let smallest = BYTES + ADDED_TOKENS.len();
    if vocab_size < smallest {
        return Err(ProcessorError::Mismatch {
            operation: "train a tokenizer",
            expected: format!("a vocabulary of at least {smallest} tokens (bytes and added tokens)"),
            got: vocab_size.to_string(),
        });
    }
    let bytes = ByteLevel::new(false, false, false);
    let words = words::split(words::QWEN2).map_err(fail)?;
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(Some(NFC))
        .with_pre_tokenizer(Some(words))
        .with_post_processor(Some(bytes))
        .with_decoder(Some(ByteLevel::default()))
        .build()
        .map_err(fail)?;
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size - ADDED_TOKENS.len())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .min_frequency(2)
        .build();
    let pieces: Vec<String> = corpus.flat_map(|text| without_literals(&text)).collect();
    tokenizer.train(&mut trainer, pieces.into_iter()).map_err(fail)?;
    for (literal, special) in ADDED_TOKENS {
        tokenizer.add_tokens(&[AddedToken::from(literal, special)]);
    }
    std::fs::create_dir_all(folder).map_err(|reason| ProcessorError::Io {
        operation: "create folder",
        path: folder.to_owned(),
        reason,
    })?;
    ProcessorError::write(
        &folder.join("tokenizer.json"),
        &tokenizer.to_string(true).map_err(fail)?,
    )?;
    ProcessorError::write(&folder.join("chat_template.jinja"), ChatTemplate::QWEN3_VL)?;
    let first = tokenizer.get_vocab_size(false);
    ProcessorError::write(&folder.join("tokenizer_config.json"), &config_json(first))
}

fn without_literals(text: &str) -> Vec<String> {
    let mut pieces = vec![text];
    for (literal, _) in ADDED_TOKENS {
        pieces = pieces.iter().flat_map(|piece| piece.split(literal)).collect();
    }
    pieces
        .into_iter()
        .filter(|piece| !piece.is_empty())
        .map(str::to_owned)
        .collect()
}

fn config_json(first: usize) -> String {
    let token = |(index, (literal, special)): (usize, (&str, bool))| {
        let flags = serde_json::json!({
            "content": literal, "lstrip": false, "normalized": false, "rstrip": false, "single_word": false,
            "special": special,
        });
        ((first + index).to_string(), flags)
    };
    let decoder: serde_json::Map<_, _> = ADDED_TOKENS.into_iter().enumerate().map(token).collect();
    let json = serde_json::json!({
        "add_bos_token": false,
        "add_prefix_space": false,
        "added_tokens_decoder": decoder,
        "bos_token": null,
        "clean_up_tokenization_spaces": false,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 262_144,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": false,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": null,
    });
    format!("{json:#}\n")
}
