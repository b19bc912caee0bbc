//! The stack of decoder layers, with vision features spliced in.

use super::{CacheOfLayer, DecoderInput, KvCache, RmsNorm, TextLayer, VisualIndex};
use crate::TextConfig;
use crate::nn::{Initializer, LinearVisitorMut, ParamMut, ParamVisitorMut, join};
use burn::tensor::{DType, Int, Tensor};
use cua_grpo_kernels as kernels;

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
    pub(crate) norm: RmsNorm,
}

impl TextDecoder {
    pub(crate) fn init(config: &TextConfig, init: &mut Initializer) -> Self {
        Self {
            embed_tokens: init.normal([config.vocab_size, config.hidden_size], 0.05),
            layers: (0..config.num_hidden_layers)
                .map(|layer| TextLayer::init(config, layer, init))
                .collect(),
            norm: RmsNorm::init(config.hidden_size, config, init),
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
                return layer.forward_at(wanted, x, input, cache);
            }
            let middle = layer.mix(x, input, cache);
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

    /// The embeddings of tokens. Where they are trained, what comes back for each is added up in f32.
    fn rows_of(&self, tokens: &Tensor<1, Int>) -> Tensor<2> {
        let table = self.embed_tokens.clone();
        let format = table.dtype();
        match table.is_tracked() {
            true => table.cast(DType::F32).select(0, tokens.clone()).cast(format),
            false => table.select(0, tokens.clone()),
        }
    }

    /// Embeddings, with the merged vision rows in the places of the visual tokens.
    pub(crate) fn embed(&self, input: &DecoderInput) -> Tensor<2> {
        let x = kernels::compute(self.rows_of(&input.tokens));
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
        self.norm.forward(x)
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        visitor(
            &join(path, "embed_tokens.weight"),
            ParamMut::Matrix(&mut self.embed_tokens),
        );
        for (number, layer) in self.layers.iter_mut().enumerate() {
            layer.visit_mut(&join(path, &format!("layers.{number}")), visitor);
        }
        self.norm.visit_mut(&join(path, "norm"), visitor);
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        for (number, layer) in self.layers.iter_mut().enumerate() {
            layer.visit_linear_mut(&join(path, &format!("layers.{number}")), visitor);
        }
    }
}
