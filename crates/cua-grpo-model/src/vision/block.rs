//! One block of the vision tower.

use super::FrameTables;
use crate::VisionConfig;
use crate::blocks::{AdapterGradients, Inner, pull_inner};
use crate::nn::{Initializer, Linear, LinearConfig, LinearVisitor, ParamVisitor, Slot, join};
use burn::tensor::Tensor;
use cua_grpo_kernels as kernels;

/// Epsilon of every layer norm of the tower.
pub(super) const EPS: f64 = 1e-6;

/// A layer norm with bias.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    weight: Tensor<1>,
    bias: Tensor<1>,
}

impl Norm {
    pub(super) fn init(width: usize, init: &Initializer) -> Self {
        Self {
            weight: init.constant(width, 1.0),
            bias: init.constant(width, 0.0),
        }
    }

    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::layer_norm(x, self.weight.clone(), self.bias.clone(), EPS)
    }

    pub(super) fn visit(&mut self, path: &str, visitor: &mut ParamVisitor<'_>) {
        visitor(&join(path, "weight"), Slot::Vector(&mut self.weight));
        visitor(&join(path, "bias"), Slot::Vector(&mut self.bias));
    }
}

/// Attention over one frame, then an MLP.
#[derive(Debug, Clone)]
pub struct VisionBlock {
    norm1: Norm,
    norm2: Norm,
    qkv: Linear,
    proj: Linear,
    linear_fc1: Linear,
    linear_fc2: Linear,
}

impl VisionBlock {
    pub(crate) fn init(config: &VisionConfig, init: &mut Initializer) -> Self {
        let (hidden, width) = (config.hidden_size, config.intermediate_size);
        Self {
            norm1: Norm::init(hidden, init),
            norm2: Norm::init(hidden, init),
            qkv: LinearConfig::new(hidden, 3 * hidden, true).init(init),
            proj: LinearConfig::new(hidden, hidden, true).init(init),
            linear_fc1: LinearConfig::new(hidden, width, true).init(init),
            linear_fc2: LinearConfig::new(width, hidden, true).init(init),
        }
    }

    /// # Shapes
    /// - x, output: `[frames * patches, hidden]`, every frame with the patches of `tables`
    pub fn forward(&self, x: Tensor<2>, tables: &FrameTables) -> Tensor<2> {
        let Inner { residual, inner } = self.inner(x, tables);
        self.linear_fc2.forward_onto(residual, inner)
    }

    /// All but the last map.
    fn inner(&self, x: Tensor<2>, tables: &FrameTables) -> Inner {
        let qkv = self.qkv.forward(self.norm1.forward(x.clone()));
        let attended = kernels::attention_packed(qkv, tables.cos.clone(), tables.sin.clone());
        let residual = self.proj.forward_onto(x, attended);
        let wide = self.linear_fc1.forward(self.norm2.forward(residual.clone()));
        Inner {
            residual,
            inner: kernels::gelu_tanh(wide),
        }
    }

    /// Pulls the gradient `grad` of the output at `x` back; those of the adapters, which are leaves, are added to `sums`
    /// under `path`.
    pub(crate) fn pull(
        &mut self,
        path: &str,
        x: &Tensor<2>,
        grad: Tensor<2>,
        tables: &FrameTables,
        sums: &mut AdapterGradients,
    ) -> Tensor<2> {
        let last = (join(path, "mlp.linear_fc2"), &self.linear_fc2);
        let (dx, found) = pull_inner(x, grad, |x| self.inner(x, tables), (&last.0, last.1), sums);
        self.visit_linear(path, &mut |path, linear| sums.collect(path, linear, &found));
        dx
    }

    pub(crate) fn visit(&mut self, path: &str, visitor: &mut ParamVisitor<'_>) {
        self.norm1.visit(&join(path, "norm1"), visitor);
        self.norm2.visit(&join(path, "norm2"), visitor);
        self.qkv.visit(&join(path, "attn.qkv"), visitor);
        self.proj.visit(&join(path, "attn.proj"), visitor);
        self.linear_fc1.visit(&join(path, "mlp.linear_fc1"), visitor);
        self.linear_fc2.visit(&join(path, "mlp.linear_fc2"), visitor);
    }

    pub(crate) fn visit_linear(&mut self, path: &str, visitor: &mut LinearVisitor<'_>) {
        self.qkv.visit_linear(&join(path, "attn.qkv"), visitor);
        self.proj.visit_linear(&join(path, "attn.proj"), visitor);
        self.linear_fc1.visit_linear(&join(path, "mlp.linear_fc1"), visitor);
        self.linear_fc2.visit_linear(&join(path, "mlp.linear_fc2"), visitor);
    }
}
