//! The keys of a tokenizer's files: what each may say, so that none that changes ids is passed over.

use super::ProcessorError;
use super::added::Added;
use super::qwen2::WORDS;
use crate::config::keys::Neutral::{Empty, False, Number, Text};
use crate::config::keys::{Key, Rule, check as check_keys, shown};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// A JSON file and its place.
type File<'a> = (&'a Value, &'a Path);

const PLAIN: &str = "text is encoded as it stands here; set the key to false";
const TEMPLATE: &str =
    "only the chat template writes tokens here; set the key to false and write the token into the template";
const PAD: &str = "the model's pad tokens are fixed; use a tokenizer of Qwen3-VL";

/// Keys of `tokenizer_config.json`: those of transformers' tokenizer classes (4.57 to 5.24).
const CONFIG: &[Key] = &[
    ("added_tokens_decoder", Rule::Read),
    ("additional_special_tokens", Rule::Read),
    ("extra_special_tokens", Rule::Read),
    ("model_specific_special_tokens", Rule::Read),
    ("chat_template", Rule::Read),
    ("tokenizer_class", Rule::Read),
    ("bos_token", Rule::Read),
    ("eos_token", Rule::Read),
    ("unk_token", Rule::Read),
    ("sep_token", Rule::Read),
    ("pad_token", Rule::Read),
    ("cls_token", Rule::Read),
    ("mask_token", Rule::Read),
    ("add_prefix_space", Rule::Only(&[False], PLAIN)),
    ("do_lower_case", Rule::Only(&[False], PLAIN)),
    (
        "split_special_tokens",
        Rule::Only(
            &[False],
            "a template's control tokens are tokens here; set the key to false",
        ),
    ),
    ("add_bos_token", Rule::Only(&[False], TEMPLATE)),
    ("add_eos_token", Rule::Only(&[False], TEMPLATE)),
    ("image_token", Rule::Only(&[Text("<|image_pad|>")], PAD)),
    ("video_token", Rule::Only(&[Text("<|video_pad|>")], PAD)),
    ("vision_start_token", Rule::Only(&[Text("<|vision_start|>")], PAD)),
    ("vision_end_token", Rule::Only(&[Text("<|vision_end|>")], PAD)),
    (
        "auto_map",
        Rule::Warn(&[Empty], "code that comes with a model is not run"),
    ),
    // How ids become text, which is done without changes here.
    ("clean_up_tokenization_spaces", Rule::Free),
    ("errors", Rule::Free),
    ("spaces_between_special_tokens", Rule::Free),
    ("trim_offsets", Rule::Free),
    // Cutting and padding, which nothing here asks the tokenizer for.
    (
        "max_length",
        Rule::Warn(
            &[],
            "transformers' processor cuts a conversation there, and nothing is cut here",
        ),
    ),
    ("model_max_length", Rule::Free),
    ("pad_to_multiple_of", Rule::Free),
    ("pad_token_id", Rule::Free),
    ("pad_token_type_id", Rule::Free),
    ("padding", Rule::Free),
    ("padding_side", Rule::Free),
    ("stride", Rule::Free),
    ("truncation", Rule::Free),
    ("truncation_side", Rule::Free),
    ("truncation_strategy", Rule::Free),
    // Where the file comes from.
    ("_commit_hash", Rule::Free),
    ("backend", Rule::Free),
    ("bos_token_id", Rule::Free),
    ("eos_token_id", Rule::Free),
    ("fix_mistral_regex", Rule::Free),
    (
        "fast_tokenizer_files",
        Rule::Only(
            &[Empty],
            "tokenizer.json is read here; give the file that is meant this name",
        ),
    ),
    ("from_slow", Rule::Free),
    ("is_local", Rule::Free),
    ("legacy", Rule::Free),
    ("local_files_only", Rule::Free),
    ("merges_file", Rule::Free),
    ("model_input_names", Rule::Free),
    ("name_or_path", Rule::Free),
    ("processor_class", Rule::Free),
    ("response_schema", Rule::Free),
    ("return_token_type_ids", Rule::Free),
    ("special_tokens_map_file", Rule::Free),
    ("tokenizer_file", Rule::Free),
    ("tokenizer_type", Rule::Free),
    ("transformers_version", Rule::Free),
    ("use_fast", Rule::Free),
    ("vocab_file", Rule::Free),
];

/// Keys of `tokenizer.json`. Cutting and padding are the caller's; how ids become text is done without changes here.
const FILE: &[Key] = &[
    ("version", Rule::Free),
    ("truncation", Rule::Free),
    ("padding", Rule::Free),
    ("added_tokens", Rule::Read),
    ("normalizer", Rule::Read),
    ("pre_tokenizer", Rule::Read),
    ("post_processor", Rule::Read),
    ("decoder", Rule::Read),
    ("model", Rule::Read),
];

