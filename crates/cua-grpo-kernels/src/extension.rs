//! The fused operations as an extension of Burn's backends: on plain tensors, and on autodiff with a backward pass.
//!
//! Only the CPU backend is listed. The functions at the root of the crate decide which tensors come here.

use crate::cpu::linear::Lora;
use crate::cpu::packed::Packed;
use crate::cpu::{activation, attention, linear, norm, rotary};
use crate::record::{Derivative, Seed, nothing, record};
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, Flex, backend_extension};
use burn::tensor::Tensor;

/// A bias, where there is one.
#[derive(ExtensionType)]
pub enum Bias<B: Backend> {
    /// `[out]`
    Given(FloatTensor<B>),
    /// No bias.
    Absent,
}

impl From<Option<Tensor<1>>> for Bias<Dispatch> {
    fn from(bias: Option<Tensor<1>>) -> Self {
        bias.map_or(Self::Absent, |bias| Self::Given(bias.into_dispatch()))
    }
}

/// Operations with a fused body. Shapes are those of the functions at the root of the crate, which check them.
#[backend_extension(Flex, Autodiff)]
pub trait FusedOps: Backend {
    /// As [`crate::swiglu`].
    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;
    /// As [`crate::gelu_tanh`].
    fn gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// As [`crate::gelu_erf`].
    fn gelu_erf(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// As [`crate::rms_norm`].
    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, eps: f64) -> FloatTensor<Self>;
    /// As [`crate::layer_norm`].
    fn layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self>;
    /// As [`crate::rotate`]; no gradient reaches the tables.
    fn rotate(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>) -> FloatTensor<Self>;
    /// As [`crate::linear()`].
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, #[extension_type] bias: Bias<Self>)
    -> FloatTensor<Self>;
    /// As [`crate::linear_lora`].
    fn linear_lora(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Bias<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        scaling: f64,
    ) -> FloatTensor<Self>;
    /// As [`crate::linear_nf4`] without an update; `width` is that of the output.
    fn linear_nf4(
        x: FloatTensor<Self>,
        codes: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        width: usize,
        #[extension_type] bias: Bias<Self>,
    ) -> FloatTensor<Self>;
    /// As [`crate::linear_nf4`] with an update; `width` is that of the output.
    #[allow(clippy::too_many_arguments)]
    fn linear_nf4_lora(
        x: FloatTensor<Self>,
        codes: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        width: usize,
        #[extension_type] bias: Bias<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        scaling: f64,
    ) -> FloatTensor<Self>;
    /// As [`crate::seed`].
    fn seed(output: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
    /// As [`crate::attention()`] over one part, with the mask `Causal` or `All`.
    fn attention(q: FloatTensor<Self>, k: FloatTensor<Self>, v: FloatTensor<Self>, causal: bool) -> FloatTensor<Self>;
}

impl Bias<Flex> {
    fn into_option(self) -> Option<FlexTensor> {
        match self {
            Self::Given(bias) => Some(bias),
            Self::Absent => None,
        }
    }
}

/// The four-bit weight that meets `x`.
fn packed(x: &FlexTensor, codes: FlexTensor, absmax: FlexTensor, width: usize) -> Packed {
    Packed::nf4(codes, absmax, [width, x.layout().shape()[1]])
}

impl FusedOps for Flex {
    fn seed(output: FlexTensor, _: FlexTensor) -> FlexTensor {
        nothing::<Self>(&output)
    }

    fn swiglu(gate: FlexTensor, up: FlexTensor) -> FlexTensor {
        activation::swiglu(gate, up)
    }

    fn gelu_tanh(x: FlexTensor) -> FlexTensor {
        activation::gelu_tanh(x)
    }

    fn gelu_erf(x: FlexTensor) -> FlexTensor {
        activation::gelu_erf(x)
    }

    fn rms_norm(x: FlexTensor, weight: FlexTensor, eps: f64) -> FlexTensor {
        norm::rms(x, weight, eps).0
    }

    fn layer_norm(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, eps: f64) -> FlexTensor {
        norm::layer(x, weight, bias, eps).0
    }

    fn rotate(x: FlexTensor, cos: FlexTensor, sin: FlexTensor) -> FlexTensor {
        rotary::rotate(x, cos, sin, 1.0)
    }

    fn linear(x: FlexTensor, weight: FlexTensor, bias: Bias<Self>) -> FlexTensor {
        linear::linear(x, weight, bias.into_option(), None).0
    }

