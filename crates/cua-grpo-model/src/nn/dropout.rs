//! Dropout with a mask that follows from a seed, so that a forward pass can be repeated.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Drops entries at random and scales the others up, so that the expectation stays (Srivastava et al. 2014).
///
/// The mask depends on the seed and the place in the matrix alone: the same rows in the same order get the same mask in
/// every forward pass, on every device, whatever ran in between. It is drawn on the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Fraction of entries that are dropped, less than 1.
    pub rate: f64,
    /// What the mask follows from.
    pub seed: u64,
}

impl Dropout {
    /// The mask `[rows, width]`: 0 where an entry is dropped, `1 / (1 - rate)` where it stays.
    pub fn mask(&self, [rows, width]: [usize; 2], device: &Device) -> Tensor<2> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let limit = (self.rate * 2f64.powi(32)) as u64;
        let kept = (1.0 / (1.0 - self.rate)) as f32;
        let values: Vec<f32> = (0..rows * width)
            .map(|_| if u64::from(rng.next_u32()) < limit { 0.0 } else { kept })
            .collect();
        Tensor::from_data(TensorData::new(values, [rows, width]), device)
    }

    /// `x` with entries dropped.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mask = self.mask(x.dims(), &x.device().without_autodiff());
        x * mask
    }
}
