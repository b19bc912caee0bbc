//! What is measured: prompts of random tokens with one screenshot each.

use anyhow::{Context, Result, bail};
use burn::tensor::{DType, Device};
#[cfg(feature = "cuda")]
use burn::tensor::{Int, Tensor};
use cua_grpo_core::{Completion, Image, Prompt, Row, SamplingParams, StopReason};
#[cfg(feature = "cuda")]
use cua_grpo_kernels::cuda::Span;
use cua_grpo_model::batch::ImageCache;
#[cfg(feature = "cuda")]
use cua_grpo_model::batch::RowInput;
use cua_grpo_model::generate::Request;
use cua_grpo_model::processor::{ImageProcessorConfig, PixelBudget};
use cua_grpo_model::{ModelConfig, Qwen3Vl};
use std::sync::Arc;

/// A screenshot, and how many text tokens stand around it.
pub struct Workload {
    /// Name of the preset.
    pub preset: String,
    /// Sizes of the model.
    pub config: ModelConfig,
    /// Text tokens of a prompt.
    pub text: usize,
    /// Pixels of the screenshot, width and height.
    pub size: (usize, usize),
    /// The screenshot.
    pub image: Image,
    /// Bits of a weight of the decoder layers.
    pub weight_bits: f64,
    /// Its pixels, read once.
    pub images: Arc<ImageCache>,
}

