//! A linear map with an optional low-rank adapter.

use super::{Initializer, LinearVisitor, ParamVisitor, Slot, join};
use burn::tensor::Tensor;
use cua_grpo_kernels as kernels;

/// Configuration of a [`Linear`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearConfig {
    /// Width of the input.
    pub d_input: usize,
    /// Width of the output.
    pub d_output: usize,
    /// Whether there is a bias.
    pub bias: bool,
}

impl LinearConfig {
    /// A map from `d_input` to `d_output`.
    pub fn new(d_input: usize, d_output: usize, bias: bool) -> Self {
        Self {
            d_input,
            d_output,
            bias,
        }
    }

    /// Draws weights with standard deviation `1 / sqrt(d_input)`; the bias starts at 0.
    pub fn init(&self, init: &mut Initializer) -> Linear {
        let std = (self.d_input as f32).powf(-0.5);
        let weight = init.normal([self.d_output, self.d_input], std);
        Linear {
            weight,
            bias: self.bias.then(|| init.constant(self.d_output, 0.0)),
            lora: None,
        }
    }
}

/// The two factors of a low-rank update.
#[derive(Debug, Clone)]
pub struct LoraPair {
    /// `[r, in]`
    pub a: Tensor<2>,
    /// `[out, r]`
    pub b: Tensor<2>,
    /// `alpha / r`, or `alpha / sqrt(r)` with rank stabilisation.
    pub scaling: f64,
}

/// `y = W x + b + scaling * B A x`, with the last term only while an adapter is attached.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Tensor<2>,
    /// `[out]`
    pub bias: Option<Tensor<1>>,
    /// The adapter.
    pub lora: Option<LoraPair>,
}

impl Linear {
    /// Applies the map.
    ///
    /// # Shapes
    /// - x: `[rows, in]`; output: `[rows, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (self.weight.clone(), self.bias.clone());
        match &self.lora {
            None => kernels::linear(x, weight, bias),
            Some(LoraPair { a, b, scaling }) => kernels::linear_lora(x, weight, bias, (a.clone(), b.clone()), *scaling),
        }
    }

    /// Adds the update to the weight and drops the adapter: `W += scaling * B A`.
    pub fn merge(&mut self) {
        if let Some(pair) = self.lora.take() {
            self.weight = self.weight.clone() + pair.b.matmul(pair.a) * pair.scaling;
        }
    }

    pub(crate) fn visit(&mut self, path: &str, visitor: &mut ParamVisitor<'_>) {
        visitor(&join(path, "weight"), Slot::Matrix(&mut self.weight));
        if let Some(bias) = &mut self.bias {
            visitor(&join(path, "bias"), Slot::Vector(bias));
        }
    }

    pub(crate) fn visit_linear(&mut self, path: &str, visitor: &mut LinearVisitor<'_>) {
        visitor(path, self);
    }
}
