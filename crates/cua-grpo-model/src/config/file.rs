//! Reading `config.json` of a checkpoint, in the layouts of transformers 4.57 and 5.x. `model_type` says of which family it is.

use super::families;
use super::model::{ModelConfig, TextConfig, VisionConfig};
use super::read::{flag, maybe_number, maybe_size, number, outer_flag, side, size, usizes};
use super::rope::read_rope;
use super::tables::check_keys;
use crate::ModelError;
use crate::nn::Activation;
use serde_json::Value;
use std::path::Path;

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
        let (dialect, sparse) = families::named(kind)?;
        let text = value.get("text_config").ok_or("text_config is missing")?;
        let vision = value.get("vision_config").ok_or("vision_config is missing")?;
        let mut warnings = check_keys(value, dialect, sparse)?;
        // 4.57: rope_theta beside rope_scaling; 5.x: both inside rope_parameters.
        let rope = read_rope(text, dialect.turned)?;
        warnings.extend(rope.warnings);
        let layers = size(text, "num_hidden_layers")?;
        let hybrid = (dialect.hybrid)(text, layers, rope.turned)?;
        let moe = sparse.then(|| (dialect.moe)(text)).transpose()?;
        let section = usizes(&rope.map, "mrope_section")?;
        let section = <[usize; 3]>::try_from(section).map_err(|_| "mrope_section: expected 3 numbers".to_owned())?;
        let (tied, passed_over) = outer_flag(value, "text_config", "tie_word_embeddings")?;
        warnings.extend(passed_over);
        let config = Self {
            text: TextConfig {
                vocab_size: size(text, "vocab_size")?,
                hidden_size: size(text, "hidden_size")?,
                num_hidden_layers: layers,
                num_attention_heads: size(text, "num_attention_heads")?,
                num_key_value_heads: match text.get("num_key_value_heads") {
                    Some(Value::Null) => size(text, "num_attention_heads")?,
                    _ => size(text, "num_key_value_heads")?,
                },
                head_dim: size(text, "head_dim")?,
                intermediate_size: match &moe {
                    // No layer of it is dense.
                    Some(moe) if hybrid.is_some() => {
                        maybe_size(text, "intermediate_size")?.unwrap_or(moe.moe_intermediate_size)
                    }
                    _ => size(text, "intermediate_size")?,
                },
                rms_norm_eps: number(text, "rms_norm_eps")?,
                rope_theta: rope.theta,
                rope_scaling: rope.scaling,
                mrope_section: section,
                max_position_embeddings: size(text, "max_position_embeddings")?,
                attention_bias: flag(text, "attention_bias", false)?,
                hidden_act: activation("text_config", text, Activation::Silu)?,
                moe,
                hybrid,
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
                deepstack_visual_indexes: match vision.get("deepstack_visual_indexes") {
                    None | Some(Value::Null) if !dialect.deepstack => Vec::new(),
                    _ => usizes(vision, "deepstack_visual_indexes")?,
                },
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
            "{place}.rope_type: expected \"axial\", found \"{kind}\"; the towers of these models have no other"
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
                .contains("expected \"qwen3_vl\", \"qwen3_vl_moe\", \"qwen3_5\" or \"qwen3_5_moe\", found \"llama\"")
        );
    }
}
