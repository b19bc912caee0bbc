//! Tensors of the files that the model did not ask for: those of a known module are refused, the others are a warning.

use super::which::list;
use super::{TensorFiles, files::find};
use crate::{ModelConfig, ModelError};
use safetensors::Dtype;
use std::collections::BTreeSet;
use std::path::Path;

/// Checks the tensors of `files` that are not in `used`. `wanted` are the checkpoint names of the tensors of the model that
/// `config` describes.
///
/// # Errors
/// [`ModelError::Tensors`] lists those that belong to a module of the model, and those that are stored twice with
/// different values.
pub(super) fn check(
    files: &TensorFiles,
    used: &BTreeSet<String>,
    wanted: &BTreeSet<String>,
    config: &ModelConfig,
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
    let (mut refused, mut strangers, mut other_tables) = (Vec::new(), Vec::new(), Vec::new());
    for name in files.names().filter(|name| !used.contains(*name)) {
        let own = canonical(name);
        let owner = own.rsplit_once('.').map_or("", |(owner, _)| owner);
        if let Some(frequencies) = table(&own, config) {
            if !holds(files, name, &frequencies) {
                other_tables.push(name.to_owned());
            }
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
    let (ahead, strangers): (Vec<String>, Vec<String>) =
        strangers.into_iter().partition(|name| name.starts_with("mtp."));
    if !ahead.is_empty() {
        tracing::warn!(
            "{}: {} tensors of mtp, which guesses several tokens at once, are not used",
            dir.display(),
            ahead.len()
        );
    }
    if !strangers.is_empty() {
        tracing::warn!(
            "{}: {} tensors belong to no part of this model and are left out: {}",
            dir.display(),
            strangers.len(),
            list(strangers.into_iter())
        );
    }
    if !other_tables.is_empty() {
        tracing::warn!(
            "{}: stored rotary frequencies differ from those that config.json gives and are not applied, as in transformers: {}; \
             check rope_theta and the rest of the rotary keys",
            dir.display(),
            list(other_tables.into_iter())
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

/// What the configuration gives for a table that follows from it, and that some tools store: the rotary frequencies of the
/// decoder or of the tower. `None` for any other tensor.
fn table(name: &str, config: &ModelConfig) -> Option<Vec<f32>> {
    if name.ends_with("rotary_pos_emb.inv_freq") {
        return Some(config.vision.frequencies());
    }
    // Those of a row that is not beyond the first context, which is what a saved model has.
    let text = &config.text;
    let of_text = || {
        text.rope_scaling
            .frequencies(text.rope_theta, text.rotary_dim(), 1, text.max_position_embeddings)
    };
    name.ends_with("rotary_emb.inv_freq").then(of_text)
}

/// Whether the tensor `name` holds `values`, as exactly as its format can.
fn holds(files: &TensorFiles, name: &str, values: &[f32]) -> bool {
    let Some((dtype, shape)) = files.info(name) else {
        return false;
    };
    // Half a step of the format beside 1, with room for how the powers were taken, and the smallest f16 besides.
    let (share, floor) = match dtype {
        Dtype::F32 | Dtype::F64 => (1e-5, 0.0),
        Dtype::F16 => (1e-3, 6e-8),
        _ => (5e-3, 0.0),
    };
    // The size is held against the header before the values are read.
    if shape.iter().product::<usize>() != values.len() {
        return false;
    }
    let stored = files.get(name).ok().flatten();
    stored.is_some_and(|(_, stored)| {
        let mut pairs = stored.iter().zip(values);
        pairs.all(|(stored, value)| (stored - value).abs() <= value.abs() * share + floor)
    })
}

fn advice(name: &str) -> &'static str {
    let end = name.rsplit_once('.').map_or(name, |(_, end)| end);
    if end == "bias" && name.contains(".self_attn.") {
        "; set attention_bias to true in config.json where biases count"
    } else if end == "bias" {
        "; the model has no bias there"
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
