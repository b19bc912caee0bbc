//! What is measured: prompts of random tokens with one screenshot each.

use anyhow::{Context, Result, bail};
use cua_grpo_core::{Image, Row};
use cua_grpo_model::batch::{ImageCache, RowInput};
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
    /// Its pixels, read once.
    pub images: Arc<ImageCache>,
}

impl Workload {
    pub fn new(preset: &str, config: &ModelConfig, text: usize, size: &str) -> Result<Self> {
        let sides = size.split_once('x').map(|(width, height)| (width.parse(), height.parse()));
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
        noise.write_to(&mut bytes, image::ImageFormat::Png).context("encode the screenshot")?;
        let processor = ImageProcessorConfig {
            patch_size: config.vision.patch_size,
            merge_size: config.vision.spatial_merge_size,
            temporal_patch_size: config.vision.temporal_patch_size,
            size: PixelBudget {
                shortest_edge: side * side,
                longest_edge: width * height,
            },
            ..ImageProcessorConfig::default()
        };
        Ok(Self {
            preset: preset.to_owned(),
            config: config.clone(),
            text,
            size: (width, height),
            image: Image::new(bytes.into_inner()),
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
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
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

    /// A prompt for the model.
    pub fn prompt(&self, number: usize) -> Result<RowInput> {
        let pixels = self.images.pixels(&self.image)?;
        Ok(RowInput::given(self.tokens(self.text, number), vec![pixels]))
    }

    /// A row whose every token but the first is trained.
    pub fn row(&self, text: usize, number: usize) -> Row {
        let tokens = self.tokens(text, number);
        let count = tokens.len();
        let mut trained = vec![true; count];
        trained[0] = false;
        Row {
            tokens,
            trained,
            logprobs: vec![0.0; count],
            versions: vec![0; count],
            images: vec![self.image.clone()],
        }
    }
}

/// Puts the weights of all linear maps in four bits.
pub fn quantise(model: &mut Qwen3Vl) -> Result<()> {
    let mut result = Ok(());
    model.visit_linear(&mut |_, linear| {
        if result.is_ok() {
            result = linear.weight.quantise();
        }
    });
    result.context("--load-in-4bit")
}
