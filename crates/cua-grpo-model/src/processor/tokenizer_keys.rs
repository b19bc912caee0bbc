//! The keys of a tokenizer's two files: what each may say, so that none that changes ids is passed over.

use super::ProcessorError;
use super::added::Added;
use super::qwen2::WORDS;
use crate::config::keys::Neutral::{Empty, False, Text};
use crate::config::keys::{Key, Rule, check as check_keys, shown};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

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
    ("max_length", Rule::Free),
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

/// Checks the two files of a tokenizer, each with its path, against each other and against what is done here. `added` are
/// the added tokens.
///
/// # Errors
/// [`ProcessorError::Keys`], which names the first key that asks for other ids.
pub(super) fn check(
    config: Option<(&Value, &Path)>,
    added: &[Added],
    (tokenizer, path): (&Value, &Path),
) -> Result<(), ProcessorError> {
    let as_saved = match config {
        Some((config, path)) => {
            check_config(config, added).map_err(|message| ProcessorError::Keys {
                path: path.to_owned(),
                message,
            })?;
            for warning in check_keys("", config, &[CONFIG]).unwrap_or_default() {
                tracing::warn!("{}: {warning}", path.display());
            }
            config["tokenizer_class"]
                .as_str()
                .is_some_and(|class| AS_SAVED.contains(&class))
        }
        None => false,
    };
    check_file(tokenizer, as_saved, path).map_err(|message| ProcessorError::Keys {
        path: path.to_owned(),
        message,
    })
}

fn check_config(config: &Value, added: &[Added]) -> Result<(), String> {
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
    let texts_of_tokens: BTreeSet<&str> = added.iter().map(|token| token.literal.as_str()).collect();
    for key in FURTHER.into_iter().chain(NAMED) {
        for text in texts(&config[key]) {
            if !texts_of_tokens.contains(text) {
                return Err(format!(
                    "{key}: expected added tokens of tokenizer.json, found {}, which transformers would add under a new id; \
                     save the tokenizer once with Python: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
                    shown(&text.into())
                ));
            }
        }
    }
    Ok(())
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
    if as_saved {
        let model = &tokenizer["model"];
        let switched = |key: &&str| !matches!(&model[*key], Value::Null | Value::Bool(false)) && model[*key] != "";
        let switches = [
            "ignore_merges",
            "byte_fallback",
            "continuing_subword_prefix",
            "end_of_word_suffix",
        ];
        if let Some(key) = others.first().copied().or(switches.into_iter().find(switched)) {
            return Err(format!(
                "{key}: expected that of Qwen2Tokenizer, which is what is built here, found another, which transformers obeys for \
                 the tokenizer_class in tokenizer_config.json; use the released tokenizer"
            ));
        }
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
    let found = [("normalizer", normal), ("pre_tokenizer", split)];
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
