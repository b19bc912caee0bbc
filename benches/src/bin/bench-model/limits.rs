//! What the card could do at best: bytes that must move and operations that must be done, over its measured ceilings.
//!
//! Formulas (`docs/PERFORMANCE.md` explains them): a decode step reads every weight of the decoder and the head once and
//! the keys and values of every row; prefill and training do two operations a weight and token for each product with
//! the weights (one forward; forward, recomputation and input gradient in training), and those of attention.

use burn::tensor::Device;
use cua_grpo_model::ModelConfig;

/// Bytes a second of a large device copy on an NVIDIA H200, read and written together.
pub const BYTES_PER_S: f64 = 4.3e12;
/// Operations a second of a large bf16 product on an NVIDIA H200, on random data.
pub const FLOPS_PER_S: f64 = 7.9e14;

/// Weights of the decoder layers, in numbers.
fn decoder_weights(config: &ModelConfig) -> f64 {
    let text = &config.text;
    let attention = text.hidden_size * text.head_dim * (2 * text.num_attention_heads + 2 * text.num_key_value_heads);
    let mlp = 3 * text.hidden_size * text.intermediate_size;
    (text.num_hidden_layers * (attention + mlp)) as f64
}

/// Numbers of the output head.
fn head_weights(config: &ModelConfig) -> f64 {
    (config.text.hidden_size * config.text.vocab_size) as f64
}

/// Numbers of the vision blocks and mergers that a patch passes.
fn vision_weights(config: &ModelConfig) -> f64 {
    let vision = &config.vision;
    let block = 4 * vision.hidden_size * vision.hidden_size + 2 * vision.hidden_size * vision.intermediate_size;
    let wide = 4 * vision.hidden_size;
    let merger = (wide * wide + wide * vision.out_hidden_size) as f64 / 4.0;
    let mergers = 1.0 + vision.deepstack_visual_indexes.len() as f64;
    (vision.depth * block) as f64 + mergers * merger + (vision.patch_values() * vision.hidden_size) as f64
}

/// Seconds that a decode step takes at least: the weights at `bits` each, the head in bf16, keys and values of `length`
/// tokens a row.
pub fn decode_step_s(config: &ModelConfig, batch: usize, length: usize, bits: f64) -> f64 {
    let text = &config.text;
    let cache = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * length * batch * 2;
    (decoder_weights(config) * bits / 8.0 + head_weights(config) * 2.0 + cache as f64) / BYTES_PER_S
}

/// Operations of one forward pass over `rows` rows of `tokens` tokens, each with `patches` patches; the head over
/// `scored` tokens of each row.
pub fn forward_flops(config: &ModelConfig, rows: usize, tokens: usize, patches: usize, scored: usize) -> f64 {
    let text = &config.text;
    let (n, p) = (tokens as f64, patches as f64);
    let attention = 2.0 * n * n * (text.num_attention_heads * text.head_dim * text.num_hidden_layers) as f64;
    let vision_attention = 4.0 * p * p * (config.vision.hidden_size * config.vision.depth) as f64;
    let products =
        2.0 * (n * decoder_weights(config) + p * vision_weights(config) + scored as f64 * head_weights(config));
    rows as f64 * (products + attention + vision_attention)
}

/// GiB of the card that are in use, by everyone; 0 on a CPU.
pub fn used_gib(device: &Device) -> f64 {
    #[cfg(feature = "cuda")]
    if *device != Device::flex()
        && let Ok((free, total)) = cua_grpo_kernels::cuda::memory(device)
    {
        return (total - free) as f64 / (1u64 << 30) as f64;
    }
    let _ = device;
    0.0
}
