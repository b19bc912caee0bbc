//! Training by blocks: the forward pass keeps only the input of each block, and the backward pass computes the block
//! again to get its gradients. The memory of activations is one block and the inputs (Chen et al. 2016, "Training Deep
//! Nets with Sublinear Memory Cost").

use burn::tensor::{Gradients, Tensor};
use cua_grpo_kernels as kernels;
use std::collections::HashMap;

use crate::nn::Linear;

/// Gradients of adapter factors under `MODULE.lora_A.weight` and `MODULE.lora_B.weight`.
#[derive(Debug, Default)]
pub struct AdapterGradients(HashMap<String, Tensor<2>>);

impl AdapterGradients {
    /// Takes the gradient of the tensor `name`.
    pub fn take(&mut self, name: &str) -> Option<Tensor<2>> {
        self.0.remove(name)
    }

    /// Adds what `gradients` hold for the factors of `linear`.
    pub(crate) fn collect(&mut self, path: &str, linear: &Linear, gradients: &Gradients) {
        let Some(pair) = &linear.lora else { return };
        for (factor, tensor) in [("lora_A", &pair.a), ("lora_B", &pair.b)] {
            let Some(gradient) = tensor.grad(gradients) else {
                continue;
            };
            let name = format!("{path}.{factor}.weight");
            let sum = match self.0.remove(&name) {
                None => gradient,
                Some(sum) => sum + gradient,
            };
            self.0.insert(name, sum);
        }
    }
}

/// Runs `block` again from its input `x` and pulls the gradient `grad` of its output back through it: the gradient of
/// `x`, and those of the leaves inside the block.
pub(crate) fn pull(
    x: &Tensor<2>,
    grad: Tensor<2>,
    block: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> (Tensor<2>, Gradients) {
    let leaf = x.clone().autodiff().require_grad();
    let gradients = kernels::seed(block(leaf.clone()), grad).backward();
    let dx = leaf.grad(&gradients).unwrap_or_else(|| x.zeros_like());
    (dx, gradients)
}
