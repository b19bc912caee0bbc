//! Number of weights by component, computed from the configuration alone.

use super::{ModelConfig, TextConfig, VisionConfig};

/// Weights of a model by component; biases and norms belong to the component that they stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParameterCount {
    /// Vision tower: patches, positions, blocks.
    pub vision_blocks: u64,
    /// The merger and the deepstack mergers.
    pub vision_mergers: u64,
    /// The token embedding.
    pub embedding: u64,
    /// The projections of every decoder layer's mixer, and what a recurrent one has besides.
    pub attention: u64,
    /// The gated MLPs of the dense decoder layers.
    pub mlp: u64,
    /// The routers of the sparse decoder layers.
    pub routers: u64,
    /// The experts of the sparse decoder layers.
    pub experts: u64,
    /// Of `experts`, those that one token goes through.
    pub active_experts: u64,
    /// The norms of the decoder.
    pub norms: u64,
    /// The output head; 0 when it is the embedding.
    pub head: u64,
}

impl ParameterCount {
    /// All weights that are stored, a tied head counted once.
    pub fn total(&self) -> u64 {
        self.vision() + self.decoder() + self.embedding + self.head
    }

    /// The whole vision tower.
    pub fn vision(&self) -> u64 {
        self.vision_blocks + self.vision_mergers
    }

    /// The decoder layers and the last norm, without embedding and head.
    pub fn decoder(&self) -> u64 {
        self.attention + self.mlp + self.routers + self.experts + self.norms
    }

    /// Weights that one text token goes through, embedding and head included: less than the total with experts.
    pub fn active(&self) -> u64 {
        self.decoder() - self.experts + self.active_experts + self.embedding + self.head
    }
}

impl ModelConfig {
    /// Number of weights by component, as in the checkpoint.
    pub fn parameter_count(&self) -> ParameterCount {
        let mut count = ParameterCount::default();
        count_vision(&self.vision, &mut count);
        count_text(&self.text, &mut count);
        if !self.tie_word_embeddings {
            count.head = count.embedding;
        }
        count
    }
}

fn linear(input: u64, output: u64) -> u64 {
    input * output + output
}

fn count_vision(vision: &VisionConfig, count: &mut ParameterCount) {
    let (hidden, width) = (vision.hidden_size as u64, vision.intermediate_size as u64);
    let norm = 2 * hidden;
    let block =
        2 * norm + linear(hidden, 3 * hidden) + linear(hidden, hidden) + linear(hidden, width) + linear(width, hidden);
    count.vision_blocks = linear(vision.patch_values() as u64, hidden)
        + vision.num_position_embeddings as u64 * hidden
        + vision.depth as u64 * block;
    let wide = hidden * (vision.spatial_merge_size as u64).pow(2);
    let maps = linear(wide, wide) + linear(wide, vision.out_hidden_size as u64);
    // The last merger norms each patch, the deepstack mergers the joined row.
    count.vision_mergers = maps + norm + vision.deepstack_visual_indexes.len() as u64 * (maps + 2 * wide);
}

fn count_text(text: &TextConfig, count: &mut ParameterCount) {
    let (hidden, head) = (text.hidden_size as u64, text.head_dim as u64);
    let (query, key_value) = (
        text.num_attention_heads as u64 * head,
        text.num_key_value_heads as u64 * head,
    );
    let layers = text.num_hidden_layers as u64;
    count.embedding = text.vocab_size as u64 * hidden;
    let gates = if text.hybrid.is_some() { query } else { 0 };
    let biases = if text.attention_bias {
        gates + query + 2 * key_value + hidden
    } else {
        0
    };
    let full = text.attention_layers() as u64;
    count.attention = full * (hidden * (2 * query + gates) + 2 * hidden * key_value + biases);
    count.norms = layers * 2 * hidden + full * 2 * head + hidden;
    if let Some(hybrid) = &text.hybrid {
        let (heads, values) = (hybrid.value_heads as u64, hybrid.value_width() as u64);
        let (channels, taps) = (hybrid.channels() as u64, hybrid.conv_kernel as u64);
        let maps = hidden * (channels + 2 * values + 2 * heads);
        count.attention += (layers - full) * (maps + channels * taps + 2 * heads);
        count.norms += (layers - full) * hybrid.value_head_dim as u64;
    }
    let sparse = (0..text.num_hidden_layers)
        .filter(|&layer| text.is_sparse(layer))
        .count() as u64;
    count.mlp = (layers - sparse) * 3 * hidden * text.intermediate_size as u64;
    if let Some(moe) = &text.moe {
        let expert = 3 * hidden * moe.moe_intermediate_size as u64;
        // The shared expert and its gate.
        let shared = moe.shared_expert_intermediate_size;
        let shared = shared.map_or(0, |width| 3 * hidden * width as u64 + hidden);
        count.routers = sparse * hidden * moe.num_experts as u64;
        count.experts = sparse * (moe.num_experts as u64 * expert + shared);
        count.active_experts = sparse * (moe.num_experts_per_tok as u64 * expert + shared);
    }
}

#[cfg(test)]
mod tests {
    //! Mutations tried: a bias in the text projections, deepstack norms of the narrow width, an untied 4B, one layer
    //! counted dense in the mixture: each fails `released_sizes`.

    use super::*;

    /// Counted with transformers on the meta device.
    const TOTALS: [(&str, u64); 10] = [
        ("2b", 2_127_532_032),
        ("4b", 4_437_815_808),
        ("8b", 8_767_123_696),
        ("32b", 33_357_390_064),
        ("30b-a3b", 31_070_754_032),
        ("qwen35-0.8b", 852_985_920),
        ("qwen35-2b", 2_213_241_664),
        ("qwen35-4b", 4_539_265_536),
        ("qwen35-9b", 9_409_813_744),
        ("qwen35-27b", 27_356_728_560),
    ];

    #[test]
    fn released_sizes() {
        assert_eq!(TOTALS.map(|(name, _)| name), crate::PRESETS);
        for (name, total) in TOTALS {
            assert_eq!(
                ModelConfig::preset(name).unwrap().parameter_count().total(),
                total,
                "{name}"
            );
        }
        assert!(ModelConfig::preset("7b").is_none());
        assert_eq!(ModelConfig::preset("30B-A3B"), ModelConfig::preset("30b-a3b"));
        let mixture = ModelConfig::preset("30b-a3b").unwrap().parameter_count();
        assert_eq!(mixture.mlp, 0);
        assert_eq!(mixture.experts, 16 * mixture.active_experts);
    }

    #[test]
    fn the_count_is_that_of_the_model() {
        for set in ["a", "b", "qwen35"] {
            let dir = format!("{}/tests/fixtures/{set}", env!("CARGO_MANIFEST_DIR"));
            let config = ModelConfig::load(dir.as_ref()).unwrap();
            let model = crate::Qwen3Vl::init(&config, 0, &burn::tensor::Device::flex());
            assert_eq!(config.parameter_count().total(), model.num_params() as u64, "{set}");
        }
    }
}
