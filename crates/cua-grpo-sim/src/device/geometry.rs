//! From the pixels of a picture to those of the phone: a box may have another resolution, and pictures another scale.

use crate::{
    phone::{HEIGHT, WIDTH},
    widget::{Rect, UiNode},
};

/// Least and most pixels of a side of the screen.
pub(crate) const SIDES: std::ops::RangeInclusive<u32> = 64..=4096;

/// Size of the screen, and of its pictures in relation to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Geometry {
    /// Pixels that the phone draws, across and down.
    pub drawn: (u32, u32),
    /// Pixels of the screen from left to right.
    pub width: u32,
    /// Pixels of the screen from top to bottom.
    pub height: u32,
    /// Pixels of a picture, and of coordinates, for one of the screen.
    pub scale: f64,
}

impl Default for Geometry {
    fn default() -> Self {
        Self {
            drawn: (WIDTH.unsigned_abs(), HEIGHT.unsigned_abs()),
            width: WIDTH.unsigned_abs(),
            height: HEIGHT.unsigned_abs(),
            scale: 1.0,
        }
    }
}

impl Geometry {
    /// Pixels of a picture for one that the phone draws, along both sides.
    fn factors(self) -> (f64, f64) {
        let along = |side: u32, drawn: u32| f64::from(side) * self.scale / f64::from(drawn.max(1));
        (along(self.width, self.drawn.0), along(self.height, self.drawn.1))
    }

    /// Size of a picture in pixels.
    pub fn picture(self) -> (u32, u32) {
        let scaled = |side: u32| ((f64::from(side) * self.scale).round() as u32).max(1);
        (scaled(self.width), scaled(self.height))
    }

    /// A point of a picture as one of the phone.
    pub fn to_phone(self, (x, y): (f64, f64)) -> (f64, f64) {
        let (along, down) = self.factors();
        (x / along, y / down)
    }

    /// A point of the phone as one of a picture.
    pub fn to_picture(self, (x, y): (f64, f64)) -> (f64, f64) {
        let (along, down) = self.factors();
        (x * along, y * down)
    }

    /// Nodes with bounds in pixels of the screen, or of a picture.
    pub fn place(self, mut nodes: Vec<UiNode>) -> Vec<UiNode> {
        if self.is_changed() {
            for node in &mut nodes {
                let Rect { x, y, w, h } = node.bounds;
                let (left, top) = self.to_picture((f64::from(x), f64::from(y)));
                let (right, bottom) = self.to_picture((f64::from(x + w), f64::from(y + h)));
                let whole = |value: f64| value.round() as i32;
                let (left, top) = (whole(left), whole(top));
                node.bounds = Rect::new(left, top, whole(right) - left, whole(bottom) - top);
            }
        }
        nodes
    }

    /// Whether pictures have another size than what the phone draws.
    pub fn is_changed(self) -> bool {
        self.picture() != self.drawn
    }

    /// The same screen without a scale.
    pub fn unscaled(self) -> Self {
        Self { scale: 1.0, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_go_there_and_back() {
        let plain = Geometry::default();
        assert_eq!((plain.picture(), plain.to_phone((7.5, 9.0))), ((192, 384), (7.5, 9.0)));
        let half = Geometry { scale: 0.5, ..plain };
        assert_eq!(
            (half.picture(), half.to_phone((50.0, 50.0))),
            ((96, 192), (100.0, 100.0))
        );
        let large = Geometry {
            width: 384,
            height: 1152,
            scale: 0.5,
            ..plain
        };
        assert_eq!(large.to_picture((96.0, 384.0)), (96.0, 576.0));
        assert_eq!(large.to_phone(large.to_picture((13.0, 21.0))), (13.0, 21.0));
    }
}
