//! The norms of the decoder.

use crate::TextConfig;
use crate::nn::{Initializer, ParamMut, ParamVisitorMut, join};
use burn::tensor::Tensor;
use cua_grpo_kernels as kernels;

/// A root-mean-square norm, whose factor is its weight, or 1 and its weight.
#[derive(Debug, Clone)]
pub(crate) struct RmsNorm {
    weight: Tensor<1>,
    /// The factor is `1 + weight`: a weight of 0 changes nothing.
    from_one: bool,
    pub(crate) eps: f64,
}

impl RmsNorm {
    /// A norm over `width` values that changes nothing but their size.
    pub(crate) fn init(width: usize, config: &TextConfig, init: &Initializer) -> Self {
        let from_one = config.hybrid.is_some();
        Self {
            weight: init.constant(width, if from_one { 0.0 } else { 1.0 }),
            from_one,
            eps: config.rms_norm_eps,
        }
    }

    /// What normed values are multiplied by.
    pub(crate) fn factor(&self) -> Tensor<1> {
        if self.from_one {
            self.weight.clone() + 1.0
        } else {
            self.weight.clone()
        }
    }

    /// # Shapes
    /// - x, output: `[rows, width]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::rms_norm(x, self.factor(), self.eps)
    }

    /// As [`kernels::rms_norm_carrying`].
    pub(crate) fn carrying(&self, x: Tensor<2>, carried: Tensor<2>) -> (Tensor<2>, Option<Tensor<1>>) {
        kernels::rms_norm_carrying(x, self.factor(), self.eps, carried)
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        visitor(&join(path, "weight"), ParamMut::Vector(&mut self.weight));
    }
}
