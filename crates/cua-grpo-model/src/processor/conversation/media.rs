//! The pictures and clips of a conversation, read in the order in which the template writes them.

use super::picture;
use crate::processor::decode::MOST_PIXELS;
use crate::processor::{ChatRenderer, Grid, Pixels, VideoProcessorConfig, VideoSpan, decode_rgb, frame_timestamps};
use cua_grpo_core::Image;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// Most tokens of all pictures and clips of a conversation: their patches are held at once.
const MOST_TOKENS: usize = 1 << 18;

/// Most pixels of the frames of a clip, which are held at once as they are.
const MOST_FRAME_PIXELS: usize = 3 * MOST_PIXELS;

/// Keys of qwen-vl-utils for the size of one picture, which transformers' processor does not look at.
const SIZES: [&str; 4] = ["min_pixels", "max_pixels", "resized_height", "resized_width"];

/// The pictures and clips of a conversation, in order.
pub(super) struct Media<'a> {
    model: &'a Path,
    renderer: &'a ChatRenderer,
    folder: &'a Path,
    /// Positions that the model knows.
    context: Option<usize>,
    clips: Option<VideoProcessorConfig>,
    pub(super) pixels: Vec<Arc<Pixels>>,
    pub(super) pictures: Vec<Image>,
    pub(super) images: Vec<Grid>,
    pub(super) videos: Vec<Grid>,
    pub(super) spans: Vec<VideoSpan>,
}

