//! Batched products in full f32 on the card, for attention outside the fused kernels: burn's own product rounds its
//! operands to TF32.

use super::blas::{Element, Product};
use super::section::{Address, section};
use super::tensor::{dense, empty};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// `A B` for `a [batch, heads, m, k]` and `b [batch, heads, k, n]`, either one transposed in its last two axes.
pub(super) fn matmul(a: &CubeTensor, a_transposed: bool, b: &CubeTensor, b_transposed: bool) -> CubeTensor {
    let (a, b) = (dense(a.clone(), DType::F32), dense(b.clone(), DType::F32));
    let (left, right) = (a.meta.shape(), b.meta.shape());
    let (m, k) = if a_transposed {
        (left[3], left[2])
    } else {
        (left[2], left[3])
    };
    let n = if b_transposed { right[2] } else { right[3] };
    let (batch, heads) = (left[0], left[1]);
    let out = empty(&a, [batch, heads, m, n], DType::F32);
    let product = Product {
        a_transposed,
        b_transposed,
        a_stride: if a_transposed { m } else { k },
        b_stride: if b_transposed { k } else { n },
        ..Product::plain(m, n, k, Element::F32)
    };
    section([&a, &b, &out], move |cx, [pa, pb, pout]| {
        let step = |count: usize, number: usize| (count * number * 4) as Address;
        for number in 0..batch * heads {
            let (a, b) = (pa + step(m * k, number), pb + step(k * n, number));
            cx.multiply(product, 1.0, a, b, None, pout + step(m * n, number))?;
        }
        Ok(())
    });
    out
}
