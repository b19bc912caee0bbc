//! Where a backward pass begins with a gradient that is given.

use burn::tensor::Tensor;

/// A scalar whose gradient at `output` is `grad`: `seed(output, grad).backward()` pulls `grad` back through what made
/// `output`. Its value means nothing.
///
/// # Shapes
/// - grad: that of `output`, without autodiff
pub fn seed<const D: usize>(output: Tensor<D>, grad: Tensor<D>) -> Tensor<1> {
    #[cfg(feature = "cuda")]
    if let Some(scalar) = crate::cuda::route::seed(&output, &grad) {
        return scalar;
    }
    // The gradient of sum(y * g) at y is g.
    (output * grad).sum()
}
