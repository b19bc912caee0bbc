//! Colours and type of Material 3, as a Pixel shows them with its blue palette.

use crate::draw::{
    geom::Color,
    text::{Align, Face},
};

/// The colours of a theme, by their roles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Theme {
    /// Whether it is the dark theme.
    pub dark: bool,
    /// Background of pages.
    pub surface: Color,
    /// Background of cards.
    pub container: Color,
    /// Background of what lies above cards.
    pub container_high: Color,
    /// Background of fields.
    pub container_highest: Color,
    /// Text.
    pub on_surface: Color,
    /// Text that matters less, and icons.
    pub on_variant: Color,
    /// Accent.
    pub primary: Color,
    /// Text on the accent.
    pub on_primary: Color,
    /// Background that is accented.
    pub primary_container: Color,
    /// Text on that.
    pub on_primary_container: Color,
    /// Background that is accented a little.
    pub secondary_container: Color,
    /// Text on that.
    pub on_secondary_container: Color,
    /// Edges.
    pub outline: Color,
    /// Thin lines.
    pub outline_variant: Color,
    /// What is wrong or destroys.
    pub error: Color,
    /// Background of what tells of the past: snackbars.
    pub inverse: Color,
    /// Text on that.
    pub on_inverse: Color,
}

impl Theme {
    /// The light or the dark theme.
    pub fn new(dark: bool) -> Self {
        let hex = Color::hex;
        if dark {
            Self {
                dark,
                surface: hex(0x12_1318),
                container: hex(0x1E_1F25),
                container_high: hex(0x29_2A2F),
                container_highest: hex(0x34_343A),
                on_surface: hex(0xE3_E2E9),
                on_variant: hex(0xC5_C6D0),
                primary: hex(0xAF_C6FF),
                on_primary: hex(0x15_2E60),
                primary_container: hex(0x2E_4578),
                on_primary_container: hex(0xD9_E2FF),
                secondary_container: hex(0x40_4659),
                on_secondary_container: hex(0xDC_E2F9),
                outline: hex(0x8F_9099),
                outline_variant: hex(0x45_464F),
                error: hex(0xFF_B4AB),
                inverse: hex(0xE3_E2E9),
                on_inverse: hex(0x2F_3036),
            }
        } else {
            Self {
                dark,
                surface: hex(0xFA_F8FF),
                container: hex(0xEE_EDF4),
                container_high: hex(0xE8_E7EF),
                container_highest: hex(0xE2_E2E9),
                on_surface: hex(0x1A_1B21),
                on_variant: hex(0x45_464F),
                primary: hex(0x47_5D92),
                on_primary: Color::WHITE,
                primary_container: hex(0xD9_E2FF),
                on_primary_container: hex(0x00_1945),
                secondary_container: hex(0xDC_E2F9),
                on_secondary_container: hex(0x15_1B2C),
                outline: hex(0x75_7780),
                outline_variant: hex(0xC5_C6D0),
                error: hex(0xBA_1A1A),
                inverse: hex(0x2F_3036),
                on_inverse: hex(0xF1_F0F7),
            }
        }
    }
}

/// Size, weight and place of a text; sizes are sp.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Type {
    /// Size.
    pub size: f32,
    /// Whether it is of medium weight.
    pub medium: bool,
    /// Lines at most.
    pub lines: usize,
    /// Where lines stand.
    pub align: Align,
    /// The family.
    pub face: Face,
}

/// A text of a size in sp: one line, at the left, of normal weight.
pub const fn sp(size: f32) -> Type {
    Type {
        size,
        medium: false,
        lines: 1,
        align: Align::Left,
        face: Face::System,
    }
}

impl Type {
    /// The same in medium weight.
    pub const fn medium(self) -> Self {
        Self { medium: true, ..self }
    }

    /// The same in the middle of its box.
    pub const fn center(self) -> Self {
        Self {
            align: Align::Center,
            ..self
        }
    }

    /// The same at the right edge of its box.
    pub const fn right(self) -> Self {
        Self {
            align: Align::Right,
            ..self
        }
    }

    /// The same with more lines.
    pub const fn lines(self, lines: usize) -> Self {
        Self { lines, ..self }
    }

    /// The same in Roboto.
    pub const fn roboto(self) -> Self {
        Self {
            face: Face::Roboto,
            ..self
        }
    }

    /// Height of a line in sp.
    pub fn line(self) -> f32 {
        match self.size {
            s if s >= 40.0 => s * 1.15,
            s if s >= 30.0 => s * 1.22,
            s if s >= 20.0 => s * 1.27,
            s if s >= 16.0 => s * 1.4,
            s => s * 1.36,
        }
    }
}
