//! Pictures: from decoded pixels to normalised patches, as the released image processor computes them.

use super::sections::MOST_BUDGET;
use super::{Grid, Pixels, ProcessorError, Resample, RgbImage, decode_rgb, image_size, resize, smart_resize};
use serde::Serialize;

/// Numbers of the preprocessing, from the model folder ([`ImageProcessorConfig::load`]).
#[derive(Debug, Clone, PartialEq)]
pub struct ImageProcessorConfig {
    /// Budget of pixels.
    pub size: PixelBudget,
    /// Pixels a side of a patch.
    pub patch_size: usize,
    /// Frames in a patch; a picture is repeated to fill them.
    pub temporal_patch_size: usize,
    /// Patches a side that become one token.
    pub merge_size: usize,
    /// Mean of each channel, on the scale that rescaling gives.
    pub image_mean: [f32; 3],
    /// Standard deviation of each channel, on the scale that rescaling gives.
    pub image_std: [f32; 3],
    /// Whether pictures are resized into the budget; else their sides must be multiples of a token's.
    pub do_resize: bool,
    /// The filter of the resize.
    pub resample: Resample,
    /// Whether bytes are multiplied by `rescale_factor`.
    pub do_rescale: bool,
    /// The factor, 1/255 for bytes to 0..1.
    pub rescale_factor: f64,
    /// Whether the mean is taken away and the result divided by the standard deviation.
    pub do_normalize: bool,
}

/// Bounds of the number of pixels after the resize. The names are those of the file; they count pixels, not edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PixelBudget {
    /// Most pixels.
    pub longest_edge: usize,
    /// Fewest pixels.
    pub shortest_edge: usize,
}

/// What a caller asks of the budget: the names and the rounding are the processor's own. `None`, and 0, leave a bound as the
/// model's files say it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PixelLimits {
    /// Fewest pixels after the resize.
    pub min_pixels: Option<usize>,
    /// Most pixels after the resize.
    pub max_pixels: Option<usize>,
}

impl PixelLimits {
    /// The limits that are above 0: fewest, most.
    fn set(self) -> [Option<usize>; 2] {
        [self.min_pixels, self.max_pixels].map(|limit| limit.filter(|&pixels| pixels > 0))
    }

    /// Whether nothing is asked.
    pub fn is_own(self) -> bool {
        self.set() == [None; 2]
    }
}

impl ImageProcessorConfig {
    /// The same processor within `limits`, which stand in place of the model's own bounds.
    ///
    /// # Errors
    /// [`ProcessorError::Limits`] when the fewest pixels are more than the most, or when this processor does not resize.
    pub fn within(mut self, limits: PixelLimits) -> Result<Self, ProcessorError> {
        let [fewest, most] = limits.set();
        self.size.shortest_edge = fewest.unwrap_or(self.size.shortest_edge);
        self.size.longest_edge = most.unwrap_or(self.size.longest_edge);
        let PixelBudget {
            longest_edge,
            shortest_edge,
        } = self.size;
        let wrong = |message| Err(ProcessorError::Limits { message });
        if !limits.is_own() && !self.do_resize {
            return wrong("this model's processor does not resize (`do_resize`: false); leave both out".to_owned());
        }
        if shortest_edge.max(longest_edge) > MOST_BUDGET {
            return wrong(format!(
                "expected at most {MOST_BUDGET}, got {shortest_edge} and {longest_edge}"
            ));
        }
        if shortest_edge > longest_edge {
            let own = |limit: Option<usize>| if limit.is_some() { "" } else { " (the model's own)" };
            return wrong(format!(
                "expected min_pixels at most max_pixels, got {shortest_edge}{} and {longest_edge}{}; set both",
                own(fewest),
                own(most)
            ));
        }
        Ok(self)
    }

    /// Tokens that a picture of `height` x `width` pixels stands as.
    ///
    /// # Errors
    /// Those of [`Self::grid`].
    pub fn tokens(&self, height: usize, width: usize) -> Result<usize, ProcessorError> {
        Ok(self.grid(height, width)?.tokens(self.merge_size))
    }

    /// Pixels a side of a merged token.
    pub fn factor(&self) -> usize {
        self.patch_size * self.merge_size
    }

    /// Grid of patches of a picture of `height` x `width` pixels.
    ///
    /// # Errors
    /// [`ProcessorError::Size`], see [`smart_resize()`]; without a resize, when the sides are no multiples of a token's.
    pub fn grid(&self, height: usize, width: usize) -> Result<Grid, ProcessorError> {
        if !self.do_resize {
            self.check_sides(height, width)?;
            return Ok(Grid::new(1, height / self.patch_size, width / self.patch_size));
        }
        let (h, w) = smart_resize(
            height,
            width,
            self.factor(),
            self.size.shortest_edge,
            self.size.longest_edge,
        )?;
        Ok(Grid::new(1, h / self.patch_size, w / self.patch_size))
    }

