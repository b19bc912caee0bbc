//! What a `config.json` of Qwen3.5 says in its own way.

use super::dialect::{Dialect, Family};
use super::experts::experts;
use super::keys::Neutral::{Empty, False, Number, Text, True};
use super::keys::{Key, Rule};
use super::model::{HybridConfig, ModelConfig, MoeConfig};
use super::read::{maybe_size, size};
use serde_json::{Value, json};

/// The family.
pub(super) const QWEN3_5: Dialect = Dialect {
    family: Family::Qwen35,
    model_types: ["qwen3_5", "qwen3_5_moe"],
    architectures: ["Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForConditionalGeneration"],
    text: TEXT_KEYS,
    dense: DENSE_KEYS,
    sparse: SPARSE_KEYS,
    vision: VISION_KEYS,
    turned: Some(0.25),
    deepstack: false,
    hybrid,
    moe,
    write,
};

/// Every how many layers one has attention, where the file does not say it.
const INTERVAL: usize = 4;

/// Keys of `text_config`.
const TEXT_KEYS: &[Key] = &[
    ("layer_types", Rule::Read),
    ("full_attention_interval", Rule::Read),
    ("linear_conv_kernel_dim", Rule::Read),
    ("linear_key_head_dim", Rule::Read),
    ("linear_value_head_dim", Rule::Read),
    ("linear_num_key_heads", Rule::Read),
    ("linear_num_value_heads", Rule::Read),
    ("partial_rotary_factor", Rule::Read),
    (
        "attn_output_gate",
        Rule::Only(&[True], "attention of Qwen3.5 is gated, whatever the key says"),
    ),
    (
        "mamba_ssm_dtype",
        Rule::Warn(&[Text("float32")], "states are kept in f32"),
    ),
    // The head that predicts several tokens is not read.
    ("mtp_num_hidden_layers", Rule::Free),
    ("mtp_use_dedicated_embeddings", Rule::Free),
    (
        "mlp_only_layers",
        Rule::Only(
            &[Empty],
            "all layers of Qwen3.5 are of one kind: dense, or with experts",
        ),
    ),
    (
        "decoder_sparse_step",
        Rule::Only(
            &[Number(1.0)],
            "all layers of Qwen3.5 are of one kind: dense, or with experts",
        ),
    ),
];

const NO_EXPERTS: &str = "model_type qwen3_5 has no experts; is it qwen3_5_moe?";

/// Keys of `text_config` of a dense decoder.
const DENSE_KEYS: &[Key] = &[
    ("num_experts", Rule::Only(&[Number(0.0)], NO_EXPERTS)),
    ("num_local_experts", Rule::Only(&[Number(0.0)], NO_EXPERTS)),
    ("num_experts_per_tok", Rule::Free),
    ("moe_intermediate_size", Rule::Free),
    ("shared_expert_intermediate_size", Rule::Free),
    ("norm_topk_prob", Rule::Free),
    ("output_router_logits", Rule::Free),
    ("router_aux_loss_coef", Rule::Free),
];

/// Keys of `text_config` of a mixture of experts.
const SPARSE_KEYS: &[Key] = &[
    ("num_experts", Rule::Read),
    ("num_local_experts", Rule::Read),
    ("num_experts_per_tok", Rule::Read),
    ("moe_intermediate_size", Rule::Read),
    ("shared_expert_intermediate_size", Rule::Read),
    (
        "norm_topk_prob",
        Rule::Only(
            &[True],
            "the probabilities of the chosen experts are scaled to sum 1, as transformers does",
        ),
    ),
    // Parts of a loss that is not trained here.
    ("output_router_logits", Rule::Free),
    ("router_aux_loss_coef", Rule::Free),
];

/// Keys of `vision_config`.
const VISION_KEYS: &[Key] = &[
    (
        "deepstack_visual_indexes",
        Rule::Only(&[Empty], "the tower of Qwen3.5 hands nothing to the decoder's layers"),
    ),
    (
        "use_deepstack",
        Rule::Only(&[False], "the tower of Qwen3.5 hands nothing to the decoder's layers"),
    ),
];

