//! One decoder layer.

use super::{CacheOfLayer, RopeTables, SparseMlp, TextAttention, TextMlp};
use crate::TextConfig;
use crate::blocks::{AdapterGradients, Inner, pull, pull_half};
use crate::nn::{Initializer, LinearVisitorMut, ParamMut, ParamVisitorMut, join};
use burn::tensor::{Int, Tensor};
use cua_grpo_kernels::{self as kernels, Mask};

/// What follows the attention of a layer.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one a layer, never moved")]
pub(crate) enum FeedForward {
    Dense(Box<TextMlp>),
    Sparse(Box<SparseMlp>),
}

/// Attention and MLP (or experts), each behind a norm and added to the residual stream.
#[derive(Debug, Clone)]
pub struct TextLayer {
    pub(crate) input_layernorm: Tensor<1>,
    pub(crate) self_attn: TextAttention,
    pub(crate) post_attention_layernorm: Tensor<1>,
    pub(crate) mlp: FeedForward,
    pub(crate) eps: f64,
}

impl TextLayer {
    pub(crate) fn init(config: &TextConfig, layer: usize, init: &mut Initializer) -> Self {
        Self {
            input_layernorm: init.constant(config.hidden_size, 1.0),
            self_attn: TextAttention::init(config, init),
            post_attention_layernorm: init.constant(config.hidden_size, 1.0),
            mlp: match &config.moe {
                Some(moe) if config.is_sparse(layer) => {
                    FeedForward::Sparse(Box::new(SparseMlp::init(config, moe, init)))
                }
                _ => FeedForward::Dense(Box::new(TextMlp::init(config, init))),
            },
            eps: config.rms_norm_eps,
        }
    }

    /// # Shapes
    /// - x, output: `[batch * time, hidden]`
    pub fn forward(&self, x: Tensor<2>, rope: &RopeTables, mask: &Mask, cache: Option<CacheOfLayer<'_>>) -> Tensor<2> {
        self.feed(self.attend(x, rope, mask, cache))
    }

    /// The first half of [`TextLayer::forward`].
    pub(crate) fn attend(
        &self,
        x: Tensor<2>,
        rope: &RopeTables,
        mask: &Mask,
        cache: Option<CacheOfLayer<'_>>,
    ) -> Tensor<2> {
        let normed = kernels::rms_norm(x.clone(), self.input_layernorm.clone(), self.eps);
        self.self_attn.forward(x, normed, rope, mask, cache)
    }

    /// As [`TextLayer::forward`] of the tokens `wanted`; the others are only seen by them.
    ///
    /// # Shapes
    /// - x: `[batch * time, hidden]`; wanted: `[n]`; output: `[n, hidden]`
    pub(crate) fn forward_at(
        &self,
        wanted: &Tensor<1, Int>,
        x: Tensor<2>,
        rope: &RopeTables,
        mask: &Mask,
        cache: Option<CacheOfLayer<'_>>,
    ) -> Tensor<2> {
        let normed = kernels::rms_norm(x.clone(), self.input_layernorm.clone(), self.eps);
        let attended = self.self_attn.inner(normed, rope, mask, cache);
        let at = |rows: Tensor<2>| rows.select(0, wanted.clone());
        self.feed(self.self_attn.o_proj.forward_onto(at(x), at(attended)))
    }

    /// The second half.
    pub(crate) fn feed(&self, x: Tensor<2>) -> Tensor<2> {
        let normed = kernels::rms_norm(x.clone(), self.post_attention_layernorm.clone(), self.eps);
        match &self.mlp {
            FeedForward::Dense(mlp) => mlp.forward(x, normed),
            FeedForward::Sparse(mlp) => x + mlp.forward(normed),
        }
    }

    /// Pulls the gradient `grad` of the output back to the input `x`; `middle` is what [`TextLayer::attend`] gave. The
    /// gradients of the adapters, which are leaves, are added to `sums` under `path`.
    pub(crate) fn pull(
        &mut self,
        path: &str,
        [x, middle]: [&Tensor<2>; 2],
        grad: Tensor<2>,
        (rope, mask): (&RopeTables, &Mask),
        sums: &mut AdapterGradients,
    ) -> Tensor<2> {
        let (grad, found) = match &self.mlp {
            FeedForward::Sparse(_) => pull(middle, grad, |x| self.feed(x)),
            FeedForward::Dense(mlp) => {
                let half = |x, grad| {
                    let weight = self.post_attention_layernorm.clone();
                    let (normed, carried) = kernels::rms_norm_carrying(x, weight, self.eps, grad);
                    let inner = mlp.inner(normed);
                    Inner { inner, carried }
                };
                let last = join(path, "mlp.down_proj");
                pull_half(middle, grad, half, (&last, &mlp.down_proj), sums)
            }
        };
        self.visit_linear_mut(path, &mut |path, linear| sums.collect(path, linear, &found));
        let half = |x, grad| {
            let weight = self.input_layernorm.clone();
            let (normed, carried) = kernels::rms_norm_carrying(x, weight, self.eps, grad);
            let inner = self.self_attn.inner(normed, rope, mask, None);
            Inner { inner, carried }
        };
        let last = join(path, "self_attn.o_proj");
        let (grad, found) = pull_half(x, grad, half, (&last, &self.self_attn.o_proj), sums);
        self.visit_linear_mut(path, &mut |path, linear| sums.collect(path, linear, &found));
        grad
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        visitor(
            &join(path, "input_layernorm.weight"),
            ParamMut::Vector(&mut self.input_layernorm),
        );
        self.self_attn.visit_mut(&join(path, "self_attn"), visitor);
        visitor(
            &join(path, "post_attention_layernorm.weight"),
            ParamMut::Vector(&mut self.post_attention_layernorm),
        );
        match &mut self.mlp {
            FeedForward::Dense(mlp) => mlp.visit_mut(&join(path, "mlp"), visitor),
            FeedForward::Sparse(mlp) => mlp.visit_mut(&join(path, "mlp"), visitor),
        }
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        self.self_attn.visit_linear_mut(&join(path, "self_attn"), visitor);
        match &mut self.mlp {
            FeedForward::Dense(mlp) => mlp.visit_linear_mut(&join(path, "mlp"), visitor),
            // Experts and router are no linear modules to PEFT.
            FeedForward::Sparse(_) => {}
        }
    }
}
