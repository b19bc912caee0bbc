//! What a layer mixes tokens with: attention, or a recurrent state.

use super::{CacheOfLayer, DecoderInput, GatedDeltaNet, TextAttention};
use crate::TextConfig;
use crate::nn::{Initializer, Linear, LinearVisitorMut, ParamVisitorMut, join};
use burn::tensor::Tensor;

/// The first half of a decoder layer, behind its norm. A family adds a kind of its own here.
#[derive(Debug, Clone)]
pub(crate) enum Mixer {
    Attention(Box<TextAttention>),
    Delta(Box<GatedDeltaNet>),
}

impl Mixer {
    /// The mixer of layer `layer`.
    pub(crate) fn init(config: &TextConfig, layer: usize, init: &mut Initializer) -> Self {
        match &config.hybrid {
            Some(sizes) if !sizes.is_full(layer) => Self::Delta(Box::new(GatedDeltaNet::init(config, sizes, init))),
            _ => Self::Attention(Box::new(TextAttention::init(config, init))),
        }
    }

    /// What the last map is applied to.
    ///
    /// # Shapes
    /// - x: `[batch * time, hidden]`; output: `[batch * time, width]`
    pub(crate) fn inner(&self, x: Tensor<2>, input: &DecoderInput, cache: Option<CacheOfLayer<'_>>) -> Tensor<2> {
        match self {
            Self::Attention(attention) => attention.inner(x, input, cache),
            Self::Delta(delta) => delta.inner(x, input, cache),
        }
    }

    /// The last map, and its path below the layer.
    pub(crate) fn last(&self) -> (&'static str, &Linear) {
        match self {
            Self::Attention(attention) => ("self_attn.o_proj", &attention.o_proj),
            Self::Delta(delta) => ("linear_attn.out_proj", &delta.out_proj),
        }
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        match self {
            Self::Attention(attention) => attention.visit_mut(&join(path, "self_attn"), visitor),
            Self::Delta(delta) => delta.visit_mut(&join(path, "linear_attn"), visitor),
        }
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        match self {
            Self::Attention(attention) => attention.visit_linear_mut(&join(path, "self_attn"), visitor),
            Self::Delta(delta) => delta.visit_linear_mut(&join(path, "linear_attn"), visitor),
        }
    }
}
