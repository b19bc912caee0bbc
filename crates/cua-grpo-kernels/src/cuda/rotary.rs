//! Rotary embedding on the card.

use super::heads::{Heads, heads_first};
use super::section::{Arguments, section};
use super::{dense, source};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// Threads of a block.
const BLOCK: usize = 256;

/// As [`crate::rotate`]; `sign` -1 turns back, which is the gradient.
pub(super) fn rotate(x: &CubeTensor, cos: &CubeTensor, sin: &CubeTensor, sign: f64) -> CubeTensor {
    let x = Heads::of(x.clone());
    // A bf16 table is the text model's: what it was rounded to is exact in f32.
    let (cos, sin) = (dense(cos.clone(), DType::F32), dense(sin.clone(), DType::F32));
    let [batch, heads, time, width] = x.shape;
    let out = heads_first(&x.tensor, x.shape);
    let shared = cos.meta.shape()[0] == 1;
    let (dtype, x_strides, out_strides) = (x.tensor.dtype, x.strides, out.strides);
    section([&out.tensor, &x.tensor, &cos, &sin], move |cx, addresses| {
        let mut arguments = Arguments::addresses(addresses)
            .long(batch)
            .long(heads)
            .long(time)
            .int(width)
            .strides(x_strides)
            .strides(out_strides);
        arguments = arguments.long(if shared { 0 } else { time * width }).float(sign).int(0);
        let count = batch * heads * time * width;
        let blocks = count.div_ceil(BLOCK * 8).min(8 * cx.gpu.multiprocessors);
        let kernel = source::rotary(dtype);
        cx.launch(kernel, "rotary", [blocks, 1, 1], BLOCK, 0, &mut arguments)
    });
    out.tensor
}
