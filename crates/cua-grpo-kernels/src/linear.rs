//! Linear maps with checkpoint-layout weights, alone or with a low-rank update beside them, and their gradients by hand.
//!
//! Arithmetic is in the type of `x`; a weight in another type is widened on the way (on the CPU panel by panel).

use crate::ops::{self, Bias, Op};
use crate::route::{is_fused, is_fused_weight, like};
use crate::weight::{LinearGradients, Lora, Weight};
use burn::backend::Dispatch;
use burn::tensor::{DType, Tensor};

/// `x W^T + b`, and `+ scaling (x A^T) B^T` with an update.
///
/// A weight in four bits gets no gradient; x, bias, a dense weight and the factors do.
///
/// # Shapes
/// - x: `[rows, in]`; weight: `[out, in]`; bias: `[out]`; A: `[r, in]`; B: `[out, r]`; output: `[rows, out]`
pub fn linear(x: Tensor<2>, weight: &Weight, bias: Option<Tensor<1>>, lora: Option<&Lora>) -> Tensor<2> {
    #[cfg(feature = "cuda")]
    if crate::cuda::route::takes_linear(&x, weight, bias.as_ref(), lora) {
        return operation(x, weight, bias, lora).run();
    }
    let bias = bias.map(|bias| like(bias, &x));
    let [out, width] = weight.dims();
    let fused = is_fused(&x)
        && is_fused_weight(weight)
        && bias.as_ref().is_none_or(|bias| is_fused(bias) && bias.dims() == [out])
        && lora.is_none_or(|lora| is_fused(&lora.a) && is_fused(&lora.b) && lora.fits([out, width]));
    if fused && x.dims()[1] == width {
        operation(x, weight, bias, lora).run()
    } else {
        reference::linear(x, weight, bias, lora)
    }
}

/// The operation on those operands.
fn operation(x: Tensor<2>, weight: &Weight, bias: Option<Tensor<1>>, lora: Option<&Lora>) -> Op<Dispatch> {
    Op::Linear {
        trained: weight.is_tracked(),
        x: x.into_dispatch(),
        weight: match weight.clone() {
            Weight::Dense(weight) => ops::Weight::Dense(weight.into_dispatch()),
            Weight::Nf4(weight) => ops::Weight::Nf4 {
                codes: weight.codes.into_dispatch(),
                absmax: weight.absmax.into_dispatch(),
                shape: weight.shape,
            },
        },
        bias: bias.map_or(Bias::Absent, |bias| Bias::Given(bias.into_dispatch())),
        lora: lora.cloned().map_or(ops::Lora::Absent, |lora| ops::Lora::Given {
            a: lora.a.into_dispatch(),
            b: lora.b.into_dispatch(),
            scaling: lora.scaling,
        }),
    }
}

/// `residual +` [`linear()`]. Where no gradient flows, a card adds to the residual before it rounds. An update of zeros
/// changes no bit.
///
/// # Shapes
/// - residual, output: `[rows, out]`; others as in [`linear()`]
pub fn linear_onto(
    residual: Tensor<2>,
    x: Tensor<2>,
    weight: &Weight,
    bias: Option<Tensor<1>>,
    lora: Option<&Lora>,
) -> Tensor<2> {
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::linear_onto(&residual, &x, weight, bias.as_ref(), lora) {
        return output;
    }
    residual + linear(x, weight, bias, lora)
}

/// Gradients of [`linear()`] at `x` from that of its output, which is not computed. The weight is taken as a constant.
///
/// With `t = dy B`: `dx = dy W + scaling t A`, `dA = scaling t^T x`, `dB = scaling dy^T (x A^T)`.
///
/// # Shapes
/// - x: `[rows, in]`; grad: `[rows, out]`
pub fn linear_gradients(x: Tensor<2>, grad: Tensor<2>, weight: &Weight, lora: Option<&Lora>) -> LinearGradients {
    let (x, grad) = (x.without_autodiff(), grad.without_autodiff());
    let lora = lora.map(|lora| lora.clone().without_autodiff());
    #[cfg(feature = "cuda")]
    if let Some(gradients) = crate::cuda::route::linear_gradients(&x, &grad, weight, lora.as_ref()) {
        return gradients;
    }
    reference::linear_gradients(x, grad, weight, lora.as_ref())
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
    // Logits are in f32 where the weight is trained in a narrow format, too.
    let x = if weight.is_tracked() { x.cast(DType::F32) } else { x };
    linear(x, &weight.into(), None, None)
}

/// The same in plain tensor operations.
pub(crate) mod reference {
    use crate::route::like;
    use crate::weight::{LinearGradients, Lora, Weight};
    use burn::tensor::Tensor;

    /// Reference of [`crate::linear()`].
    pub fn linear(x: Tensor<2>, weight: &Weight, bias: Option<Tensor<1>>, lora: Option<&Lora>) -> Tensor<2> {
        let update = lora.map(|Lora { a, b, scaling }| {
            // Scaling the [rows, r] product is cheaper than scaling the [rows, out] one; it is in the type of the factors.
            let low = like(x.clone(), a).matmul(a.clone().transpose()) * *scaling;
            like(low.matmul(b.clone().transpose()), &x)
        });
        let weight = like(weight.dense(), &x);
        let bias = bias.map(|bias| like(bias, &x));
        let y = x.matmul(weight.transpose());
        let y = match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        };
        match update {
            Some(update) => y + update,
            None => y,
        }
    }

    /// Reference of [`crate::linear_gradients`].
    pub fn linear_gradients(x: Tensor<2>, grad: Tensor<2>, weight: &Weight, lora: Option<&Lora>) -> LinearGradients {
        let weight = weight.dense().without_autodiff();
        let dx = grad.clone().matmul(like(weight, &grad));
        let Some(Lora { a, b, scaling }) = lora.cloned() else {
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
