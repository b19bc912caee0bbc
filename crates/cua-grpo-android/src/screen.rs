//! What the phone shows: the encoded picture with its size.

use cua_grpo_core::Image;
use image::ImageFormat;
use std::io::Cursor;

/// A place in pixels of the screenshot, from the upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

/// Most pixels of a screenshot: a phone has a tenth of it, and a picture is decoded whole.
pub const MAX_PIXELS: u64 = 64 << 20;

/// A picture that cannot be used as a screenshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read screenshot: expected a PNG or JPEG, got {0}")]
pub struct ScreenError(pub String);

/// A screenshot. The bytes are kept as they came: who finds targets on it gets exactly what the policy sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Screen {
    /// The encoded file.
    pub image: Image,
    /// Pixels from left to right.
    pub width: f64,
    /// Pixels from top to bottom.
    pub height: f64,
    /// A number of the state of the whole phone, where it tells: equal states have equal numbers.
    pub state: Option<u64>,
}

/// Most bytes that reading a header may take.
const MOST_HEADER: u64 = 8 << 20;

impl Screen {
    /// Reads an encoded picture. Only its header is decoded.
    ///
    /// # Errors
    /// When it is no PNG or JPEG, has no pixels, or more than [`MAX_PIXELS`].
    pub fn read(bytes: Vec<u8>) -> Result<Self, ScreenError> {
        let error = |cause: &dyn std::fmt::Display| ScreenError(cause.to_string());
        let reader = image::ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
        let mut reader = reader.map_err(|cause| error(&cause))?;
        // The colour profile of a PNG is unpacked with its header, and may be made to fill the memory.
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(MOST_HEADER);
        reader.limits(limits);
        if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
            return Err(ScreenError("a file of another format".to_owned()));
        }
        let (width, height) = reader.into_dimensions().map_err(|cause| error(&cause))?;
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 || pixels > MAX_PIXELS {
            return Err(ScreenError(format!(
                "a picture of {width} x {height} pixels, which is not between 1 and {MAX_PIXELS}"
            )));
        }
        Ok(Self {
            image: Image::new(bytes),
            width: f64::from(width),
            height: f64::from(height),
            state: None,
        })
    }

    /// The same screenshot with a number of the state of the phone.
    #[must_use]
    pub fn with_state(self, state: Option<u64>) -> Self {
        Self { state, ..self }
    }

    /// The pixel at thousandths of the width and height, 0 to 1000 each.
    pub fn pixel(&self, x: f64, y: f64) -> Point {
        let scale = |part: f64, size: f64| (part / 1000.0 * size).clamp(0.0, size - 1.0);
        Point {
            x: scale(x, self.width),
            y: scale(y, self.height),
        }
    }

    /// The middle.
    pub fn center(&self) -> Point {
        Point {
            x: self.width / 2.0,
            y: self.height / 2.0,
        }
    }

    /// Is the point on the screen?
    pub fn contains(&self, point: Point) -> bool {
        (0.0..self.width).contains(&point.x) && (0.0..self.height).contains(&point.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a PNG of this size; its pixels are missing.
    fn head(width: u32, height: u32) -> Vec<u8> {
        let mut picture = Cursor::new(Vec::new());
        image::RgbImage::new(1, 1)
            .write_to(&mut picture, ImageFormat::Png)
            .unwrap();
        let mut bytes = picture.into_inner();
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let sum = crc(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The checksum of a chunk of a PNG.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                (sum >> 1) ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 }
            })
        })
    }

    #[test]
    fn a_picture_has_a_limit_of_pixels_that_its_head_is_held_against() {
        let screen = Screen::read(head(1080, 2400)).unwrap();
        assert_eq!((screen.width, screen.height), (1080.0, 2400.0));
        assert!(Screen::read(head(8192, 8192)).is_ok());
        let begin = std::time::Instant::now();
        for (width, height) in [(20_000, 20_000), (8192, 8193), (u32::MAX >> 1, u32::MAX >> 1), (0, 5)] {
            let error = Screen::read(head(width, height)).unwrap_err().to_string();
            assert!(error.contains("expected a PNG or JPEG"), "{error}");
        }
        assert!(begin.elapsed().as_millis() < 500, "the pixels were looked at");
        for other in [&b"GIF89a\x01\0\x01\0"[..], b"BM", b"", b"<svg/>"] {
            assert!(Screen::read(other.to_vec()).is_err());
        }
    }
}
