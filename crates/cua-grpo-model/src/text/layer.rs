//! One decoder layer.

use super::{CacheOfLayer, DecoderInput, Mixer, RmsNorm, SparseMlp, TextMlp};
use crate::TextConfig;
use crate::blocks::{AdapterGradients, Inner, pull, pull_half};
use crate::nn::{Initializer, LinearVisitorMut, ParamVisitorMut, join};
use burn::tensor::{Int, Tensor};

/// What follows the mixer of a layer.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one a layer, never moved")]
pub(crate) enum FeedForward {
    Dense(Box<TextMlp>),
    Sparse(Box<SparseMlp>),
}

/// Mixer (attention or a recurrent state) and MLP (or experts), each behind a norm and added to the residual stream.
#[derive(Debug, Clone)]
pub struct TextLayer {
    pub(crate) input_layernorm: RmsNorm,
    pub(crate) mixer: Mixer,
    pub(crate) post_attention_layernorm: RmsNorm,
    pub(crate) mlp: FeedForward,
}

impl TextLayer {
    pub(crate) fn init(config: &TextConfig, layer: usize, init: &mut Initializer) -> Self {
        Self {
            input_layernorm: RmsNorm::init(config.hidden_size, config, init),
            mixer: Mixer::init(config, layer, init),
            post_attention_layernorm: RmsNorm::init(config.hidden_size, config, init),
            mlp: match &config.moe {
                Some(moe) if config.is_sparse(layer) => {
                    FeedForward::Sparse(Box::new(SparseMlp::init(config, moe, init)))
                }
                _ => FeedForward::Dense(Box::new(TextMlp::init(config, config.intermediate_size, init))),
            },
        }
    }

    /// # Shapes
    /// - x, output: `[batch * time, hidden]`
    pub fn forward(&self, x: Tensor<2>, input: &DecoderInput, cache: Option<CacheOfLayer<'_>>) -> Tensor<2> {
        self.feed(self.mix(x, input, cache))
    }

    /// The first half of [`TextLayer::forward`].
    pub(crate) fn mix(&self, x: Tensor<2>, input: &DecoderInput, cache: Option<CacheOfLayer<'_>>) -> Tensor<2> {
        let mixed = self.mixer.inner(self.input_layernorm.forward(x.clone()), input, cache);
        self.mixer.last().1.forward_onto(x, mixed)
    }

    /// As [`TextLayer::forward`] of the tokens `wanted`; the others are only seen by them.
    ///
    /// # Shapes
    /// - x: `[batch * time, hidden]`; wanted: `[n]`; output: `[n, hidden]`
    pub(crate) fn forward_at(
        &self,
        wanted: &Tensor<1, Int>,
        x: Tensor<2>,
        input: &DecoderInput,
        cache: Option<CacheOfLayer<'_>>,
    ) -> Tensor<2> {
        let mixed = self.mixer.inner(self.input_layernorm.forward(x.clone()), input, cache);
        let at = |rows: Tensor<2>| rows.select(0, wanted.clone());
        self.feed(self.mixer.last().1.forward_onto(at(x), at(mixed)))
    }

    /// The second half.
    pub(crate) fn feed(&self, x: Tensor<2>) -> Tensor<2> {
        let normed = self.post_attention_layernorm.forward(x.clone());
        match &self.mlp {
            FeedForward::Dense(mlp) => mlp.forward(x, normed),
            FeedForward::Sparse(mlp) => x + mlp.forward(normed),
        }
    }

    /// Pulls the gradient `grad` of the output back to the input `x`; `middle` is what [`TextLayer::mix`] gave. The
    /// gradients of the adapters, which are leaves, are added to `sums` under `path`.
    pub(crate) fn pull(
        &mut self,
        path: &str,
        [x, middle]: [&Tensor<2>; 2],
        grad: Tensor<2>,
        input: &DecoderInput,
        sums: &mut AdapterGradients,
    ) -> Tensor<2> {
        let (grad, found) = match &self.mlp {
            FeedForward::Sparse(_) => pull(middle, grad, |x| self.feed(x)),
            FeedForward::Dense(mlp) => {
                let half = |x, grad| {
                    let (normed, carried) = self.post_attention_layernorm.carrying(x, grad);
                    let inner = mlp.inner(normed);
                    Inner { inner, carried }
                };
                let last = join(path, "mlp.down_proj");
                pull_half(middle, grad, half, (&last, &mlp.down_proj), sums)
            }
        };
        self.visit_linear_mut(path, &mut |path, linear| sums.collect(path, linear, &found));
        let half = |x, grad| {
            let (normed, carried) = self.input_layernorm.carrying(x, grad);
            let inner = self.mixer.inner(normed, input, None);
            Inner { inner, carried }
        };
        let (last, map) = self.mixer.last();
        let (grad, found) = pull_half(x, grad, half, (&join(path, last), map), sums);
        self.visit_linear_mut(path, &mut |path, linear| sums.collect(path, linear, &found));
        grad
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        self.input_layernorm.visit_mut(&join(path, "input_layernorm"), visitor);
        self.mixer.visit_mut(path, visitor);
        let norm = join(path, "post_attention_layernorm");
        self.post_attention_layernorm.visit_mut(&norm, visitor);
        match &mut self.mlp {
            FeedForward::Dense(mlp) => mlp.visit_mut(&join(path, "mlp"), visitor),
            FeedForward::Sparse(mlp) => mlp.visit_mut(&join(path, "mlp"), visitor),
        }
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        self.mixer.visit_linear_mut(path, visitor);
        match &mut self.mlp {
            FeedForward::Dense(mlp) => mlp.visit_linear_mut(&join(path, "mlp"), visitor),
            FeedForward::Sparse(mlp) => mlp.visit_linear_mut(&join(path, "mlp"), visitor),
        }
    }
}
