//! Tensors `[batch, heads, time, head_dim]` as kernels read them: by strides, with the last axis dense.

use super::tensor::empty;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::permute;
use burn_cubecl::tensor::CubeTensor;

/// A tensor with its sizes and element strides.
#[derive(Debug, Clone)]
pub(super) struct Heads {
    pub tensor: CubeTensor,
    pub shape: [usize; 4],
    /// From one batch, head and row to the next.
    pub strides: [usize; 3],
}

impl Heads {
    /// Takes any view whose last axis is dense as it is, and copies others.
    pub fn of(tensor: CubeTensor) -> Self {
        let dense = tensor.meta.strides()[3] == 1;
        let tensor = if dense { tensor } else { into_contiguous(tensor) };
        let (shape, strides) = (tensor.meta.shape(), tensor.meta.strides());
        let shape = [shape[0], shape[1], shape[2], shape[3]];
        let strides = [strides[0], strides[1], strides[2]];
        Self { tensor, shape, strides }
    }

    /// As [`Heads::of`], with strides that are multiples of 8 elements, as 16-byte accesses need.
    pub fn aligned(tensor: CubeTensor) -> Self {
        let heads = Self::of(tensor);
        if heads.strides.iter().all(|stride| stride.is_multiple_of(8)) {
            heads
        } else {
            Self::of(into_contiguous(heads.tensor))
        }
    }
}

/// A fresh tensor of that shape whose memory is `[batch, time, heads, head_dim]`, so that joining the heads of a token
/// costs nothing.
pub(super) fn heads_first(like: &CubeTensor, [batch, heads, time, width]: [usize; 4]) -> Heads {
    let tensor = empty(like, [batch, time, heads, width], like.dtype);
    Heads::of(permute(tensor, &[0, 2, 1, 3]))
}
