//! Normalisations over the last axis.

use burn::tensor::Tensor;

/// Root-mean-square norm, `w * x / sqrt(mean(x^2) + eps)`, statistics in f32.
///
/// # Shapes
/// - x, output: `[rows, width]`; weight: `[width]`
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let mean_square = (x.clone() * x.clone()).mean_dim(1);
    let inverse = (mean_square + eps).sqrt().recip();
    x * inverse * weight.unsqueeze()
}

/// Layer norm with bias: `w * (x - mean) / sqrt(var + eps) + b`, population variance.
///
/// # Shapes
/// - x, output: `[rows, width]`; weight, bias: `[width]`
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    let inverse = (variance + eps).sqrt().recip();
    centred * inverse * weight.unsqueeze() + bias.unsqueeze()
}
