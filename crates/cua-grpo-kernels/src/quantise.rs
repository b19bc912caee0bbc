//! Quantisation on the host as bitsandbytes does it: four-bit codes (bit for bit), and eight-bit scales.

use crate::weight::{BLOCK, CODE, Nf4, Nf4Error};
use burn::tensor::Device;
use rayon::prelude::*;

/// Scales that share a scale of their own in double quantisation.
pub const NESTED_BLOCK: usize = 256;
/// Smallest scale that is divided by: a block of zeros stays zeros.
const TINY: f32 = 1e-38;

/// Scales quantised to eight bits: `map[code] * absmax + offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scales {
    /// A code a scale.
    pub codes: Vec<u8>,
    /// Scale of each block of codes, of [`NESTED_BLOCK`] where this crate quantised.
    pub absmax: Vec<f32>,
    /// The mean that was taken off first.
    pub offset: f32,
}

impl Nf4 {
    /// Quantises a matrix; with `double`, the scales are rounded to eight bits too, as QLoRA stores them.
    ///
    /// # Errors
    /// When there are not as many values as the shape needs, or one is not finite.
    pub fn quantise(values: &[f32], shape: [usize; 2], double: bool, device: &Device) -> Result<Self, Nf4Error> {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(Nf4Error::NotFinite { shape, index });
        }
        let expected = shape[0] * shape[1];
        if values.len() != expected {
            let (what, got) = ("values", values.len());
            return Err(Nf4Error::Count {
                shape,
                what,
                expected,
                got,
            });
        }
        let (codes, mut absmax) = quantise(values);
        if double {
            absmax = dequantise_scales(&quantise_scales(&absmax, mean(&absmax)), &dynamic_map(), NESTED_BLOCK);
        }
        Self::new(codes, absmax, shape, device)
    }
}

/// Two codes a byte, and the largest magnitude of each block of 64.
///
/// An odd value out is paired with the code of 0. Whole blocks are multiplied by the inverse of their scale and the
/// rest is divided by it, as in bitsandbytes; a value in the middle between two codes takes the lower one.
pub fn quantise(values: &[f32]) -> (Vec<u8>, Vec<f32>) {
    let bounds: [f32; 15] = std::array::from_fn(|i| f32::midpoint(CODE[i], CODE[i + 1]));
    let code = |scaled: f32| bounds.iter().map(|&bound| u8::from(bound < scaled)).sum::<u8>();
    let mut codes = vec![0u8; values.len().div_ceil(2)];
    let mut absmax = vec![0f32; values.len().div_ceil(BLOCK)];
    let blocks = values.par_chunks(BLOCK).zip(codes.par_chunks_mut(BLOCK / 2));
    blocks.zip(&mut absmax).for_each(|((values, codes), absmax)| {
        *absmax = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let (inverse, whole) = (1.0 / absmax.max(TINY), values.len() == BLOCK);
        if !whole {
            *absmax = absmax.max(TINY);
        }
        let scaled = |value: f32| if whole { value * inverse } else { value / *absmax };
        for (byte, pair) in codes.iter_mut().zip(values.chunks(2)) {
            let low = pair.get(1).map_or(0.0, |&value| scaled(value));
            *byte = code(scaled(pair[0])) << 4 | code(low);
        }
    });
    (codes, absmax)
}

/// The offset of [`quantise_scales`]: the mean, summed in f64 and rounded once.
///
/// PyTorch sums in f32, in an order that depends on the instruction set and the number of threads: bitsandbytes' offset
/// may differ from this one in its last bits.
pub fn mean(scales: &[f32]) -> f32 {
    let sum: f64 = scales.iter().map(|&scale| f64::from(scale)).sum();
    (sum / scales.len().max(1) as f64) as f32
}

/// Rounds scales, less an offset, to the nearest of eight bits.
///
/// bitsandbytes' CUDA kernel takes the nearest too. Its CPU library looks codes up at a coarser step: one scale in a
/// thousand, half-way between two codes within 1e-5 of the largest, goes to the other one there.
pub fn quantise_scales(scales: &[f32], offset: f32) -> Scales {
    let map = dynamic_map();
    let mut codes = vec![0u8; scales.len()];
    let mut absmax = vec![0f32; scales.len().div_ceil(NESTED_BLOCK)];
    let blocks = scales.chunks(NESTED_BLOCK).zip(codes.chunks_mut(NESTED_BLOCK));
    for ((scales, codes), absmax) in blocks.zip(&mut absmax) {
        *absmax = scales
            .iter()
            .fold(0.0f32, |largest, scale| largest.max((scale - offset).abs()));
        for (code, scale) in codes.iter_mut().zip(scales) {
            *code = nearest(&map, (scale - offset) / absmax.max(TINY));
        }
    }
    Scales { codes, absmax, offset }
}

/// What eight-bit scales mean, under `map`, with blocks of `block`.
///
/// # Panics
/// When there are fewer scales of scales than blocks, or the map has fewer than 256 entries.
pub fn dequantise_scales(scales: &Scales, map: &[f32], block: usize) -> Vec<f32> {
    let Scales { codes, absmax, offset } = scales;
    let blocks = codes.chunks(block.max(1)).zip(absmax);
    blocks
        .flat_map(|(codes, absmax)| codes.iter().map(move |&code| map[usize::from(code)] * absmax + offset))
        .collect()
}

/// The 256 values of bitsandbytes' signed dynamic type (Dettmers 2016), in ascending order: seven decades with twice as
/// many values in each than in the one below, 0 and 1.
pub fn dynamic_map() -> Vec<f32> {
    let mut map = vec![0.0, 1.0];
    for exponent in 0..7 {
        let parts = 1usize << exponent;
        let step = (1.0f32 - 0.1) / parts as f32;
        // As torch.linspace computes it: from whichever end is nearer, with one rounding.
        let boundary = |k: usize| {
            if k < parts.div_ceil(2) {
                step.mul_add(k as f32, 0.1)
            } else {
                (-step).mul_add((parts - k) as f32, 1.0)
            }
        };
        let size = 10f64.powi(exponent - 6) as f32;
        for k in 0..parts {
            let value = size * f32::midpoint(boundary(k), boundary(k + 1));
            map.extend([value, -value]);
        }
    }
    map.sort_by(f32::total_cmp);
    map
}

/// Number of the entry nearest to `value`, the lower one in the middle.
fn nearest(map: &[f32], value: f32) -> u8 {
    let above = map.partition_point(|&entry| entry <= value).min(map.len() - 1);
    let below = above.saturating_sub(1);
    let index = if (map[above] - value).abs() < (value - map[below]).abs() {
        above
    } else {
        below
    };
    u8::try_from(index).unwrap_or(u8::MAX)
}
