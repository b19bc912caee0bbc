//! Time of one training step of the starter model. Run by hand: `cargo test -p cua-grpo-model --test speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use burn::tensor::Device;
use cua_grpo_model::batch::{Batch, Prefix, RowInput};
use cua_grpo_model::lora::{LoraConfig, Targets, attach};
use cua_grpo_model::processor::{Grid, Pixels};
use cua_grpo_model::{ModelConfig, Qwen3Vl, TextConfig, Trainable, VisionConfig};
use std::sync::Arc;
use std::time::Instant;

fn config() -> ModelConfig {
    ModelConfig {
        text: TextConfig {
            vocab_size: 640,
            hidden_size: 128,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 32,
            intermediate_size: 384,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            rope_scaling: cua_grpo_model::RopeScaling::Default,
            mrope_section: [6, 5, 5],
            max_position_embeddings: 4096,
            attention_bias: false,
            hidden_act: cua_grpo_model::nn::Activation::Silu,
            moe: None,
            hybrid: None,
        },
        vision: VisionConfig {
            depth: 4,
            hidden_size: 96,
            intermediate_size: 256,
            num_heads: 4,
            in_channels: 3,
            patch_size: 16,
            temporal_patch_size: 2,
            spatial_merge_size: 2,
            num_position_embeddings: 576,
            out_hidden_size: 128,
            hidden_act: cua_grpo_model::nn::Activation::GeluTanh,
            rope_theta: 10_000.0,
            deepstack_visual_indexes: vec![1, 2],
        },
        tie_word_embeddings: true,
        image_token_id: 4,
        video_token_id: 5,
        vision_start_token_id: 2,
        vision_end_token_id: 3,
    }
}

/// `turns` screens of 24 x 12 patches, each with some text around it.
fn row(seed: u32, turns: usize) -> RowInput {
    let mut tokens = Vec::new();
    let mut pixels = Vec::new();
    for turn in 0..turns as u32 {
        tokens.extend((0..20).map(|i| 10 + (seed * 31 + turn * 7 + i) % 600));
        tokens.push(2);
        tokens.extend([4; 72]);
        tokens.push(3);
        let values = (0..288 * 1536)
            .map(|i| ((i as u32 ^ seed ^ turn) % 97) as f32 / 48.0 - 1.0)
            .collect();
        pixels.push(Arc::new(Pixels::new(values, Grid::new(1, 24, 12))));
    }
    RowInput::given(tokens, pixels)
}

#[test]
#[ignore = "measures time"]
fn training_step() {
    let mut model = Qwen3Vl::init(&config(), 1, &Device::flex());
    let rows: Vec<RowInput> = (0..16).map(|seed| row(seed, 4)).collect();
    let names =
        "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj attn.qkv attn.proj mlp.linear_fc1 mlp.linear_fc2";
    for which in [Trainable::Everything, Trainable::Adapter] {
        if matches!(which, Trainable::Adapter) {
            let targets = Targets::Names(names.split(' ').map(str::to_owned).collect());
            let config = LoraConfig::new(16, 32.0, targets);
            attach(&mut model, &config, 1).unwrap();
        }
        let mut best = [f64::INFINITY; 4];
        for _ in 0..4 {
            let trained = model.trainable(which);
            let start = Instant::now();
            let batch = Batch::assemble(&trained, &rows, &Prefix::default()).unwrap();
            let assembled = start.elapsed().as_secs_f64();
            let images: Vec<&Pixels> = batch.pixels.iter().map(AsRef::as_ref).collect();
            let features = trained.visual.forward(&images);
            let vision = start.elapsed().as_secs_f64();
            let mut input = batch.input.clone();
            input.vision = batch.visual.clone().map(|index| (features, index));
            let hidden = trained.hidden(input, None);
            let forward = start.elapsed().as_secs_f64();
            let loss = (hidden.clone() * hidden).mean();
            let _grads = loss.backward();
            let all = start.elapsed().as_secs_f64();
            for (best, time) in best
                .iter_mut()
                .zip([assembled, vision - assembled, forward - vision, all - forward])
            {
                *best = best.min(time);
            }
        }
        let [assemble, vision, text, backward] = best.map(|seconds| seconds * 1e3);
        println!(
            "{which:?}: assemble {assemble:.0} ms, vision {vision:.0} ms, text {text:.0} ms, backward {backward:.0} ms, all {:.0} ms",
            assemble + vision + text + backward
        );
    }
}
