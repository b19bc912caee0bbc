//! Products of the sizes of a `config.json`: none overflows, and no outline of a model takes much memory. A file of others is
//! held against them before anything is allocated.

use super::ModelConfig;

/// Most weights of a model.
const MOST_WEIGHTS: u64 = 1 << 42;

/// Most matrices of experts, all layers together: each has a name and a place of its own.
const MOST_EXPERTS: usize = 1 << 17;

/// Most numbers of a vector that every layer has, all layers together.
const MOST_BIASES: usize = 1 << 24;

impl ModelConfig {
    /// That the products of the sizes stay in bounds, and that what must be even or below another size is so.
    ///
    /// # Errors
    /// Names the keys.
    pub(super) fn check_limits(&self) -> Result<(), String> {
        let config = self;
        let (text, vision) = (&config.text, &config.vision);
        let products = [
            (
                "num_attention_heads * head_dim",
                text.num_attention_heads * text.head_dim,
                1 << 17,
            ),
            (
                "depth * intermediate_size of vision_config",
                vision.depth * vision.intermediate_size,
                MOST_BIASES,
            ),
            (
                "num_hidden_layers * hidden_size",
                text.num_hidden_layers * text.hidden_size,
                MOST_BIASES,
            ),
            (
                "num_hidden_layers * num_experts",
                text.num_hidden_layers * text.moe.as_ref().map_or(0, |moe| moe.num_experts),
                MOST_EXPERTS,
            ),
        ];
        if let Some(hybrid) = &text.hybrid {
            let [memory, _] = hybrid.state();
            for (name, found, most) in [
                (
                    "linear_num_key_heads * linear_key_head_dim",
                    hybrid.key_heads * hybrid.key_head_dim,
                    1 << 17,
                ),
                (
                    "linear_num_value_heads * linear_value_head_dim",
                    hybrid.value_width(),
                    1 << 17,
                ),
                ("the numbers of a recurrent state", memory, 1 << 26),
            ] {
                if found > most {
                    return Err(format!("{name}: expected at most {most}, found {found}"));
                }
            }
        }
        for (name, found, most) in products {
            if found > most {
                return Err(format!("{name}: expected at most {most}, found {found}"));
            }
        }
        if !text.head_dim.is_multiple_of(2) {
            return Err(format!("head_dim: expected an even number, found {}", text.head_dim));
        }
        let half = text.rotary_dim() / 2;
        if text.mrope_section.iter().any(|part| *part > half) {
            return Err(format!(
                "mrope_section: expected at most {half} each, half of what is turned of a head, found {:?}",
                text.mrope_section
            ));
        }
        if !(0.0..1.0).contains(&text.rms_norm_eps) {
            return Err(format!(
                "rms_norm_eps: expected 0 or more and less than 1, found {}",
                text.rms_norm_eps
            ));
        }
        for (key, id) in [
            ("image_token_id", config.image_token_id),
            ("video_token_id", config.video_token_id),
            ("vision_start_token_id", config.vision_start_token_id),
            ("vision_end_token_id", config.vision_end_token_id),
        ] {
            if id as usize >= text.vocab_size {
                return Err(format!(
                    "{key}: expected an id below vocab_size {}, found {id}",
                    text.vocab_size
                ));
            }
        }
        // With the ranges above no sum overflows.
        let weights = config.parameter_count().total();
        if weights > MOST_WEIGHTS {
            return Err(format!(
                "the sizes make a model of {weights} weights; expected at most {MOST_WEIGHTS}"
            ));
        }
        Ok(())
    }
}
