//! Attention of a vision tower on the card: queries, keys and values as one product wrote them, rotated and attended to
//! without being taken apart.

use super::attention::{Backward, Forward};
use super::rotary::Rotation;
use super::section::section;
use super::tensor::{dense, empty, rows_of};
use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

/// What the backward pass reads.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    /// `[rows, 3 * heads * head_dim]`
    qkv: CubeTensor,
    /// Rotated queries and keys `[rows, 2 * heads * head_dim]`.
    rotated: CubeTensor,
    out: CubeTensor,
    lse: CubeTensor,
    cos: CubeTensor,
    sin: CubeTensor,
}

/// Sizes, and strides of matrices that hold `parts` runs of heads in a row.
#[derive(Clone, Copy)]
struct Sizes {
    frames: usize,
    patches: usize,
    heads: usize,
    width: usize,
    dtype: DType,
}

impl Sizes {
    fn of(qkv: &CubeTensor, cos: &CubeTensor) -> Self {
        let (table, [rows, joined]) = (cos.meta.shape(), rows_of(qkv));
        let (patches, width) = (table[2], table[3]);
        Self {
            frames: rows / patches,
            patches,
            heads: joined / (3 * width),
            width,
            dtype: qkv.dtype,
        }
    }

    fn strides(&self, parts: usize) -> [usize; 3] {
        let row = parts * self.heads * self.width;
        [self.patches * row, self.width, row]
    }

    /// Bytes of the heads of one part of a row.
    fn part(&self) -> u64 {
        (self.heads * self.width * self.dtype.size()) as u64
    }

    /// Rotates queries and keys from a matrix of `from` parts to one of `to`.
    fn rotation(&self, from: usize, to: usize, sign: f64) -> Rotation {
        Rotation {
            shape: [self.frames, 2 * self.heads, self.patches, self.width],
            strides: [self.strides(from), self.strides(to)],
            shared: true,
            sign,
            dtype: self.dtype,
        }
    }
}

/// As [`crate::attention_packed`].
pub(super) fn attention(qkv: CubeTensor, cos: CubeTensor, sin: CubeTensor) -> (CubeTensor, Saved) {
    let qkv = into_contiguous(qkv);
    let (cos, sin) = (dense(cos, DType::F32), dense(sin, DType::F32));
    let sizes = Sizes::of(&qkv, &cos);
    let (rows, joined) = (rows_of(&qkv)[0], sizes.heads * sizes.width);
    let rotated = empty(&qkv, [rows, 2 * joined], qkv.dtype);
    let out = empty(&qkv, [rows, joined], qkv.dtype);
    let lse = empty(&qkv, [sizes.frames, sizes.heads, sizes.patches], DType::F32);
    let (apart, whole) = (sizes.strides(2), sizes.strides(3));
    let forward = Forward {
        batch: sizes.frames,
        heads: sizes.heads,
        kv_heads: sizes.heads,
        time_q: sizes.patches,
        time_k: sizes.patches,
        width: sizes.width,
        strides: [apart, apart, whole, sizes.strides(1)],
        causal: false,
    };
    let tensors = [&qkv, &rotated, &out, &lse, &cos, &sin];
    section(tensors, move |cx, [qkv, rotated, out, lse, cos, sin]| {
        sizes.rotation(3, 2, 1.0).launch(cx, [rotated, qkv, cos, sin])?;
        let part = sizes.part();
        forward.launch(cx, [rotated, rotated + part, qkv + 2 * part, out], lse)
    });
    let saved = Saved {
        qkv,
        rotated,
        out: out.clone(),
        lse,
        cos,
        sin,
    };
    (out, saved)
}

/// The gradient of `qkv` from that of the output `[rows, heads * head_dim]`.
pub(super) fn backward(grad: CubeTensor, saved: &Saved) -> CubeTensor {
    let Saved {
        qkv,
        rotated,
        out,
        lse,
        cos,
        sin,
    } = saved;
    let grad = dense(grad, qkv.dtype);
    let sizes = Sizes::of(qkv, cos);
    let fresh = |like: &CubeTensor| empty(like, like.meta.shape().clone(), like.dtype);
    let (d_qkv, d_rotated) = (fresh(qkv), fresh(rotated));
    let rows = empty(qkv, [sizes.frames, sizes.heads, sizes.patches, 2], DType::F32);
    let (apart, whole, one) = (sizes.strides(2), sizes.strides(3), sizes.strides(1));
    let backward = Backward {
        batch: sizes.frames,
        heads: sizes.heads,
        kv_heads: sizes.heads,
        time_q: sizes.patches,
        time_k: sizes.patches,
        width: sizes.width,
        strides: [apart, apart, whole, one, one],
        d_strides: [apart, apart, whole],
        causal: false,
    };
    let tensors = [qkv, rotated, out, lse, cos, sin, &grad, &d_qkv, &d_rotated, &rows];
    section(tensors, move |cx, addresses| {
        let [qkv, rotated, out, lse, cos, sin, grad, d_qkv, d_rotated, rows] = addresses;
        let part = sizes.part();
        let inputs = [rotated, rotated + part, qkv + 2 * part, grad, out];
        let outputs = [d_rotated, d_rotated + part, d_qkv + 2 * part];
        backward.launch(cx, inputs, [lse, rows], outputs)?;
        sizes.rotation(2, 3, -1.0).launch(cx, [d_qkv, d_rotated, cos, sin])
    });
    d_qkv
}
