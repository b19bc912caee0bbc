//! The activations that `hidden_act` may name, as transformers computes them.

use burn::tensor::{DType, Tensor, activation};
use cua_grpo_kernels as kernels;
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

/// An activation without weights, by its name in transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x sigmoid(x)`
    Silu,
    /// GELU with the tanh approximation.
    GeluTanh,
    /// Exact GELU.
    Gelu,
    /// Exact GELU, cut at -10 and 10.
    Gelu10,
    /// `x sigmoid(1.702 x)`
    QuickGelu,
    /// `max(x, 0)`
    Relu,
    /// `max(x, 0)^2`
    Relu2,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x` where it is positive, `0.01 x` elsewhere.
    LeakyRelu,
    /// `x min(max(x + 3, 0), 6) / 6`
    HardSwish,
    /// The logistic function.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `x tanh(log(1 + exp x))`
    Mish,
    /// `(1 + erf((x - 1 / sqrt 2) / (0.282095 sqrt 2))) / 2`
    Laplace,
    /// `sqrt(log(1 + exp x))`
    SqrtSoftplus,
    /// `x`
    Linear,
}

/// Names of transformers; of several for one activation the first is written.
const NAMES: [(&str, Activation); 21] = [
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_accurate", Activation::GeluTanh),
    ("gelu_python_tanh", Activation::GeluTanh),
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_10", Activation::Gelu10),
    ("quick_gelu", Activation::QuickGelu),
    ("relu", Activation::Relu),
    ("relu2", Activation::Relu2),
    ("relu6", Activation::Relu6),
    ("leaky_relu", Activation::LeakyRelu),
    ("hardswish", Activation::HardSwish),
    ("sigmoid", Activation::Sigmoid),
    ("tanh", Activation::Tanh),
    ("mish", Activation::Mish),
    ("laplace", Activation::Laplace),
    ("sqrtsoftplus", Activation::SqrtSoftplus),
];

impl Activation {
    /// The activation of that name; `None` for a name that transformers lacks, and for those with weights of their own.
    pub fn of(name: &str) -> Option<Self> {
        if name == "linear" {
            return Some(Self::Linear);
        }
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, activation)| *activation)
    }

    /// Every name, for messages.
    pub fn names() -> String {
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).chain(["linear"]).collect();
        names.join(", ")
    }

    /// As `config.json` names it.
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(_, known)| *known == self)
            .map_or("linear", |(name, _)| name)
    }

    /// Applies it to each value, in the type of `x`.
    ///
    /// # Shapes
    /// - x, output: `[rows, width]`
    pub fn forward(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::GeluTanh => kernels::gelu_tanh(x),
            Self::Gelu => kernels::gelu_erf(x),
            Self::Linear => x,
            _ => {
                let dtype = x.dtype();
                self.plain(x.cast(DType::F32)).cast(dtype)
            }
        }
    }

    /// In plain tensor operations, in f32.
    fn plain(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Silu => activation::silu(x),
            Self::GeluTanh => kernels::gelu_tanh(x),
            Self::Gelu => kernels::gelu_erf(x),
            Self::Gelu10 => activation::gelu(x).clamp(-10.0, 10.0),
            Self::QuickGelu => activation::sigmoid(x.clone() * 1.702) * x,
            Self::Relu => activation::relu(x),
            Self::Relu2 => activation::relu(x).powi_scalar(2),
            Self::Relu6 => activation::relu(x).clamp_max(6.0),
            Self::LeakyRelu => activation::leaky_relu(x, 0.01),
            Self::HardSwish => (x.clone() + 3.0).clamp(0.0, 6.0) * x / 6.0,
            Self::Sigmoid => activation::sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Mish => softplus(x.clone()).tanh() * x,
            Self::Laplace => (((x - FRAC_1_SQRT_2) / (0.282_095 * SQRT_2)).erf() + 1.0) * 0.5,
            Self::SqrtSoftplus => softplus(x).sqrt(),
            Self::Linear => x,
        }
    }

    /// The gated unit of an MLP: the activation of `gate`, times `up`.
    ///
    /// # Shapes
    /// - gate, up, output: `[rows, width]`
    pub fn gated(self, gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Silu => kernels::swiglu(gate, up),
            _ => self.forward(gate) * up,
        }
    }
}

/// `log(1 + exp x)`, which is `x` where the exponential would overflow.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    activation::softplus_with_threshold(x, 1.0, 20.0)
}
