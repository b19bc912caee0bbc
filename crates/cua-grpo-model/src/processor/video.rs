//! Clips: sampled frames to normalised patches, and the timestamps that the prompt shows.

use super::sections::Section;
use super::{Grid, ImageProcessorConfig, Pixels, ProcessorError, RgbImage, resize, smart_resize_video};
use std::path::Path;

/// Most tokens of a frame where the budget of a frame is capped and the file does not say.
const MAX_FRAME_TOKENS: usize = 768;

/// Numbers of the preprocessing of clips, from the model folder ([`VideoProcessorConfig::load`]).
///
/// The budget of pixels counts over all frames of a clip.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoProcessorConfig {
    /// Sizes, budget and normalisation.
    pub frame: ImageProcessorConfig,
    /// Most tokens of one frame, where `cap_pixels_per_frame` asks for a cap.
    pub max_frame_tokens: Option<usize>,
}

impl VideoProcessorConfig {
    /// Reads the video processor of a model folder: `video_processor` of `processor_config.json` where that is there, else
    /// `video_preprocessor_config.json`, else the image processor's file. What they leave out is Qwen3-VL's default.
    ///
    /// # Errors
    /// [`ProcessorError::Io`], [`ProcessorError::Format`], [`ProcessorError::Key`] for a key that says what is not done, or
    /// [`ProcessorError::Misfit`] when the model beside it takes other patches.
    pub fn load(folder: &Path) -> Result<Self, ProcessorError> {
        let section = Section::video(folder)?;
        let capped = section.flag("cap_pixels_per_frame", false)?;
        let most = section.count("max_video_tokens", 1 << 20)?.unwrap_or(MAX_FRAME_TOKENS);
        Ok(Self {
            frame: ImageProcessorConfig::of_clips(folder, &section)?,
            max_frame_tokens: capped.then_some(most),
        })
    }

    /// Normalised patches of frames that are sampled already; the last frame is repeated to fill the last patch.
    ///
    /// # Errors
    /// [`ProcessorError::Size`] or, when the frames differ in size, [`ProcessorError::Mismatch`].
    pub fn process(&self, frames: &[RgbImage]) -> Result<Pixels, ProcessorError> {
        let config = &self.frame;
        let (height, width) = frames.first().map_or((0, 0), |frame| (frame.height, frame.width));
        if let Some(other) = frames
            .iter()
            .find(|frame| (frame.height, frame.width) != (height, width))
        {
            return Err(ProcessorError::Mismatch {
                operation: "process a clip",
                expected: format!("frames of one size, {height}x{width}"),
                got: format!("a frame of {}x{}", other.height, other.width),
            });
        }
        let depth = config.temporal_patch_size;
        let (new_height, new_width) = self.frame_size(frames.len(), height, width)?;
        let grid = Grid::new(
            frames.len().div_ceil(depth),
            new_height / config.patch_size,
            new_width / config.patch_size,
        );
        let fit = |frame: &RgbImage| resize(&frame.data, (height, width), (new_height, new_width), config.resample);
        let resized: Vec<Vec<u8>> = frames.iter().map(fit).collect();
        let last = resized.len() - 1;
        let padded: Vec<&[u8]> = (0..grid.t * depth)
            .map(|index| resized[index.min(last)].as_slice())
            .collect();
        Ok(Pixels::new(config.patchify(&padded, grid), grid))
    }

    /// The `(height, width)` that `frames` frames are resized to.
    fn frame_size(&self, frames: usize, height: usize, width: usize) -> Result<(usize, usize), ProcessorError> {
        let config = &self.frame;
        if !config.do_resize {
            config.check_sides(height, width)?;
            return Ok((height, width));
        }
        let (min, mut max) = (config.size.shortest_edge, config.size.longest_edge);
        if let Some(tokens) = self.max_frame_tokens {
            let cap = tokens * config.factor() * config.factor();
            let floor = (min as f64 * 1.05) as usize;
            max = cap.min(max / frames.max(1)).max(floor) * frames;
        }
        let depth = config.temporal_patch_size;
        smart_resize_video(frames, height, width, depth, config.factor(), min, max)
    }
}

/// Seconds shown for each temporal patch: the mean of the times of its first and last frame.
///
/// `indices` are the numbers of the sampled frames in the clip and `fps` its frame rate; the last index is repeated to
/// fill the last patch of `depth` frames.
pub fn frame_timestamps(indices: &[usize], fps: f64, depth: usize) -> Vec<f64> {
    let patches = indices.chunks(depth.max(1));
    let ends = patches.filter_map(|patch| Some((*patch.first()?, *patch.last()?)));
    ends.map(|(first, last)| (first as f64 / fps + last as f64 / fps) / 2.0)
        .collect()
}
