//! Interleaved M-RoPE: which of the axes time, height, width rotates which frequency (Qwen3-VL, specification section 3).

use crate::TextConfig;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::sync::{Arc, Mutex, PoisonError};

/// Cosines and sines of a batch of positions.
#[derive(Debug, Clone)]
pub struct RopeTables {
    /// `[batch, 1, time, turned width of a head]`, both halves equal.
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
/// - output: `[batch, 1, time, turned width of a head]`
pub fn rope_tables(config: &TextConfig, positions: &[Vec<i64>; 3], batch: usize, device: &Device) -> RopeTables {
    let time = positions[0].len() / batch.max(1);
    let starts: Vec<usize> = (0..batch).map(|row| row * time).collect();
    row_tables(config, positions, &starts, batch, device)
}

/// As [`rope_tables`], where row `i` begins at token `starts[i]`: the frequencies of some types of scaling follow from
/// the last position of the row.
pub(crate) fn row_tables(
    config: &TextConfig,
    positions: &[Vec<i64>; 3],
    starts: &[usize],
    batch: usize,
    device: &Device,
) -> RopeTables {
    let width = config.rotary_dim();
    let half = width / 2;
    let count = positions[0].len();
    let time = count / batch.max(1);
    let axes: Vec<usize> = (0..half).map(|j| axis(j, &config.mrope_section)).collect();
    let mut cos = vec![0.0f32; count * width];
    let mut sin = vec![0.0f32; count * width];
    let ends = starts.iter().skip(1).copied().chain([count]);
    for (&start, end) in starts.iter().zip(ends) {
        let last = positions
            .iter()
            .flat_map(|axis| &axis[start..end])
            .max()
            .copied()
            .unwrap_or(0);
        let rotations = rotations(config, last);
        let cos = cos[start * width..end * width].chunks_exact_mut(2 * half);
        let sin = sin[start * width..end * width].chunks_exact_mut(2 * half);
        for (token, (cos, sin)) in (start..end).zip(cos.zip(sin)) {
            let rows = [0, 1, 2].map(|axis| {
                let start = positions[axis][token] as usize * half;
                &rotations[start..start + half]
            });
            for j in 0..half {
                [cos[j], sin[j]] = rows[axes[j]][j];
            }
            cos.copy_within(..half, half);
            sin.copy_within(..half, half);
        }
    }
    let shape = [batch, 1, time, width];
    RopeTables {
        cos: Tensor::from_data(TensorData::new(cos, shape), device),
        sin: Tensor::from_data(TensorData::new(sin, shape), device),
    }
}

/// Cosine and sine of each position times each frequency, half as many pairs a position as a head has turned values.
type Rotations = Arc<Vec<[f32; 2]>>;

/// What [`rotations`] gave last, with the frequencies and the factor of cosines and sines.
static ROTATIONS: Mutex<Option<(Vec<f32>, f32, Rotations)>> = Mutex::new(None);

/// The rotations of positions up to `last` at least, for a row that ends there. They are kept from call to call: a batch has
/// few positions and many tokens, and a card would wait for the cosines.
fn rotations(config: &TextConfig, last: i64) -> Rotations {
    let width = config.rotary_dim();
    let half = width / 2;
    let count = last.max(0) as usize + 1;
    let longest = config.max_position_embeddings;
    let inverse = config
        .rope_scaling
        .frequencies(config.rope_theta, width, count, longest);
    let factor = config.rope_scaling.attention_factor() as f32;
    let mut kept = ROTATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut known = match &*kept {
        Some((frequencies, by, rotations)) if *frequencies == inverse && *by == factor => {
            if rotations.len() >= count * half {
                return Arc::clone(rotations);
            }
            rotations.to_vec()
        }
        _ => Vec::new(),
    };
    let first = known.len() / half.max(1);
    for position in first..count.next_multiple_of(1024) {
        known.extend(inverse.iter().map(|f| {
            let (sine, cosine) = (position as f32 * f).sin_cos();
            [cosine * factor, sine * factor]
        }));
    }
    let rotations = Arc::new(known);
    *kept = Some((inverse, factor, Arc::clone(&rotations)));
    rotations
}

/// The axis (0 time, 1 height, 2 width) that rotates frequency `j`.
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
