//! Rotary embedding on the card, alone and with the norm of heads before it.

use super::error::CudaError;
use super::heads::{Heads, heads_first};
use super::section::{Address, Arguments, Section, section};
use super::source;
use super::tensor::{dense, empty, rows_of};
use burn::tensor::DType;
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::tensor::CubeTensor;

/// Threads of a block.
const BLOCK: usize = 256;

/// A launch that rotates heads.
#[derive(Clone, Copy)]
pub(super) struct Rotation {
    pub shape: [usize; 4],
    /// Of the heads and of where they go.
    pub strides: [[usize; 3]; 2],
    /// Whether the batch has one table.
    pub shared: bool,
    /// -1 rotates back, which is the gradient.
    pub sign: f64,
    pub dtype: DType,
}

impl Rotation {
    /// Launches on the output, the heads, cosines and sines.
    pub fn launch(self, cx: &mut Section<'_>, addresses: [Address; 4]) -> Result<(), CudaError> {
        let [batch, heads, time, width] = self.shape;
        let mut arguments = Arguments::addresses(addresses)
            .long(batch)
            .long(heads)
            .long(time)
            .int(width)
            .strides(self.strides[0])
            .strides(self.strides[1])
            .long(if self.shared { 0 } else { time * width })
            .float(self.sign)
            .int(0);
        let count = batch * heads * time * width;
        let blocks = count.div_ceil(BLOCK * 8).min(8 * cx.gpu.card.multiprocessors);
        let kernel = source::rotary(self.dtype);
        cx.launch(kernel, "rotary", [blocks, 1, 1], BLOCK, 0, &mut arguments)
    }
}

/// As [`crate::rotate`]; `sign` -1 rotates back, which is the gradient.
pub(super) fn rotate(x: &CubeTensor, cos: &CubeTensor, sin: &CubeTensor, sign: f64) -> CubeTensor {
    let x = Heads::of(x.clone());
    // A bf16 table is the text model's: what it was rounded to is exact in f32.
    let (cos, sin) = (dense(cos.clone(), DType::F32), dense(sin.clone(), DType::F32));
    let out = heads_first(&x.tensor, x.shape);
    let rotation = Rotation {
        shape: x.shape,
        strides: [x.strides, out.strides],
        shared: cos.meta.shape()[0] == 1,
        sign,
        dtype: x.tensor.dtype,
    };
    let tensors = [&out.tensor, &x.tensor, &cos, &sin];
    section(tensors, move |cx, addresses| rotation.launch(cx, addresses));
    out.tensor
}

/// What the backward pass of [`norm_rotate`] reads.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    x: CubeTensor,
    weight: CubeTensor,
    cos: CubeTensor,
    sin: CubeTensor,
    eps: f64,
}

/// Whether there is a kernel for heads of this size.
pub(crate) fn norms(head_dim: usize) -> bool {
    matches!(head_dim, 32 | 64 | 128 | 256)
}

/// Sizes of a launch on `x [batch * time, heads * head_dim]`.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    heads: usize,
    time: usize,
    width: usize,
    /// Elements from the table of one batch to the next, and from one time to the next.
    table: [usize; 2],
    bf16_table: bool,
    dtype: DType,
    eps: f64,
}

impl Sizes {
    fn of(x: &CubeTensor, cos: &CubeTensor, eps: f64) -> Self {
        let (table, strides) = (cos.meta.shape(), cos.meta.strides());
        let [rows, joined] = rows_of(x);
        let (time, width) = (table[2], table[3]);
        Self {
            batch: rows / time,
            heads: joined / width,
            time,
            width,
            table: [if table[0] == 1 { 0 } else { strides[0] }, strides[2]],
            bf16_table: cos.dtype == DType::BF16,
            dtype: x.dtype,
            eps,
        }
    }

    /// Strides of heads of one token that lie together.
    fn joined(&self) -> [usize; 3] {
        let row = self.heads * self.width;
        [self.time * row, self.width, row]
    }

    fn arguments(&self, arguments: Arguments, out: [usize; 3]) -> Arguments {
        arguments
            .long(self.batch)
            .long(self.heads)
            .long(self.time)
            .int(self.width)
            .strides(self.joined())
            .strides(out)
            .long(self.table[0])
            .long(self.table[1])
            .int(usize::from(self.bf16_table))
            .float(self.eps)
    }

    fn grid(&self) -> [usize; 3] {
        let count = self.batch * self.heads * self.time * self.width;
        [count.div_ceil(BLOCK * 16), 1, 1]
    }
}

/// A table whose rows are dense and start at multiples of 16 bytes.
fn table(tensor: CubeTensor) -> CubeTensor {
    let strides = tensor.meta.strides();
    let even = strides[3] == 1 && [strides[0], strides[2]].iter().all(|stride| stride.is_multiple_of(8));
    if even { tensor } else { into_contiguous(tensor) }
}

/// As [`crate::rms_norm_rotate`].
pub(super) fn norm_rotate(
    x: CubeTensor,
    weight: CubeTensor,
    eps: f64,
    cos: CubeTensor,
    sin: CubeTensor,
) -> (CubeTensor, Saved) {
    let x = into_contiguous(x);
    let weight = dense(weight, x.dtype);
    let (cos, sin) = (table(cos), table(sin));
    let sizes = Sizes::of(&x, &cos, eps);
    let out = heads_first(&x, [sizes.batch, sizes.heads, sizes.time, sizes.width]);
    let strides = out.strides;
    section([&out.tensor, &x, &weight, &cos, &sin], move |cx, addresses| {
        let mut arguments = sizes.arguments(Arguments::addresses(addresses), strides);
        let kernel = source::rotary(sizes.dtype);
        cx.launch(kernel, "norm_rotary", sizes.grid(), BLOCK, 0, &mut arguments)
    });
    let saved = Saved {
        x,
        weight,
        cos,
        sin,
        eps,
    };
    (out.tensor, saved)
}

/// The gradient of x from that of the rotated heads.
pub(super) fn norm_rotate_backward(grad: CubeTensor, saved: &Saved) -> CubeTensor {
    let Saved {
        x,
        weight,
        cos,
        sin,
        eps,
    } = saved;
    let grad = Heads::aligned(cast(grad, x.dtype));
    let sizes = Sizes::of(x, cos, *eps);
    let dx = empty(x, x.meta.shape().clone(), x.dtype);
    let strides = grad.strides;
    let tensors = [&dx, x, weight, cos, sin, &grad.tensor];
    section(tensors, move |cx, [dx, x, weight, cos, sin, grad]| {
        let arguments = Arguments::addresses([dx, x, weight, cos, sin]);
        let mut arguments = sizes
            .arguments(arguments, sizes.joined())
            .address(grad)
            .strides(strides);
        let kernel = source::rotary(sizes.dtype);
        cx.launch(kernel, "norm_rotary_backward", sizes.grid(), BLOCK, 0, &mut arguments)
    });
    dx
}