impl Workload {
    pub fn new(preset: &str, config: &ModelConfig, text: usize, size: &str) -> Result<Self> {
        let sides = size
            .split_once('x')
            .map(|(width, height)| (width.parse(), height.parse()));
        let Some((Ok(width), Ok(height))) = sides else {
            bail!("--image {size}: expected WIDTHxHEIGHT, as 544x1216");
        };
        let side = config.vision.patch_size * config.vision.spatial_merge_size;
        if width % side != 0 || height % side != 0 || width * height == 0 {
            bail!("--image {size}: expected sides that are multiples of {side}, so that nothing is resized");
        }
        // Noise: no two patches are alike.
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let noise = image::RgbImage::from_fn(width as u32, height as u32, |_, _| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let [a, b, c, ..] = (state >> 33).to_le_bytes();
            image::Rgb([a, b, c])
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        noise
            .write_to(&mut bytes, image::ImageFormat::Png)
            .context("encode the screenshot")?;
        let processor = ImageProcessorConfig {
            patch_size: config.vision.patch_size,
            merge_size: config.vision.spatial_merge_size,
            temporal_patch_size: config.vision.temporal_patch_size,
            ..ImageProcessorConfig::qwen3_vl(PixelBudget {
                shortest_edge: side * side,
                longest_edge: width * height,
            })
        };
        Ok(Self {
            preset: preset.to_owned(),
            config: config.clone(),
            text,
            size: (width, height),
            image: Image::new(bytes.into_inner()),
            weight_bits: 16.0,
            images: Arc::new(ImageCache::new(processor, 64)),
        })
    }

    /// Merged patches of the screenshot.
    pub fn image_tokens(&self) -> usize {
        let side = self.config.vision.patch_size * self.config.vision.spatial_merge_size;
        (self.size.0 / side) * (self.size.1 / side)
    }

    /// Tokens of a row with `text` text tokens.
    pub fn tokens_of(&self, text: usize) -> usize {
        text + self.image_tokens() + 2
    }

    /// Token ids of row `number`: random text, the screenshot after the first 64 (or half of them).
    pub fn tokens(&self, text: usize, number: usize) -> Vec<u32> {
        let vocab = self.config.text.vocab_size.min(100_000) as u64;
        let mut state = 0x2545_f491_4f6c_dd1du64.wrapping_mul(number as u64 + 1);
        let special = [
            self.config.image_token_id,
            self.config.video_token_id,
            self.config.vision_start_token_id,
            self.config.vision_end_token_id,
        ];
        let mut random = || loop {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let token = ((state >> 33) % vocab) as u32;
            if !special.contains(&token) {
                return token;
            }
        };
        let before = 64.min(text / 2);
        let mut tokens: Vec<u32> = (0..before).map(|_| random()).collect();
        tokens.push(self.config.vision_start_token_id);
        tokens.extend(std::iter::repeat_n(self.config.image_token_id, self.image_tokens()));
        tokens.push(self.config.vision_end_token_id);
        tokens.extend((before..text).map(|_| random()));
        tokens
    }

    /// Prompts `0..batch` for the model, where they go in a fresh cache, and the numbers of their last tokens.
    #[cfg(feature = "cuda")]
    pub fn prompts(&self, batch: usize, device: &Device) -> Result<(Vec<RowInput>, Vec<Span>, Tensor<1, Int>)> {
        let (pixels, count) = (self.images.pixels(&self.image)?, self.tokens_of(self.text));
        let prompt = |number| RowInput::given(self.tokens(self.text, number), vec![pixels.clone()]);
        let span = |row| Span { row, start: 0, count };
        let last: Vec<i64> = (1..=batch).map(|rows| (rows * count - 1) as i64).collect();
        let last = Tensor::from_data(burn::tensor::TensorData::new(last, [batch]), device);
        Ok(((0..batch).map(prompt).collect(), (0..batch).map(span).collect(), last))
    }

    /// The same to the generation engine, at temperature 0.7 and top-p 0.9.
    pub fn request(&self, session: u64, number: usize, new_tokens: usize) -> Request {
        Request {
            session,
            prompt: Prompt::new(self.tokens(self.text, number)).with_images(vec![self.image.clone()]),
            params: SamplingParams::new(new_tokens.max(1))
                .with_temperature(0.7)
                .with_top_p(0.9)
                .with_seed(session),
        }
    }

    /// A row whose every token but the first is trained.
    pub fn row(&self, text: usize, number: usize) -> Row {
        let mut tokens = self.tokens(text, number);
        let reply = tokens.split_off(1);
        let logprobs = vec![0.0; reply.len()];
        let mut row = Row::new(1.0);
        row.push_prompt(&Prompt::new(tokens).with_images(vec![self.image.clone()]));
        let reply = Completion::new(reply, logprobs, 0, StopReason::Stop);
        // One log-prob for each token, so nothing is refused.
        let pushed = reply.and_then(|reply| row.push_completion(&reply));
        debug_assert!(pushed.is_ok(), "{pushed:?}");
        row
    }
}

/// Sizes by name; `tiny` is small enough for a CPU and has the heads that the CUDA kernels take.
pub fn preset(name: &str) -> Option<ModelConfig> {
    if name != "tiny" {
        return ModelConfig::preset(name);
    }
    let mut config = ModelConfig::preset("2b")?;
    let (text, vision) = (&mut config.text, &mut config.vision);
    (text.vocab_size, text.hidden_size, text.intermediate_size) = (4096, 256, 512);
    (
        text.num_hidden_layers,
        text.num_attention_heads,
        text.num_key_value_heads,
    ) = (4, 4, 2);
    (
        vision.depth,
        vision.hidden_size,
        vision.intermediate_size,
        vision.num_heads,
    ) = (4, 128, 256, 2);
    vision.out_hidden_size = text.hidden_size;
    vision.deepstack_visual_indexes = vec![0, 1, 2];
    config.image_token_id = 4090;
    config.video_token_id = 4091;
    config.vision_start_token_id = 4092;
    config.vision_end_token_id = 4093;
    Some(config)
}

/// A model with random weights, laid out as a loaded one.
pub fn random(config: &ModelConfig, device: &Device, dtype: DType, load_in_4bit: bool) -> Qwen3Vl {
    let mut model = Qwen3Vl::unread(config, device);
    if load_in_4bit {
        model.randomise_in_four_bits();
    }
    model.randomise(dtype);
    model.settle();
    model
}
