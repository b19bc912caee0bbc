//! A linear map with an optional low-rank adapter.

use super::{Dropout, Initializer, ParamMut, ParamVisitorMut, Weight, join};
use burn::tensor::{DType, Tensor};
use cua_grpo_kernels::{self as kernels, LinearGradients, Lora};

/// Receives the module path of each linear map that an adapter may attach to, and the map to read.
pub type LinearVisitor<'a> = dyn FnMut(&str, &Linear) + 'a;

/// The same, to change the map.
pub type LinearVisitorMut<'a> = dyn FnMut(&str, &mut Linear) + 'a;

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
            weight: Weight::Dense(weight),
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
    /// What is dropped of the update's input; only in forward passes that are trained on.
    pub dropout: Option<Dropout>,
}

impl LoraPair {
    /// The update, as the kernels take it.
    pub(crate) fn update(&self) -> Lora {
        Lora {
            a: self.a.clone(),
            b: self.b.clone(),
            scaling: self.scaling,
        }
    }

    /// `scaling B A` of the input with `dropout`. In f32, as the factors are.
    fn dropped(&self, x: Tensor<2>, dropout: Dropout) -> Tensor<2> {
        let plain = |x, weight: &Tensor<2>| kernels::linear(x, &weight.clone().into(), None, None);
        plain(plain(dropout.forward(x), &self.a) * self.scaling, &self.b)
    }
}

/// `y = W x + b + scaling * B A x`, with the last term only while an adapter is attached.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`
    pub weight: Weight,
    /// `[out]`
    pub bias: Option<Tensor<1>>,
    /// The adapter.
    pub lora: Option<LoraPair>,
}

impl Linear {
    /// `[out, in]`
    pub fn dims(&self) -> [usize; 2] {
        self.weight.dims()
    }

    /// Applies the map.
    ///
    /// # Shapes
    /// - x: `[rows, in]`; output: `[rows, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let Some((pair, dropout)) = self.lora.as_ref().and_then(|pair| Some((pair, pair.dropout?))) else {
            let lora = self.lora.as_ref().map(LoraPair::update);
            return kernels::linear(x, &self.weight, self.bias.clone(), lora.as_ref());
        };
        let update = pair.dropped(x.clone().cast(DType::F32), dropout);
        let y = kernels::linear(x, &self.weight, self.bias.clone(), None);
        let dtype = y.dtype();
        y + update.cast(dtype)
    }

    /// `residual +` [`Linear::forward`].
    ///
    /// # Shapes
    /// - x: `[rows, in]`; residual, output: `[rows, out]`
    pub fn forward_onto(&self, residual: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        if let Some(LoraPair { dropout: Some(_), .. }) = &self.lora {
            return residual + self.forward(x);
        }
        let lora = self.lora.as_ref().map(LoraPair::update);
        kernels::linear_onto(residual, x, &self.weight, self.bias.clone(), lora.as_ref())
    }

    /// Gradients at `x` from `grad`, that of the output, which is not computed.
    ///
    /// # Shapes
    /// - x: `[rows, in]`; grad: `[rows, out]`
    pub fn gradients(&self, x: Tensor<2>, grad: Tensor<2>) -> LinearGradients {
        let Some(pair) = &self.lora else {
            return kernels::linear_gradients(x, grad, &self.weight, None);
        };
        let Some(dropout) = pair.dropout else {
            return kernels::linear_gradients(x, grad, &self.weight, Some(&pair.update()));
        };
        // The mask is the update's alone: its gradients come from the dropped input, and go through the mask again.
        let plain = kernels::linear_gradients(x.clone(), grad.clone(), &self.weight, None);
        let leaf = x.cast(DType::F32).autodiff().require_grad();
        let alone = |factor: &Tensor<2>| factor.clone().without_autodiff().autodiff().require_grad();
        let pair = LoraPair {
            a: alone(&pair.a),
            b: alone(&pair.b),
            ..*pair
        };
        let update = pair.dropped(leaf.clone(), dropout);
        let found = kernels::cotangent(update, grad.cast(DType::F32)).backward();
        let dtype = plain.x.dtype();
        LinearGradients {
            x: match leaf.grad(&found) {
                None => plain.x,
                Some(part) => plain.x + part.cast(dtype),
            },
            factors: pair.a.grad(&found).zip(pair.b.grad(&found)).map(|(a, b)| [a, b]),
        }
    }

    /// Adds the update to the weight and drops the adapter: `W += scaling * B A`, summed in f32.
    ///
    /// A dense weight keeps its type. A four-bit one becomes dense in f32: rounded to four bits again, it would lose
    /// most of the update.
    pub fn merge(&mut self) {
        if let Some(pair) = self.lora.take() {
            let dense = self.weight.dense();
            let dtype = dense.dtype();
            let update = pair.b.matmul(pair.a).cast(DType::F32) * pair.scaling;
            self.weight = Weight::Dense((dense.cast(DType::F32) + update).cast(dtype));
        }
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        if let Weight::Dense(weight) = &mut self.weight {
            visitor(&join(path, "weight"), ParamMut::Matrix(weight));
        }
        if let Some(bias) = &mut self.bias {
            visitor(&join(path, "bias"), ParamMut::Vector(bias));
        }
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        visitor(path, self);
    }
}
