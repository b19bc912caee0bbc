//! Encoded pictures to opaque 8-bit pixels, as Pillow reads them; a file that was cut short is an error.

use super::ProcessorError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use std::io::Cursor;

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

/// Decodes a PNG, JPEG, WebP, GIF (first frame) or BMP file; transparency is composited over white, gray is repeated,
/// palettes are looked up. Of 16 bits the upper eight are taken; gray of 16 bits is cut at 255, as Pillow has it.
///
/// # Errors
/// [`ProcessorError::Decode`], also for a file that ends early.
pub fn decode_rgb(bytes: &[u8]) -> Result<RgbImage, ProcessorError> {
    let mut decoder = decoder(bytes)?;
    let orientation = decoder.orientation().map_err(decode_error(bytes))?;
    check_whole(bytes)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(decode_error(bytes))?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let data = if image.color().has_alpha() {
        let over = |pixel: [u8; 4]| over_white(pixel);
        match image {
            DynamicImage::ImageRgba16(pixels) => pixels.pixels().flat_map(|pixel| over(pixel.0.map(upper))).collect(),
            DynamicImage::ImageLumaA16(pixels) => {
                let rgba = |[gray, alpha]: [u16; 2]| [gray, gray, gray, alpha].map(upper);
                pixels.pixels().flat_map(|pixel| over(rgba(pixel.0))).collect()
            }
            other => other.to_rgba8().pixels().flat_map(|pixel| over(pixel.0)).collect(),
        }
    } else {
        match image {
            DynamicImage::ImageRgb16(pixels) => pixels.into_raw().into_iter().map(upper).collect(),
            DynamicImage::ImageLuma16(pixels) => {
                let gray = pixels.into_raw();
                if gray.iter().any(|&value| value > 255) {
                    tracing::warn!(
                        "a gray picture of 16 bits: values above 255 become white, as in Pillow; save it with 8 bits"
                    );
                }
                let cut = |value: u16| u8::try_from(value).unwrap_or(u8::MAX);
                gray.into_iter().flat_map(|value| [cut(value); 3]).collect()
            }
            other => other.into_rgb8().into_raw(),
        }
    };
    Ok(RgbImage { data, height, width })
}

fn upper(value: u16) -> u8 {
    (value >> 8) as u8
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

/// That the file is all there, where its decoder would fill in what is missing.
fn check_whole(bytes: &[u8]) -> Result<(), ProcessorError> {
    let whole = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => jpeg_has_end(bytes),
        Ok(ImageFormat::WebP) => webp_has_end(bytes),
        _ => true,
    };
    whole.then_some(()).ok_or_else(|| ProcessorError::Decode {
        bytes: bytes.len(),
        message: "a file that was cut short; copy or download it again".to_owned(),
    })
}

/// Whether the end marker follows the last scan. Segments are stepped over, so a thumbnail's marker does not count.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    let mut at = 0;
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) | (Some(0xFF), None) => return false,
            (Some(0xFF), Some(0xD9)) => return true,
            // A stuffed byte, a marker without a length, or the start of the file.
            (Some(0xFF), Some(0x00 | 0x01 | 0xD0..=0xD8)) => at += 2,
            (Some(0xFF), Some(0x02..=0xFE)) => match (bytes.get(at + 2), bytes.get(at + 3)) {
                (Some(&high), Some(&low)) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
            // Coded data, or a fill byte.
            _ => at += 1,
        }
    }
}

/// Whether the file is as long as its header says.
fn webp_has_end(bytes: &[u8]) -> bool {
    let size = bytes.get(4..8).and_then(|size| <[u8; 4]>::try_from(size).ok());
    size.is_some_and(|size| bytes.len() as u64 >= 8 + u64::from(u32::from_le_bytes(size)))
}

/// Composites one pixel over opaque white with Pillow's integer rounding (`alpha_composite`).
fn over_white([r, g, b, a]: [u8; 4]) -> [u8; 3] {
    let (front, back) = (u32::from(a) * 128, u32::from(255 - a) * 128);
    [r, g, b].map(|channel| {
        let sum = u32::from(channel) * front + 255 * back + (0x80 << 7);
        ((((sum >> 8) + sum) >> 8) >> 7) as u8
    })
}