    /// Grid of an encoded picture; only its header is decoded.
    ///
    /// # Errors
    /// [`ProcessorError::Decode`] or [`ProcessorError::Size`].
    pub fn encoded_grid(&self, bytes: &[u8]) -> Result<Grid, ProcessorError> {
        let (height, width) = image_size(bytes)?;
        self.grid(height, width)
    }

    /// Normalised patches of an encoded picture.
    ///
    /// # Errors
    /// [`ProcessorError::Decode`] or [`ProcessorError::Size`].
    pub fn process(&self, bytes: &[u8]) -> Result<Pixels, ProcessorError> {
        self.process_rgb(&decode_rgb(bytes)?)
    }

    /// Normalised patches of a decoded picture.
    ///
    /// # Errors
    /// [`ProcessorError::Size`].
    pub fn process_rgb(&self, image: &RgbImage) -> Result<Pixels, ProcessorError> {
        let grid = self.grid(image.height, image.width)?;
        let (height, width) = (grid.h * self.patch_size, grid.w * self.patch_size);
        let resized = resize(&image.data, (image.height, image.width), (height, width), self.resample);
        let frames = vec![resized.as_slice(); self.temporal_patch_size];
        Ok(Pixels::new(self.patchify(&frames, grid), grid))
    }

    /// That pictures which are not resized fill whole tokens.
    pub(super) fn check_sides(&self, height: usize, width: usize) -> Result<(), ProcessorError> {
        let factor = self.factor();
        let fits = height > 0 && width > 0 && height.is_multiple_of(factor) && width.is_multiple_of(factor);
        fits.then_some(()).ok_or_else(|| ProcessorError::Size {
            height,
            width,
            expected: format!("sides that are multiples of {factor}, because do_resize is false"),
        })
    }

    /// Rows `[t * h * w, C * T * P * P]` of equally sized frames (`[height, width, 3]` each, `grid.t * T` of them).
    ///
    /// Rows run over time, then over blocks of `merge` x `merge` patches, then over the patches of a block; a row is
    /// `[channel, frame, y, x]`. Values are in f32, `(byte - 255 mean) / (255 std)` unless the file says otherwise.
    pub(super) fn patchify(&self, frames: &[&[u8]], grid: Grid) -> Vec<f32> {
        let (p, m, depth) = (self.patch_size, self.merge_size, self.temporal_patch_size);
        let scale = self.levels();
        let row_len = 3 * depth * p * p;
        let mut values = vec![0.0; grid.patches() * row_len];
        let mut rows = values.chunks_exact_mut(row_len);
        for time in 0..grid.t {
            let clip = &frames[time * depth..(time + 1) * depth];
            for (block_y, block_x) in product(grid.h / m, grid.w / m) {
                for (y, x) in product(m, m) {
                    let (top, left) = ((block_y * m + y) * p, (block_x * m + x) * p);
                    let Some(row) = rows.next() else { return values };
                    self.fill_patch(row, clip, &scale, (top, left), grid.w * p);
                }
            }
        }
        values
    }

    fn fill_patch(&self, row: &mut [f32], clip: &[&[u8]], scale: &[[f32; 256]; 3], at: (usize, usize), width: usize) {
        let p = self.patch_size;
        for (channel, planes) in row.chunks_exact_mut(clip.len() * p * p).enumerate() {
            for (frame, plane) in clip.iter().zip(planes.chunks_exact_mut(p * p)) {
                for (dy, line) in plane.chunks_exact_mut(p).enumerate() {
                    let start = ((at.0 + dy) * width + at.1) * 3;
                    for (value, pixel) in line.iter_mut().zip(frame[start..].chunks_exact(3)) {
                        *value = scale[channel][usize::from(pixel[channel])];
                    }
                }
            }
        }
    }

    /// The value of each byte in each channel. Rescaling is folded into mean and deviation, as torchvision has it.
    fn levels(&self) -> [[f32; 256]; 3] {
        let fold = if self.do_rescale {
            (1.0 / self.rescale_factor) as f32
        } else {
            1.0
        };
        let factor = if self.do_rescale {
            self.rescale_factor as f32
        } else {
            1.0
        };
        std::array::from_fn(|channel| {
            let (mean, std) = (self.image_mean[channel] * fold, self.image_std[channel] * fold);
            let level = |byte: usize| match self.do_normalize {
                true => (byte as f32 - mean) / std,
                false => byte as f32 * factor,
            };
            std::array::from_fn(level)
        })
    }
}

fn product(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}
