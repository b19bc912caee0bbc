//! Where the first values of a tensor come from: a seeded stream, or nowhere when a checkpoint follows.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Makes the tensors of a new model.
pub struct Initializer {
    /// `None`: placeholders.
    rng: Option<ChaCha8Rng>,
    device: Device,
}

impl Initializer {
    /// Random weights on the host from one stream that starts at `seed`: the same on every device.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self {
            rng: Some(ChaCha8Rng::seed_from_u64(seed)),
            device: device.clone(),
        }
    }

    /// Matrices that have a shape and one stored value, for a model whose weights are about to be read.
    pub fn placeholder(device: &Device) -> Self {
        Self {
            rng: None,
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
        let Some(rng) = &mut self.rng else {
            return self.one_value(shape);
        };
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let radius = (-2.0 * f32::ln(1.0 - rng.random::<f32>())).sqrt() * std;
            let (sin, cos) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
            values.extend([radius * cos, radius * sin]);
        }
        values.truncate(count);
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// A matrix of uniform numbers in `-bound..bound`.
    pub fn uniform(&mut self, shape: [usize; 2], bound: f32) -> Tensor<2> {
        let count = shape[0] * shape[1];
        let Some(rng) = &mut self.rng else {
            return self.one_value(shape);
        };
        let values: Vec<f32> = (0..count).map(|_| rng.random_range(-bound..bound)).collect();
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// A vector of one value.
    pub fn constant(&self, length: usize, value: f32) -> Tensor<1> {
        Tensor::full([length], value, &self.device)
    }

    /// A view of one zero, repeated by stride 0.
    fn one_value(&self, shape: [usize; 2]) -> Tensor<2> {
        Tensor::<2>::zeros([1, 1], &self.device).expand(shape)
    }
}
