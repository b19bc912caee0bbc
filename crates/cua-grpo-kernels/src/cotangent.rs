//! Where a backward pass starts in the middle of a computation.

use crate::ops::Op;
use crate::route::is_fused;
use burn::tensor::Tensor;

/// A number (0) whose backward pass gives `output` the gradient `grad`.
///
/// # Shapes
/// - grad: that of `output`; the result: `[1]`
pub fn cotangent<const D: usize>(output: Tensor<D>, grad: Tensor<D>) -> Tensor<1> {
    let grad = grad.without_autodiff();
    #[cfg(feature = "cuda")]
    if let Some(number) = crate::cuda::route::cotangent(&output, &grad) {
        return number;
    }
    if is_fused(&output) && is_fused(&grad) && output.dims() == grad.dims() {
        let (output, grad) = (output.into_dispatch(), grad.into_dispatch());
        Op::Cotangent { output, grad }.run()
    } else {
        // The gradient of sum(y * g) at y is g.
        (output * Tensor::from_inner(grad)).sum()
    }
}
