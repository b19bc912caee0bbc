//! Random initialisation on the host: the same seed gives the same weights on every device.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws initial weights from one seeded stream.
pub struct Initializer {
    rng: ChaCha8Rng,
    device: Device,
}

impl Initializer {
    /// A stream that starts at `seed`.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            device: device.clone(),
        }
    }

    /// The device that tensors are made on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A matrix of normal numbers with standard deviation `std` (Box-Muller).
    pub fn normal(&mut self, shape: [usize; 2], std: f32) -> Tensor<2> {
        let count = shape[0] * shape[1];
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let radius = (-2.0 * f32::ln(1.0 - self.rng.random::<f32>())).sqrt() * std;
            let (sin, cos) = (std::f32::consts::TAU * self.rng.random::<f32>()).sin_cos();
            values.extend([radius * cos, radius * sin]);
        }
        values.truncate(count);
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// A matrix of uniform numbers in `-bound..bound`.
    pub fn uniform(&mut self, shape: [usize; 2], bound: f32) -> Tensor<2> {
        let count = shape[0] * shape[1];
        let values: Vec<f32> = (0..count).map(|_| self.rng.random_range(-bound..bound)).collect();
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// A vector of one value.
    pub fn constant(&self, length: usize, value: f32) -> Tensor<1> {
        Tensor::full([length], value, &self.device)
    }
}