const OWN: &str = "transformers 5 builds its own, and so does this program";

/// Keys of `model` in `tokenizer.json` where the tokenizer is built anew of vocabulary and merges.
const MODEL: &[Key] = &[
    ("type", Rule::Read),
    ("vocab", Rule::Read),
    ("merges", Rule::Read),
    ("dropout", Rule::Warn(&[Number(0.0)], OWN)),
    ("unk_token", Rule::Warn(&[], OWN)),
    ("fuse_unk", Rule::Warn(&[False], OWN)),
    ("byte_fallback", Rule::Warn(&[False], OWN)),
    ("ignore_merges", Rule::Warn(&[False], OWN)),
    ("continuing_subword_prefix", Rule::Warn(&[Text("")], OWN)),
    ("end_of_word_suffix", Rule::Warn(&[Text("")], OWN)),
];

const SAVED: &str =
    "transformers obeys it for the tokenizer_class in tokenizer_config.json; use the released tokenizer";

/// The same keys where transformers takes the file as it is. Every byte has a token, so none is unknown.
const MODEL_AS_SAVED: &[Key] = &[
    ("type", Rule::Read),
    ("vocab", Rule::Read),
    ("merges", Rule::Read),
    ("dropout", Rule::Only(&[Number(0.0)], SAVED)),
    ("unk_token", Rule::Free),
    ("fuse_unk", Rule::Free),
    ("byte_fallback", Rule::Free),
    ("ignore_merges", Rule::Only(&[False], SAVED)),
    ("continuing_subword_prefix", Rule::Only(&[Text("")], SAVED)),
    ("end_of_word_suffix", Rule::Only(&[Text("")], SAVED)),
];

/// The tokens that transformers names; templates see them as variables.
pub(super) const NAMED: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// Further keys whose texts transformers makes tokens of where they are none yet.
const FURTHER: [&str; 3] = [
    "additional_special_tokens",
    "extra_special_tokens",
    "model_specific_special_tokens",
];

/// Classes of transformers that build the tokenizer of these models anew from its pieces.
const ANEW: [&str; 2] = ["Qwen2Tokenizer", "Qwen2TokenizerFast"];

/// Classes that take `tokenizer.json` as it is.
const AS_SAVED: [&str; 2] = ["TokenizersBackend", "PreTrainedTokenizerFast"];

/// Checks the files of a tokenizer, each with its path, against each other and against what is done here. `names` is
/// `special_tokens_map.json` where it counts, and `added` are the added tokens.
///
/// # Errors
/// [`ProcessorError::Keys`], which names the first key that asks for other ids.
pub(super) fn check(
    config: Option<File<'_>>,
    names: Option<File<'_>>,
    added: &[Added],
    (tokenizer, path): File<'_>,
) -> Result<(), ProcessorError> {
    let as_saved = match config {
        Some((config, path)) => {
            check_config(config).map_err(in_file(path))?;
            for warning in check_keys("", config, &[CONFIG]).unwrap_or_default() {
                tracing::warn!("{}: {warning}", path.display());
            }
            config["tokenizer_class"]
                .as_str()
                .is_some_and(|class| AS_SAVED.contains(&class))
        }
        None => false,
    };
    check_tokens(config, names, added)?;
    check_file(tokenizer, as_saved, path).map_err(in_file(path))
}

fn in_file(path: &Path) -> impl Fn(String) -> ProcessorError {
    move |message| ProcessorError::Keys {
        path: path.to_owned(),
        message,
    }
}

fn check_config(config: &Value) -> Result<(), String> {
    if !config.is_object() {
        return Err(format!("expected an object, found {}", shown(config)));
    }
    check_keys("", config, &[CONFIG])?;
    let class = &config["tokenizer_class"];
    let known = |class: &str| ANEW.contains(&class) || AS_SAVED.contains(&class);
    if !class.is_null() && !class.as_str().is_some_and(known) {
        return Err(format!(
            "tokenizer_class: expected one of {}, {}, found {}; is this the tokenizer of a Qwen3-VL model?",
            ANEW.join(", "),
            AS_SAVED.join(", "),
            shown(class)
        ));
    }
    Ok(())
}

/// That the tokens which the files name are added tokens: transformers makes new ones of others.
fn check_tokens(config: Option<File<'_>>, names: Option<File<'_>>, added: &[Added]) -> Result<(), ProcessorError> {
    let texts_of_tokens: BTreeSet<&str> = added.iter().map(|token| token.literal.as_str()).collect();
    for (key, value, path) in named(config, names) {
        for text in texts(value) {
            if !texts_of_tokens.contains(text) {
                return Err(in_file(path)(format!(
                    "{key}: expected added tokens of tokenizer.json, found {}, which transformers would add under a new id; \
                     save the tokenizer once with Python: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
                    shown(&text.into())
                )));
            }
        }
    }
    Ok(())
}

