//! A small random model with the heads that the kernels of a card take, and rows of random tokens with a screenshot each.

use burn::tensor::{DType, Device};
use cua_grpo_core::{Completion, Image, Prompt, Row, StopReason};
use cua_grpo_model::batch::ImageCache;
use cua_grpo_model::nn::ParamMut;
use cua_grpo_model::processor::{ImageProcessorConfig, PixelBudget};
use cua_grpo_model::{ModelConfig, Qwen3Vl};
use std::sync::Arc;

/// Sides of the screenshot, in pixels: nothing is resized.
const SIDES: [u32; 2] = [64, 96];

/// A screenshot of noise, and the sizes that tokens depend on.
pub struct Workload {
    config: ModelConfig,
    /// The screenshot.
    pub image: Image,
    /// Its pixels, read once.
    pub images: Arc<ImageCache>,
}

/// Sizes that are small enough for a CPU. Wide enough that the decoder's products of several rows leave their input where
/// it lies, and take it in parts.
pub fn tiny() -> ModelConfig {
    let mut config = ModelConfig::preset("2b").unwrap();
    let (text, vision) = (&mut config.text, &mut config.vision);
    (text.vocab_size, text.hidden_size, text.intermediate_size) = (4096, 256, 3072);
    text.num_hidden_layers = 4;
    (text.num_attention_heads, text.num_key_value_heads) = (4, 2);
    (vision.depth, vision.num_heads) = (4, 2);
    (vision.hidden_size, vision.intermediate_size) = (128, 256);
    vision.out_hidden_size = text.hidden_size;
    vision.deepstack_visual_indexes = vec![0, 1, 2];
    config.image_token_id = 4090;
    config.video_token_id = 4091;
    config.vision_start_token_id = 4092;
    config.vision_end_token_id = 4093;
    config
}

impl Workload {
    pub fn new(config: &ModelConfig) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let noise = image::RgbImage::from_fn(SIDES[0], SIDES[1], |_, _| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let [a, b, c, ..] = (state >> 33).to_le_bytes();
            image::Rgb([a, b, c])
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        noise.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        let processor = ImageProcessorConfig {
            patch_size: config.vision.patch_size,
            merge_size: config.vision.spatial_merge_size,
            temporal_patch_size: config.vision.temporal_patch_size,
            ..ImageProcessorConfig::qwen3_vl(PixelBudget {
                shortest_edge: 1,
                longest_edge: (SIDES[0] * SIDES[1]) as usize,
            })
        };
        Self {
            config: config.clone(),
            image: Image::new(bytes.into_inner()),
            images: Arc::new(ImageCache::new(processor, 64)),
        }
    }

    /// Token ids of row `number`: half of the random text, the screenshot, the other half.
    pub fn tokens(&self, text: usize, number: usize) -> Vec<u32> {
        let config = &self.config;
        let side = config.vision.patch_size * config.vision.spatial_merge_size;
        let merged = SIDES.iter().map(|&pixels| pixels as usize / side).product();
        let vocab = config.text.vocab_size.min(4000) as u64;
        let mut state = 0x2545_f491_4f6c_dd1du64.wrapping_mul(number as u64 + 1);
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % vocab) as u32
        };
        let mut tokens: Vec<u32> = (0..text / 2).map(|_| random()).collect();
        tokens.push(config.vision_start_token_id);
        tokens.extend(std::iter::repeat_n(config.image_token_id, merged));
        tokens.push(config.vision_end_token_id);
        tokens.extend((text / 2..text).map(|_| random()));
        tokens
    }

    /// A row whose every token but the first is trained.
    pub fn row(&self, text: usize, number: usize) -> Row {
        let mut tokens = self.tokens(text, number);
        let reply = tokens.split_off(1);
        let logprobs = vec![0.0; reply.len()];
        let mut row = Row::new(1.0);
        row.push_prompt(&Prompt::new(tokens).with_images(vec![self.image.clone()]));
        let reply = Completion::new(reply, logprobs, 0, StopReason::Stop).unwrap();
        row.push_completion(&reply).unwrap();
        row
    }
}

/// Moves every tensor, in `dtype`, as loading would; adapters stay in f32.
pub fn move_to(model: &mut Qwen3Vl, device: &Device, dtype: DType) {
    model.visit_mut(&mut |_, slot| match slot {
        ParamMut::Vector(tensor) => *tensor = tensor.clone().to_device(device).cast(dtype),
        ParamMut::Matrix(tensor) => *tensor = tensor.clone().to_device(device).cast(dtype),
    });
    model.visit_linear_mut(&mut |_, linear| {
        if let Some(pair) = &mut linear.lora {
            pair.a = pair.a.clone().to_device(device);
            pair.b = pair.b.clone().to_device(device);
        }
    });
    #[cfg(feature = "cuda")]
    if *device != Device::flex() {
        // As a loaded model has them.
        model.join_projections();
    }
}
