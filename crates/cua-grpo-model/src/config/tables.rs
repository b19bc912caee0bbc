//! The keys of `config.json` that the families share: those of transformers' classes (4.57 to 5.24), of the class that they
//! derive from, and those of related models that would change arithmetic. What a family says otherwise stands with it.

use super::dialect::Dialect;
use super::keys::Neutral::{Empty, False, Number, Text, True};
use super::keys::{Key, Rule, check, rule};
use crate::generate::GENERATION_KEYS;
use serde_json::{Map, Value};

pub(super) const OTHER_FAMILY: &str =
    "the models that are read here have no such part; convert the checkpoint to one of theirs";
pub(super) const FULL: &str = "every layer attends to the whole context here";

/// Keys that every part of the file may have.
const COMMON: &[Key] = &[
    ("architectures", Rule::Free),
    ("model_type", Rule::Free),
    ("transformers_version", Rule::Free),
    ("dtype", Rule::Free),
    ("torch_dtype", Rule::Free),
    ("use_bfloat16", Rule::Free),
    ("output_hidden_states", Rule::Free),
    ("output_attentions", Rule::Free),
    ("return_dict", Rule::Free),
    ("torchscript", Rule::Free),
    ("use_cache", Rule::Free),
    ("initializer_range", Rule::Free),
    ("id2label", Rule::Free),
    ("label2id", Rule::Free),
    ("num_labels", Rule::Free),
    ("problem_type", Rule::Free),
    ("finetuning_task", Rule::Free),
    ("task_specific_params", Rule::Free),
    ("tokenizer_class", Rule::Free),
    ("processor_class", Rule::Free),
    ("prefix", Rule::Free),
    ("bos_token_id", Rule::Free),
    ("eos_token_id", Rule::Free),
    ("pad_token_id", Rule::Free),
    ("sep_token_id", Rule::Free),
    ("decoder_start_token_id", Rule::Free),
    ("_name_or_path", Rule::Free),
    ("name_or_path", Rule::Free),
    ("_commit_hash", Rule::Free),
    ("attn_implementation", Rule::Free),
    ("_attn_implementation", Rule::Free),
    ("_attn_implementation_internal", Rule::Free),
    ("_attn_implementation_autoset", Rule::Free),
    ("experts_implementation", Rule::Free),
    ("_experts_implementation", Rule::Free),
    ("_experts_implementation_internal", Rule::Free),
    ("pretraining_tp", Rule::Free),
    ("unsloth_fixed", Rule::Free),
    ("unsloth_version", Rule::Free),
    ("is_decoder", Rule::Free),
    ("cross_attention_hidden_size", Rule::Free),
    ("chunk_size_feed_forward", Rule::Free),
    ("transformers.js_config", Rule::Free),
    ("is_encoder_decoder", Rule::Only(&[False], OTHER_FAMILY)),
    ("add_cross_attention", Rule::Only(&[False], OTHER_FAMILY)),
    ("tie_encoder_decoder", Rule::Only(&[False], OTHER_FAMILY)),
    (
        "pruned_heads",
        Rule::Only(&[Empty], "no heads are pruned here; save the model without them"),
    ),
    ("quantization_config", Rule::Read),
    (
        "compression_config",
        Rule::Only(&[], "load the checkpoint that it was made from"),
    ),
    (
        "per_layer_config",
        Rule::Only(&[Empty], "all layers have one configuration here"),
    ),
    (
        "transformers_weights",
        Rule::Only(
            &[Text("model.safetensors"), Text("model.safetensors.index.json")],
            "rename the weights to model.safetensors, or name them in model.safetensors.index.json",
        ),
    ),
    (
        "auto_map",
        Rule::Warn(&[Empty], "code that comes with a model is not run"),
    ),
];

