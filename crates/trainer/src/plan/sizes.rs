//! Sizes of a model, read off a model without storage: what can be in four bits, what stays f32, what an adapter adds.

use crate::assemble::{ModelFolder, STARTER};
use crate::error::CliError;
use burn::tensor::Device;
use cua_grpo_model::lora::{LoraConfig, resolve};
use cua_grpo_model::nn::Slot;
use cua_grpo_model::{ModelConfig, ModelError, PRESETS, ParameterCount, Qwen3Vl};
use std::path::Path;

/// Numbers of weights by how they are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSizes {
    /// The configuration.
    pub config: ModelConfig,
    /// Weights by component.
    pub count: ParameterCount,
    /// Weights of linear maps: those that four bits may hold.
    pub linear: u64,
    /// Norms, biases and the position table, which stay f32 (`LoadOptions::dtype_of` of the model crate).
    pub small: u64,
    /// Weights of the adapter.
    pub adapter: u64,
    /// Sum of the ranks of the adapters in one decoder layer.
    pub layer_ranks: u64,
    /// The adapter reaches into the vision tower, so that its activations are kept for the backward pass.
    pub vision_adapter: bool,
}

impl ModelSizes {
    /// The sizes of `config` with the adapter `lora`, or without any.
    ///
    /// # Errors
    /// When a target of the adapter matches nothing.
    pub fn of(config: &ModelConfig, lora: Option<&LoraConfig>) -> Result<Self, ModelError> {
        let mut outline = Qwen3Vl::unread(config, &Device::flex());
        let mut sizes = Self {
            config: config.clone(),
            count: config.parameter_count(),
            linear: 0,
            small: 0,
            adapter: 0,
            layer_ranks: 0,
            vision_adapter: false,
        };
        outline.visit(&mut |name, slot| {
            if matches!(slot, Slot::Vector(_)) || name.ends_with(".pos_embed.weight") {
                sizes.small += slot.dims().iter().product::<usize>() as u64;
            }
        });
        let adapted = match lora {
            Some(lora) => resolve(&mut outline, lora)?,
            None => Vec::new(),
        };
        outline.visit_linear(&mut |path, linear| {
            let [output, input] = linear.dims();
            sizes.linear += (output * input) as u64;
            if let Some(module) = adapted.iter().find(|module| module.path == path) {
                let rank = module.rank as u64;
                sizes.adapter += rank * (output + input) as u64;
                sizes.vision_adapter |= path.starts_with("model.visual.");
                if path.starts_with("model.language_model.layers.0.") {
                    sizes.layer_ranks += rank;
                }
            }
        });
        Ok(sizes)
    }

    /// Weights that are no linear map and not small: embedding, head, patches, experts.
    pub fn tables(&self) -> u64 {
        self.count.total() - self.linear - self.small
    }
}

/// Whether [`find_config`] knows the model without a network.
pub fn is_known(name: &str) -> bool {
    name == STARTER || Path::new(name).is_dir() || released(name).is_some()
}

/// The released size that a name such as `Qwen/Qwen3-VL-8B-Instruct` says, with its configuration.
fn released(name: &str) -> Option<(ModelConfig, String)> {
    let lower = name.to_lowercase();
    // A size alone, or in the name of a model of this family: others of the same size have other shapes.
    let family = ["qwen3-vl", "qwen3_vl", "qwen3vl"]
        .iter()
        .any(|word| lower.contains(word));
    if !family && ModelConfig::preset(&lower).is_none() {
        return None;
    }
    let mut parts: Vec<&str> = lower.split(['/', '-', '_']).collect();
    // The mixture's size is written in two parts.
    let joined = parts
        .iter()
        .position(|part| *part == "30b")
        .map(|at| parts[at..].join("-"));
    if joined.is_some_and(|rest| rest.starts_with("30b-a3b")) {
        parts = vec!["30b-a3b"];
    }
    parts
        .into_iter()
        .find_map(|part| ModelConfig::preset(part).map(|config| (config, part.to_owned())))
}

