//! `config.json` of a Qwen3-VL checkpoint, in the layouts of transformers 4.57 and 5.x.

use super::read::{flag, maybe_number, maybe_size, number, outer_flag, side, size, usizes};
use super::rope::{RopeScaling, read_rope};
use super::tables::check_keys;
use crate::ModelError;
use crate::nn::Activation;
use serde_json::Value;
use std::path::Path;

/// Sizes of the text decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key-value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of a head; heads times this need not equal the hidden size.
    pub head_dim: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Epsilon of every RMS norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// What is done to the rotary frequencies.
    pub rope_scaling: RopeScaling,
    /// Sections of interleaved M-RoPE; entry 0 is never read (the time axis takes what is left).
    pub mrope_section: [usize; 3],
    /// Longest context.
    pub max_position_embeddings: usize,
    /// The four projections of attention have biases.
    pub attention_bias: bool,
    /// Activation of the gated MLP.
    pub hidden_act: Activation,
    /// The mixture of experts; `None` for a dense decoder.
    pub moe: Option<MoeConfig>,
}

/// Sizes of the mixture of experts, with the key names of `config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoeConfig {
    /// Experts of a sparse layer.
    pub num_experts: usize,
    /// Experts that a token goes through.
    pub num_experts_per_tok: usize,
    /// Width of an expert.
    pub moe_intermediate_size: usize,
    /// Layer `i` is sparse when `i + 1` is a multiple of this.
    pub decoder_sparse_step: usize,
    /// Layers (0-based) that are dense whatever the step says.
    pub mlp_only_layers: Vec<usize>,
}

impl TextConfig {
    /// What of this decoder the graph of a card does not compute; `None` when it computes all of it. Such a model decodes
    /// layer by layer.
    pub fn beyond_the_graph(&self) -> Option<&'static str> {
        match self {
            Self { moe: Some(_), .. } => Some("a mixture of experts"),
            Self {
                attention_bias: true, ..
            } => Some("attention_bias"),
            Self { hidden_act, .. } if *hidden_act != Activation::Silu => Some("another hidden_act than silu"),
            Self { rope_scaling, .. } if *rope_scaling != RopeScaling::Default => {
                Some("a rope_type beyond the default")
            }
            _ => None,
        }
    }

    /// Whether decoder layer `layer` (0-based) has experts in place of one MLP.
    pub fn is_sparse(&self, layer: usize) -> bool {
        self.moe.as_ref().is_some_and(|moe| {
            moe.num_experts > 0
                && (layer + 1).is_multiple_of(moe.decoder_sparse_step)
                && !moe.mlp_only_layers.contains(&layer)
        })
    }
}

/// Sizes of the vision tower.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Number of blocks.
    pub depth: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Colour channels.
    pub in_channels: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Frames in a patch.
    pub temporal_patch_size: usize,
    /// Side, in patches, of what becomes one token.
    pub spatial_merge_size: usize,
    /// Rows of the learned position table; a square number.
    pub num_position_embeddings: usize,
    /// Width of the text decoder.
    pub out_hidden_size: usize,
    /// Activation of the MLPs of the blocks; that of the mergers is exact GELU.
    pub hidden_act: Activation,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Blocks (0-based) whose output feeds decoder layers 0, 1, ...
    pub deepstack_visual_indexes: Vec<usize>,
}

/// Configuration of the whole model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The text decoder.
    pub text: TextConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// The output head is the embedding.
    pub tie_word_embeddings: bool,
    /// Id that stands for one merged patch of an image.
    pub image_token_id: u32,
    /// Id that stands for one merged patch of a video.
    pub video_token_id: u32,
    /// Id before an image or frame.
    pub vision_start_token_id: u32,
    /// Id after an image or frame.
    pub vision_end_token_id: u32,
}