/// Keys of the whole file.
const TOP: &[Key] = &[
    ("text_config", Rule::Read),
    ("vision_config", Rule::Read),
    ("tie_word_embeddings", Rule::Read),
    ("image_token_id", Rule::Read),
    ("video_token_id", Rule::Read),
    ("vision_start_token_id", Rule::Read),
    ("vision_end_token_id", Rule::Read),
    ("vision_token_id", Rule::Free),
];

/// Keys of `text_config`.
const TEXT: &[Key] = &[
    ("vocab_size", Rule::Read),
    ("hidden_size", Rule::Read),
    ("intermediate_size", Rule::Read),
    ("num_hidden_layers", Rule::Read),
    ("num_attention_heads", Rule::Read),
    ("num_key_value_heads", Rule::Read),
    ("head_dim", Rule::Read),
    ("hidden_act", Rule::Read),
    ("max_position_embeddings", Rule::Read),
    ("rms_norm_eps", Rule::Read),
    ("rope_parameters", Rule::Read),
    ("rope_scaling", Rule::Read),
    ("rope_theta", Rule::Read),
    ("original_max_position_embeddings", Rule::Read),
    ("attention_bias", Rule::Read),
    ("tie_word_embeddings", Rule::Read),
    (
        "attention_dropout",
        Rule::Warn(&[Number(0.0)], "training drops no attention here"),
    ),
    (
        "is_causal",
        Rule::Only(&[True], "a token sees what stands before it and nothing else here"),
    ),
    ("use_sliding_window", Rule::Only(&[False], FULL)),
    ("sliding_window", Rule::Read),
    ("max_window_layers", Rule::Free),
    (
        "no_rope_layers",
        Rule::Only(&[Empty], "every layer turns queries and keys here"),
    ),
    ("mlp_bias", Rule::Only(&[False], OTHER_FAMILY)),
    (
        "qkv_bias",
        Rule::Only(&[False], "set attention_bias where the projections have biases"),
    ),
    ("use_qk_norm", Rule::Only(&[True], "queries and keys are normed here")),
    ("attn_logit_softcapping", Rule::Only(&[], OTHER_FAMILY)),
    ("final_logit_softcapping", Rule::Only(&[], OTHER_FAMILY)),
    ("query_pre_attn_scalar", Rule::Only(&[], OTHER_FAMILY)),
    ("attention_multiplier", Rule::Only(&[], OTHER_FAMILY)),
    ("embedding_multiplier", Rule::Only(&[Number(1.0)], OTHER_FAMILY)),
    ("residual_multiplier", Rule::Only(&[Number(1.0)], OTHER_FAMILY)),
    ("logits_scaling", Rule::Only(&[Number(1.0)], OTHER_FAMILY)),
    ("logit_scale", Rule::Only(&[Number(1.0)], OTHER_FAMILY)),
];

/// Keys of `vision_config`.
const VISION: &[Key] = &[
    (
        "quantization_config",
        Rule::Warn(
            &[Empty],
            "a quantisation is read at the top of the file or in text_config alone",
        ),
    ),
    ("depth", Rule::Read),
    ("hidden_size", Rule::Read),
    ("hidden_act", Rule::Read),
    ("intermediate_size", Rule::Read),
    ("num_heads", Rule::Read),
    ("in_channels", Rule::Read),
    ("patch_size", Rule::Read),
    ("spatial_merge_size", Rule::Read),
    ("temporal_patch_size", Rule::Read),
    ("out_hidden_size", Rule::Read),
    ("num_position_embeddings", Rule::Read),
    ("rope_parameters", Rule::Read),
    ("rope_scaling", Rule::Read),
    ("rope_theta", Rule::Read),
    // Other names of sizes, which must agree with the first.
    ("head_dim", Rule::Read),
    ("num_attention_heads", Rule::Read),
    ("num_hidden_layers", Rule::Read),
    (
        "attention_dropout",
        Rule::Warn(&[Number(0.0)], "training drops no attention here"),
    ),
    ("window_size", Rule::Only(&[], OTHER_FAMILY)),
    ("fullatt_block_indexes", Rule::Only(&[Empty], OTHER_FAMILY)),
    (
        "layer_norm_eps",
        Rule::Only(&[Number(1e-6)], "the norms of the tower have 1e-6"),
    ),
    (
        "rms_norm_eps",
        Rule::Only(&[Number(1e-6)], "the norms of the tower have 1e-6"),
    ),
    (
        "attention_bias",
        Rule::Only(&[True], "the maps of the tower have biases"),
    ),
    ("qkv_bias", Rule::Only(&[True], "the maps of the tower have biases")),
    (
        "partial_rotary_factor",
        Rule::Only(&[Number(1.0)], "the tower turns whole heads"),
    ),
];

