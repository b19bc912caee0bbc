//! Activations of the two towers.

use crate::ops::{Gelu, Op};
use crate::route::is_fused;
use burn::tensor::Tensor;

/// `silu(gate) * up`: the gated unit of the text MLP.
///
/// # Shapes
/// - gate, up, output: `[.., width]`
pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::swiglu(&gate, &up) {
        return output;
    }
    if is_fused(&gate) && is_fused(&up) && gate.dims() == up.dims() {
        let (gate, up) = (gate.into_dispatch(), up.into_dispatch());
        Op::Swiglu { gate, up }.run()
    } else {
        reference::swiglu(gate, up)
    }
}

/// GELU with the tanh approximation (vision blocks): `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match gelu(&x, Gelu::Tanh) {
        Some(output) => output,
        None => reference::gelu_tanh(x),
    }
}

/// Exact GELU by the error function (mergers): `0.5 x (1 + erf(x / sqrt 2))`.
pub fn gelu_erf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match gelu(&x, Gelu::Erf) {
        Some(output) => output,
        None => reference::gelu_erf(x),
    }
}

/// Where there is a fused body.
fn gelu<const D: usize>(x: &Tensor<D>, kind: Gelu) -> Option<Tensor<D>> {
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::gelu(x, kind) {
        return Some(output);
    }
    is_fused(x).then(|| {
        let x = x.clone().into_dispatch();
        Op::Gelu { x, kind }.run()
    })
}

/// The same in plain tensor operations.
pub(crate) mod reference {
    use burn::tensor::{Tensor, activation};

    /// Reference of [`crate::swiglu`].
    pub fn swiglu<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
        activation::silu(gate) * up
    }

    /// Reference of [`crate::gelu_tanh`].
    pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
        const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;
        // 0.5 (1 + tanh(u)) = sigmoid(2u)
        let inner = (x.clone().powi_scalar(2) * 0.044_715 + 1.0) * x.clone() * (2.0 * SQRT_2_OVER_PI);
        activation::sigmoid(inner) * x
    }

    /// Reference of [`crate::gelu_erf`].
    pub fn gelu_erf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
        activation::gelu(x)
    }
}
