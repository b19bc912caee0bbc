//! A canvas of RGB pixels with soft-edged shapes and bitmap text.

use crate::{
    phone::{HEIGHT, WIDTH},
    widget::Rect,
};
use embedded_graphics::{
    Pixel,
    draw_target::DrawTarget,
    geometry::{OriginDimensions, Point, Size},
    mono_font::{MonoFont, MonoTextStyle, iso_8859_1},
    pixelcolor::{Rgb888, RgbColor},
    text::{Baseline, Text},
};
use image::RgbImage;

/// A colour, red green blue.
pub(super) type Colour = [u8; 3];

/// Sizes of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Font {
    /// 6 x 10 pixels a character.
    Small,
    /// 7 x 13 pixels a character.
    Body,
    /// 7 x 13 pixels a character, heavier strokes.
    Bold,
    /// 10 x 20 pixels a character.
    Large,
}

impl Font {
    fn data(self) -> &'static MonoFont<'static> {
        match self {
            Font::Small => &iso_8859_1::FONT_6X10,
            Font::Body => &iso_8859_1::FONT_7X13,
            Font::Bold => &iso_8859_1::FONT_7X13_BOLD,
            Font::Large => &iso_8859_1::FONT_10X20,
        }
    }

    /// Width and height of a character in pixels.
    pub fn cell(self) -> (i32, i32) {
        let size = self.data().character_size;
        (size.width as i32, size.height as i32)
    }
}

/// Mixes two colours; `share` 0 is all `from`, 1 all `to`.
pub(super) fn mix(from: Colour, to: Colour, share: f32) -> Colour {
    std::array::from_fn(|channel| {
        let (start, end) = (f32::from(from[channel]), f32::from(to[channel]));
        (start + (end - start) * share).round() as u8
    })
}

pub(super) struct Canvas {
    image: RgbImage,
}

impl Canvas {
    pub fn new() -> Self {
        Self {
            image: RgbImage::new(WIDTH as u32, HEIGHT as u32),
        }
    }

    pub fn into_image(self) -> RgbImage {
        self.image
    }

    /// Fills the screen with a colour that changes from top to bottom.
    pub fn gradient(&mut self, top: Colour, bottom: Colour) {
        let stride = 3 * WIDTH as usize;
        for (y, line) in self.image.chunks_exact_mut(stride).enumerate() {
            let colour = mix(top, bottom, y as f32 / (HEIGHT - 1) as f32);
            line.chunks_exact_mut(3)
                .for_each(|pixel| pixel.copy_from_slice(&colour));
        }
    }

    /// Fills a rectangle.
    pub fn fill(&mut self, rect: Rect, colour: Colour) {
        let (left, right) = (
            rect.x.clamp(0, WIDTH) as usize,
            (rect.x + rect.w).clamp(0, WIDTH) as usize,
        );
        let (top, bottom) = (
            rect.y.clamp(0, HEIGHT) as usize,
            (rect.y + rect.h).clamp(0, HEIGHT) as usize,
        );
        if left >= right || top >= bottom {
            return;
        }
        let stride = 3 * WIDTH as usize;
        for line in self.image.chunks_exact_mut(stride).take(bottom).skip(top) {
            line[3 * left..3 * right]
                .chunks_exact_mut(3)
                .for_each(|pixel| pixel.copy_from_slice(&colour));
        }
    }

    /// Darkens the whole screen: `share` 0 leaves it, 1 makes it black.
    pub fn darken(&mut self, share: f32) {
        let keep = ((1.0 - share) * 256.0) as u16;
        self.image
            .iter_mut()
            .for_each(|value| *value = ((u16::from(*value) * keep) >> 8) as u8);
    }

    /// Fills the inside (negative values) of a signed distance within a box, with soft edges.
    fn shape(&mut self, bounds: (f32, f32, f32, f32), colour: Colour, distance: impl Fn(f32, f32) -> f32) {
        let (left, top, right, bottom) = bounds;
        let (x0, x1) = ((left.floor() as i32 - 1).max(0), (right.ceil() as i32 + 1).min(WIDTH));
        let (y0, y1) = ((top.floor() as i32 - 1).max(0), (bottom.ceil() as i32 + 1).min(HEIGHT));
        for y in y0..y1 {
            for x in x0..x1 {
                let cover = 0.5 - distance(x as f32 + 0.5, y as f32 + 0.5);
                if cover > 0.0 {
                    let pixel = self.image.get_pixel_mut(x as u32, y as u32);
                    pixel.0 = if cover >= 1.0 {
                        colour
                    } else {
                        mix(pixel.0, colour, cover)
                    };
                }
            }
        }
    }

