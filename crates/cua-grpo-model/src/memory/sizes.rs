//! Sizes of a model, read off a model without storage: what can be in four bits, what stays f32, what an adapter adds.

use crate::checkpoint::{LoadOptions, WeightDtype};
use crate::lora::{LoraConfig, resolve};
use crate::{ModelConfig, ModelError, ParameterCount, Qwen3Vl};
use burn::tensor::Device;

/// Numbers of weights by how they are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSizes {
    /// The configuration.
    pub config: ModelConfig,
    /// Weights by component.
    pub count: ParameterCount,
    /// Weights of linear maps: those that four bits may hold.
    pub linear: u64,
    /// What stays f32 in a model of 16 bits: norms, biases, the position table and routers, as [`LoadOptions`] has it.
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
        let outline = Qwen3Vl::unread(config, &Device::flex());
        let mut sizes = Self {
            config: config.clone(),
            count: config.parameter_count(),
            linear: 0,
            small: 0,
            adapter: 0,
            layer_ranks: 0,
            vision_adapter: false,
        };
        let narrow = LoadOptions::new(WeightDtype::Bf16);
        outline.visit(&mut |name, param| {
            if narrow.dtype_of(name, &param) == WeightDtype::F32 {
                sizes.small += param.count() as u64;
            }
        });
        let adapted = match lora {
            Some(lora) => resolve(&outline, lora)?,
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

#[cfg(test)]
mod tests {
    //! Mutations tried: the position table counted as a matrix, an adapter counted with its input only.

    use super::*;
    use crate::PRESETS;
    use crate::lora::Targets;

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
    fn what_loading_keeps_in_f32_is_counted_so_routers_too() {
        let of = |name| ModelSizes::of(&ModelConfig::preset(name).unwrap(), None).unwrap();
        let mixture = of("30b-a3b");
        let text = &mixture.config.text;
        let vision = &mixture.config.vision;
        let norms = mixture.count.norms;
        assert!(mixture.count.routers > 0);
        let tower = (vision.num_position_embeddings * vision.hidden_size) as u64;
        // The vision tower of the 8B is the same, but for the width that it is mapped to.
        let (dense, dense_norms) = (of("8b"), of("8b").count.norms);
        let maps = 1 + vision.deepstack_visual_indexes.len() as u64;
        let narrower = (dense.config.text.hidden_size - text.hidden_size) as u64 * maps;
        assert!(mixture.small > tower + norms + mixture.count.routers);
        assert_eq!(
            mixture.small - norms - mixture.count.routers,
            dense.small - dense_norms - narrower
        );
    }
}
