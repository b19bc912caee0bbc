//! The sizes of a model.

use super::rope::RopeScaling;
use crate::nn::Activation;

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
    /// What a decoder of Qwen3.5 has besides; `None` for Qwen3-VL.
    pub hybrid: Option<HybridConfig>,
}

/// What a decoder of Qwen3.5 has besides: most layers keep a state in place of keys and values (gated DeltaNet), attention
/// in the others is gated and turns the beginning of each head alone, and norms multiply by 1 and their weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HybridConfig {
    /// For each layer, whether it has attention.
    pub full_attention: Vec<bool>,
    /// Width of the part of a head that is turned.
    pub rotary_dim: usize,
    /// Tokens that the convolution sees, the token itself among them.
    pub conv_kernel: usize,
    /// Heads of queries and keys.
    pub key_heads: usize,
    /// Heads of values; a multiple of those of keys.
    pub value_heads: usize,
    /// Width of a query and of a key.
    pub key_head_dim: usize,
    /// Width of a value.
    pub value_head_dim: usize,
}

impl HybridConfig {
    /// Whether layer `layer` has attention.
    pub fn is_full(&self, layer: usize) -> bool {
        self.full_attention.get(layer).copied().unwrap_or(true)
    }

    /// Width of the values of all heads.
    pub fn value_width(&self) -> usize {
        self.value_heads * self.value_head_dim
    }

    /// Width of queries, keys and values of all heads.
    pub fn channels(&self) -> usize {
        2 * self.key_heads * self.key_head_dim + self.value_width()
    }

    /// Numbers of the state of one layer: those of the delta rule, and those of the convolution.
    pub fn state(&self) -> [usize; 2] {
        let memory = self.value_width() * self.key_head_dim;
        [memory, (self.conv_kernel - 1) * self.channels()]
    }
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
    /// Width of the expert that every token goes through; `None` where there is none.
    pub shared_expert_intermediate_size: Option<usize>,
}

impl TextConfig {
    /// What of this decoder the graph of a card does not compute; `None` when it computes all of it. Such a model decodes
    /// layer by layer.
    pub fn beyond_the_graph(&self) -> Option<&'static str> {
        match self {
            Self { hybrid: Some(_), .. } => Some("recurrent layers"),
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

    /// Width of the part of a head that is turned, from its beginning.
    pub fn rotary_dim(&self) -> usize {
        self.hybrid.as_ref().map_or(self.head_dim, |hybrid| hybrid.rotary_dim)
    }

    /// Number of layers that keep keys and values.
    pub fn attention_layers(&self) -> usize {
        let layers = 0..self.num_hidden_layers;
        layers
            .filter(|&layer| self.hybrid.as_ref().is_none_or(|hybrid| hybrid.is_full(layer)))
            .count()
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
    /// Checks that the sizes fit each other.
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_limits()?;
        let (text, vision) = (&self.text, &self.vision);
        if !text.num_attention_heads.is_multiple_of(text.num_key_value_heads) {
            let (heads, kv_heads) = (text.num_attention_heads, text.num_key_value_heads);
            return Err(format!(
                "num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}"
            ));
        }
        if let Some(hybrid) = &text.hybrid
            && !hybrid.value_heads.is_multiple_of(hybrid.key_heads)
        {
            let (heads, key_heads) = (hybrid.value_heads, hybrid.key_heads);
            return Err(format!(
                "linear_num_value_heads {heads} is not a multiple of linear_num_key_heads {key_heads}"
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
