//! Linear maps with checkpoint-layout weights, alone or with a low-rank update beside them.
//!
//! Arithmetic is in the type of `x`; a weight in another type is widened on the way (on the CPU panel by panel).

use crate::extension::{Bias, FusedOps};
use crate::gradient::Frozen;
use crate::route::{is_fused, is_fused_weight, like};
use burn::backend::Dispatch;
use burn::tensor::Tensor;

/// `x W^T + b`.
///
/// # Shapes
/// - x: `[rows, in]`; weight: `[out, in]`; bias: `[out]`; output: `[rows, out]`
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::linear(&x, &weight, &bias) {
        return output;
    }
    let bias = bias.map(|bias| like(bias, &x));
    let fused = is_fused(&x) && is_fused_weight(&weight) && bias.as_ref().is_none_or(is_fused);
    if fused && fits(&x, &weight, bias.as_ref()) {
        let (weight, bias) = (weight.into_dispatch(), Bias::from(bias));
        Tensor::from_dispatch(<Dispatch as FusedOps>::linear(x.into_dispatch(), weight, bias))
    } else {
        reference::linear(x, weight, bias)
    }
}

/// `residual + x W^T + b`, and `+ scaling * (x A^T) B^T` with `lora` as `(A, B, scaling)`. Where no gradient flows and
/// nothing is updated, a card rounds the sum once.
///
/// # Shapes
/// - residual, output: `[rows, out]`; others as in [`linear_lora`]
pub fn linear_onto(
    residual: Tensor<2>,
    x: Tensor<2>,
    weight: Frozen<'_>,
    bias: Option<Tensor<1>>,
    lora: Option<(Tensor<2>, Tensor<2>, f64)>,
) -> Tensor<2> {
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::linear_onto(&residual, &x, weight, &bias, lora.as_ref()) {
        return output;
    }
    residual + linear_of(x, weight, bias, lora)
}

/// [`linear()`], [`linear_lora`] or [`crate::linear_nf4`], as the weight and the update `(A, B, scaling)` ask for.
///
/// # Shapes
/// - as in [`linear_lora`]
pub fn linear_of(
    x: Tensor<2>,
    weight: Frozen<'_>,
    bias: Option<Tensor<1>>,
    lora: Option<(Tensor<2>, Tensor<2>, f64)>,
) -> Tensor<2> {
    let lora = lora.map(|(a, b, scaling)| ((a, b), scaling));
    match (weight, lora) {
        (Frozen::Nf4(weight), lora) => crate::linear_nf4(x, weight, bias, lora),
        (Frozen::Dense(weight), None) => linear(x, weight.clone(), bias),
        (Frozen::Dense(weight), Some((factors, scaling))) => linear_lora(x, weight.clone(), bias, factors, scaling),
    }
}

/// `x W^T + b + scaling * (x A^T) B^T`: a linear map with its low-rank update (LoRA, Hu et al. 2021).
///
/// # Shapes
/// - x: `[rows, in]`; weight: `[out, in]`; bias: `[out]`; a: `[r, in]`; b: `[out, r]`; output: `[rows, out]`
pub fn linear_lora(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    (a, b): (Tensor<2>, Tensor<2>),
    scaling: f64,
) -> Tensor<2> {
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::linear_lora(&x, &weight, &bias, &(a.clone(), b.clone()), scaling) {
        return output;
    }
    let bias = bias.map(|bias| like(bias, &x));
    let fused =
        [&x, &a, &b].into_iter().all(is_fused) && is_fused_weight(&weight) && bias.as_ref().is_none_or(is_fused);
    let [rank, width] = a.dims();
    let low = width == x.dims()[1] && b.dims() == [weight.dims()[0], rank];
    if fused && low && fits(&x, &weight, bias.as_ref()) {
        let (weight, bias) = (weight.into_dispatch(), Bias::from(bias));
        let (a, b) = (a.into_dispatch(), b.into_dispatch());
        Tensor::from_dispatch(<Dispatch as FusedOps>::linear_lora(
            x.into_dispatch(),
            weight,
            bias,
            a,
            b,
            scaling,
        ))
    } else {
        reference::linear_lora(x, weight, bias, (a, b), scaling)
    }
}

/// Logits of an output head, `x W^T`, whose weight may be stored in another type than that of `x`.
///
/// # Shapes
/// - x: `[rows, width]`; weight: `[vocab, width]`; output: `[rows, vocab]`
pub fn head(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::logits(&x, &weight) {
        return output;
    }
    if x.dtype() == weight.dtype() {
        // The plain product shares few rows of input among all threads.
        x.matmul(weight.transpose())
    } else {
        linear(x, weight, None)
    }
}

fn fits(x: &Tensor<2>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> bool {
    let [out, width] = weight.dims();
    x.dims()[1] == width && bias.is_none_or(|bias| bias.dims() == [out])
}

/// The same in plain tensor operations.
pub(crate) mod reference {
    use crate::route::like;
    use burn::tensor::Tensor;

    /// Reference of [`crate::linear()`].
    pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        let weight = like(weight, &x);
        let bias = bias.map(|bias| like(bias, &x));
        let y = x.matmul(weight.transpose());
        match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        }
    }

    /// Reference of [`crate::linear_lora`].
    pub fn linear_lora(
        x: Tensor<2>,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
        (a, b): (Tensor<2>, Tensor<2>),
        scaling: f64,
    ) -> Tensor<2> {
        // Scaling the [rows, r] product is cheaper than scaling the [rows, out] one; it is in the type of the factors.
        let update = (like(x.clone(), &a).matmul(a.transpose()) * scaling).matmul(b.transpose());
        let update = like(update, &x);
        linear(x, weight, bias) + update
    }
}
