//! What a `config.json` of Qwen3-VL says in its own way.

use super::dialect::{Dialect, Family};
use super::experts::experts;
use super::keys::Neutral::{Each, Empty, Number};
use super::keys::{Key, Rule};
use super::model::{ModelConfig, MoeConfig};
use super::read::{size, usizes};
use super::tables::{FULL, OTHER_FAMILY};
use serde_json::{Value, json};

/// The family.
pub(super) const QWEN3_VL: Dialect = Dialect {
    family: Family::Qwen3Vl,
    model_types: ["qwen3_vl", "qwen3_vl_moe"],
    architectures: ["Qwen3VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration"],
    text: TEXT_KEYS,
    dense: DENSE_KEYS,
    sparse: SPARSE_KEYS,
    vision: VISION_KEYS,
    turned: None,
    deepstack: true,
    hybrid: |_, _, _| Ok(None),
    moe,
    write,
};

/// Keys of `text_config`.
const TEXT_KEYS: &[Key] = &[
    (
        "partial_rotary_factor",
        Rule::Only(&[Number(1.0)], "Qwen3-VL turns whole heads"),
    ),
    (
        "layer_types",
        Rule::Only(&[Each(&["full_attention", "attention"]), Empty], FULL),
    ),
];

/// Keys of `vision_config`.
const VISION_KEYS: &[Key] = &[("deepstack_visual_indexes", Rule::Read)];

/// Keys of `text_config` of the mixture of experts.
const SPARSE_KEYS: &[Key] = &[
    ("num_experts", Rule::Read),
    ("num_local_experts", Rule::Read),
    ("num_experts_per_tok", Rule::Read),
    ("moe_intermediate_size", Rule::Read),
    ("decoder_sparse_step", Rule::Read),
    ("mlp_only_layers", Rule::Read),
    ("norm_topk_prob", Rule::Read),
    // Parts of a loss that is not trained here.
    ("output_router_logits", Rule::Free),
    ("router_aux_loss_coef", Rule::Free),
    ("n_shared_experts", Rule::Only(&[Number(0.0)], OTHER_FAMILY)),
    (
        "shared_expert_intermediate_size",
        Rule::Only(&[Number(0.0)], OTHER_FAMILY),
    ),
    ("routed_scaling_factor", Rule::Only(&[Number(1.0)], OTHER_FAMILY)),
];

const NO_EXPERTS: &str = "model_type qwen3_vl has no experts; is it qwen3_vl_moe?";

/// The same keys in a dense decoder.
const DENSE_KEYS: &[Key] = &[
    ("num_experts", Rule::Only(&[Number(0.0)], NO_EXPERTS)),
    ("num_local_experts", Rule::Only(&[Number(0.0)], NO_EXPERTS)),
    ("num_experts_per_tok", Rule::Free),
    ("moe_intermediate_size", Rule::Free),
    ("decoder_sparse_step", Rule::Free),
    ("mlp_only_layers", Rule::Free),
    ("norm_topk_prob", Rule::Free),
    ("output_router_logits", Rule::Free),
    ("router_aux_loss_coef", Rule::Free),
];

/// The keys of the mixture of experts.
fn moe(text: &Value) -> Result<MoeConfig, String> {
    let (num_experts, num_experts_per_tok) = experts(text)?;
    let layers = match text.get("mlp_only_layers") {
        None | Some(Value::Null) => Vec::new(),
        Some(_) => usizes(text, "mlp_only_layers")?,
    };
    // transformers scales the chosen probabilities to sum 1 whatever this key says, other engines follow it.
    if text
        .get("norm_topk_prob")
        .is_some_and(|value| *value != Value::Bool(true))
    {
        return Err("norm_topk_prob: expected true, as transformers computes".to_owned());
    }
    let config = MoeConfig {
        num_experts,
        num_experts_per_tok,
        moe_intermediate_size: size(text, "moe_intermediate_size")?,
        decoder_sparse_step: size(text, "decoder_sparse_step")?,
        mlp_only_layers: layers,
        shared_expert_intermediate_size: None,
    };
    if config.decoder_sparse_step == 0 {
        return Err("decoder_sparse_step: expected at least 1, found 0".to_owned());
    }
    Ok(config)
}

/// Adds the family's keys to what all have.
fn write(config: &ModelConfig, json: &mut Value) {
    let text = &mut json["text_config"];
    text["rope_theta"] = config.text.rope_theta.into();
    text["rope_scaling"] = json!({"mrope_interleaved": true, "mrope_section": config.text.mrope_section});
    if let Some(map) = text["rope_scaling"].as_object_mut() {
        map.extend(config.text.rope_scaling.to_json());
    }
    if let Some(moe) = &config.text.moe {
        text["num_experts"] = moe.num_experts.into();
        text["num_experts_per_tok"] = moe.num_experts_per_tok.into();
        text["moe_intermediate_size"] = moe.moe_intermediate_size.into();
        text["norm_topk_prob"] = true.into();
        text["decoder_sparse_step"] = moe.decoder_sparse_step.into();
        text["mlp_only_layers"] = json!(moe.mlp_only_layers);
    }
}
