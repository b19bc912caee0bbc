//! The sizes of the released dense Qwen3.5 models, as published; no weights of them were at hand.

use super::{HybridConfig, ModelConfig, RopeScaling, TextConfig, VisionConfig};
use crate::nn::Activation;

/// What differs between them.
struct Sizes {
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    intermediate: usize,
    value_heads: usize,
    tied: bool,
    /// Width, depth, heads and width of the MLP of the vision tower.
    tower: [usize; 4],
}

const SMALL: [usize; 4] = [768, 12, 12, 3072];
const MIDDLE: [usize; 4] = [1024, 24, 16, 4096];
const LARGE: [usize; 4] = [1152, 27, 16, 4304];

fn sizes(name: &str) -> Option<Sizes> {
    let (text, heads, value_heads, tied, tower) = match name {
        "qwen35-0.8b" => ([1024, 24, 3584], [8, 2], 16, true, SMALL),
        "qwen35-2b" => ([2048, 24, 6144], [8, 2], 16, true, MIDDLE),
        "qwen35-4b" => ([2560, 32, 9216], [16, 4], 32, true, MIDDLE),
        "qwen35-9b" => ([4096, 32, 12288], [16, 4], 32, false, LARGE),
        "qwen35-27b" => ([5120, 64, 17408], [24, 4], 48, false, LARGE),
        _ => return None,
    };
    let ([hidden, layers, intermediate], [heads, kv_heads]) = (text, heads);
    Some(Sizes {
        hidden,
        layers,
        heads,
        kv_heads,
        intermediate,
        value_heads,
        tied,
        tower,
    })
}

/// The configuration of the model of that name.
pub(super) fn preset(name: &str) -> Option<ModelConfig> {
    let sizes = sizes(name)?;
    let [hidden_size, depth, num_heads, intermediate_size] = sizes.tower;
    Some(ModelConfig {
        text: TextConfig {
            vocab_size: 248_320,
            hidden_size: sizes.hidden,
            num_hidden_layers: sizes.layers,
            num_attention_heads: sizes.heads,
            num_key_value_heads: sizes.kv_heads,
            head_dim: 256,
            intermediate_size: sizes.intermediate,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000_000.0,
            rope_scaling: RopeScaling::Default,
            mrope_section: [11, 11, 10],
            max_position_embeddings: 262_144,
            attention_bias: false,
            hidden_act: Activation::Silu,
            moe: None,
            hybrid: Some(HybridConfig {
                full_attention: (1..=sizes.layers).map(|number| number.is_multiple_of(4)).collect(),
                rotary_dim: 64,
                conv_kernel: 4,
                key_heads: 16,
                value_heads: sizes.value_heads,
                key_head_dim: 128,
                value_head_dim: 128,
            }),
        },
        vision: VisionConfig {
            depth,
            hidden_size,
            intermediate_size,
            num_heads,
            in_channels: 3,
            patch_size: 16,
            temporal_patch_size: 2,
            spatial_merge_size: 2,
            num_position_embeddings: 2304,
            out_hidden_size: sizes.hidden,
            hidden_act: Activation::GeluTanh,
            rope_theta: 10_000.0,
            deepstack_visual_indexes: Vec::new(),
        },
        tie_word_embeddings: sizes.tied,
        image_token_id: 248_056,
        video_token_id: 248_057,
        vision_start_token_id: 248_053,
        vision_end_token_id: 248_054,
    })
}