/// The configuration of the model `name`, and where it is from: the starter, a folder, or else the released sizes when
/// the name is that of a released model.
///
/// # Errors
/// [`CliError::Usage`] when the name is none of these.
pub fn find_config(name: &str) -> Result<(ModelConfig, String), CliError> {
    let usage = |error: &dyn std::fmt::Display| CliError::Usage(format!("model_name `{name}`: {error}"));
    if name == STARTER || Path::new(name).is_dir() {
        let folder = ModelFolder::open(name)?;
        let config = ModelConfig::load(folder.path()).map_err(|error| usage(&error))?;
        return Ok((config, "its config.json".into()));
    }
    match released(name) {
        Some((config, size)) => Ok((config, format!("the released sizes of {size}"))),
        None => Err(usage(&format!(
            "expected `{STARTER}`, a folder with config.json, or the name of a released size ({})",
            PRESETS.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    //! Mutations tried: the position table counted as a matrix, an adapter counted with its input only.

    use super::*;
    use cua_grpo_model::lora::Targets;

    #[test]
    fn kinds_add_up_to_the_released_counts() {
        for name in PRESETS.into_iter().filter(|name| *name != "30b-a3b") {
            let sizes = ModelSizes::of(&ModelConfig::preset(name).unwrap(), None).unwrap();
            let vision = &sizes.config.vision;
            let mut tables = sizes.count.embedding + sizes.count.head;
            tables += (vision.patch_values() * vision.hidden_size) as u64;
            assert_eq!(sizes.tables(), tables, "{name}");
        }
    }

    #[test]
    fn the_adapter_of_the_8b_has_the_size_that_peft_reports() {
        // r (in + out) over 36 layers: q 4096+4096, k and v 4096+1024, o 4096+4096.
        let names = ["q_proj", "k_proj", "v_proj", "o_proj"].map(str::to_owned).to_vec();
        let mut lora = LoraConfig::new(8, 16.0, Targets::Names(names));
        let sizes = ModelSizes::of(&ModelConfig::preset("8b").unwrap(), Some(&lora)).unwrap();
        assert_eq!(sizes.adapter, 8 * 36 * (2 * 8192 + 2 * 5120));
        assert_eq!((sizes.layer_ranks, sizes.vision_adapter), (32, false));
        // Ranks and exclusions of single modules count: q of rank 2, no v in the first layer.
        lora.rank_pattern = [("q_proj".to_owned(), 2)].into_iter().collect();
        lora.exclude_modules = Some(Targets::Names(vec!["layers.0.self_attn.v_proj".to_owned()]));
        let sizes = ModelSizes::of(&ModelConfig::preset("8b").unwrap(), Some(&lora)).unwrap();
        assert_eq!(sizes.adapter, 36 * (2 * 8192 + 8 * (8192 + 2 * 5120)) - 8 * 5120);
        assert_eq!(sizes.layer_ranks, 2 + 8 + 8);
    }

    #[test]
    fn names_find_the_released_sizes() {
        for (name, size) in [
            ("Qwen/Qwen3-VL-8B-Instruct", "8b"),
            ("Qwen/Qwen3-VL-32B-Instruct", "32b"),
            ("Qwen/Qwen3-VL-2B-Thinking", "2b"),
            ("Qwen/Qwen3-VL-30B-A3B-Instruct", "30b-a3b"),
            ("4b", "4b"),
        ] {
            let (config, source) = find_config(name).unwrap();
            assert_eq!(Some(config), ModelConfig::preset(size), "{name}");
            assert!(source.ends_with(size));
        }
        assert_eq!(find_config(STARTER).unwrap().1, "its config.json");
        for other in ["mine/model", "meta-llama/Llama-3-8B", "Qwen/Qwen2.5-VL-32B-Instruct"] {
            let error = find_config(other).unwrap_err();
            assert!(
                error.to_string().contains("2b, 4b") && error.exit_code() == 2,
                "{other}"
            );
        }
    }
}