impl VisionConfig {
    /// Number of values in one patch row.
    pub fn patch_values(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// Rotary frequencies of one axis, a quarter of a head's width of them.
    pub fn frequencies(&self) -> Vec<f32> {
        let half = self.hidden_size / self.num_heads / 2;
        let power = |j: usize| self.rope_theta.powf(-2.0 * j as f64 / half as f64) as f32;
        (0..half / 2).map(power).collect()
    }

    /// Side of the learned position table.
    pub fn position_side(&self) -> usize {
        self.num_position_embeddings.isqrt()
    }
}

impl ModelConfig {
    /// Reads `config.json` of the checkpoint folder `dir`. Keys that have no effect are logged as warnings.
    ///
    /// # Errors
    /// When the file is missing, is not JSON, is of another architecture, lacks a key, or has one that changes
    /// arithmetic in a way that is not computed here. Sizes are not defaulted, because the defaults of the reference
    /// class differ from the released models.
    pub fn load(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join("config.json");
        let text = crate::plain_text::read(&path).map_err(ModelError::io("read", &path))?;
        let value = super::read::parse(&text).map_err(|error| ModelError::format(&path, error))?;
        let read = Self::read(&value).map_err(|message| ModelError::format(&path, message));
        let (config, warnings) = read?;
        for warning in warnings {
            tracing::warn!("{}: {warning}", path.display());
        }
        Ok(config)
    }

    /// Parses the JSON of a `config.json`.
    ///
    /// # Errors
    /// Names the key that is missing or wrong.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        Self::read(value).map(|(config, _)| config)
    }

    /// As [`ModelConfig::from_json`], with a warning for each key that has no effect.
    ///
    /// # Errors
    /// As [`ModelConfig::from_json`].
    pub fn read(value: &Value) -> Result<(Self, Vec<String>), String> {
        let kind = value.get("model_type").and_then(Value::as_str).unwrap_or("none");
        if kind != "qwen3_vl" && kind != "qwen3_vl_moe" {
            return Err(format!(
                "model_type: expected \"qwen3_vl\" or \"qwen3_vl_moe\", found \"{kind}\""
            ));
        }
        let text = value.get("text_config").ok_or("text_config is missing")?;
        let vision = value.get("vision_config").ok_or("vision_config is missing")?;
        let mut warnings = check_keys(value)?;
        // 4.57: rope_theta beside rope_scaling; 5.x: both inside rope_parameters.
        let rope = read_rope(text)?;
        warnings.extend(rope.warnings);
        let section = usizes(&rope.map, "mrope_section")?;
        let section = <[usize; 3]>::try_from(section).map_err(|_| "mrope_section: expected 3 numbers".to_owned())?;
        let (tied, passed_over) = outer_flag(value, "text_config", "tie_word_embeddings")?;
        warnings.extend(passed_over);
        let config = Self {
            text: TextConfig {
                vocab_size: size(text, "vocab_size")?,
                hidden_size: size(text, "hidden_size")?,
                num_hidden_layers: size(text, "num_hidden_layers")?,
                num_attention_heads: size(text, "num_attention_heads")?,
                num_key_value_heads: match text.get("num_key_value_heads") {
                    Some(Value::Null) => size(text, "num_attention_heads")?,
                    _ => size(text, "num_key_value_heads")?,
                },
                head_dim: size(text, "head_dim")?,
                intermediate_size: size(text, "intermediate_size")?,
                rms_norm_eps: number(text, "rms_norm_eps")?,
                rope_theta: rope.theta,
                rope_scaling: rope.scaling,
                mrope_section: section,
                max_position_embeddings: size(text, "max_position_embeddings")?,
                attention_bias: flag(text, "attention_bias", false)?,
                hidden_act: activation("text_config", text, Activation::Silu)?,
                moe: (kind == "qwen3_vl_moe").then(|| moe(text)).transpose()?,
            },
            vision: VisionConfig {
                depth: size(vision, "depth")?,
                hidden_size: size(vision, "hidden_size")?,
                intermediate_size: size(vision, "intermediate_size")?,
                num_heads: size(vision, "num_heads")?,
                in_channels: size(vision, "in_channels")?,
                patch_size: side(vision, "patch_size")?,
                temporal_patch_size: side(vision, "temporal_patch_size")?,
                spatial_merge_size: size(vision, "spatial_merge_size")?,
                num_position_embeddings: size(vision, "num_position_embeddings")?,
                out_hidden_size: size(vision, "out_hidden_size")?,
                hidden_act: activation("vision_config", vision, Activation::GeluTanh)?,
                rope_theta: vision_theta(vision)?,
                deepstack_visual_indexes: usizes(vision, "deepstack_visual_indexes")?,
            },
            tie_word_embeddings: tied,
            image_token_id: size(value, "image_token_id")? as u32,
            video_token_id: size(value, "video_token_id")? as u32,
            vision_start_token_id: size(value, "vision_start_token_id")? as u32,
            vision_end_token_id: size(value, "vision_end_token_id")? as u32,
        };
        config.check()?;
        config.check_other_names(vision)?;
        Ok((config, warnings))
    }

