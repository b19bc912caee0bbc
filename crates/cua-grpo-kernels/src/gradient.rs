//! Gradients that are asked for by hand, where a backward pass starts in the middle of a computation.

use crate::extension::FusedOps;
use crate::nf4::Nf4;
use crate::route::is_fused;
use burn::backend::Dispatch;
use burn::tensor::Tensor;

/// A number (0) whose backward pass gives `output` the gradient `grad`.
///
/// # Shapes
/// - grad: that of `output`; the result: `[1]`
pub fn seed<const D: usize>(output: Tensor<D>, grad: Tensor<D>) -> Tensor<1> {
    let grad = grad.without_autodiff();
    #[cfg(feature = "cuda")]
    if let Some(seed) = crate::cuda::route::seed(&output, &grad) {
        return seed;
    }
    if is_fused(&output) && is_fused(&grad) && output.dims() == grad.dims() {
        Tensor::from_dispatch(<Dispatch as FusedOps>::seed(
            output.into_dispatch(),
            grad.into_dispatch(),
        ))
    } else {
        // The gradient of sum(y * g) at y is g.
        (output * Tensor::from_inner(grad)).sum()
    }
}

/// A weight `[out, in]`. Gradients by hand take it as a constant.
#[derive(Debug, Clone, Copy)]
pub enum Frozen<'a> {
    /// A matrix.
    Dense(&'a Tensor<2>),
    /// In four bits.
    Nf4(&'a Nf4),
}

/// Gradients of a linear map; see [`linear_gradients`].
#[derive(Debug)]
pub struct LinearGradients {
    /// Of its input, `[rows, in]`.
    pub x: Tensor<2>,
    /// Of A `[r, in]` and B `[out, r]`, where there is an update.
    pub factors: Option<[Tensor<2>; 2]>,
}

/// Gradients of [`crate::linear_lora`] (or [`crate::linear()`]) at `x` from that of its output, which is not computed.
///
/// With `t = dy B`: `dx = dy W + scaling t A`, `dA = scaling t^T x`, `dB = scaling dy^T (x A^T)`.
///
/// # Shapes
/// - x: `[rows, in]`; grad: `[rows, out]`; a: `[r, in]`; b: `[out, r]`
pub fn linear_gradients(
    x: Tensor<2>,
    grad: Tensor<2>,
    weight: Frozen<'_>,
    lora: Option<(&Tensor<2>, &Tensor<2>, f64)>,
) -> LinearGradients {
    let (x, grad) = (x.without_autodiff(), grad.without_autodiff());
    let lora = lora.map(|(a, b, scaling)| (a.clone().without_autodiff(), b.clone().without_autodiff(), scaling));
    #[cfg(feature = "cuda")]
    if let Some(gradients) = crate::cuda::route::linear_gradients(&x, &grad, weight, lora.as_ref()) {
        return gradients;
    }
    reference::linear_gradients(x, grad, weight, lora)
}

/// The same in plain tensor operations.
pub(crate) mod reference {
    use super::{Frozen, LinearGradients};
    use crate::route::like;
    use burn::tensor::Tensor;

    /// Reference of [`crate::linear_gradients`].
    pub fn linear_gradients(
        x: Tensor<2>,
        grad: Tensor<2>,
        weight: Frozen<'_>,
        lora: Option<(Tensor<2>, Tensor<2>, f64)>,
    ) -> LinearGradients {
        let weight = match weight {
            Frozen::Dense(weight) => weight.clone().without_autodiff(),
            Frozen::Nf4(weight) => weight.dequantise(),
        };
        let dx = grad.clone().matmul(like(weight, &grad));
        let Some((a, b, scaling)) = lora else {
            return LinearGradients { x: dx, factors: None };
        };
        // The update is computed in the type of its factors.
        let (x, wide) = (like(x, &a), like(grad, &b));
        let t = wide.clone().matmul(b) * scaling;
        let d_b = (wide * scaling)
            .transpose()
            .matmul(x.clone().matmul(a.clone().transpose()));
        let update = like(t.clone().matmul(a), &dx);
        LinearGradients {
            x: dx + update,
            factors: Some([t.transpose().matmul(x), d_b]),
        }
    }
}
