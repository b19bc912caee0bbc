//! The tokenizer's special tokens as variables of the template (`bos_token`, `eos_token`, ...).

use crate::processor::ProcessorError;
use crate::processor::sections::object;
use crate::processor::tokenizer_keys::NAMED;
use serde_json::{Map, Value};
use std::path::Path;

/// What Qwen's tokenizer class takes for the tokens that its files do not mention.
const QWEN_DEFAULTS: [&str; 3] = ["eos_token", "unk_token", "pad_token"];
const QWEN_DEFAULT: &str = "<|endoftext|>";
/// Keys under which a tokenizer names special tokens of its own.
const OWN: [&str; 2] = ["model_specific_special_tokens", "extra_special_tokens"];

/// The variables of a model folder: from `tokenizer_config.json`, and from `special_tokens_map.json` where the first has
/// no `added_tokens_decoder`, as transformers reads them. A token that is null is no variable.
pub(super) fn special_tokens(folder: &Path) -> Result<Map<String, Value>, ProcessorError> {
    let read = |name: &str| {
        let path = folder.join(name);
        if crate::plain_text::is_there(&path) {
            object(&path)
        } else {
            Ok(Map::new())
        }
    };
    let mut fields = read("tokenizer_config.json")?;
    if !fields.contains_key("added_tokens_decoder") {
        fields.extend(read("special_tokens_map.json")?);
    }
    let qwen = fields
        .get("tokenizer_class")
        .and_then(Value::as_str)
        .is_none_or(|class| class.starts_with("Qwen"));
    let mut variables = Map::new();
    // A token with its flags, or the text alone.
    let text = |token: &'_ Value| -> Option<String> {
        let text = token.as_str().or_else(|| token["content"].as_str());
        text.map(str::to_owned)
    };
    // Those of the model's own have a name where they stand in a map, or under a key that ends so.
    let named = OWN.iter().filter_map(|key| fields.get(*key)?.as_object()).flatten();
    let beside = fields.iter().filter(|(key, _)| key.ends_with("_token"));
    for (name, token) in beside.chain(named) {
        if let Some(text) = text(token) {
            variables.insert(name.clone(), text.into());
        }
    }
    for name in NAMED {
        let text = match fields.get(name) {
            None if qwen && QWEN_DEFAULTS.contains(&name) => Some(QWEN_DEFAULT.to_owned()),
            None => None,
            Some(token) => text(token),
        };
        if let Some(text) = text {
            variables.insert(name.to_owned(), text.into());
        }
    }
    Ok(variables)
}
