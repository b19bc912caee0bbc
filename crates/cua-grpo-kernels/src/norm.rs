//! Normalisations over the last axis. Weights in another type than that of `x` are converted first.

use crate::cotangent::cotangent;
use crate::ops::Op;
use crate::route::{is_fused, like};
use burn::tensor::Tensor;

/// Root-mean-square norm, `w * x / sqrt(mean(x^2) + eps)`, statistics in f32.
///
/// # Shapes
/// - x, output: `[rows, width]`; weight: `[width]`
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let weight = like(weight, &x);
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::rms_norm(&x, &weight, eps) {
        return output;
    }
    if is_fused(&x) && is_fused(&weight) && x.dims()[1] == weight.dims()[0] {
        let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
        Op::RmsNorm { x, weight, eps }.run()
    } else {
        reference::rms_norm(x, weight, eps)
    }
}

/// Layer norm with bias: `w * (x - mean) / sqrt(var + eps) + b`, population variance.
///
/// # Shapes
/// - x, output: `[rows, width]`; weight, bias: `[width]`
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    let (weight, bias) = (like(weight, &x), like(bias, &x));
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::layer_norm(&x, &weight, &bias, eps) {
        return output;
    }
    let fits = x.dims()[1] == weight.dims()[0] && weight.dims() == bias.dims();
    if is_fused(&x) && is_fused(&weight) && is_fused(&bias) && fits {
        let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
        Op::LayerNorm { x, weight, bias, eps }.run()
    } else {
        reference::layer_norm(x, weight, bias, eps)
    }
}

/// [`rms_norm`] of `x` where `x` also goes past it and gets the gradient `carried` there. Either the norm's own backward
/// pass adds that, or the number that comes with the output does, as [`crate::cotangent()`] would: it is to be added to the
/// cotangent of the output.
///
/// # Shapes
/// - carried: that of `x`; others as in [`rms_norm`]
pub fn rms_norm_carrying(
    x: Tensor<2>,
    weight: Tensor<1>,
    eps: f64,
    carried: Tensor<2>,
) -> (Tensor<2>, Option<Tensor<1>>) {
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::rms_norm_carrying(&x, &like(weight.clone(), &x), eps, &carried) {
        return (output, None);
    }
    (rms_norm(x.clone(), weight, eps), Some(cotangent(x, carried)))
}

/// As [`rms_norm_carrying`], of [`layer_norm`].
pub fn layer_norm_carrying(
    x: Tensor<2>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
    carried: Tensor<2>,
) -> (Tensor<2>, Option<Tensor<1>>) {
    #[cfg(feature = "cuda")]
    {
        let (weight, bias) = (like(weight.clone(), &x), like(bias.clone(), &x));
        if let Some(output) = crate::cuda::route::layer_norm_carrying(&x, &weight, &bias, eps, &carried) {
            return (output, None);
        }
    }
    (layer_norm(x.clone(), weight, bias, eps), Some(cotangent(x, carried)))
}

/// The same in plain tensor operations.
pub(crate) mod reference {
    use burn::tensor::Tensor;

    /// Reference of [`crate::rms_norm`].
    pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
        let mean_square = (x.clone() * x.clone()).mean_dim(1);
        let inverse = (mean_square + eps).sqrt().recip();
        x * inverse * weight.unsqueeze()
    }

    /// Reference of [`crate::layer_norm`].
    pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
        let centred = x.clone() - x.mean_dim(1);
        let variance = (centred.clone() * centred.clone()).mean_dim(1);
        let inverse = (variance + eps).sqrt().recip();
        centred * inverse * weight.unsqueeze() + bias.unsqueeze()
    }
}