/// Checks every key of a `config.json` and returns the warnings: keys that have no effect here.
///
/// # Errors
/// Names the first key whose value changes arithmetic in a way that is not computed here.
pub(super) fn check_keys(value: &Value, dialect: &Dialect, sparse: bool) -> Result<Vec<String>, String> {
    let experts = if sparse { dialect.sparse } else { dialect.dense };
    let parts: [(&str, &Value, [&[Key]; 3]); 3] = [
        ("", value, [TOP, &[], &[]]),
        ("text_config.", &value["text_config"], [dialect.text, experts, TEXT]),
        ("vision_config.", &value["vision_config"], [dialect.vision, VISION, &[]]),
    ];
    let mut warnings = Vec::new();
    for (place, part, [own, more, rest]) in parts {
        let mut part = part.clone();
        // Settings of generation, which old versions wrote here: transformers 5 reads them from their own file alone.
        if let Some(keys) = part.as_object_mut() {
            let tables = [own, more, rest, COMMON];
            let generation: serde_json::Map<String, Value> = keys
                .iter()
                .filter(|(name, _)| rule(name, &tables).is_none() && rule(name, &[GENERATION_KEYS]).is_some())
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            keys.retain(|name, _| !generation.contains_key(name));
            for name in crate::generate::set_keys(&Value::Object(generation)) {
                warnings.push(format!(
                    "{place}{name} is not applied: settings of generation are read from generation_config.json alone"
                ));
            }
        }
        warnings.extend(check(place, &part, &[own, more, rest, COMMON])?);
    }
    sliding_window(&value["text_config"])?;
    warnings.extend(passed_over(value));
    Ok(warnings)
}

/// Keys of `text_config` beside which the same key at the top of the file counts, as in transformers 5.
fn passed_over(value: &Value) -> Option<String> {
    let found = quantization(value).filter(|(place, _)| place.is_empty());
    let (inner, (_, outer)) = (value["text_config"].get("quantization_config")?, found?);
    (!inner.is_null() && inner != outer).then(|| {
        "text_config.quantization_config is not applied where it differs: quantization_config at the top of the file counts"
            .to_owned()
    })
}

/// Where a `config.json` says how its weights are quantised, and what it says there: at the top, or in `text_config` where
/// nothing is said there, as transformers 5 reads it. The place is as it stands before a key.
pub(crate) fn quantization(value: &Value) -> Option<(&'static str, &Value)> {
    let parts = [("", Some(value)), ("text_config.", value.get("text_config"))];
    parts.into_iter().find_map(|(place, part)| {
        let found = part?.get("quantization_config")?;
        let empty = found.is_null() || found.as_object().is_some_and(Map::is_empty);
        (!empty).then_some((place, found))
    })
}

/// A window counts unless `use_sliding_window` turns it off.
fn sliding_window(text: &Value) -> Result<(), String> {
    match text.get("sliding_window") {
        Some(window) if !window.is_null() && text.get("use_sliding_window") != Some(&Value::Bool(false)) => {
            Err(format!(
                "text_config.sliding_window: expected none, found {window}; {FULL} (use_sliding_window false turns it off)"
            ))
        }
        _ => Ok(()),
    }
}
