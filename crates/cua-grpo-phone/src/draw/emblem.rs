//! The icons of apps, as data.

/// A part of an app's icon; sizes are shares of the icon's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layer {
    /// An icon of the list: name, colour, size, place to the right and below the middle.
    Glyph(&'static str, u32, f32, f32, f32),
    /// A box: colour, width, height, place, radius.
    Block(u32, f32, f32, f32, f32, f32),
    /// Letters: text, colour, size.
    Word(&'static str, u32, f32),
    /// A part of a ring: colour, diameter, thickness, start and length in degrees.
    Ring(u32, f32, f32, f32, f32),
}

/// The icon of an app: a circle with parts on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Icon {
    /// Colour of the circle.
    pub back: u32,
    /// What lies on it.
    pub layers: &'static [Layer],
}

impl Icon {
    /// The icon of what has none of its own.
    pub const ROBOT: Self = Self {
        back: 0x3D_DC84,
        layers: &[Layer::Glyph("android", 0xFF_FFFF, 0.62, 0.0, 0.0)],
    };
}
