//! What the phone shows: the encoded picture with its size.

use cua_grpo_core::Image;
use std::io::Cursor;

/// A place in pixels of the screenshot, from the upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
}

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

impl Screen {
    /// Reads an encoded picture. Only its header is decoded.
    ///
    /// # Errors
    /// When it is no PNG or JPEG, or has no pixels.
    pub fn read(bytes: Vec<u8>) -> Result<Self, ScreenError> {
        let error = |cause: &dyn std::fmt::Display| ScreenError(cause.to_string());
        let reader = image::ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
        let reader = reader.map_err(|cause| error(&cause))?;
        let (width, height) = reader.into_dimensions().map_err(|cause| error(&cause))?;
        if width == 0 || height == 0 {
            return Err(ScreenError(format!("a picture of {width} x {height} pixels")));
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
