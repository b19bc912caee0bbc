//! RMS norm and layer norm on the card, and their input gradients.

use super::section::{Arguments, empty, section};
use super::{dense, rows_of, source};
use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

/// Threads of a block.
const BLOCK: usize = 256;

/// What the backward pass reads. The weights are frozen.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    x: CubeTensor,
    weight: CubeTensor,
    /// Means of the rows; only of a layer norm.
    mean: Option<CubeTensor>,
    rstd: CubeTensor,
}

/// A warp a row where rows are short, a block a row elsewhere.
fn grid(rows: usize, width: usize, dtype: DType) -> [usize; 3] {
    let short = width * dtype.size() <= 2560;
    let blocks = if short { rows.div_ceil(BLOCK / 32) } else { rows };
    [blocks, 1, 1]
}

/// As [`crate::rms_norm`].
pub(super) fn rms(x: CubeTensor, weight: CubeTensor, eps: f64) -> (CubeTensor, Saved) {
    let x = into_contiguous(x);
    let weight = dense(weight, x.dtype);
    let [rows, width] = rows_of(&x);
    let (out, rstd) = (empty(&x, [rows, width], x.dtype), empty(&x, [rows], DType::F32));
    section(&x.client, |cx| {
        let mut arguments = Arguments::default()
            .address(cx.address(&out)?)
            .address(cx.address(&rstd)?)
            .address(cx.address(&x)?)
            .address(cx.address(&weight)?)
            .long(rows)
            .int(width)
            .long(1)
            .long(width)
            .long(0)
            .float(eps);
        let kernel = source::norm(x.dtype);
        cx.launch(
            kernel,
            "rms_norm_forward",
            grid(rows, width, x.dtype),
            BLOCK,
            0,
            &mut arguments,
        )
    });
    let mean = None;
    (out, Saved { x, weight, mean, rstd })
}

/// As [`crate::layer_norm`].
pub(super) fn layer(x: CubeTensor, weight: CubeTensor, bias: CubeTensor, eps: f64) -> (CubeTensor, Saved) {
    let x = into_contiguous(x);
    let weight = dense(weight, x.dtype);
    let bias = dense(bias, x.dtype);
    let [rows, width] = rows_of(&x);
    let out = empty(&x, [rows, width], x.dtype);
    let (mean, rstd) = (empty(&x, [rows], DType::F32), empty(&x, [rows], DType::F32));
    section(&x.client, |cx| {
        let mut arguments = Arguments::default()
            .address(cx.address(&out)?)
            .address(cx.address(&mean)?)
            .address(cx.address(&rstd)?)
            .address(cx.address(&x)?)
            .address(cx.address(&weight)?)
            .address(cx.address(&bias)?)
            .long(rows)
            .int(width)
            .float(eps);
        let kernel = source::norm(x.dtype);
        cx.launch(
            kernel,
            "layer_norm_forward",
            grid(rows, width, x.dtype),
            BLOCK,
            0,
            &mut arguments,
        )
    });
    let mean = Some(mean);
    (out, Saved { x, weight, mean, rstd })
}

/// The gradient of x.
pub(super) fn backward(grad: CubeTensor, saved: &Saved) -> CubeTensor {
    let Saved { x, weight, mean, rstd } = saved;
    let grad = dense(grad, x.dtype);
    let [rows, width] = rows_of(x);
    let dx = empty(x, [rows, width], x.dtype);
    section(&x.client, |cx| {
        let mut arguments = Arguments::default()
            .address(cx.address(&dx)?)
            .address(cx.address(&grad)?)
            .address(cx.address(x)?)
            .address(cx.address(weight)?);
        let name = match mean {
            None => {
                arguments = arguments
                    .address(cx.address(rstd)?)
                    .address(0)
                    .long(rows)
                    .int(width)
                    .long(1)
                    .long(width)
                    .long(0);
                "rms_norm_backward"
            }
            Some(mean) => {
                arguments = arguments
                    .address(cx.address(mean)?)
                    .address(cx.address(rstd)?)
                    .address(0)
                    .long(rows)
                    .int(width);
                "layer_norm_backward"
            }
        };
        cx.launch(
            source::norm(x.dtype),
            name,
            grid(rows, width, x.dtype),
            BLOCK,
            0,
            &mut arguments,
        )
    });
    dx
}
