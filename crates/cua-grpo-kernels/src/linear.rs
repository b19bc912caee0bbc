//! Linear maps with checkpoint-layout weights, and the low-rank update beside them.

use burn::tensor::Tensor;

/// `x W^T + b`.
///
/// # Shapes
/// - x: `[rows, in]`; weight: `[out, in]`; bias: `[out]`; output: `[rows, out]`
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let y = x.matmul(weight.transpose());
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
}

/// The low-rank update `scaling * (x A^T) B^T` (LoRA, Hu et al. 2021).
///
/// # Shapes
/// - x: `[rows, in]`; a: `[r, in]`; b: `[out, r]`; output: `[rows, out]`
pub fn lora_delta(x: Tensor<2>, a: Tensor<2>, b: Tensor<2>, scaling: f64) -> Tensor<2> {
    // Scaling the [rows, r] product is cheaper than scaling the [rows, out] one.
    (x.matmul(a.transpose()) * scaling).matmul(b.transpose())
}
