//! A text decoder with norms on queries and keys and M-RoPE, as the graph of a decode step reads it.

use crate::cuda::error::CudaError;
use crate::cuda::tensor::{dense, dispatched, primitive};
use crate::weight::{Lora, Weight};
use burn::tensor::{DType, Tensor};

/// A linear map of the decoder, with its adapter.
#[derive(Debug, Clone)]
pub struct DecodeLinear {
    /// The frozen weight, in bf16 or in four bits.
    pub weight: Weight,
    /// Its update.
    pub lora: Option<Lora>,
}

/// One decoder layer; norms are `[width]`.
#[derive(Debug, Clone)]
pub struct DecodeLayer {
    /// Before the attention.
    pub input_norm: Tensor<1>,
    /// Query, key and value projections.
    pub qkv: [DecodeLinear; 3],
    /// Of each query head.
    pub q_norm: Tensor<1>,
    /// Of each key head.
    pub k_norm: Tensor<1>,
    /// Output projection.
    pub o: DecodeLinear,
    /// Before the MLP.
    pub mlp_norm: Tensor<1>,
    /// Gate and up projections.
    pub gate_up: [DecodeLinear; 2],
    /// Down projection.
    pub down: DecodeLinear,
}

/// The text decoder, as the graph reads it.
#[derive(Debug, Clone)]
pub struct DecodeModel {
    /// `[vocab, hidden]`, bf16
    pub embedding: Tensor<2>,
    /// The layers.
    pub layers: Vec<DecodeLayer>,
    /// The final norm.
    pub norm: Tensor<1>,
    /// `[vocab, hidden]`, bf16
    pub head: Tensor<2>,
    /// Query heads.
    pub heads: usize,
    /// Key-value heads.
    pub kv_heads: usize,
    /// Width of a head: 64 or 128.
    pub head_dim: usize,
    /// Epsilon of the norms.
    pub eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Frequencies that height and width rotate (M-RoPE sections 1 and 2).
    pub sections: [usize; 2],
}

impl DecodeLinear {
    /// `[out, in]`
    pub(super) fn shape(&self) -> [usize; 2] {
        self.weight.dims()
    }

    /// The rank of its update, or 0.
    pub(super) fn rank(&self) -> usize {
        self.lora.as_ref().map_or(0, Lora::rank)
    }

    /// Whether the weight is in four bits.
    pub(super) fn is_four_bits(&self) -> bool {
        matches!(self.weight, Weight::Nf4(_))
    }
}

impl DecodeLayer {
    /// Its maps: those that read the same input together.
    pub(super) fn groups(&self) -> [&[DecodeLinear]; 4] {
        let one = std::slice::from_ref;
        [&self.qkv, one(&self.o), &self.gate_up, one(&self.down)]
    }
}

impl DecodeModel {
    /// With the adapters as the kernels read them: nothing may be converted while the graph is captured, and the model
    /// keeps what the graph reads.
    pub(super) fn prepared(mut self) -> Result<Self, CudaError> {
        for layer in &mut self.layers {
            let maps = layer.qkv.iter_mut().chain(&mut layer.gate_up);
            for map in maps.chain([&mut layer.o, &mut layer.down]) {
                let Some(Lora { a, b, .. }) = &mut map.lora else {
                    continue;
                };
                for factor in [a, b] {
                    let whole = dense(primitive(factor)?, DType::BF16);
                    *factor = dispatched(factor.clone().without_autodiff(), whole);
                }
            }
        }
        Ok(self)
    }

    /// Whether any map has an adapter.
    pub(super) fn has_adapter(&self) -> bool {
        let mut maps = self.layers.iter().flat_map(DecodeLayer::groups).flatten();
        maps.any(|map| map.lora.is_some())
    }

    /// The head as a map.
    pub(super) fn head_map(&self) -> DecodeLinear {
        DecodeLinear {
            weight: Weight::Dense(self.head.clone()),
            lora: None,
        }
    }
}
