//! The stack of decoder layers, with vision features spliced in.

use super::{CacheOfLayer, KvCache, RopeTables, TextLayer};
use crate::TextConfig;
use crate::nn::{Initializer, LinearVisitorMut, ParamMut, ParamVisitorMut, join};
use crate::vision::VisionFeatures;
use burn::tensor::{Int, Tensor};
use cua_grpo_kernels::{self as kernels, Mask};

/// What the decoder reads.
#[derive(Debug, Clone)]
pub struct DecoderInput {
    /// Token ids `[batch * time]`.
    pub tokens: Tensor<1, Int>,
    /// Rotary tables `[batch, 1, time, head_dim]`.
    pub rope: RopeTables,
    /// Which columns each token sees: without a cache those of its row, with one as the [`KvCache`] says.
    pub mask: Mask,
    /// Vision features and where they go.
    pub vision: Option<(VisionFeatures, VisualIndex)>,
    /// Numbers of the tokens whose states are wanted, in the flattened batch; all where there is none.
    pub wanted: Option<Tensor<1, Int>>,
}

/// Places of visual tokens in the flattened batch.
#[derive(Debug, Clone)]
pub struct VisualIndex {
    /// For each of the `batch * time` tokens: its own number where it is text, `batch * time + j` where visual row `j`
    /// stands in its place.
    pub splice: Tensor<1, Int>,
    /// For each token: 0 where it is text, `1 + j` where it is visual row `j`.
    pub add: Tensor<1, Int>,
    /// For each visual row, the number of the token in whose place it stands.
    pub places: Tensor<1, Int>,
}

/// Puts visual rows in the places of the visual tokens.
pub(crate) fn splice(x: Tensor<2>, rows: Tensor<2>, index: &VisualIndex) -> Tensor<2> {
    Tensor::cat(vec![x, rows], 0).select(0, index.splice.clone())
}

/// Adds visual rows at the visual tokens.
pub(crate) fn inject(x: Tensor<2>, rows: Tensor<2>, index: &VisualIndex) -> Tensor<2> {
    let nothing = Tensor::zeros([1, rows.dims()[1]], (&x.device(), rows.dtype()));
    x + Tensor::cat(vec![nothing, rows], 0).select(0, index.add.clone())
}

/// The text decoder.
#[derive(Debug, Clone)]
pub struct TextDecoder {
    /// `[vocab, hidden]`
    pub embed_tokens: Tensor<2>,
    pub(crate) layers: Vec<TextLayer>,
    pub(crate) norm: Tensor<1>,
    pub(crate) eps: f64,
}

impl TextDecoder {
    pub(crate) fn init(config: &TextConfig, init: &mut Initializer) -> Self {
        Self {
            embed_tokens: init.normal([config.vocab_size, config.hidden_size], 0.05),
            layers: (0..config.num_hidden_layers)
                .map(|layer| TextLayer::init(config, layer, init))
                .collect(),
            norm: init.constant(config.hidden_size, 1.0),
            eps: config.rms_norm_eps,
        }
    }

    /// Number of layers.
    pub fn num_layers(&self) -> usize {
        self.layers.len()
    }

    /// Hidden states after the final norm.
    ///
    /// Vision feature `i` of the deepstack is added to the output of layer `i`, at the visual tokens.
    ///
    /// # Shapes
    /// - output: `[wanted or batch * time, hidden]`
    pub fn forward(&self, input: DecoderInput, cache: Option<&mut dyn KvCache>) -> Tensor<2> {
        self.finish(self.run(&input, cache, |_| {}))
    }

    /// The output of the last layer at the wanted tokens, before the final norm; `keep` sees the input of each layer and what
    /// its first half gives.
    ///
    /// Of the other tokens the last layer needs only keys and values: it computes no more of them.
    pub(super) fn run(
        &self,
        input: &DecoderInput,
        mut cache: Option<&mut dyn KvCache>,
        mut keep: impl FnMut(&Tensor<2>),
    ) -> Tensor<2> {
        let mut x = self.embed(input);
        for number in 0..self.layers.len() {
            keep(&x);
            let cache: Option<CacheOfLayer<'_>> = match &mut cache {
                None => None,
                Some(cache) => Some((&mut **cache, number)),
            };
            let layer = &self.layers[number];
            let last = number + 1 == self.layers.len();
            let enriched = input
                .vision
                .as_ref()
                .is_some_and(|(vision, _)| number < vision.deepstack.len());
            if let Some(wanted) = input.wanted.as_ref().filter(|_| last && !enriched) {
                return layer.forward_at(wanted, x, &input.rope, &input.mask, cache);
            }
            let middle = layer.attend(x, &input.rope, &input.mask, cache);
            keep(&middle);
            x = layer.feed(middle);
            if let Some((features, index)) = &input.vision
                && let Some(feature) = features.deepstack.get(number)
            {
                x = inject(x, feature.clone(), index);
            }
        }
        match &input.wanted {
            None => x,
            Some(wanted) => x.select(0, wanted.clone()),
        }
    }

    /// Embeddings, with the merged vision rows in the places of the visual tokens.
    pub(crate) fn embed(&self, input: &DecoderInput) -> Tensor<2> {
        let x = kernels::compute(self.embed_tokens.clone().select(0, input.tokens.clone()));
        match &input.vision {
            None => x,
            Some((features, index)) => splice(x, features.merged.clone(), index),
        }
    }

    /// Layer `number`, to visit its weights.
    pub(crate) fn layer_mut(&mut self, number: usize) -> &mut TextLayer {
        &mut self.layers[number]
    }

    /// The final norm.
    pub(crate) fn finish(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::rms_norm(x, self.norm.clone(), self.eps)
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        visitor(
            &join(path, "embed_tokens.weight"),
            ParamMut::Matrix(&mut self.embed_tokens),
        );
        for (number, layer) in self.layers.iter_mut().enumerate() {
            layer.visit_mut(&join(path, &format!("layers.{number}")), visitor);
        }
        visitor(&join(path, "norm.weight"), ParamMut::Vector(&mut self.norm));
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        for (number, layer) in self.layers.iter_mut().enumerate() {
            layer.visit_linear_mut(&join(path, &format!("layers.{number}")), visitor);
        }
    }
}
