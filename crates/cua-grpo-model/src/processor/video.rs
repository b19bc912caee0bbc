//! Clips: sampled frames to normalised patches, and the timestamps that the prompt shows.

use super::{Grid, ImageProcessorConfig, Pixels, ProcessorError, RgbImage, resize_bicubic, smart_resize_video};
use std::path::Path;

/// Numbers of the preprocessing of clips, from `video_preprocessor_config.json`.
///
/// The budget of pixels counts over all frames of a clip.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoProcessorConfig {
    /// Sizes, budget and normalisation.
    pub frame: ImageProcessorConfig,
}

impl VideoProcessorConfig {
    /// Reads `video_preprocessor_config.json` of a model folder.
    ///
    /// # Errors
    /// [`ProcessorError::Io`] or [`ProcessorError::Format`].
    pub fn load(folder: &Path) -> Result<Self, ProcessorError> {
        Ok(Self {
            frame: ImageProcessorConfig::read(&folder.join("video_preprocessor_config.json"))?,
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
        let (min, max) = (config.size.shortest_edge, config.size.longest_edge);
        let (new_height, new_width) =
            smart_resize_video(frames.len(), height, width, depth, config.factor(), min, max)?;
        let grid = Grid::new(
            frames.len().div_ceil(depth),
            new_height / config.patch_size,
            new_width / config.patch_size,
        );
        let resize = |frame: &RgbImage| resize_bicubic(&frame.data, height, width, new_height, new_width);
        let resized: Vec<Vec<u8>> = frames.iter().map(resize).collect();
        let last = resized.len() - 1;
        let padded: Vec<&[u8]> = (0..grid.t * depth)
            .map(|index| resized[index.min(last)].as_slice())
            .collect();
        Ok(Pixels::new(config.patchify(&padded, grid), grid))
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
