//! Training by blocks: the forward pass keeps only the input of each block, and the backward pass computes the block
//! again to get its gradients. A block is half a layer: attention or MLP. The memory of activations is one block and the inputs (Chen et al. 2016, "Training Deep
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
        self.add(path, [pair.a.grad(gradients), pair.b.grad(gradients)]);
    }

    /// Adds gradients of A and B of the linear map `path`.
    fn add(&mut self, path: &str, factors: [Option<Tensor<2>>; 2]) {
        for (factor, gradient) in ["lora_A", "lora_B"].into_iter().zip(factors) {
            let Some(gradient) = gradient else { continue };
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
    let output = block(leaf.clone());
    let gradients = kernels::cotangent(output, grad).backward();
    let dx = leaf.grad(&gradients).unwrap_or_else(|| x.zeros_like());
    (dx, gradients)
}

/// What half a layer, `x + last(inner)`, computes before its last linear map.
pub(crate) struct Inner {
    /// The input of the last map.
    pub inner: Tensor<2>,
    /// What its norm left to be added to the cotangent; see [`kernels::rms_norm_carrying`].
    pub carried: Option<Tensor<1>>,
}

/// As [`pull`], for half a layer that ends with the linear map `last` at `path`, whose output the gradients do not need:
/// it is not computed. `half` is given `x` and the gradient that goes past it. The gradients of the last map's factors
/// are added to `sums`.
pub(crate) fn pull_half(
    x: &Tensor<2>,
    grad: Tensor<2>,
    half: impl FnOnce(Tensor<2>, Tensor<2>) -> Inner,
    (path, last): (&str, &Linear),
    sums: &mut AdapterGradients,
) -> (Tensor<2>, Gradients) {
    let leaf = x.clone().autodiff().require_grad();
    let Inner { inner, carried } = half(leaf.clone(), grad.clone());
    let found = last.gradients(inner.clone().without_autodiff(), grad);
    sums.add(path, found.factors.map_or([None, None], |factors| factors.map(Some)));
    let cotangent = kernels::cotangent(inner, found.x);
    let gradients = match carried {
        None => cotangent.backward(),
        Some(carried) => (cotangent + carried).backward(),
    };
    let dx = leaf.grad(&gradients).unwrap_or_else(|| x.zeros_like());
    (dx, gradients)
}