impl<'a> Media<'a> {
    pub(super) fn new(model: &'a Path, renderer: &'a ChatRenderer, folder: &'a Path) -> Self {
        Self {
            model,
            renderer,
            folder,
            context: context(model),
            clips: None,
            pixels: Vec::new(),
            pictures: Vec::new(),
            images: Vec::new(),
            videos: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Reads what a part of a message shows, by the rules of the template: a picture where the type or a key says so,
    /// else a clip.
    pub(super) fn read(&mut self, part: &Value) -> Result<(), String> {
        let has = |key: &str| part.get(key).is_some();
        if part["type"] == "image" || part["type"] == "image_url" || has("image") || has("image_url") {
            let named = |key: &str| match &part[key] {
                Value::String(source) => Some(source.as_str()),
                Value::Object(url) => url.get("url").and_then(Value::as_str),
                _ => None,
            };
            let keys = ["image", "image_url", "url", "path", "base64"];
            // transformers counts a picture for each of these keys; `image_url` is another name of one.
            let counts = |key: &&str| *key != "image_url" && named(key).is_some();
            let given: Vec<&str> = keys.into_iter().filter(counts).collect();
            if given.len() > 1 {
                return Err(format!("a picture with two sources, {}; give one", given.join(" and ")));
            }
            let source = keys.into_iter().find_map(named);
            let source = source
                .ok_or("a picture without a file; write {\"type\": \"image\", \"image\": \"path\"}".to_owned())?;
            for key in SIZES.into_iter().filter(|key| !part[key].is_null()) {
                tracing::warn!(
                    "`{key}` of the picture `{}` is not applied: sizes are those of the processor's file, as in transformers",
                    shown(source)
                );
            }
            let bytes = self.bytes(source)?;
            let wrong = |error| format!("picture `{}`: {error}", shown(source));
            // Its head says how many tokens it has: what does not fit is not decoded.
            self.images
                .push(self.renderer.images().encoded_grid(&bytes).map_err(wrong)?);
            self.check_tokens()?;
            let pixels = self.renderer.images().process(&bytes).map_err(wrong)?;
            if let Some(grid) = self.images.last_mut() {
                *grid = pixels.grid;
            }
            self.pictures.push(Image::new(bytes));
            self.pixels.push(Arc::new(pixels));
        } else if part["type"] == "video" || has("video") {
            self.clip(part)?;
        } else if !has("text") && part["type"] != "text" {
            tracing::warn!(
                "a part of the type {} has no text, picture or clip: the model sees only what the template writes for it",
                part["type"]
            );
        }
        Ok(())
    }

    /// Reads a clip given as a list of sampled frames with their rate.
    fn clip(&mut self, part: &Value) -> Result<(), String> {
        let form = "{\"type\": \"video\", \"video\": [\"frame0.png\", ...], \"fps\": 2.0}, with \"frames_indices\": [...] where not every frame of the clip was taken";
        let frames = part["video"].as_array().filter(|frames| !frames.is_empty());
        let frames = frames.ok_or_else(|| format!("a clip is given as its sampled frames: {form}"))?;
        let fps = part["fps"].as_f64().filter(|&fps| fps > 0.0);
        let fps = fps.ok_or_else(|| format!("a clip needs its frames per second: {form}"))?;
        let indices: Vec<usize> = match &part["frames_indices"] {
            Value::Null => (0..frames.len()).collect(),
            given => serde_json::from_value(given.clone())
                .map_err(|_| format!("frames_indices: expected whole numbers, found {given}"))?,
        };
        if indices.len() != frames.len() {
            return Err(format!(
                "frames_indices: expected one for each of {} frames, found {}",
                frames.len(),
                indices.len()
            ));
        }
        let (mut pictures, mut pixels) = (Vec::new(), 0);
        for frame in frames {
            let source = frame
                .as_str()
                .ok_or_else(|| format!("frame {frame}: expected a path; {form}"))?;
            let bytes = self.bytes(source)?;
            let picture = decode_rgb(&bytes).map_err(|error| format!("frame `{}`: {error}", shown(source)))?;
            pixels += picture.height * picture.width;
            if pixels > MOST_FRAME_PIXELS {
                return Err(format!(
                    "the frames up to `{}` have {pixels} pixels, more than {MOST_FRAME_PIXELS}; scale them down or take fewer",
                    shown(source)
                ));
            }
            pictures.push(picture);
        }
        if self.clips.is_none() {
            let config = VideoProcessorConfig::load(self.model);
            self.clips = Some(config.map_err(|error| format!("this model takes no clips: {error}"))?);
        }
        let Some(config) = &self.clips else { return Ok(()) };
        let pixels = config.process(&pictures).map_err(|error| error.to_string())?;
        let grid = pixels.grid;
        self.spans.push(VideoSpan {
            timestamps: frame_timestamps(&indices, fps, config.frame.temporal_patch_size),
            tokens: Grid { t: 1, ..grid }.tokens(config.frame.merge_size),
        });
        self.videos.push(grid);
        self.pixels.push(Arc::new(pixels));
        self.check_tokens()
    }

    /// That what has been read so far could be part of a context.
    fn check_tokens(&self) -> Result<(), String> {
        let merge = self.renderer.images().merge_size;
        let tokens: usize = self
            .images
            .iter()
            .chain(&self.videos)
            .map(|grid| grid.tokens(merge))
            .sum();
        if tokens > MOST_TOKENS {
            return Err(format!(
                "the pictures up to here are {tokens} tokens, more than {MOST_TOKENS}; show fewer or smaller ones"
            ));
        }
        if let Some(context) = self.context.filter(|context| tokens > *context) {
            return Err(format!(
                "the pictures up to here are {tokens} tokens, and the model has a context of {context} tokens \
                 (max_position_embeddings); show fewer or smaller ones"
            ));
        }
        Ok(())
    }

    /// The encoded picture that `source` names.
    fn bytes(&self, source: &str) -> Result<Vec<u8>, String> {
        picture::read(source, self.folder).map_err(|error| format!("`{}`: {error}", shown(source)))
    }
}

/// The longest sequence of the model in the folder `model`, where there is one.
fn context(model: &Path) -> Option<usize> {
    let text = crate::plain_text::read(&model.join("config.json")).ok()?;
    let config: Value = serde_json::from_str(&text).ok()?;
    let positions = config["text_config"]["max_position_embeddings"].as_u64()?;
    usize::try_from(positions).ok()
}

/// The start of an address, which may hold a whole picture.
fn shown(source: &str) -> String {
    let start: String = source.chars().take(80).collect();
    if start.len() < source.len() {
        start + "..."
    } else {
        start
    }
}
