//! Writing `config.json`.

use super::families::dialect;
use super::model::ModelConfig;
use serde_json::{Value, json};

impl ModelConfig {
    /// The JSON of a `config.json` in the released (4.57) layout, which every version reads.
    pub fn to_json(&self, bos: u32, eos: u32) -> Value {
        let (text, vision) = (&self.text, &self.vision);
        let family = dialect(self.family());
        let kind = family.model_types[usize::from(text.moe.is_some())];
        let architecture = family.architectures[usize::from(text.moe.is_some())];
        let mut json = json!({
            "architectures": [architecture],
            "image_token_id": self.image_token_id,
            "model_type": kind,
            "text_config": {
                "attention_bias": text.attention_bias,
                "attention_dropout": 0.0,
                "bos_token_id": bos,
                "dtype": "float32",
                "eos_token_id": eos,
                "head_dim": text.head_dim,
                "hidden_act": text.hidden_act.name(),
                "hidden_size": text.hidden_size,
                "initializer_range": 0.02,
                "intermediate_size": text.intermediate_size,
                "max_position_embeddings": text.max_position_embeddings,
                "model_type": format!("{kind}_text"),
                "num_attention_heads": text.num_attention_heads,
                "num_hidden_layers": text.num_hidden_layers,
                "num_key_value_heads": text.num_key_value_heads,
                "rms_norm_eps": text.rms_norm_eps,
                "tie_word_embeddings": self.tie_word_embeddings,
                "use_cache": true,
                "vocab_size": text.vocab_size
            },
            "tie_word_embeddings": self.tie_word_embeddings,
            "video_token_id": self.video_token_id,
            "vision_config": {
                "deepstack_visual_indexes": vision.deepstack_visual_indexes,
                "depth": vision.depth,
                "hidden_act": vision.hidden_act.name(),
                "hidden_size": vision.hidden_size,
                "in_channels": vision.in_channels,
                "initializer_range": 0.02,
                "intermediate_size": vision.intermediate_size,
                "model_type": kind,
                "num_heads": vision.num_heads,
                "num_position_embeddings": vision.num_position_embeddings,
                "out_hidden_size": vision.out_hidden_size,
                "patch_size": vision.patch_size,
                "spatial_merge_size": vision.spatial_merge_size,
                "temporal_patch_size": vision.temporal_patch_size
            },
            "vision_end_token_id": self.vision_end_token_id,
            "vision_start_token_id": self.vision_start_token_id
        });
        if vision.rope_theta != 10_000.0 {
            json["vision_config"]["rope_parameters"] = json!({"rope_theta": vision.rope_theta, "rope_type": "axial"});
        }
        (family.write)(self, &mut json);
        json
    }
}
