//! The keys of an adapter's tensors as PEFT writes them.

use super::resolve::without_adapter;
use crate::Family;
use crate::checkpoint::TensorFiles;
use std::collections::{BTreeMap, BTreeSet};

/// What PEFT puts before each module path.
pub(super) const PREFIX: &str = "base_model.model.";

/// The same with the path of the decoder in an adapter that was made with the class of the text model alone.
const TEXT_ONLY: &str = "base_model.model.model.layers.";

/// The keys of the file as PEFT writes them, each with its key in the file, which may hold the name that PEFT gives an adapter:
/// `lora_A.default.weight`.
///
/// # Errors
/// When the file holds an adapter of another name, which PEFT passes over, or one tensor twice.
pub(super) fn plain_keys(files: &TensorFiles, family: Family) -> Result<BTreeMap<String, String>, String> {
    let mut keys = BTreeMap::new();
    let mut names = BTreeSet::new();
    for key in files.names() {
        let parts: Vec<&str> = key.split('.').collect();
        let plain = match parts[..] {
            [.., factor @ ("lora_A" | "lora_B"), name, "weight"] => {
                names.insert(name);
                key.strip_suffix(&format!("{factor}.{name}.weight"))
                    .map(|path| format!("{path}{factor}.weight"))
            }
            _ => None,
        };
        let mut plain = plain.unwrap_or_else(|| key.to_owned());
        if family == Family::Qwen35
            && let Some(rest) = plain.strip_prefix(TEXT_ONLY)
        {
            plain = format!("{PREFIX}model.language_model.layers.{rest}");
        }
        if let Some(other) = keys.insert(plain, key.to_owned())
            && names.len() < 2
        {
            return Err(format!("{other} and {key} are one tensor; keep one of them"));
        }
    }
    if names.len() > 1 {
        return Err(format!(
            "expected one adapter, found {}; save each in a folder of its own",
            names.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    match names.first().filter(|name| **name != "default") {
        None => Ok(keys),
        Some(name) => Err(format!(
            "the keys hold the adapter's name `{name}` (lora_A.{name}.weight), and PEFT loads such tensors nowhere; rename them \
             once with Python: save_file({{k.replace('.{name}.weight', '.weight'): v for k, v in load_file(FILE).items()}}, FILE)"
        )),
    }
}

/// What is wrong with a tensor that belongs to no linear map.
pub(super) fn stranger(name: &str) -> String {
    let path = name.strip_prefix(PREFIX).unwrap_or(name);
    let module = path.split_once(".lora_").map_or(path, |(module, _)| module);
    match without_adapter(module) {
        Some(kind) => format!(
            "{name}: {module} is {kind}, which takes no adapter here; merge the adapter with PEFT, or train it without that module"
        ),
        None => format!("{name}: belongs to no linear module of the model"),
    }
}
