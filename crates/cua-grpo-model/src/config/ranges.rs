//! The range of every key of a `config.json`: several times what any released model has.

/// Most layers of a tower.
pub(super) const MOST_LAYERS: usize = 512;

/// The least and the most that the key `key` may say.
pub(super) fn range(key: &str) -> (usize, usize) {
    match key {
        "vocab_size" => (1, 1 << 24),
        "image_token_id" | "video_token_id" | "vision_start_token_id" | "vision_end_token_id" => (0, (1 << 24) - 1),
        "hidden_size" | "out_hidden_size" => (1, 1 << 16),
        "intermediate_size" | "moe_intermediate_size" | "shared_expert_intermediate_size" => (1, 1 << 18),
        "num_hidden_layers" | "depth" | "full_attention_interval" => (1, MOST_LAYERS),
        "num_attention_heads" | "num_key_value_heads" | "num_heads" => (1, 1 << 10),
        "linear_num_key_heads" | "linear_num_value_heads" => (1, 1 << 10),
        "head_dim" => (2, 1 << 12),
        "linear_key_head_dim" | "linear_value_head_dim" => (1, 1 << 12),
        "linear_conv_kernel_dim" => (2, 64),
        "max_position_embeddings" | "original_max_position_embeddings" => (1, 1 << 27),
        "in_channels" => (1, 16),
        "patch_size" => (1, 256),
        "temporal_patch_size" => (1, 64),
        "spatial_merge_size" => (1, 16),
        "num_position_embeddings" => (1, 1 << 20),
        "num_experts" | "num_local_experts" | "num_experts_per_tok" => (0, 1 << 12),
        "decoder_sparse_step" => (0, MOST_LAYERS),
        "deepstack_visual_indexes" | "mlp_only_layers" => (0, MOST_LAYERS - 1),
        "mrope_section" => (0, 1 << 12),
        _ => (0, usize::MAX),
    }
}

/// Whether a number that is no size (a base of rotations, a factor) has reciprocals, powers and products that are numbers.
pub(super) fn is_moderate(number: f64) -> bool {
    number == 0.0 || (1e-15..=1e15).contains(&number.abs())
}
