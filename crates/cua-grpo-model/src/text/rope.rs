//! Interleaved M-RoPE: which of the axes time, height, width turns which frequency (Qwen3-VL, specification section 3).

use crate::TextConfig;
use burn::tensor::{DType, Device, Tensor, TensorData};

/// Cosines and sines of a batch of positions.
#[derive(Debug, Clone)]
pub struct RopeTables {
    /// `[batch, 1, time, head_dim]`, both halves equal.
    pub cos: Tensor<4>,
    /// As `cos`.
    pub sin: Tensor<4>,
}

impl RopeTables {
    /// The tables in another type.
    #[must_use]
    pub fn cast(self, dtype: DType) -> Self {
        if self.cos.dtype() == dtype {
            return self;
        }
        Self {
            cos: self.cos.cast(dtype),
            sin: self.sin.cast(dtype),
        }
    }
}

/// Tables for `positions[axis]`, each `[batch * time]` in row-major order.
///
/// # Shapes
/// - output: `[batch, 1, time, head_dim]`
pub fn rope_tables(config: &TextConfig, positions: &[Vec<i64>; 3], batch: usize, device: &Device) -> RopeTables {
    let half = config.head_dim / 2;
    let time = positions[0].len() / batch.max(1);
    let inverse: Vec<f32> = (0..half)
        .map(|j| config.rope_theta.powf(-2.0 * j as f64 / config.head_dim as f64) as f32)
        .collect();
    let axes: Vec<usize> = (0..half).map(|j| axis(j, &config.mrope_section)).collect();
    let count = batch * time;
    let mut cos = vec![0.0f32; count * config.head_dim];
    let mut sin = vec![0.0f32; count * config.head_dim];
    let rows = cos.chunks_exact_mut(2 * half).zip(sin.chunks_exact_mut(2 * half));
    for (token, (cos, sin)) in rows.enumerate() {
        for j in 0..half {
            let angle = positions[axes[j]][token] as f32 * inverse[j];
            let (s, c) = angle.sin_cos();
            (cos[j], cos[half + j]) = (c, c);
            (sin[j], sin[half + j]) = (s, s);
        }
    }
    let shape = [batch, 1, time, config.head_dim];
    RopeTables {
        cos: Tensor::from_data(TensorData::new(cos, shape), device),
        sin: Tensor::from_data(TensorData::new(sin, shape), device),
    }
}

/// The axis (0 time, 1 height, 2 width) that turns frequency `j`.
fn axis(j: usize, section: &[usize; 3]) -> usize {
    match j % 3 {
        1 if j < 3 * section[1] => 1,
        2 if j < 3 * section[2] => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_sections_interleave_sixty_frequencies() {
        let axes: Vec<usize> = (0..64).map(|j| axis(j, &[24, 20, 20])).collect();
        assert_eq!(&axes[..7], &[0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(&axes[57..], &[0, 1, 2, 0, 0, 0, 0]);
    }
}
