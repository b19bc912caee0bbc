//! What the device shows: the encoded picture, as data URI and as bytes, with its size.

use crate::error::GboxError;
use crate::wire::{Point, Screenshot, decode_data_uri};
use cua_grpo_core::Image;
use std::io::Cursor;

/// A screenshot. The URI is kept as it came: the grounding model gets exactly what the policy sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Screen {
    /// `data:image/png;base64,...`.
    pub uri: String,
    /// The encoded file.
    pub image: Image,
    /// Pixels from left to right.
    pub width: f64,
    /// Pixels from top to bottom.
    pub height: f64,
}

impl Screen {
    /// Reads an inline picture. Only its header is decoded.
    ///
    /// # Errors
    /// [`GboxError::Answer`] when it is not inline, or no PNG or JPEG.
    pub fn read(screenshot: Screenshot) -> Result<Self, GboxError> {
        let error = |got: String| GboxError::Answer {
            operation: "read screenshot".to_owned(),
            expected: "an inline PNG or JPEG",
            got,
        };
        let bytes = decode_data_uri(&screenshot.uri).map_err(|cause| error(cause.to_string()))?;
        let reader = image::ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
        let reader = reader.map_err(|cause| error(cause.to_string()))?;
        let (width, height) = reader.into_dimensions().map_err(|cause| error(cause.to_string()))?;
        if width == 0 || height == 0 {
            return Err(error(format!("a picture of {width} x {height} pixels")));
        }
        let (width, height) = (f64::from(width), f64::from(height));
        Ok(Self {
            uri: screenshot.uri,
            image: Image::new(bytes),
            width,
            height,
        })
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
