//! Grids of patches, and the pixels that fill them.

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

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
    uploaded: Uploaded,
}

/// The patches on a card, once they were needed there. No part of what the pixels are: copies start without it, and all
/// are equal.
#[derive(Debug, Default)]
struct Uploaded(OnceLock<Tensor<2>>);

impl Clone for Uploaded {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Uploaded {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Pixels {
    /// Patches `values` that fill `grid`.
    pub fn new(values: Vec<f32>, grid: Grid) -> Self {
        let uploaded = Uploaded::default();
        Self { values, grid, uploaded }
    }

    /// The patches `[patches, C * T * P * P]` on a card, in `dtype`: sent there once for the sampler, the reference and
    /// every pass of training.
    pub(crate) fn on_card(&self, device: &Device, dtype: DType) -> Tensor<2> {
        let send = || {
            let shape = [self.grid.patches(), self.row_len()];
            Tensor::<2>::from_data(TensorData::new(self.values.clone(), shape), device).cast(dtype)
        };
        let kept = self.uploaded.0.get_or_init(send);
        if kept.device() == *device && kept.dtype() == dtype {
            kept.clone()
        } else {
            send()
        }
    }

    /// Values in one row, `C * T * P * P`.
    pub fn row_len(&self) -> usize {
        self.values.len() / self.grid.patches().max(1)
    }
}
