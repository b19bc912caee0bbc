//! Self-attention of a decoder layer: grouped heads, norm on queries and keys before rotation, optional gate and cache.

use super::{CacheOfLayer, DecoderInput, RmsNorm};
use crate::TextConfig;
use crate::nn::{Initializer, Linear, LinearConfig, LinearVisitorMut, ParamVisitorMut, join};
use burn::tensor::{Tensor, activation};
use cua_grpo_kernels as kernels;

/// Self-attention of one layer.
#[derive(Debug, Clone)]
pub struct TextAttention {
    pub(crate) q_proj: Linear,
    pub(crate) k_proj: Linear,
    pub(crate) v_proj: Linear,
    pub(crate) o_proj: Linear,
    pub(crate) q_norm: RmsNorm,
    pub(crate) k_norm: RmsNorm,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    /// `q_proj` has a gate behind each head's query: what is attended to is multiplied by its sigmoid.
    pub(crate) gated: bool,
}

impl TextAttention {
    pub(crate) fn init(config: &TextConfig, init: &mut Initializer) -> Self {
        let hidden = config.hidden_size;
        let (q_width, kv_width) = (
            config.num_attention_heads * config.head_dim,
            config.num_key_value_heads * config.head_dim,
        );
        let (bias, gated) = (config.attention_bias, config.hybrid.is_some());
        let norm = RmsNorm::init(config.head_dim, config, init);
        Self {
            q_proj: LinearConfig::new(hidden, if gated { 2 * q_width } else { q_width }, bias).init(init),
            k_proj: LinearConfig::new(hidden, kv_width, bias).init(init),
            v_proj: LinearConfig::new(hidden, kv_width, bias).init(init),
            o_proj: LinearConfig::new(q_width, hidden, bias).init(init),
            q_norm: norm.clone(),
            k_norm: norm,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
            gated,
        }
    }

    /// What the last map is applied to. Where there is a cache, it says how the mask is read.
    ///
    /// # Shapes
    /// - x: `[batch * time, hidden]`; output: `[batch * time, heads * head_dim]`
    pub(crate) fn inner(&self, x: Tensor<2>, input: &DecoderInput, cache: Option<CacheOfLayer<'_>>) -> Tensor<2> {
        let (rope, mask) = (&input.rope, &input.mask);
        let [batch, _, time, _] = rope.cos.dims();
        let rotated = |x: Tensor<2>, norm: &RmsNorm| {
            let (cos, sin) = (rope.cos.clone(), rope.sin.clone());
            kernels::rms_norm_rotate(x, norm.factor(), norm.eps, cos, sin)
        };
        let (q, gate) = self.query(x.clone());
        let q = rotated(q, &self.q_norm);
        let k = rotated(self.k_proj.forward(x.clone()), &self.k_norm);
        let v = self.v_proj.forward(x);
        let v = v.reshape([batch, time, self.kv_heads, self.head_dim]).swap_dims(1, 2);
        let attended = match cache {
            None => kernels::attention(q, vec![(k, v)], mask),
            Some((cache, layer)) => cache.attend(layer, q, [k, v], mask),
        };
        let attended = attended
            .swap_dims(1, 2)
            .reshape([batch * time, self.heads * self.head_dim]);
        match gate {
            None => attended,
            Some(gate) => attended * activation::sigmoid(gate),
        }
    }

    /// Queries, and their gates where there are some: the rows of a head are its query and then its gate.
    fn query(&self, x: Tensor<2>) -> (Tensor<2>, Option<Tensor<2>>) {
        let q = self.q_proj.forward(x);
        if !self.gated {
            return (q, None);
        }
        let (rows, width) = (q.dims()[0], self.heads * self.head_dim);
        let both = q.reshape([rows, self.heads, 2 * self.head_dim]);
        let half = |start: usize| both.clone().narrow(2, start, self.head_dim).reshape([rows, width]);
        (half(0), Some(half(self.head_dim)))
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        self.q_proj.visit_mut(&join(path, "q_proj"), visitor);
        self.k_proj.visit_mut(&join(path, "k_proj"), visitor);
        self.v_proj.visit_mut(&join(path, "v_proj"), visitor);
        self.o_proj.visit_mut(&join(path, "o_proj"), visitor);
        self.q_norm.visit_mut(&join(path, "q_norm"), visitor);
        self.k_norm.visit_mut(&join(path, "k_norm"), visitor);
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        self.q_proj.visit_linear_mut(&join(path, "q_proj"), visitor);
        self.k_proj.visit_linear_mut(&join(path, "k_proj"), visitor);
        self.v_proj.visit_linear_mut(&join(path, "v_proj"), visitor);
        self.o_proj.visit_linear_mut(&join(path, "o_proj"), visitor);
    }
}
