//! Linear maps on the card: the products of [`super::blas`], with a low-rank update beside them.

use super::blas::{Element, Product};
use super::section::{Arguments, section};
use super::source;
use super::tensor::{dense, element_of, empty, matrix, row_stride, rows_of};
use crate::ops::{Lora, Weight};
use burn::backend::Cube;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

/// The dense matrix of a frozen weight in `dtype`; its rows may lie apart. One in four bits is expanded for each product,
/// and dropped after it.
fn expanded(weight: &Weight<Cube>, dtype: DType) -> CubeTensor {
    match weight {
        Weight::Dense(weight) => matrix(weight.clone()),
        Weight::Nf4 { codes, absmax, shape } => {
            let out = empty(absmax, *shape, dtype);
            let count = shape[0] * shape[1];
            section([&out, codes, absmax], move |cx, addresses| {
                let mut arguments = Arguments::addresses(addresses).long(count);
                let blocks = count.div_ceil(256 * 8).min(16 * cx.gpu.card.multiprocessors);
                let kernel = source::nf4(dtype);
                cx.launch(kernel, "nf4_dequantise", [blocks, 1, 1], 256, 0, &mut arguments)
            });
            out
        }
    }
}

/// What the backward pass of a linear map reads.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    weight: Weight<Cube>,
    dtype: DType,
    /// The input, where the weight is trained and has no update beside it.
    x: Option<Box<CubeTensor>>,
    lora: Option<SavedLora>,
}

#[derive(Debug, Clone)]
struct SavedLora {
    x: CubeTensor,
    /// `x A^T`, `[rows, r]`.
    low: CubeTensor,
    a: CubeTensor,
    b: CubeTensor,
    scaling: f64,
}

/// `x W^T + b (+ scaling (x A^T) B^T)`; the factors may be f32 beside a bf16 weight.
pub(super) fn linear(
    x: CubeTensor,
    frozen: Weight<Cube>,
    bias: Option<CubeTensor>,
    lora: Lora<Cube>,
    trained: bool,
) -> (CubeTensor, Saved) {
    let x = into_contiguous(x);
    let dtype = x.dtype;
    let weight = expanded(&frozen, dtype);
    let bias = bias.map(|bias| dense(bias, dtype));
    let element = element_of(dtype);
    let [m, k] = rows_of(&x);
    let n = rows_of(&weight)[0];
    let out = empty(&x, [m, n], dtype);
    let product = Product {
        bias: bias.is_some(),
        b_stride: row_stride(&weight),
        ..Product::linear(m, n, k, element)
    };
    let Lora::Given { a, b, scaling } = lora else {
        let tensors = [&x, &weight, &out, bias.as_ref().unwrap_or(&x)];
        section(tensors, move |cx, [x, w, out, bias]| {
            cx.multiply(product, 1.0, x, w, Some(bias), out)
        });
        let saved = Saved {
            weight: frozen,
            dtype,
            x: trained.then(|| Box::new(x)),
            lora: None,
        };
        return (out, saved);
    };
    let (a, b) = (dense(a, dtype), dense(b, dtype));
    let r = rows_of(&a)[0];
    let low = empty(&x, [m, r], dtype);
    let tensors = [&x, &weight, &out, bias.as_ref().unwrap_or(&x), &a, &b, &low];
    section(tensors, move |cx, [px, pw, pout, bias, pa, pb, plow]| {
        cx.multiply(Product::linear(m, r, k, element), 1.0, px, pa, None, plow)?;
        // The update goes first: the large product adds what it finds for nothing, a small one that added to the large
        // result would read and write all of it.
        cx.multiply(Product::linear(m, n, r, element), scaling, plow, pb, None, pout)?;
        let onto = Product {
            accumulate: true,
            ..product
        };
        cx.multiply(onto, 1.0, px, pw, Some(bias), pout)
    });
    let lora = Some(SavedLora { x, low, a, b, scaling });
    let saved = Saved {
        weight: frozen,
        dtype,
        x: None,
        lora,
    };
    (out, saved)
}

