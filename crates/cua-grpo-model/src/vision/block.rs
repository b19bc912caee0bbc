//! One block of the vision tower.

use super::FrameTables;
use crate::VisionConfig;
use crate::blocks::{AdapterGradients, Inner, pull_half};
use crate::nn::{Activation, Initializer, Linear, LinearConfig, LinearVisitorMut, ParamMut, ParamVisitorMut, join};
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

    /// As [`kernels::layer_norm_carrying`].
    fn carrying(&self, x: Tensor<2>, carried: Tensor<2>) -> (Tensor<2>, Option<Tensor<1>>) {
        kernels::layer_norm_carrying(x, self.weight.clone(), self.bias.clone(), EPS, carried)
    }

    pub(super) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        visitor(&join(path, "weight"), ParamMut::Vector(&mut self.weight));
        visitor(&join(path, "bias"), ParamMut::Vector(&mut self.bias));
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
    act: Activation,
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
            act: config.hidden_act,
        }
    }

    /// # Shapes
    /// - x, output: `[frames * patches, hidden]`, every frame with the patches of `tables`
    pub fn forward(&self, x: Tensor<2>, tables: &FrameTables) -> Tensor<2> {
        self.feed(self.attend(x, tables))
    }

    /// The first half of [`VisionBlock::forward`].
    pub(super) fn attend(&self, x: Tensor<2>, tables: &FrameTables) -> Tensor<2> {
        let attended = self.attended(self.norm1.forward(x.clone()), tables);
        self.proj.forward_onto(x, attended)
    }

    /// The second half.
    pub(super) fn feed(&self, x: Tensor<2>) -> Tensor<2> {
        let wide = self.wide(self.norm2.forward(x.clone()));
        self.linear_fc2.forward_onto(x, wide)
    }

    /// The first half from its norm to its last map.
    fn attended(&self, normed: Tensor<2>, tables: &FrameTables) -> Tensor<2> {
        kernels::attention_packed(self.qkv.forward(normed), tables.cos.clone(), tables.sin.clone())
    }

    /// The second half from its norm to its last map.
    fn wide(&self, normed: Tensor<2>) -> Tensor<2> {
        self.act.forward(self.linear_fc1.forward(normed))
    }

    /// Pulls the gradient `grad` of the output back to the input `x`; `middle` is what [`VisionBlock::attend`] gave. The
    /// gradients of the adapters, which are leaves, are added to `sums` under `path`.
    pub(crate) fn pull(
        &mut self,
        path: &str,
        [x, middle]: [&Tensor<2>; 2],
        grad: Tensor<2>,
        tables: &FrameTables,
        sums: &mut AdapterGradients,
    ) -> Tensor<2> {
        let half = |x, grad| {
            let (normed, carried) = self.norm2.carrying(x, grad);
            let inner = self.wide(normed);
            Inner { inner, carried }
        };
        let last = join(path, "mlp.linear_fc2");
        let (grad, found) = pull_half(middle, grad, half, (&last, &self.linear_fc2), sums);
        self.visit_linear_mut(path, &mut |path, linear| sums.collect(path, linear, &found));
        let half = |x, grad| {
            let (normed, carried) = self.norm1.carrying(x, grad);
            let inner = self.attended(normed, tables);
            Inner { inner, carried }
        };
        let last = join(path, "attn.proj");
        let (grad, found) = pull_half(x, grad, half, (&last, &self.proj), sums);
        self.visit_linear_mut(path, &mut |path, linear| sums.collect(path, linear, &found));
        grad
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        self.norm1.visit_mut(&join(path, "norm1"), visitor);
        self.norm2.visit_mut(&join(path, "norm2"), visitor);
        self.qkv.visit_mut(&join(path, "attn.qkv"), visitor);
        self.proj.visit_mut(&join(path, "attn.proj"), visitor);
        self.linear_fc1.visit_mut(&join(path, "mlp.linear_fc1"), visitor);
        self.linear_fc2.visit_mut(&join(path, "mlp.linear_fc2"), visitor);
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        self.qkv.visit_linear_mut(&join(path, "attn.qkv"), visitor);
        self.proj.visit_linear_mut(&join(path, "attn.proj"), visitor);
        self.linear_fc1.visit_linear_mut(&join(path, "mlp.linear_fc1"), visitor);
        self.linear_fc2.visit_linear_mut(&join(path, "mlp.linear_fc2"), visitor);
    }
}