    /// Checks that the sizes fit each other.
    fn check(&self) -> Result<(), String> {
        self.check_limits()?;
        let (text, vision) = (&self.text, &self.vision);
        if !text.num_attention_heads.is_multiple_of(text.num_key_value_heads) {
            let (heads, kv_heads) = (text.num_attention_heads, text.num_key_value_heads);
            return Err(format!(
                "num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}"
            ));
        }
        if vision.out_hidden_size != text.hidden_size {
            let (out, hidden) = (vision.out_hidden_size, text.hidden_size);
            return Err(format!(
                "vision out_hidden_size {out} differs from text hidden_size {hidden}"
            ));
        }
        if !vision.hidden_size.is_multiple_of(vision.num_heads)
            || !(vision.hidden_size / vision.num_heads).is_multiple_of(4)
        {
            let (hidden, heads) = (vision.hidden_size, vision.num_heads);
            return Err(format!(
                "vision hidden_size {hidden} over {heads} heads is not a multiple of 4"
            ));
        }
        if vision.position_side().pow(2) != vision.num_position_embeddings {
            return Err(format!(
                "num_position_embeddings {} is not a square",
                vision.num_position_embeddings
            ));
        }
        if vision.deepstack_visual_indexes.len() > text.num_hidden_layers {
            return Err("more deepstack_visual_indexes than decoder layers".to_owned());
        }
        if !vision.deepstack_visual_indexes.is_sorted_by(|one, next| one < next) {
            return Err(format!(
                "deepstack_visual_indexes: expected each number above the one before, found {:?}",
                vision.deepstack_visual_indexes
            ));
        }
        match vision
            .deepstack_visual_indexes
            .iter()
            .find(|&&index| index >= vision.depth)
        {
            Some(index) => Err(format!(
                "deepstack_visual_indexes: {index} is not below the depth {}",
                vision.depth
            )),
            None => Ok(()),
        }
    }
}

impl ModelConfig {
    /// Checks that sizes of the tower under other names agree.
    fn check_other_names(&self, vision: &Value) -> Result<(), String> {
        let own = &self.vision;
        for (name, expected) in [
            ("head_dim", own.hidden_size / own.num_heads.max(1)),
            ("num_attention_heads", own.num_heads),
            ("num_hidden_layers", own.depth),
        ] {
            if let Some(found) = maybe_size(vision, name)?.filter(|found| *found != expected) {
                return Err(format!(
                    "vision_config.{name}: expected {expected} (or none), as the other sizes say, found {found}"
                ));
            }
        }
        Ok(())
    }
}

/// `hidden_act` of a part of the file. Null names no activation, in transformers neither.
fn activation(place: &str, part: &Value, otherwise: Activation) -> Result<Activation, String> {
    match part.get("hidden_act") {
        None => Ok(otherwise),
        Some(found) => found.as_str().and_then(Activation::of).ok_or_else(|| {
            format!(
                "{place}.hidden_act: expected one of {}, found {found}; no other activation is computed here",
                Activation::names()
            )
        }),
    }
}

