//! RMS norm and layer norm on the card, and their input gradients.

use super::linear::column_sums;
use super::section::{Arguments, section};
use super::source;
use super::tensor::{dense, empty, rows_of};
use burn::backend::Cube;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

/// Threads of a block.
const BLOCK: usize = 256;

/// What the backward pass reads.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
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
    let dtype = x.dtype;
    section([&out, &rstd, &x, &weight], move |cx, addresses| {
        let mut arguments = Arguments::addresses(addresses)
            .long(rows)
            .int(width)
            .long(1)
            .long(width)
            .long(0)
            .float(eps);
        let kernel = source::norm(dtype);
        cx.launch(
            kernel,
            "rms_norm_forward",
            grid(rows, width, dtype),
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
    let dtype = x.dtype;
    section([&out, &mean, &rstd, &x, &weight, &bias], move |cx, addresses| {
        let mut arguments = Arguments::addresses(addresses).long(rows).int(width).float(eps);
        let kernel = source::norm(dtype);
        cx.launch(
            kernel,
            "layer_norm_forward",
            grid(rows, width, dtype),
            BLOCK,
            0,
            &mut arguments,
        )
    });
    let mean = Some(mean);
    (out, Saved { x, weight, mean, rstd })
}

/// The gradient of x, and `carried` where it is given.
pub(super) fn backward(grad: CubeTensor, saved: &Saved, carried: Option<CubeTensor>) -> CubeTensor {
    let Saved { x, weight, mean, rstd } = saved;
    let grad = dense(grad, x.dtype);
    let carries = carried.is_some();
    let carried = carried.map_or_else(|| grad.clone(), into_contiguous);
    let [rows, width] = rows_of(x);
    let dx = empty(x, [rows, width], x.dtype);
    let dtype = x.dtype;
    let layer = mean.is_some();
    let tensors = [&dx, &grad, x, weight, mean.as_ref().unwrap_or(rstd), rstd, &carried];
    section(tensors, move |cx, [dx, grad, x, weight, mean, rstd, carried]| {
        let carried = if carries { carried } else { 0 };
        let arguments = Arguments::addresses([dx, grad, x, weight]);
        let (name, mut arguments) = if layer {
            let arguments = arguments.address(mean).address(rstd).address(carried);
            ("layer_norm_backward", arguments.long(rows).int(width))
        } else {
            let arguments = arguments.address(rstd).address(carried).long(rows).int(width);
            ("rms_norm_backward", arguments.long(1).long(width).long(0))
        };
        let grid = grid(rows, width, dtype);
        cx.launch(source::norm(dtype), name, grid, BLOCK, 0, &mut arguments)
    });
    dx
}

/// The gradient of the weight of a norm, the sum over rows of `dy (x - mean) rstd`, in the format of `x`.
pub(super) fn weight_gradient(grad: &CubeTensor, saved: &Saved) -> CubeTensor {
    let wide = |tensor: &CubeTensor| dense(tensor.clone(), DType::F32);
    let rows = rows_of(&saved.x)[0];
    let column = |values: &CubeTensor| Cube::float_reshape(values.clone(), [rows, 1].into());
    let centred = match &saved.mean {
        None => wide(&saved.x),
        Some(mean) => Cube::float_sub(wide(&saved.x), column(mean)),
    };
    let normed = Cube::float_mul(centred, column(&saved.rstd));
    dense(column_sums(&Cube::float_mul(normed, wide(grad))), saved.x.dtype)
}