/// `residual +` [`linear`], added where the sums are in f32.
///
/// An update is added to the residual first and rounded there; then the product comes onto that, as it comes onto the
/// residual alone where there is no update. So an update of zeros changes no bit: the reference, which has none, is the
/// policy as long as the adapter is zero. The sum of residual and update has memory of its own: in place, a fifth of
/// the bf16 results came out otherwise on an H200.
pub(super) fn linear_onto(
    residual: CubeTensor,
    x: CubeTensor,
    frozen: Weight<Cube>,
    bias: Option<CubeTensor>,
    lora: Lora<Cube>,
) -> CubeTensor {
    let (residual, x) = (into_contiguous(residual), into_contiguous(x));
    let (dtype, weight) = (x.dtype, expanded(&frozen, x.dtype));
    let bias = bias.map(|bias| dense(bias, dtype));
    let ([m, k], n) = (rows_of(&x), rows_of(&weight)[0]);
    let (out, element) = (empty(&x, [m, n], dtype), element_of(dtype));
    let product = Product {
        bias: bias.is_some(),
        accumulate: true,
        b_stride: row_stride(&weight),
        ..Product::linear(m, n, k, element)
    };
    let Lora::Given { a, b, scaling } = lora else {
        let tensors = [&x, &weight, &residual, &out, bias.as_ref().unwrap_or(&x)];
        section(tensors, move |cx, [x, w, residual, out, bias]| {
            cx.multiply_onto(product, 1.0, [x, w], Some(bias), residual, out)
        });
        return out;
    };
    let (a, b) = (dense(a, dtype), dense(b, dtype));
    let r = rows_of(&a)[0];
    let (low, base) = (empty(&x, [m, r], dtype), empty(&x, [m, n], dtype));
    let update = Product {
        accumulate: true,
        ..Product::linear(m, n, r, element)
    };
    let bias = bias.as_ref().unwrap_or(&x);
    let tensors = [&x, &weight, &residual, &out, bias, &a, &b, &low, &base];
    section(
        tensors,
        move |cx, [px, pw, residual, pout, bias, pa, pb, plow, base]| {
            cx.multiply(Product::linear(m, r, k, element), 1.0, px, pa, None, plow)?;
            cx.multiply_onto(update, scaling, [plow, pb], None, residual, base)?;
            cx.multiply_onto(product, 1.0, [px, pw], Some(bias), base, pout)
        },
    );
    out
}

/// The gradient of a weight that is trained, `dy^T x`, in the weight's format.
pub(super) fn weight_gradient(grad: CubeTensor, saved: &Saved) -> Option<CubeTensor> {
    let x = saved.x.as_deref()?;
    let grad = dense(grad, saved.dtype);
    let ([m, n], k) = (rows_of(&grad), rows_of(x)[1]);
    let out = empty(&grad, [n, k], saved.dtype);
    let element = element_of(saved.dtype);
    let product = Product {
        output: element,
        ..Product::outer(n, k, m, element)
    };
    section([&grad, x, &out], move |cx, [grad, x, out]| {
        cx.multiply(product, 1.0, grad, x, None, out)
    });
    Some(out)
}

/// The sum of each column, added up in f32, in the format of `x`: a product with a row of ones.
pub(super) fn column_sums(x: &CubeTensor) -> CubeTensor {
    let dtype = x.dtype;
    let x = into_contiguous(x.clone());
    let [rows, columns] = rows_of(&x);
    let ones = Cube::float_ones([1, rows].into(), &x.device, dtype.into());
    let out = empty(&x, [columns], DType::F32);
    let product = Product {
        output: Element::F32,
        ..Product::plain(1, columns, rows, element_of(dtype))
    };
    section([&ones, &x, &out], move |cx, [ones, x, out]| {
        cx.multiply(product, 1.0, ones, x, None, out)
    });
    dense(out, dtype)
}

