//! Pictures of the phone.

use crate::{draw, phone::Phone};
use image::{
    ExtendedColorType, ImageEncoder, ImageError, RgbImage,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

impl Phone {
    /// The screen, 192 x 384 pixels.
    pub fn render(&self) -> RgbImage {
        draw::paint(self)
    }

    /// The screen as a PNG file, compressed for speed.
    ///
    /// # Errors
    /// Whatever the encoder reports.
    pub fn screenshot_png(&self) -> Result<Vec<u8>, ImageError> {
        encode(&self.render())
    }
}

/// An image as a PNG file, compressed for speed.
pub(crate) fn encode(image: &RgbImage) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::with_capacity(32 * 1024);
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Up);
    encoder.write_image(image.as_raw(), image.width(), image.height(), ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

/// Draws a red cross over each point.
pub(crate) fn mark(image: &mut RgbImage, points: &[(f64, f64)]) {
    for &(x, y) in points {
        for step in -6..=6_i32 {
            for (dx, dy) in [(step, 0), (step, 1), (0, step), (1, step)] {
                let place = (
                    u32::try_from((x as i32).saturating_add(dx)),
                    u32::try_from((y as i32).saturating_add(dy)),
                );
                if let (Ok(x), Ok(y)) = place
                    && let Some(pixel) = image.get_pixel_mut_checked(x, y)
                {
                    pixel.0 = [255, 0, 0];
                }
            }
        }
    }
}
