//! Rotary position embedding, half-split layout.

use burn::tensor::Tensor;

/// `x * cos + rot(x) * sin` with `rot(x) = [-x[d/2..], x[..d/2]]`.
///
/// # Shapes
/// - x, output: `[batch, heads, time, head_dim]`
/// - cos, sin: `[batch or 1, 1, time, head_dim]`, both halves equal
pub fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let half = x.dims()[3] / 2;
    let first = x.clone().narrow(3, 0, half);
    let second = x.clone().narrow(3, half, half);
    let rotated = Tensor::cat(vec![second.neg(), first], 3);
    x * cos + rotated * sin
}
