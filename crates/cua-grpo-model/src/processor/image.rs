//! Pictures: from encoded bytes to normalised patches, as the released image processor computes them.

use super::{Grid, Pixels, ProcessorError, resize_bicubic, smart_resize};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader};
use serde::{Deserialize, Serialize};
use std::io::Cursor;
use std::path::Path;

/// An opaque 8-bit picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    /// Row-major `[height, width, 3]`.
    pub data: Vec<u8>,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
}

/// Numbers of the preprocessing, from `preprocessor_config.json`; every field must be in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageProcessorConfig {
    /// Budget of pixels.
    pub size: PixelBudget,
    /// Pixels a side of a patch.
    pub patch_size: usize,
    /// Frames in a patch; a picture is repeated to fill them.
    pub temporal_patch_size: usize,
    /// Patches a side that become one token.
    pub merge_size: usize,
    /// Mean of each channel, on the scale 0..1.
    pub image_mean: [f32; 3],
    /// Standard deviation of each channel, on the scale 0..1.
    pub image_std: [f32; 3],
}

/// Bounds of the number of pixels after the resize. The names are those of the file; they count pixels, not edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelBudget {
    /// Most pixels.
    pub longest_edge: usize,
    /// Fewest pixels.
    pub shortest_edge: usize,
}

impl ImageProcessorConfig {
    /// Reads `preprocessor_config.json` of a model folder.
    ///
    /// # Errors
    /// [`ProcessorError::Io`] or [`ProcessorError::Format`]; the class defaults of other models are never assumed.
    pub fn load(folder: &Path) -> Result<Self, ProcessorError> {
        Self::read(&folder.join("preprocessor_config.json"))
    }

    /// Reads one file of this form (the video processor's has the same fields).
    pub(super) fn read(path: &Path) -> Result<Self, ProcessorError> {
        let text = ProcessorError::read(path)?;
        let expected = "size, patch_size, temporal_patch_size, merge_size, image_mean and image_std";
        let config: Self = serde_json::from_str(&text).map_err(|error| ProcessorError::json(path, expected, &error))?;
        let sizes = [
            config.patch_size,
            config.temporal_patch_size,
            config.merge_size,
            config.size.longest_edge,
        ];
        let valid = sizes.iter().all(|&size| size > 0)
            && config.size.shortest_edge <= config.size.longest_edge
            && config.image_std.iter().all(|&std| std > 0.0);
        if !valid {
            return Err(ProcessorError::Format {
                path: path.to_owned(),
                expected: "positive sizes and standard deviations, shortest_edge <= longest_edge".to_owned(),
                got: format!("{config:?}"),
            });
        }
        Ok(config)
    }

    /// Writes `preprocessor_config.json`, as the released checkpoints have it.
    ///
    /// # Errors
    /// [`ProcessorError::Io`].
    pub fn save(&self, folder: &Path) -> Result<(), ProcessorError> {
        let path = folder.join("preprocessor_config.json");
        let json = serde_json::json!({
            "size": self.size,
            "patch_size": self.patch_size,
            "temporal_patch_size": self.temporal_patch_size,
            "merge_size": self.merge_size,
            "image_mean": self.image_mean,
            "image_std": self.image_std,
            "processor_class": "Qwen3VLProcessor",
            "image_processor_type": "Qwen2VLImageProcessorFast",
        });
        ProcessorError::write(&path, &format!("{json:#}\n"))
    }

    /// Pixels a side of a merged token.
    pub fn factor(&self) -> usize {
        self.patch_size * self.merge_size
    }

    /// Grid of patches of a picture of `height` x `width` pixels.
    ///
    /// # Errors
    /// [`ProcessorError::Size`], see [`smart_resize()`].
    pub fn grid(&self, height: usize, width: usize) -> Result<Grid, ProcessorError> {
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
        let resized = resize_bicubic(&image.data, image.height, image.width, height, width);
        let frames = vec![resized.as_slice(); self.temporal_patch_size];
        Ok(Pixels::new(self.patchify(&frames, grid), grid))
    }

    /// Rows `[t * h * w, C * T * P * P]` of equally sized frames (`[height, width, 3]` each, `grid.t * T` of them).
    ///
    /// Rows run over time, then over blocks of `merge` x `merge` patches, then over the patches of a block; a row is
    /// `[channel, frame, y, x]`. Values are `(byte - 255 mean) / (255 std)` in f32.
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

    /// The normalised value of each byte in each channel.
    fn levels(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            let (mean, std) = (self.image_mean[channel] * 255.0, self.image_std[channel] * 255.0);
            std::array::from_fn(|byte| (byte as f32 - mean) / std)
        })
    }
}

fn product(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |row| (0..columns).map(move |column| (row, column)))
}

fn decode_error(bytes: &[u8]) -> impl Fn(image::ImageError) -> ProcessorError {
    let bytes = bytes.len();
    move |error| ProcessorError::Decode {
        bytes,
        message: error.to_string(),
    }
}

fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + '_, ProcessorError> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let reader = reader.map_err(|error| decode_error(bytes)(image::ImageError::IoError(error)))?;
    reader.into_decoder().map_err(decode_error(bytes))
}

/// `(height, width)` of an encoded picture, from its header; an EXIF orientation is honoured.
///
/// # Errors
/// [`ProcessorError::Decode`].
pub fn image_size(bytes: &[u8]) -> Result<(usize, usize), ProcessorError> {
    let mut decoder = decoder(bytes)?;
    let orientation = decoder.orientation().map_err(decode_error(bytes))?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    let turned = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    Ok(if turned { (width, height) } else { (height, width) })
}

/// Decodes a PNG or JPEG file; transparency is composited over white, gray is repeated, palettes are looked up.
///
/// # Errors
/// [`ProcessorError::Decode`].
pub fn decode_rgb(bytes: &[u8]) -> Result<RgbImage, ProcessorError> {
    let mut decoder = decoder(bytes)?;
    let orientation = decoder.orientation().map_err(decode_error(bytes))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(decode_error(bytes))?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let data = if image.color().has_alpha() {
        image
            .to_rgba8()
            .pixels()
            .flat_map(|pixel| over_white(pixel.0))
            .collect()
    } else {
        image.into_rgb8().into_raw()
    };
    Ok(RgbImage { data, height, width })
}

/// Composites one pixel over opaque white with Pillow's integer rounding (`alpha_composite`).
fn over_white([r, g, b, a]: [u8; 4]) -> [u8; 3] {
    let (front, back) = (u32::from(a) * 128, u32::from(255 - a) * 128);
    [r, g, b].map(|channel| {
        let sum = u32::from(channel) * front + 255 * back + (0x80 << 7);
        ((((sum >> 8) + sum) >> 8) >> 7) as u8
    })
}