/// The recurrent layers, and what goes with them.
fn hybrid(text: &Value, layers: usize, rotary_dim: usize) -> Result<Option<HybridConfig>, String> {
    Ok(Some(HybridConfig {
        full_attention: full_attention(text, layers)?,
        rotary_dim,
        conv_kernel: size(text, "linear_conv_kernel_dim")?,
        key_heads: size(text, "linear_num_key_heads")?,
        value_heads: size(text, "linear_num_value_heads")?,
        key_head_dim: size(text, "linear_key_head_dim")?,
        value_head_dim: size(text, "linear_value_head_dim")?,
    }))
}

/// For each layer whether it has attention: as `layer_types` says, else every `full_attention_interval`-th.
fn full_attention(text: &Value, layers: usize) -> Result<Vec<bool>, String> {
    let Some(types) = text.get("layer_types").filter(|types| !types.is_null()) else {
        let interval = maybe_size(text, "full_attention_interval")?.unwrap_or(INTERVAL);
        return Ok((0..layers).map(|layer| (layer + 1).is_multiple_of(interval)).collect());
    };
    let types = types.as_array().filter(|types| types.len() == layers);
    let types = types.ok_or_else(|| format!("layer_types: expected a list of {layers} names, one a layer"))?;
    let full = types.iter().map(|kind| match kind.as_str() {
        Some("full_attention") => Ok(true),
        Some("linear_attention") => Ok(false),
        _ => Err(format!(
            "layer_types: expected \"linear_attention\" or \"full_attention\", found {kind}"
        )),
    });
    full.collect()
}

/// The mixture of experts: every layer has one.
fn moe(text: &Value) -> Result<MoeConfig, String> {
    let (num_experts, num_experts_per_tok) = experts(text)?;
    Ok(MoeConfig {
        num_experts,
        num_experts_per_tok,
        moe_intermediate_size: size(text, "moe_intermediate_size")?,
        decoder_sparse_step: 1,
        mlp_only_layers: Vec::new(),
        shared_expert_intermediate_size: Some(size(text, "shared_expert_intermediate_size")?),
    })
}

/// Adds the family's keys to what all have.
fn write(config: &ModelConfig, json: &mut Value) {
    let (own, text) = (&config.text, &mut json["text_config"]);
    let mut rope = json!({
        "mrope_interleaved": true,
        "mrope_section": own.mrope_section,
        "rope_theta": own.rope_theta,
    });
    if let Some(map) = rope.as_object_mut() {
        map.extend(own.rope_scaling.to_json());
    }
    if let Some(hybrid) = &own.hybrid {
        rope["partial_rotary_factor"] = (hybrid.rotary_dim as f64 / own.head_dim as f64).into();
        let kind = |full: &bool| if *full { "full_attention" } else { "linear_attention" };
        text["layer_types"] = hybrid.full_attention.iter().map(kind).collect();
        text["linear_conv_kernel_dim"] = hybrid.conv_kernel.into();
        text["linear_key_head_dim"] = hybrid.key_head_dim.into();
        text["linear_value_head_dim"] = hybrid.value_head_dim.into();
        text["linear_num_key_heads"] = hybrid.key_heads.into();
        text["linear_num_value_heads"] = hybrid.value_heads.into();
        text["attn_output_gate"] = true.into();
        text["mamba_ssm_dtype"] = "float32".into();
    }
    text["rope_parameters"] = rope;
    if let Some(moe) = &own.moe {
        text["num_experts"] = moe.num_experts.into();
        text["num_experts_per_tok"] = moe.num_experts_per_tok.into();
        text["moe_intermediate_size"] = moe.moe_intermediate_size.into();
        text["shared_expert_intermediate_size"] = json!(moe.shared_expert_intermediate_size);
    }
}