    /// A filled circle.
    pub fn disc(&mut self, x: f32, y: f32, radius: f32, colour: Colour) {
        self.shape((x - radius, y - radius, x + radius, y + radius), colour, |px, py| {
            (px - x).hypot(py - y) - radius
        });
    }

    /// A circle of a line of the given width.
    pub fn ring(&mut self, x: f32, y: f32, radius: f32, width: f32, colour: Colour) {
        let reach = radius + width;
        self.shape((x - reach, y - reach, x + reach, y + reach), colour, |px, py| {
            ((px - x).hypot(py - y) - radius).abs() - width / 2.0
        });
    }

    /// The upper part of a circle of a line, opening 45 degrees to both sides of the vertical.
    pub fn arc_up(&mut self, x: f32, y: f32, radius: f32, width: f32, colour: Colour) {
        let reach = radius + width;
        self.shape((x - reach, y - reach, x + reach, y), colour, |px, py| {
            let wedge = ((px - x).abs() - (y - py)) * std::f32::consts::FRAC_1_SQRT_2;
            (((px - x).hypot(py - y) - radius).abs() - width / 2.0).max(wedge)
        });
    }

    /// A rectangle with round corners.
    pub fn rounded(&mut self, rect: Rect, radius: f32, colour: Colour) {
        let (half_w, half_h) = (rect.w as f32 / 2.0, rect.h as f32 / 2.0);
        let (x, y) = (rect.x as f32 + half_w, rect.y as f32 + half_h);
        let radius = radius.min(half_w).min(half_h);
        self.shape((x - half_w, y - half_h, x + half_w, y + half_h), colour, |px, py| {
            let (dx, dy) = ((px - x).abs() - half_w + radius, (py - y).abs() - half_h + radius);
            dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius
        });
    }

    /// A line with round ends.
    pub fn line(&mut self, from: (f32, f32), to: (f32, f32), width: f32, colour: Colour) {
        let half = width / 2.0;
        let ((x0, y0), (dx, dy)) = (from, (to.0 - from.0, to.1 - from.1));
        let length2 = (dx * dx + dy * dy).max(1e-6);
        let bounds = (
            x0.min(to.0) - half,
            y0.min(to.1) - half,
            x0.max(to.0) + half,
            y0.max(to.1) + half,
        );
        self.shape(bounds, colour, |px, py| {
            let along = (((px - x0) * dx + (py - y0) * dy) / length2).clamp(0.0, 1.0);
            (px - x0 - along * dx).hypot(py - y0 - along * dy) - half
        });
    }

    /// A filled convex polygon; the corners run clockwise as seen on the screen.
    pub fn polygon(&mut self, corners: &[(f32, f32)], colour: Colour) {
        let low = |pick: fn(&(f32, f32)) -> f32| corners.iter().map(pick).fold(f32::MAX, f32::min);
        let high = |pick: fn(&(f32, f32)) -> f32| corners.iter().map(pick).fold(f32::MIN, f32::max);
        let bounds = (low(|c| c.0), low(|c| c.1), high(|c| c.0), high(|c| c.1));
        self.shape(bounds, colour, |px, py| {
            let edges = corners.iter().zip(corners.iter().cycle().skip(1));
            let outside = edges.map(|(&(x0, y0), &(x1, y1))| {
                let (dx, dy) = (x1 - x0, y1 - y0);
                ((px - x0) * dy - (py - y0) * dx) / dx.hypot(dy).max(1e-6)
            });
            outside.fold(f32::MIN, f32::max)
        });
    }

    /// Text with its left top corner at a point.
    pub fn text(&mut self, text: &str, x: i32, y: i32, font: Font, colour: Colour) {
        let style = MonoTextStyle::new(font.data(), Rgb888::new(colour[0], colour[1], colour[2]));
        let drawn = Text::with_baseline(text, Point::new(x, y), style, Baseline::Top);
        let Ok(_) = embedded_graphics::Drawable::draw(&drawn, self);
    }

    /// Text in the middle of a rectangle.
    pub fn centred(&mut self, text: &str, rect: Rect, font: Font, colour: Colour) {
        let (width, height) = font.cell();
        let length = text.chars().count() as i32 * width;
        self.text(
            text,
            rect.x + (rect.w - length) / 2,
            rect.y + (rect.h - height) / 2,
            font,
            colour,
        );
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(WIDTH as u32, HEIGHT as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Self::Error> {
        for Pixel(point, colour) in pixels {
            if let (Ok(x), Ok(y)) = (u32::try_from(point.x), u32::try_from(point.y))
                && let Some(pixel) = self.image.get_pixel_mut_checked(x, y)
            {
                pixel.0 = [colour.r(), colour.g(), colour.b()];
            }
        }
        Ok(())
    }
}
