//! How text is split into words before merges. It is the family's, whatever the files of a tokenizer say, as in transformers.

use super::sections::object;
use crate::Family;
use std::path::Path;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

/// Qwen's split: contractions, letters with one leading mark, single digits, punctuation with line ends, line ends, spaces.
pub(super) const QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

/// The same where marks that combine with a letter belong to the word.
const QWEN3_5: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|",
    r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

/// The split of the tokenizer in `folder`: that of the model beside it.
pub(super) fn of(folder: &Path) -> &'static str {
    let config = object(&folder.join("config.json")).ok();
    let kind = config.and_then(|config| Some(config.get("model_type")?.as_str()?.to_owned()));
    match kind.as_deref().and_then(Family::of) {
        Some(Family::Qwen35) => QWEN3_5,
        Some(Family::Qwen3Vl) | None => QWEN2,
    }
}

/// The split into words, then into bytes.
pub(super) fn split(words: &str) -> tokenizers::Result<Sequence> {
    let pattern = SplitPattern::Regex(words.to_owned());
    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?;
    Ok(Sequence::new(vec![
        PreTokenizerWrapper::Split(split),
        PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, false)),
    ]))
}