/// The keys that name tokens, with the file in which each counts: `special_tokens_map.json` stands before the configuration.
fn named<'a>(
    config: Option<File<'a>>,
    names: Option<File<'a>>,
) -> impl Iterator<Item = (&'static str, &'a Value, &'a Path)> {
    FURTHER.into_iter().chain(NAMED).filter_map(move |key| {
        let files = [names, config].into_iter().flatten();
        files
            .filter_map(|(json, path)| Some((key, json.get(key)?, path)))
            .next()
    })
}

/// The texts of the tokens that the files name.
pub(super) fn special_texts(config: Option<File<'_>>, names: Option<File<'_>>) -> BTreeSet<String> {
    let texts = named(config, names).flat_map(|(_, value, _)| texts(value));
    texts.map(str::to_owned).collect()
}

/// The texts of one token, of a list of tokens, or of named ones.
fn texts(tokens: &Value) -> Vec<&str> {
    match tokens {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Object(fields) => match fields.get("content") {
            Some(content) => texts(content),
            None => fields.values().flat_map(texts).collect(),
        },
        _ => Vec::new(),
    }
}

/// Checks what stands in `tokenizer.json` besides vocabulary and pieces.
fn check_file(tokenizer: &Value, as_saved: bool, path: &Path) -> Result<(), String> {
    let others = of_its_own(tokenizer);
    if let Some(key) = others.first().filter(|_| as_saved) {
        return Err(format!(
            "{key}: expected that of Qwen2Tokenizer, which is what is built here, found another, which transformers obeys for \
             the tokenizer_class in tokenizer_config.json; use the released tokenizer"
        ));
    }
    let of_model = if as_saved { MODEL_AS_SAVED } else { MODEL };
    let mut warnings = check_keys("", tokenizer, &[FILE])?;
    warnings.extend(check_keys("model.", &tokenizer["model"], &[of_model])?);
    for warning in warnings {
        tracing::warn!("{}: {warning}", path.display());
    }
    for key in others {
        tracing::warn!(
            "{}: {key} is not that of Qwen2Tokenizer and is not applied: transformers 5 builds its own, and so does this program",
            path.display()
        );
    }
    match adds(&tokenizer["post_processor"]) {
        None => Ok(()),
        Some(what) => Err(format!(
            "post_processor: expected none that adds tokens, found {what}; only the chat template writes tokens here: set the \
             key to null and write the tokens into the template"
        )),
    }
}

/// The parts of `tokenizer.json` that are others than those that transformers builds for these models.
fn of_its_own(tokenizer: &Value) -> Vec<&'static str> {
    let normal = tokenizer["normalizer"]["type"] == "NFC";
    let steps = tokenizer["pre_tokenizer"]["pretokenizers"].as_array();
    let split = steps.is_some_and(|steps| {
        let [split, bytes] = &steps[..] else { return false };
        split["type"] == "Split"
            && split["pattern"]["Regex"] == WORDS
            && split["behavior"] == "Isolated"
            && split["invert"] == false
            && bytes["type"] == "ByteLevel"
            && bytes["add_prefix_space"] == false
            && bytes["use_regex"] == false
    });
    let bytes = tokenizer["decoder"]["type"] == "ByteLevel";
    let found = [("normalizer", normal), ("pre_tokenizer", split), ("decoder", bytes)];
    found
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(key, _)| key)
        .collect()
}

/// What a post-processor puts around a text, if anything.
fn adds(processor: &Value) -> Option<String> {
    match processor["type"].as_str() {
        None | Some("ByteLevel") => None,
        Some("Sequence") => processor["processors"].as_array()?.iter().find_map(adds),
        Some("TemplateProcessing") => {
            let pieces = processor["single"].as_array()?;
            let token = pieces.iter().find_map(|piece| piece["SpecialToken"]["id"].as_str())?;
            Some(format!("TemplateProcessing with {}", shown(&token.into())))
        }
        Some(other) => Some(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normalizer_and_a_pre_tokenizer_of_its_own_are_named() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/a/tokenizer.json");
        let released: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(of_its_own(&released).is_empty());
        let with = |key: &str, value: Value| {
            let mut changed = released.clone();
            *changed.pointer_mut(key).unwrap() = value;
            of_its_own(&changed)
        };
        assert_eq!(with("/normalizer", serde_json::json!({"type": "NFKC"})), ["normalizer"]);
        assert_eq!(with("/normalizer", Value::Null), ["normalizer"]);
        assert_eq!(
            with("/pre_tokenizer/pretokenizers/0/pattern/Regex", "x".into()),
            ["pre_tokenizer"]
        );
        assert_eq!(
            with("/pre_tokenizer/pretokenizers/1/add_prefix_space", true.into()),
            ["pre_tokenizer"]
        );
    }
}
