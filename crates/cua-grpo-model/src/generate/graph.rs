//! This model as the decoder of a card reads it: weights stay where they are.

use crate::nn::{Linear, LoraPair, Weight};
use crate::text::{DeltaState, FeedForward, KvCache, Mixer};
use crate::{ModelError, Qwen3Vl};
use burn::tensor::Tensor;
use cua_grpo_kernels::Mask;
use cua_grpo_kernels::cuda::{DecodeLayer, DecodeLinear, DecodeModel, Decoder, Span};

impl Qwen3Vl {
    /// The text decoder as [`Decoder`] reads it.
    ///
    /// # Errors
    /// When the model has a part that the decoder does not run ([`crate::TextConfig::beyond_the_graph`]).
    pub fn decode_model(&self) -> Result<DecodeModel, ModelError> {
        let text = &self.config.text;
        let refuse = |got: &str| ModelError::Input {
            operation: "decode by a graph",
            expected: "plain dense layers".to_owned(),
            got: format!("{got}, which decodes layer by layer"),
        };
        if let Some(found) = text.beyond_the_graph() {
            return Err(refuse(found));
        }
        let layers = self.language_model.layers.iter().map(|layer| {
            let Mixer::Attention(attention) = &layer.mixer else {
                return Err(refuse("recurrent layers"));
            };
            let FeedForward::Dense(mlp) = &layer.mlp else {
                return Err(refuse("a mixture of experts"));
            };
            Ok(DecodeLayer {
                input_norm: layer.input_layernorm.factor(),
                qkv: [&attention.q_proj, &attention.k_proj, &attention.v_proj].map(linear),
                q_norm: attention.q_norm.factor(),
                k_norm: attention.k_norm.factor(),
                o: linear(&attention.o_proj),
                mlp_norm: layer.post_attention_layernorm.factor(),
                gate_up: [&mlp.gate_proj, &mlp.up_proj].map(linear),
                down: linear(&mlp.down_proj),
            })
        });
        Ok(DecodeModel {
            embedding: self.language_model.embed_tokens.clone(),
            layers: layers.collect::<Result<_, _>>()?,
            norm: self.language_model.norm.factor(),
            head: self.head(),
            heads: text.num_attention_heads,
            kv_heads: text.num_key_value_heads,
            head_dim: text.head_dim,
            eps: text.rms_norm_eps,
            rope_theta: text.rope_theta,
            sections: [text.mrope_section[1], text.mrope_section[2]],
        })
    }
}

impl Qwen3Vl {
    /// Lays the weights of projections that read the same input (queries, keys, values; gate and up) one after the
    /// other in memory, where the decoder multiplies them as one. Values and names stay; four-bit weights stay apart.
    pub fn join_projections(&mut self) {
        for layer in &mut self.language_model.layers {
            if let Mixer::Attention(attention) = &mut layer.mixer {
                join([&mut attention.q_proj, &mut attention.k_proj, &mut attention.v_proj]);
            }
            if let FeedForward::Dense(mlp) = &mut layer.mlp {
                join([&mut mlp.gate_proj, &mut mlp.up_proj]);
            }
        }
    }
}

fn join<const N: usize>(maps: [&mut Linear; N]) {
    let dense = maps.each_ref().map(|map| match &map.weight {
        Weight::Dense(weight) => Some(weight.clone()),
        Weight::Nf4(_) => None,
    });
    let dense: Vec<Tensor<2>> = dense.into_iter().flatten().collect();
    if dense.len() != N {
        return;
    }
    let joined = Tensor::cat(dense, 0);
    let mut start = 0;
    for map in maps {
        let rows = map.dims()[0];
        map.weight = Weight::Dense(joined.clone().narrow(0, start, rows));
        start += rows;
    }
}

fn linear(map: &Linear) -> DecodeLinear {
    DecodeLinear {
        weight: map.weight.clone(),
        lora: map.lora.as_ref().map(LoraPair::update),
    }
}

/// The cache of a decoder, as the prefill of a batch uses it: row `b` of the batch is `spans[b]`.
pub struct Prefill<'a> {
    /// Has the cache.
    pub decoder: &'a mut Decoder,
    /// Where each row of the batch goes.
    pub spans: &'a [Span],
    /// Where else they go, each time one span a row; one of no tokens goes nowhere.
    pub copies: &'a [Vec<Span>],
}

impl KvCache for Prefill<'_> {
    /// A token sees those of its row up to itself; the mask is not read.
    ///
    /// # Panics
    /// When a span does not fit the decoder.
    fn attend(&mut self, layer: usize, q: Tensor<4>, kv: [Tensor<4>; 2], _: &Mask) -> Tensor<4> {
        let attended = self.decoder.attend(layer, q, kv, self.spans, self.copies);
        attended.unwrap_or_else(|error| panic!("{error}"))
    }

    /// # Panics
    /// Always: the decoder has no recurrent layers.
    fn state(&mut self, layer: usize) -> &mut Option<DeltaState> {
        panic!("layer {layer}: the decoder of a card keeps no state of a recurrent layer")
    }
}
