//! JPEG with the pixels of libjpeg-turbo, which Python's libraries decode with: another rounding of a level or two is seen
//! in the third digit of a log-probability.

use super::ProcessorError;
use image::{DynamicImage, GrayImage, RgbImage};
use libjpeg_turbo_rs::{DecodeLimits, Decoder, Image, PixelFormat};

/// The picture, not yet turned as EXIF says, of at most `most` pixels.
pub(super) fn decode(bytes: &[u8], most: usize) -> Result<DynamicImage, ProcessorError> {
    let error = |message: String| ProcessorError::Decode {
        bytes: bytes.len(),
        message,
    };
    let read = whole(bytes, most).map_err(|cause| error(cause.to_string()))?;
    let size = (u32::try_from(read.width).ok(), u32::try_from(read.height).ok());
    let (Some(width), Some(height)) = size else {
        return Err(error(format!("sides of {} and {} pixels", read.width, read.height)));
    };
    let image = match read.pixel_format {
        PixelFormat::Grayscale => GrayImage::from_raw(width, height, read.data).map(DynamicImage::from),
        PixelFormat::Rgb => RgbImage::from_raw(width, height, read.data).map(DynamicImage::from),
        PixelFormat::Cmyk => {
            let pixels = read.data.chunks_exact(4).flat_map(light).collect();
            RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
        }
        other => {
            return Err(error(format!(
                "colours of the kind {other:?}, which is not read; save it as RGB"
            )));
        }
    };
    image.ok_or_else(|| error("fewer pixels than its header says".to_owned()))
}

/// The picture as it is stored, within bounds of pixels and of work: each scan goes over all pixels, and costs few bytes.
fn whole(bytes: &[u8], most: usize) -> libjpeg_turbo_rs::Result<Image> {
    /// Scans of all pixels together.
    const WORK: usize = 1_000_000_000;
    /// The script that encoders write has 10 scans.
    const SCANS: (usize, usize) = (12, 500);
    let mut limits = DecodeLimits {
        max_pixels: most as u64,
        ..DecodeLimits::default()
    };
    let decoder = Decoder::new_with_limits(bytes, limits)?;
    let header = decoder.header();
    let pixels = usize::from(header.width) * usize::from(header.height);
    limits.max_scans = (WORK / pixels.max(1)).clamp(SCANS.0, SCANS.1);
    Decoder::new_with_limits(bytes, limits)?.decode_image()
}

/// Inks as they are stored, inverted, to colours: Pillow's products of bytes.
fn light(ink: &[u8]) -> [u8; 3] {
    [0, 1, 2].map(|channel| {
        let product = u32::from(ink[channel]) * u32::from(ink[3]) + 128;
        (((product >> 8) + product) >> 8) as u8
    })
}

/// Whether the end marker follows the last scan. Segments are stepped over, so a thumbnail's marker does not count.
pub(super) fn has_end(bytes: &[u8]) -> bool {
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
