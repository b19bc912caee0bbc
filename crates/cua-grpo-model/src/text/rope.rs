//! Interleaved M-RoPE: which of the axes time, height, width turns which frequency (Qwen3-VL, specification section 3).

use crate::TextConfig;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::sync::{Arc, Mutex, PoisonError};

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
    let last = positions.iter().flatten().max().copied().unwrap_or(0);
    let turns = turns(config, last);
    let axes: Vec<usize> = (0..half).map(|j| axis(j, &config.mrope_section)).collect();
    let count = batch * time;
    let mut cos = vec![0.0f32; count * config.head_dim];
    let mut sin = vec![0.0f32; count * config.head_dim];
    let rows = cos.chunks_exact_mut(2 * half).zip(sin.chunks_exact_mut(2 * half));
    for (token, (cos, sin)) in rows.enumerate() {
        let rows = [0, 1, 2].map(|axis| {
            let start = positions[axis][token] as usize * half;
            &turns[start..start + half]
        });
        for j in 0..half {
            [cos[j], sin[j]] = rows[axes[j]][j];
        }
        cos.copy_within(..half, half);
        sin.copy_within(..half, half);
    }
    let shape = [batch, 1, time, config.head_dim];
    RopeTables {
        cos: Tensor::from_data(TensorData::new(cos, shape), device),
        sin: Tensor::from_data(TensorData::new(sin, shape), device),
    }
}

/// Cosine and sine of each position times each frequency, `head_dim / 2` pairs a position.
type Turns = Arc<Vec<[f32; 2]>>;

/// What [`turns`] gave last, with the base and the number of frequencies.
static TURNS: Mutex<Option<(f64, usize, Turns)>> = Mutex::new(None);

/// The turns of positions up to `last` at least. They are kept from call to call: a batch has few positions and many
/// tokens, and a card would wait for the cosines.
fn turns(config: &TextConfig, last: i64) -> Turns {
    let half = config.head_dim / 2;
    let count = last.max(0) as usize + 1;
    let mut kept = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut known = match &*kept {
        Some((base, width, turns)) if *base == config.rope_theta && *width == half => {
            if turns.len() >= count * half {
                return Arc::clone(turns);
            }
            turns.to_vec()
        }
        _ => Vec::new(),
    };
    let inverse: Vec<f32> = (0..half)
        .map(|j| config.rope_theta.powf(-2.0 * j as f64 / config.head_dim as f64) as f32)
        .collect();
    let first = known.len() / half.max(1);
    for position in first..count.next_multiple_of(1024) {
        known.extend(inverse.iter().map(|f| {
            let (sine, cosine) = (position as f32 * f).sin_cos();
            [cosine, sine]
        }));
    }
    let turns = Arc::new(known);
    *kept = Some((config.rope_theta, half, Arc::clone(&turns)));
    turns
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
