//! Grids of patches, and the pixels that fill them.

use serde::{Deserialize, Serialize};

/// Size of a picture or clip in patches: time, height, width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grid {
    /// Temporal patches; 1 for a picture.
    pub t: usize,
    /// Patches from top to bottom.
    pub h: usize,
    /// Patches from left to right.
    pub w: usize,
}

impl Grid {
    /// A grid of `t` x `h` x `w` patches.
    pub const fn new(t: usize, h: usize, w: usize) -> Self {
        Self { t, h, w }
    }

    /// Number of patches, `t * h * w`.
    pub const fn patches(self) -> usize {
        self.t * self.h * self.w
    }

    /// Number of tokens the language model sees when `merge` x `merge` patches become one.
    pub const fn tokens(self, merge: usize) -> usize {
        self.t * (self.h / merge) * (self.w / merge)
    }

    /// `[t, h, w]`, the row of `image_grid_thw`.
    pub const fn thw(self) -> [usize; 3] {
        [self.t, self.h, self.w]
    }
}

/// Normalised patches of one picture or clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// Row-major `[patches, C * T * P * P]`; rows are block-major, so that `merge * merge` consecutive rows make one token.
    pub values: Vec<f32>,
    /// The grid that the rows fill.
    pub grid: Grid,
}

impl Pixels {
    /// Values in one row, `C * T * P * P`.
    pub fn row_len(&self) -> usize {
        self.values.len() / self.grid.patches().max(1)
    }
}