    fn linear_lora(
        x: FlexTensor,
        weight: FlexTensor,
        bias: Bias<Self>,
        a: FlexTensor,
        b: FlexTensor,
        scaling: f64,
    ) -> FlexTensor {
        linear::linear(x, weight, bias.into_option(), Some(Lora(a, b, scaling))).0
    }

    fn linear_nf4(x: FlexTensor, codes: FlexTensor, absmax: FlexTensor, width: usize, bias: Bias<Self>) -> FlexTensor {
        let weight = packed(&x, codes, absmax, width);
        linear::linear_packed(x, weight, bias.into_option(), None).0
    }

    fn linear_nf4_lora(
        x: FlexTensor,
        codes: FlexTensor,
        absmax: FlexTensor,
        width: usize,
        bias: Bias<Self>,
        a: FlexTensor,
        b: FlexTensor,
        scaling: f64,
    ) -> FlexTensor {
        let weight = packed(&x, codes, absmax, width);
        linear::linear_packed(x, weight, bias.into_option(), Some(Lora(a, b, scaling))).0
    }

    fn attention(q: FlexTensor, k: FlexTensor, v: FlexTensor, causal: bool) -> FlexTensor {
        attention::attention(q, k, v, causal).0
    }
}

#[derive(Debug, Clone)]
struct Swiglu(FlexTensor, FlexTensor);

impl Derivative<Flex, 2> for Swiglu {
    fn gradients(self, grad: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let (d_gate, d_up) = activation::swiglu_backward(grad, self.0, self.1);
        [Some(d_gate), Some(d_up)]
    }
}

#[derive(Debug, Clone)]
struct GeluTanh(FlexTensor);

impl Derivative<Flex, 1> for GeluTanh {
    fn gradients(self, grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(activation::gelu_tanh_backward(grad, self.0))]
    }
}

#[derive(Debug, Clone)]
struct GeluErf(FlexTensor);

impl Derivative<Flex, 1> for GeluErf {
    fn gradients(self, grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(activation::gelu_erf_backward(grad, self.0))]
    }
}

#[derive(Debug, Clone)]
struct Rms(norm::Saved<f32>);

impl Derivative<Flex, 2> for Rms {
    fn gradients(self, grad: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let (d_x, vectors) = norm::rms_backward(grad, &self.0, wanted[1]);
        [Some(d_x), vectors.into_iter().next()]
    }
}

#[derive(Debug, Clone)]
struct Layer(norm::Saved<[f32; 2]>);

impl Derivative<Flex, 3> for Layer {
    fn gradients(self, grad: FlexTensor, wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let (d_x, vectors) = norm::layer_backward(grad, &self.0, wanted[1] || wanted[2]);
        let mut vectors = vectors.into_iter();
        [Some(d_x), vectors.next(), vectors.next()]
    }
}

#[derive(Debug, Clone)]
struct Rotate(FlexTensor, FlexTensor);

impl Derivative<Flex, 1> for Rotate {
    fn gradients(self, grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(rotary::rotate(grad, self.0, self.1, -1.0))]
    }
}

#[derive(Debug, Clone)]
struct Attention(attention::Saved);

impl Derivative<Flex, 3> for Attention {
    fn gradients(self, grad: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        attention::attention_backward(grad, &self.0).map(Some)
    }
}

#[derive(Debug, Clone)]
struct Linear(linear::Saved);

impl<const N: usize> Derivative<Flex, N> for Linear {
    fn gradients(self, grad: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N] {
        let mut gradients = linear::linear_backward(grad, &self.0, &wanted).into_iter();
        std::array::from_fn(|_| gradients.next().flatten())
    }
}

/// A linear map whose weight is not among the inputs of the graph.
#[derive(Debug, Clone)]
struct FrozenLinear(linear::Saved);