/// Gradients of x, and of the factors A and B (in f32) where there are some; the weight and the bias are taken as
/// constants.
///
/// With `t = dy B`: `dx = dy W + scaling t A`, `dA = scaling t^T x`, `dB = scaling dy^T (x A^T)`.
pub(super) fn linear_backward(grad: CubeTensor, saved: &Saved, x_wanted: bool) -> [Option<CubeTensor>; 3] {
    let dtype = saved.dtype;
    let grad = dense(grad, dtype);
    let weight = x_wanted.then(|| expanded(&saved.weight, dtype));
    let element = element_of(dtype);
    let [m, n] = rows_of(&grad);
    let k = match &saved.weight {
        Weight::Dense(weight) => rows_of(weight)[1],
        Weight::Nf4 { shape, .. } => shape[1],
    };
    let dx = x_wanted.then(|| empty(&grad, [m, k], dtype));
    let through_weight = Product {
        b_stride: weight.as_ref().map_or(k, row_stride),
        ..Product::plain(m, k, n, element)
    };
    let Some(SavedLora { x, low, a, b, scaling }) = &saved.lora else {
        if let (Some(dx), Some(weight)) = (&dx, &weight) {
            section([&grad, weight, dx], move |cx, [grad, w, dx]| {
                cx.multiply(through_weight, 1.0, grad, w, None, dx)
            });
        }
        return [dx, None, None];
    };
    let r = rows_of(a)[0];
    let t = empty(&grad, [m, r], dtype);
    let da = empty(&grad, [r, k], DType::F32);
    let db = empty(&grad, [n, r], DType::F32);
    let scaling = *scaling;
    let (to, through) = (dx.as_ref().unwrap_or(&grad), weight.as_ref().unwrap_or(&grad));
    let tensors = [&grad, &t, x, low, a, b, &da, &db, to, through];
    section(tensors, move |cx, addresses| {
        let [pgrad, pt, px, plow, pa, pb, pda, pdb, pdx, pw] = addresses;
        cx.multiply(Product::plain(m, r, n, element), 1.0, pgrad, pb, None, pt)?;
        cx.multiply(Product::outer(r, k, m, element), scaling, pt, px, None, pda)?;
        cx.multiply(Product::outer(n, r, m, element), scaling, pgrad, plow, None, pdb)?;
        if x_wanted {
            cx.multiply(Product::plain(m, k, r, element), scaling, pt, pa, None, pdx)?;
            let onto = Product {
                accumulate: true,
                ..through_weight
            };
            cx.multiply(onto, 1.0, pgrad, pw, None, pdx)?;
        }
        Ok(())
    });
    [dx, Some(da), Some(db)]
}

/// `x W^T` in f32, whatever the format of the operands: logits.
pub(super) fn wide(x: CubeTensor, weight: CubeTensor) -> CubeTensor {
    let weight = into_contiguous(weight);
    let x = dense(x, weight.dtype);
    let ([m, k], n) = (rows_of(&x), rows_of(&weight)[0]);
    let out = empty(&x, [m, n], DType::F32);
    let product = Product {
        output: Element::F32,
        ..Product::linear(m, n, k, element_of(weight.dtype))
    };
    section([&x, &weight, &out], move |cx, [x, weight, out]| {
        cx.multiply(product, 1.0, x, weight, None, out)
    });
    out
}

/// As [`linear_backward`] without a forward pass before it; `x` is the input.
pub(super) fn gradients(
    x: CubeTensor,
    grad: CubeTensor,
    weight: Weight<Cube>,
    lora: Lora<Cube>,
) -> [Option<CubeTensor>; 3] {
    let x = into_contiguous(x);
    let dtype = x.dtype;
    let lora = match lora {
        Lora::Absent => None,
        Lora::Given { a, b, scaling } => {
            let (a, b) = (dense(a, dtype), dense(b, dtype));
            let ([m, k], r) = (rows_of(&x), rows_of(&a)[0]);
            let low = empty(&x, [m, r], dtype);
            let product = Product::linear(m, r, k, element_of(dtype));
            section([&x, &a, &low], move |cx, [x, a, low]| {
                cx.multiply(product, 1.0, x, a, None, low)
            });
            Some(SavedLora { x, low, a, b, scaling })
        }
    };
    let saved = Saved {
        weight,
        dtype,
        x: None,
        lora,
    };
    linear_backward(grad, &saved, true)
}