/// Base of the rotary frequencies of the tower: transformers 5 writes it, 4 computes with 10000.
fn vision_theta(vision: &Value) -> Result<f64, String> {
    let place = "vision_config.rope_parameters";
    let map = ["rope_scaling", "rope_parameters"].map(|key| vision.get(key).filter(|map| map.is_object()));
    let map = map.into_iter().flatten().next().unwrap_or(&Value::Null);
    let kind = map.get("rope_type").or_else(|| map.get("type")).and_then(Value::as_str);
    if let Some(kind) = kind.filter(|kind| *kind != "axial" && *kind != "default") {
        return Err(format!(
            "{place}.rope_type: expected \"axial\", found \"{kind}\"; the tower of Qwen3-VL has no other"
        ));
    }
    let others = map.as_object().into_iter().flatten();
    if let Some((key, value)) = others
        .filter(|(key, value)| !value.is_null() && !["rope_type", "type", "rope_theta"].contains(&key.as_str()))
        .find(|(key, value)| key.as_str() != "partial_rotary_factor" || value.as_f64() != Some(1.0))
    {
        return Err(format!(
            "{place}.{key}: expected none, found {value}; the tower turns by rope_theta alone"
        ));
    }
    let theta = maybe_number(map, "rope_theta")?.or(maybe_number(vision, "rope_theta")?);
    match theta.unwrap_or(10_000.0) {
        theta if theta > 0.0 => Ok(theta),
        theta => Err(format!("{place}.rope_theta: expected a number above 0, found {theta}")),
    }
}

/// The keys of the mixture of experts.
fn moe(text: &Value) -> Result<MoeConfig, String> {
    // 4.57 writes num_experts, 5.x num_local_experts.
    let (new, old) = (maybe_size(text, "num_local_experts")?, maybe_size(text, "num_experts")?);
    if let (Some(new), Some(old)) = (new, old)
        && new != old
    {
        return Err(format!(
            "num_experts {old} and num_local_experts {new} differ; they name one number"
        ));
    }
    let experts = if old.is_some() {
        "num_experts"
    } else {
        "num_local_experts"
    };
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
        num_experts: size(text, experts)?,
        num_experts_per_tok: size(text, "num_experts_per_tok")?,
        moe_intermediate_size: size(text, "moe_intermediate_size")?,
        decoder_sparse_step: size(text, "decoder_sparse_step")?,
        mlp_only_layers: layers,
    };
    if config.num_experts_per_tok == 0 || config.num_experts_per_tok > config.num_experts {
        return Err(format!(
            "num_experts_per_tok: expected 1 to {} (the experts), found {}",
            config.num_experts, config.num_experts_per_tok
        ));
    }
    if config.decoder_sparse_step == 0 {
        return Err("decoder_sparse_step: expected at least 1, found 0".to_owned());
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fixture(set: &str, file: &str) -> Value {
        let path = format!("{}/tests/fixtures/{set}/{file}", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn both_layouts_give_one_config() {
        for set in ["a", "b"] {
            let old = ModelConfig::from_json(&fixture(set, "config.json")).unwrap();
            let new = ModelConfig::from_json(&fixture(set, "config.v5.json")).unwrap();
            assert_eq!(old, new);
            assert_eq!(ModelConfig::from_json(&old.to_json(0, 1)).unwrap(), old);
        }
    }

    #[test]
    fn errors_name_the_key() {
        let mut value = fixture("a", "config.json");
        value["text_config"]["head_dim"] = json!("wide");
        assert!(
            ModelConfig::from_json(&value)
                .unwrap_err()
                .contains("head_dim: expected a whole number")
        );
        value["model_type"] = json!("llama");
        assert!(
            ModelConfig::from_json(&value)
                .unwrap_err()
                .contains("expected \"qwen3_vl\" or \"qwen3_vl_moe\", found \"llama\"")
        );
    }
}
