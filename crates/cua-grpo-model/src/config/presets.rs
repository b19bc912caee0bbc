//! The sizes of the released models, for planning and benches where no checkpoint is at hand.

use super::{ModelConfig, MoeConfig, TextConfig, VisionConfig, presets_qwen3_5};

/// Names that [`ModelConfig::preset`] knows.
pub const PRESETS: [&str; 10] = [
    "2b",
    "4b",
    "8b",
    "32b",
    "30b-a3b",
    "qwen35-0.8b",
    "qwen35-2b",
    "qwen35-4b",
    "qwen35-9b",
    "qwen35-27b",
];

/// What differs between the released text decoders.
struct Text {
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    intermediate: usize,
}

impl ModelConfig {
    /// The released size that a name such as `Qwen/Qwen3-VL-8B-Instruct` says, with its configuration: `8b` here. `None`
    /// for the name of another family, or of no released size.
    pub fn released(name: &str) -> Option<(Self, String)> {
        let lower = name.to_lowercase();
        if ["qwen3.5", "qwen3_5", "qwen35"].iter().any(|word| lower.contains(word)) {
            // The date of a build (`-2B-2507`) and the word `base` are no sizes.
            let mut sizes = lower.split(['/', '-', '_']).map(|part| format!("qwen35-{part}"));
            return sizes.find_map(|size| Some((Self::preset(&size)?, size)));
        }
        // A size alone, or in the name of a model of this family: others of the same size have other shapes.
        let family = ["qwen3-vl", "qwen3_vl", "qwen3vl"]
            .iter()
            .any(|word| lower.contains(word));
        if !family && Self::preset(&lower).is_none() {
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
            .find_map(|part| Self::preset(part).map(|config| (config, part.to_owned())))
    }

    /// The configuration of a released model by its name in [`PRESETS`]; `None` for another name.
    /// Upper case is understood.
    ///
    /// The values are those of the published `config.json` files. A checkpoint's own file is the authority when there
    /// is one: [`ModelConfig::load`].
    pub fn preset(name: &str) -> Option<Self> {
        let (text, large_tower, tied, moe) = match name.to_ascii_lowercase().as_str() {
            "2b" => (text(2048, 28, 16, 8, 6144), false, true, None),
            "4b" => (text(2560, 36, 32, 8, 9728), false, true, None),
            "8b" => (text(4096, 36, 32, 8, 12288), true, false, None),
            "32b" => (text(5120, 64, 64, 8, 25600), true, false, None),
            // The dense width of the mixture is in its file, and no layer uses it.
            "30b-a3b" => (text(2048, 48, 32, 4, 6144), true, false, Some(experts())),
            other => return presets_qwen3_5::preset(other),
        };
        let out_hidden_size = text.hidden;
        Some(Self {
            text: TextConfig {
                vocab_size: 151_936,
                hidden_size: text.hidden,
                num_hidden_layers: text.layers,
                num_attention_heads: text.heads,
                num_key_value_heads: text.kv_heads,
                head_dim: 128,
                intermediate_size: text.intermediate,
                rms_norm_eps: 1e-6,
                rope_theta: 5_000_000.0,
                rope_scaling: super::RopeScaling::Default,
                mrope_section: [24, 20, 20],
                max_position_embeddings: 262_144,
                attention_bias: false,
                hidden_act: crate::nn::Activation::Silu,
                moe,
                hybrid: None,
            },
            vision: VisionConfig {
                depth: if large_tower { 27 } else { 24 },
                hidden_size: if large_tower { 1152 } else { 1024 },
                intermediate_size: if large_tower { 4304 } else { 4096 },
                num_heads: 16,
                in_channels: 3,
                patch_size: 16,
                temporal_patch_size: 2,
                spatial_merge_size: 2,
                num_position_embeddings: 2304,
                out_hidden_size,
                hidden_act: crate::nn::Activation::GeluTanh,
                rope_theta: 10_000.0,
                deepstack_visual_indexes: if large_tower { vec![8, 16, 24] } else { vec![5, 11, 17] },
            },
            tie_word_embeddings: tied,
            image_token_id: 151_655,
            video_token_id: 151_656,
            vision_start_token_id: 151_652,
            vision_end_token_id: 151_653,
        })
    }
}

fn text(hidden: usize, layers: usize, heads: usize, kv_heads: usize, intermediate: usize) -> Text {
    Text {
        hidden,
        layers,
        heads,
        kv_heads,
        intermediate,
    }
}

fn experts() -> MoeConfig {
    MoeConfig {
        num_experts: 128,
        num_experts_per_tok: 8,
        moe_intermediate_size: 768,
        decoder_sparse_step: 1,
        mlp_only_layers: Vec::new(),
        shared_expert_intermediate_size: None,
    }
}
