//! What a loss is computed from.

use crate::AlgoError;
use crate::masked::expect_shape;
use burn::tensor::Tensor;

/// Log-probs of one micro-batch and what goes with them. All log-probs are over the full vocabulary at the same
/// temperature. Position `t` of a row belongs to its token `t` (given all before it); what lies outside of the mask is
/// never looked at.
#[derive(Debug, Clone)]
pub struct LossInputs {
    /// Under the policy now, with a gradient. Shape `[rows, time]`.
    pub logprobs: Tensor<2>,
    /// Under the policy before this optimiser step. Absent when the step is the first on its samples: then it is
    /// `logprobs` itself without gradient, and every ratio is 1. Shape `[rows, time]`.
    pub old: Option<Tensor<2>>,
    /// As the sampler reported them. Needed by a correction. Shape `[rows, time]`.
    pub sampler: Option<Tensor<2>>,
    /// Under the reference, i.e. the same model with the adapter off. Needed when `beta` is above 0. Shape
    /// `[rows, time]`.
    pub reference: Option<Tensor<2>>,
    /// 1 where the policy sampled the token, 0 elsewhere. Shape `[rows, time]`.
    pub mask: Tensor<2>,
    /// One advantage a row. Shape `[rows, 1]`.
    pub advantages: Tensor<2>,
}

impl LossInputs {
    pub(super) fn validate(&self) -> Result<(), AlgoError> {
        let shape = self.logprobs.dims();
        let operation = "policy loss";
        expect_shape(operation, "mask", &self.mask, shape)?;
        expect_shape(operation, "advantages", &self.advantages, [shape[0], 1])?;
        let optional = [
            ("old", &self.old),
            ("sampler", &self.sampler),
            ("reference", &self.reference),
        ];
        for (name, tensor) in optional {
            if let Some(tensor) = tensor {
                expect_shape(operation, name, tensor, shape)?;
            }
        }
        Ok(())
    }
}
