//! What there is to draw, as a list in pixels. Two equal lists give equal pixels.

use super::{
    geom::{Color, Rect},
    text::Laid,
};
use std::{ops::Deref, sync::Arc};
use tiny_skia::Path;

/// A part of the screen that paints are kept inside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clip {
    /// The part.
    pub rect: Rect,
    /// Radius of its corners.
    pub radius: f32,
}

/// Something that is shared and equals itself alone.
#[derive(Debug)]
pub struct Same<T>(pub Arc<T>);

impl<T> Clone for Same<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> PartialEq for Same<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Deref for Same<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// One thing to draw.
#[derive(Debug, Clone, PartialEq)]
pub enum Paint {
    /// A filled box; the radii are those of the corners from the upper left, clockwise.
    Fill {
        /// The box.
        rect: Rect,
        /// Radii of the corners.
        radii: [f32; 4],
        /// Its colour.
        color: Color,
    },
    /// The edge of a box with round corners; the line lies inside.
    Stroke {
        /// The box.
        rect: Rect,
        /// Radius of the corners.
        radius: f32,
        /// Thickness of the line.
        width: f32,
        /// Its colour.
        color: Color,
    },
    /// A box filled from one colour above to another below.
    Gradient {
        /// The box.
        rect: Rect,
        /// Radius of the corners.
        radius: f32,
        /// Colours above and below.
        colors: [Color; 2],
    },
    /// The soft shadow of a box that lies so many pixels above the ground.
    Shadow {
        /// The box.
        rect: Rect,
        /// Radius of its corners.
        radius: f32,
        /// Its height above the ground.
        height: f32,
    },
    /// An icon of the list.
    Icon {
        /// Its name.
        name: &'static str,
        /// The square that it fills.
        rect: Rect,
        /// Its colour.
        color: Color,
    },
    /// Any path in a square of 24.
    Shape {
        /// The path.
        path: Same<Path>,
        /// The square that it fills.
        rect: Rect,
        /// Its colour.
        color: Color,
    },
    /// A part of a circle as a line; angles in degrees from 12 o'clock, clockwise.
    Arc {
        /// The box of the circle.
        rect: Rect,
        /// Thickness of the line.
        width: f32,
        /// Where it begins.
        start: f32,
        /// How far it goes.
        sweep: f32,
        /// Its colour.
        color: Color,
    },
    /// A straight line with round ends.
    Line {
        /// One end.
        from: (f32, f32),
        /// The other.
        to: (f32, f32),
        /// Thickness.
        width: f32,
        /// Its colour.
        color: Color,
    },
    /// A text.
    Text {
        /// Its lines.
        laid: Same<Laid>,
        /// Where its box begins.
        at: (f32, f32),
        /// Its colour.
        color: Color,
    },
    /// The wallpaper behind everything.
    Wallpaper {
        /// Which one, from 0.
        kind: u8,
        /// Whether it is the one for the night.
        dark: bool,
    },
}

impl Paint {
    /// The box outside of which it draws nothing, roughly.
    pub fn reach(&self) -> Option<Rect> {
        match self {
            Self::Fill { rect, .. }
            | Self::Stroke { rect, .. }
            | Self::Gradient { rect, .. }
            | Self::Icon { rect, .. }
            | Self::Shape { rect, .. }
            | Self::Arc { rect, .. } => Some(*rect),
            Self::Shadow { rect, height, .. } => Some(rect.inset(-2.0 * height, -2.0 * height)),
            Self::Text { laid, at, .. } => {
                let (left, right) = laid.span;
                Some(Rect::new(
                    at.0 + left - 8.0,
                    at.1,
                    right - left + 16.0,
                    laid.height + 8.0,
                ))
            }
            Self::Line { .. } | Self::Wallpaper { .. } => None,
        }
    }
}
