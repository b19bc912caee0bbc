//! Boxes and colours.

/// A box on the screen. In layout its unit is the dp, in drawing the pixel.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl Rect {
    /// A box from its corner and size.
    pub const fn new(x: f32, y: f32, w: f32, h: f32) -> Self {
        Self { x, y, w, h }
    }

    /// The edge on the right.
    pub fn right(self) -> f32 {
        self.x + self.w
    }

    /// The lower edge.
    pub fn bottom(self) -> f32 {
        self.y + self.h
    }

    /// The middle.
    pub fn center(self) -> (f32, f32) {
        (self.x + self.w / 2.0, self.y + self.h / 2.0)
    }

    /// Whether a point is inside; right and lower edges are outside.
    pub fn contains(self, x: f32, y: f32) -> bool {
        x >= self.x && y >= self.y && x < self.right() && y < self.bottom()
    }

    /// The same box with less on each side (more, where negative).
    pub fn inset(self, dx: f32, dy: f32) -> Self {
        Self::new(self.x + dx, self.y + dy, self.w - 2.0 * dx, self.h - 2.0 * dy)
    }

    /// The box moved.
    pub fn offset(self, dx: f32, dy: f32) -> Self {
        Self::new(self.x + dx, self.y + dy, self.w, self.h)
    }

    /// All sizes multiplied.
    pub fn scale(self, k: f32) -> Self {
        Self::new(self.x * k, self.y * k, self.w * k, self.h * k)
    }

    /// What two boxes have in common; it may be empty (no width or height).
    pub fn clip(self, other: Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let right = self.right().min(other.right()).max(x);
        let bottom = self.bottom().min(other.bottom()).max(y);
        Self::new(x, y, right - x, bottom - y)
    }

    /// Whether there is nothing inside.
    pub fn is_empty(self) -> bool {
        self.w <= 0.0 || self.h <= 0.0
    }

    /// A box of a size with the same middle.
    pub fn middle(self, w: f32, h: f32) -> Self {
        let (x, y) = self.center();
        Self::new(x - w / 2.0, y - h / 2.0, w, h)
    }

    /// Edges as whole pixels: left, top, right, bottom.
    pub fn pixels(self) -> [i32; 4] {
        [self.x, self.y, self.right(), self.bottom()].map(|edge| edge.round() as i32)
    }
}

/// A colour with its opacity, 8 bits each, not premultiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Color {
    /// Red.
    pub r: u8,
    /// Green.
    pub g: u8,
    /// Blue.
    pub b: u8,
    /// Opacity.
    pub a: u8,
}

impl Color {
    /// White.
    pub const WHITE: Self = Self::hex(0xFF_FFFF);
    /// Black.
    pub const BLACK: Self = Self::hex(0);

    /// An opaque colour from `0xRRGGBB`.
    pub const fn hex(rgb: u32) -> Self {
        Self {
            r: (rgb >> 16) as u8,
            g: (rgb >> 8) as u8,
            b: rgb as u8,
            a: 255,
        }
    }

    /// The same colour with an opacity of 0 to 1.
    pub fn alpha(self, a: f32) -> Self {
        Self {
            a: (a * 255.0).round() as u8,
            ..self
        }
    }

    /// A mixture: 0 is this colour, 1 the other.
    pub fn mix(self, other: Self, t: f32) -> Self {
        let one = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * t).round() as u8;
        Self {
            r: one(self.r, other.r),
            g: one(self.g, other.g),
            b: one(self.b, other.b),
            a: one(self.a, other.a),
        }
    }
}
