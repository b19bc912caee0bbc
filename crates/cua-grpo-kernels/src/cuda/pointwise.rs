//! Activations on the card, and their gradients.

use super::error::CudaError;
use super::section::{Arguments, Section, section};
use super::source;
use super::tensor::{dense, empty};
use crate::ops::Gelu;
use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

/// Threads of a block.
const BLOCK: usize = 256;

/// Runs a kernel that loops over `count` elements.
fn over(
    cx: &mut Section<'_>,
    dtype: DType,
    name: &'static str,
    count: usize,
    mut arguments: Arguments,
) -> Result<(), CudaError> {
    let per_thread = 16 / dtype.size();
    let blocks = count.div_ceil(BLOCK * per_thread).min(8 * cx.gpu.card.multiprocessors);
    cx.launch(source::pointwise(dtype), name, [blocks, 1, 1], BLOCK, 0, &mut arguments)
}

/// As [`crate::swiglu`].
pub(super) fn swiglu(gate: &CubeTensor, up: &CubeTensor) -> CubeTensor {
    let (gate, up) = (into_contiguous(gate.clone()), into_contiguous(up.clone()));
    let (rows, width) = (1, gate.meta.shape().num_elements());
    let out = empty(&gate, gate.meta.shape().clone(), gate.dtype);
    let dtype = gate.dtype;
    section([&out, &gate, &up], move |cx, addresses| {
        let arguments = Arguments::addresses(addresses)
            .long(rows)
            .long(width)
            .long(width)
            .long(width)
            .long(width);
        over(cx, dtype, "swiglu_forward", rows * width, arguments)
    });
    out
}

/// Gradients of gate and up.
pub(super) fn swiglu_backward(grad: CubeTensor, gate: &CubeTensor, up: &CubeTensor) -> [CubeTensor; 2] {
    let (gate, up) = (into_contiguous(gate.clone()), into_contiguous(up.clone()));
    let grad = dense(grad, gate.dtype);
    let (rows, width) = (1, gate.meta.shape().num_elements());
    let fresh = || empty(&gate, gate.meta.shape().clone(), gate.dtype);
    let (d_gate, d_up) = (fresh(), fresh());
    let dtype = gate.dtype;
    section([&d_gate, &d_up, &grad, &gate, &up], move |cx, addresses| {
        let mut arguments = Arguments::addresses(addresses).long(rows);
        for _ in 0..6 {
            arguments = arguments.long(width);
        }
        over(cx, dtype, "swiglu_backward", rows * width, arguments)
    });
    [d_gate, d_up]
}

/// As [`crate::gelu_tanh`] or [`crate::gelu_erf`].
pub(super) fn gelu(x: &CubeTensor, kind: Gelu) -> CubeTensor {
    let x = into_contiguous(x.clone());
    let count = x.meta.shape().num_elements();
    let out = empty(&x, x.meta.shape().clone(), x.dtype);
    let name = match kind {
        Gelu::Tanh => "gelu_tanh_forward",
        Gelu::Erf => "gelu_erf_forward",
    };
    let dtype = x.dtype;
    section([&out, &x], move |cx, addresses| {
        let arguments = Arguments::addresses(addresses).long(count);
        over(cx, dtype, name, count, arguments)
    });
    out
}

/// The gradient of x.
pub(super) fn gelu_backward(grad: CubeTensor, x: &CubeTensor, kind: Gelu) -> CubeTensor {
    let x = into_contiguous(x.clone());
    let grad = dense(grad, x.dtype);
    let count = x.meta.shape().num_elements();
    let dx = empty(&x, x.meta.shape().clone(), x.dtype);
    let name = match kind {
        Gelu::Tanh => "gelu_tanh_backward",
        Gelu::Erf => "gelu_erf_backward",
    };
    let dtype = x.dtype;
    section([&dx, &grad, &x], move |cx, addresses| {
        let arguments = Arguments::addresses(addresses).long(count);
        over(cx, dtype, name, count, arguments)
    });
    dx
}
