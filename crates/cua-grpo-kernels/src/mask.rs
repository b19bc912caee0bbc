//! Which keys a query sees.

use burn::tensor::{Device, Tensor, TensorData};

/// Which keys a query sees.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one mask a forward pass, never in a list")]
pub enum Mask {
    /// All of them.
    All,
    /// Query `i` sees keys `0..=i`; there are as many keys as queries.
    Causal,
    /// Tokens of one batch row that are several sequences of these lengths, one after the other: causal within each.
    Segments(Vec<usize>),
    /// What is added to the scores, 0 or [`HIDDEN`]: `[batch or 1, 1, time_q, sum of columns]`.
    Bias(Tensor<4>),
}

/// What is added to the score of a key that a query must not see. Finite, so that a row that sees nothing stays finite.
pub const HIDDEN: f32 = -1.0e30;

/// The bias of causal attention over right-padded rows: query `i` sees keys `0..=i`.
///
/// # Shapes
/// - output: `[1, 1, time, time]`
pub(crate) fn causal_bias(time: usize, device: &Device) -> Tensor<4> {
    let mut data = vec![0.0f32; time * time];
    for query in 0..time {
        data[query * time + query + 1..(query + 1) * time].fill(HIDDEN);
    }
    Tensor::from_data(TensorData::new(data, [1, 1, time, time]), device)
}

/// The bias of [`Mask::Segments`].
///
/// # Shapes
/// - output: `[1, 1, total, total]`
pub(crate) fn segment_bias(lengths: &[usize], device: &Device) -> Tensor<4> {
    let total = lengths.iter().sum::<usize>();
    let mut data = vec![HIDDEN; total * total];
    let mut start = 0;
    for &length in lengths {
        for query in start..start + length {
            data[query * total + start..=query * total + query].fill(0.0);
        }
        start += length;
    }
    Tensor::from_data(TensorData::new(data, [1, 1, total, total]), device)
}