impl<const N: usize> Derivative<Flex, N> for FrozenLinear {
    fn gradients(self, grad: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N] {
        let mut with_weight = wanted.to_vec();
        with_weight.insert(1.min(N), false);
        let mut gradients = linear::linear_backward(grad, &self.0, &with_weight);
        gradients.remove(1);
        let mut gradients = gradients.into_iter();
        std::array::from_fn(|_| gradients.next().flatten())
    }
}

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn seed(output: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let grad = grad.into_primitive();
        record::<Flex, C, _, 1>([output], |[output]| (nothing::<Flex>(&output), Seed(grad)))
    }

    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<Flex, C, _, 2>([gate, up], |[gate, up]| {
            (activation::swiglu(gate.clone(), up.clone()), Swiglu(gate, up))
        })
    }

    fn gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<Flex, C, _, 1>([x], |[x]| (activation::gelu_tanh(x.clone()), GeluTanh(x)))
    }

    fn gelu_erf(x: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<Flex, C, _, 1>([x], |[x]| (activation::gelu_erf(x.clone()), GeluErf(x)))
    }

    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, eps: f64) -> FloatTensor<Self> {
        record::<Flex, C, _, 2>([x, weight], |[x, weight]| {
            let (out, saved) = norm::rms(x, weight, eps);
            (out, Rms(saved))
        })
    }

    fn layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        record::<Flex, C, _, 3>([x, weight, bias], |[x, weight, bias]| {
            let (out, saved) = norm::layer(x, weight, bias, eps);
            (out, Layer(saved))
        })
    }

    fn rotate(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>) -> FloatTensor<Self> {
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        record::<Flex, C, _, 1>([x], |[x]| {
            (rotary::rotate(x, cos.clone(), sin.clone(), 1.0), Rotate(cos, sin))
        })
    }

    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: Bias<Self>) -> FloatTensor<Self> {
        let run = |(out, saved)| (out, Linear(saved));
        match bias {
            Bias::Absent => record::<Flex, C, _, 2>([x, weight], |[x, w]| run(linear::linear(x, w, None, None))),
            Bias::Given(bias) => record::<Flex, C, _, 3>([x, weight, bias], |[x, w, bias]| {
                run(linear::linear(x, w, Some(bias), None))
            }),
        }
    }

    fn linear_lora(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        scaling: f64,
    ) -> FloatTensor<Self> {
        let run = |(out, saved)| (out, Linear(saved));
        match bias {
            Bias::Absent => record::<Flex, C, _, 4>([x, weight, a, b], |[x, w, a, b]| {
                run(linear::linear(x, w, None, Some(Lora(a, b, scaling))))
            }),
            Bias::Given(bias) => record::<Flex, C, _, 5>([x, weight, bias, a, b], |[x, w, bias, a, b]| {
                run(linear::linear(x, w, Some(bias), Some(Lora(a, b, scaling))))
            }),
        }
    }

    fn linear_nf4(
        x: FloatTensor<Self>,
        codes: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        width: usize,
        bias: Bias<Self>,
    ) -> FloatTensor<Self> {
        let absmax = absmax.into_primitive();
        let run = |x: FlexTensor, bias| {
            let weight = packed(&x, codes, absmax, width);
            let (out, saved) = linear::linear_packed(x, weight, bias, None);
            (out, FrozenLinear(saved))
        };
        match bias {
            Bias::Absent => record::<Flex, C, _, 1>([x], |[x]| run(x, None)),
            Bias::Given(bias) => record::<Flex, C, _, 2>([x, bias], |[x, bias]| run(x, Some(bias))),
        }
    }

    fn linear_nf4_lora(
        x: FloatTensor<Self>,
        codes: IntTensor<Self>,
        absmax: FloatTensor<Self>,
        width: usize,
        bias: Bias<Self>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        scaling: f64,
    ) -> FloatTensor<Self> {
        let absmax = absmax.into_primitive();
        let run = |x: FlexTensor, bias, a, b| {
            let weight = packed(&x, codes, absmax, width);
            let (out, saved) = linear::linear_packed(x, weight, bias, Some(Lora(a, b, scaling)));
            (out, FrozenLinear(saved))
        };
        match bias {
            Bias::Absent => record::<Flex, C, _, 3>([x, a, b], |[x, a, b]| run(x, None, a, b)),
            Bias::Given(bias) => record::<Flex, C, _, 4>([x, bias, a, b], |[x, bias, a, b]| run(x, Some(bias), a, b)),
        }
    }

    fn attention(q: FloatTensor<Self>, k: FloatTensor<Self>, v: FloatTensor<Self>, causal: bool) -> FloatTensor<Self> {
        record::<Flex, C, _, 3>([q, k, v], |[q, k, v]| {
            let (out, saved) = attention::attention(q, k, v, causal);
            (out, Attention(saved))
        })
    }
}
