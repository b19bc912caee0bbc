//! Tensors of the files that the model did not ask for: those of a known module are refused, the others are a warning.

use super::which::list;
use super::{TensorFiles, load::find};
use crate::ModelError;
use std::collections::BTreeSet;
use std::path::Path;

/// Checks the tensors of `files` that are not in `used`. `wanted` are the checkpoint names of the model's tensors.
///
/// # Errors
/// [`ModelError::Tensors`] lists those that belong to a module of the model, and those that are stored twice with
/// different values.
pub(super) fn check(
    files: &TensorFiles,
    used: &BTreeSet<String>,
    wanted: &BTreeSet<String>,
    dir: &Path,
) -> Result<(), ModelError> {
    // Modules, and those among them that hold tensors and nothing else.
    let mut modules: BTreeSet<&str> = ["lm_head"].into();
    let mut leaves: BTreeSet<&str> = ["lm_head"].into();
    for name in wanted {
        let mut path = name.as_str();
        let mut leaf = true;
        while let Some((module, _)) = path.rsplit_once('.') {
            modules.insert(module);
            if leaf {
                leaves.insert(module);
            }
            (path, leaf) = (module, false);
        }
    }
    let (mut refused, mut strangers) = (Vec::new(), Vec::new());
    for name in files.names().filter(|name| !used.contains(*name)) {
        let own = canonical(name);
        let owner = own.rsplit_once('.').map_or("", |(owner, _)| owner);
        if is_table(&own) {
            continue;
        }
        if wanted.contains(&own) {
            let first = find(files, &own).unwrap_or_else(|| own.clone());
            if !files.equal(&first, name)? {
                refused.push(format!(
                    "{name}: also stored as {first}, with other values; keep one of them"
                ));
            }
        } else if modules.contains(owner) || leaf_above(owner, &leaves) {
            refused.push(format!(
                "{name}: belongs to {owner}, which computes with no such tensor here{}",
                advice(&own)
            ));
        } else {
            strangers.push(name.to_owned());
        }
    }
    if !refused.is_empty() {
        return Err(ModelError::Tensors(refused));
    }
    if !strangers.is_empty() {
        tracing::warn!(
            "{}: {} tensors belong to no part of this model and are left out: {}",
            dir.display(),
            strangers.len(),
            list(strangers.into_iter())
        );
    }
    Ok(())
}

/// Whether a module that holds tensors and nothing else is `path` or above it.
fn leaf_above(path: &str, leaves: &BTreeSet<&str>) -> bool {
    let mut path = Some(path);
    while let Some(at) = path {
        if leaves.contains(at) {
            return true;
        }
        path = at.rsplit_once('.').map(|(above, _)| above);
    }
    false
}

/// Tables that follow from the configuration, which some tools store.
fn is_table(name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq") || name.ends_with("rotary_pos_emb.inv_freq")
}

fn advice(name: &str) -> &'static str {
    let end = name.rsplit_once('.').map_or(name, |(_, end)| end);
    if end == "bias" && name.contains(".self_attn.") {
        "; set attention_bias to true in config.json where biases count"
    } else if end == "bias" {
        "; Qwen3-VL has no bias there"
    } else if ["scale", "scales", "zeros", "absmax", "qweight", "g_idx", "amax"]
        .iter()
        .any(|part| end.contains(part))
    {
        ": it is quantised in a way that is not read; load the checkpoint that it was made from"
    } else if name.contains("lora_") {
        "; merge the adapter into the weights, or keep it in a folder of its own"
    } else {
        ""
    }
}

/// The released name of a tensor that has an older one.
fn canonical(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("language_model.model.") {
        return format!("model.language_model.{rest}");
    }
    let name = match name.strip_prefix("language_model.") {
        Some(rest) if rest.starts_with("model.") || rest.starts_with("lm_head.") => rest,
        _ => name,
    };
    if name.starts_with("visual.") {
        return format!("model.{name}");
    }
    match name.strip_prefix("model.") {
        Some(rest)
            if ["layers.", "embed_tokens.", "norm."]
                .iter()
                .any(|part| rest.starts_with(part)) =>
        {
            format!("model.language_model.{rest}")
        }
        _ => name.to_owned(),
    }
}
