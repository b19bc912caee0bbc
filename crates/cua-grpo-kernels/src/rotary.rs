//! Rotary position embedding, half-split layout.

use crate::norm::rms_norm;
use crate::ops::Op;
use crate::route::is_fused;
use burn::tensor::Tensor;

/// `x * cos + rot(x) * sin` with `rot(x) = [-x[d/2..], x[..d/2]]`.
///
/// The tables are constants: no gradient reaches them.
///
/// # Shapes
/// - x, output: `[batch, heads, time, head_dim]`
/// - cos, sin: `[batch or 1, 1, time, head_dim]`, both halves equal
pub fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let [batch, _, time, head_dim] = x.dims();
    let table = cos.dims();
    let fits = (table == [batch, 1, time, head_dim] || table == [1, 1, time, head_dim]) && sin.dims() == table;
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::rotate(&x, &cos, &sin).filter(|_| fits && head_dim.is_multiple_of(2)) {
        return output;
    }
    if is_fused(&x) && is_fused(&cos) && is_fused(&sin) && fits && head_dim.is_multiple_of(2) {
        let (x, cos, sin) = (x.into_dispatch(), cos.into_dispatch(), sin.into_dispatch());
        Op::Rotate { x, cos, sin }.run()
    } else {
        reference::rotate(x, cos, sin)
    }
}

/// [`crate::rms_norm`] of each head of a joined projection, then [`rotate`] of its first values: as many as the tables have.
///
/// # Shapes
/// - x: `[batch * time, heads * head_dim]`; weight: `[head_dim]`; cos, sin: `[batch, 1, time, turned]`
/// - output: `[batch, heads, time, head_dim]`
pub fn rms_norm_rotate(x: Tensor<2>, weight: Tensor<1>, eps: f64, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let [batch, _, time, turned] = cos.dims();
    let ([rows, width], [head_dim]) = (x.dims(), weight.dims());
    let heads = width / head_dim;
    #[cfg(feature = "cuda")]
    if rows == batch * time
        && width == heads * head_dim
        && sin.dims() == cos.dims()
        && turned == head_dim
        && let Some(output) = crate::cuda::route::rms_norm_rotate(&x, &weight, eps, &cos, &sin)
    {
        return output;
    }
    let normed = rms_norm(x.reshape([rows * heads, head_dim]), weight, eps);
    let normed = normed.reshape([batch, time, heads, head_dim]).swap_dims(1, 2);
    if turned == head_dim {
        return rotate(normed, cos, sin);
    }
    let first = rotate(normed.clone().narrow(3, 0, turned), cos, sin);
    Tensor::cat(vec![first, normed.narrow(3, turned, head_dim - turned)], 3)
}

/// The same in plain tensor operations.
pub(crate) mod reference {
    use burn::tensor::Tensor;

    /// Reference of [`crate::rotate`].
    pub fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let first = x.clone().narrow(3, 0, half);
        let second = x.clone().narrow(3, half, half);
        let rotated = Tensor::cat(vec![second.neg(), first], 3);
        x * cos + rotated * sin
    }
}
