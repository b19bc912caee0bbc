//! Self-attention of a decoder layer: grouped heads, norm on queries and keys before rotation, optional cache.

use super::RopeTables;
use crate::TextConfig;
use crate::nn::{Initializer, Linear, LinearConfig, LinearVisitorMut, ParamMut, ParamVisitorMut, join};
use burn::tensor::Tensor;
use cua_grpo_kernels::{self as kernels, Mask};

/// Keys (normed and rotated) and values of one layer: a long prefix and the columns appended since.
///
/// Both parts are `[batch, kv_heads, columns, head_dim]`. Appending copies only the tail; [`LayerCache::settle`] joins
/// the two. The tail may be that of the first rows alone.
#[derive(Debug, Clone, Default)]
pub struct LayerCache {
    prefix: Option<(Tensor<4>, Tensor<4>)>,
    tail: Option<(Tensor<4>, Tensor<4>)>,
}

impl LayerCache {
    /// Appends columns and returns all keys and values, in parts that stand one after the other.
    pub(crate) fn append(&mut self, k: Tensor<4>, v: Tensor<4>) -> Vec<(Tensor<4>, Tensor<4>)> {
        let tail = match self.tail.take() {
            None => (k, v),
            Some((old_k, old_v)) => (Tensor::cat(vec![old_k, k], 2), Tensor::cat(vec![old_v, v], 2)),
        };
        self.tail = Some(tail.clone());
        self.prefix.iter().cloned().chain([tail]).collect()
    }

    /// Joins the tail to the prefix. Rows that have no tail get zeros.
    pub fn settle(&mut self) {
        let join = |prefix: Tensor<4>, tail: Tensor<4>| {
            let ([rows, ..], [some, heads, columns, width]) = (prefix.dims(), tail.dims());
            let tail = if some < rows {
                let nothing = Tensor::zeros([rows - some, heads, columns, width], (&tail.device(), tail.dtype()));
                Tensor::cat(vec![tail, nothing], 0)
            } else {
                tail
            };
            Tensor::cat(vec![prefix, tail], 2)
        };
        self.prefix = match (self.prefix.take(), self.tail.take()) {
            (Some((k, v)), Some((tail_k, tail_v))) => Some((join(k, tail_k), join(v, tail_v))),
            (prefix, tail) => prefix.or(tail),
        };
    }

    /// Keeps the rows `rows` of the batch, in that order. Call [`LayerCache::settle`] first.
    pub fn select_rows(&mut self, rows: &Tensor<1, burn::tensor::Int>) {
        for part in [&mut self.prefix, &mut self.tail] {
            if let Some((k, v)) = part.take() {
                *part = Some((k.select(0, rows.clone()), v.select(0, rows.clone())));
            }
        }
    }

    /// How many rows have a tail.
    pub(crate) fn rows_of_tail(&self) -> Option<usize> {
        self.tail.as_ref().map(|(k, _)| k.dims()[0])
    }

    /// A cache of the first `rows` rows, whose tail is that of this one.
    pub(crate) fn first_rows(&self, rows: usize) -> Self {
        let first = |tensor: &Tensor<4>| tensor.clone().narrow(0, 0, rows);
        Self {
            prefix: self.prefix.as_ref().map(|(k, v)| (first(k), first(v))),
            tail: self.tail.clone(),
        }
    }

    /// Takes the tail of `part`, which [`LayerCache::first_rows`] made.
    pub(crate) fn take_tail(&mut self, part: Self) {
        self.tail = part.tail;
    }

    /// Row `i` keeps the columns `columns[i]`, in that order. Call [`LayerCache::settle`] first.
    ///
    /// # Shapes
    /// - columns: `[batch, count]`
    pub(crate) fn pack(&mut self, columns: &Tensor<2, burn::tensor::Int>) {
        let [rows, count] = columns.dims();
        if let Some((k, v)) = self.prefix.take() {
            let [_, heads, _, width] = k.dims();
            let index = columns
                .clone()
                .reshape([rows, 1, count, 1])
                .expand([rows, heads, count, width]);
            self.prefix = Some((k.gather(2, index.clone()), v.gather(2, index)));
        }
    }

    /// A cache of the rows `rows` of this one, in that order. Call [`LayerCache::settle`] first.
    pub(crate) fn of_rows(&self, rows: &Tensor<1, burn::tensor::Int>) -> Self {
        let mut part = self.clone();
        part.select_rows(rows);
        part
    }

    /// Appends the columns that `part` appended to what it had from this cache: row `i` takes those of row `rows[i]`.
    pub(crate) fn append_rows(&mut self, mut part: Self, rows: &Tensor<1, burn::tensor::Int>) {
        if self.prefix.is_some() {
            part.prefix = None;
        }
        part.select_rows(rows);
        self.tail = part.tail.or(part.prefix);
    }

    /// Keeps the columns `columns`, in that order. Call [`LayerCache::settle`] first.
    pub fn select_columns(&mut self, columns: &Tensor<1, burn::tensor::Int>) {
        if let Some((k, v)) = self.prefix.take() {
            self.prefix = Some((k.select(2, columns.clone()), v.select(2, columns.clone())));
        }
    }
}

/// Where a decoder keeps the keys and values of tokens that it has seen.
pub trait KvCache {
    /// Takes keys and values of new tokens of layer `layer` in, and gives what the queries of these tokens see.
    ///
    /// # Shapes
    /// - q, output: `[batch, heads, time, head_dim]`
    /// - k, v: `[batch, kv_heads, time, head_dim]`
    fn attend(&mut self, layer: usize, q: Tensor<4>, kv: [Tensor<4>; 2], mask: &Mask) -> Tensor<4>;
}

/// One cache a layer; the columns of the mask are those of the cache and then the new ones.
impl KvCache for Vec<LayerCache> {
    fn attend(&mut self, layer: usize, q: Tensor<4>, [k, v]: [Tensor<4>; 2], mask: &Mask) -> Tensor<4> {
        kernels::attention(q, self[layer].append(k, v), mask)
    }
}

/// A cache, and the layer that uses it.
pub type CacheOfLayer<'a> = (&'a mut dyn KvCache, usize);

/// Self-attention of one layer.
#[derive(Debug, Clone)]
pub struct TextAttention {
    pub(crate) q_proj: Linear,
    pub(crate) k_proj: Linear,
    pub(crate) v_proj: Linear,
    pub(crate) o_proj: Linear,
    pub(crate) q_norm: Tensor<1>,
    pub(crate) k_norm: Tensor<1>,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    pub(crate) eps: f64,
}

impl TextAttention {
    pub(crate) fn init(config: &TextConfig, init: &mut Initializer) -> Self {
        let hidden = config.hidden_size;
        let (q_width, kv_width) = (
            config.num_attention_heads * config.head_dim,
            config.num_key_value_heads * config.head_dim,
        );
        let bias = config.attention_bias;
        Self {
            q_proj: LinearConfig::new(hidden, q_width, bias).init(init),
            k_proj: LinearConfig::new(hidden, kv_width, bias).init(init),
            v_proj: LinearConfig::new(hidden, kv_width, bias).init(init),
            o_proj: LinearConfig::new(q_width, hidden, bias).init(init),
            q_norm: init.constant(config.head_dim, 1.0),
            k_norm: init.constant(config.head_dim, 1.0),
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
            eps: config.rms_norm_eps,
        }
    }

    /// `residual` and the attention of `x`. Where there is a cache, it says how `mask` is read.
    ///
    /// # Shapes
    /// - residual, x, output: `[batch * time, hidden]`
    pub fn forward(
        &self,
        residual: Tensor<2>,
        x: Tensor<2>,
        rope: &RopeTables,
        mask: &Mask,
        cache: Option<CacheOfLayer<'_>>,
    ) -> Tensor<2> {
        self.o_proj.forward_onto(residual, self.inner(x, rope, mask, cache))
    }

    /// What the last map is applied to.
    ///
    /// # Shapes
    /// - x: `[batch * time, hidden]`; output: `[batch * time, heads * head_dim]`
    pub(crate) fn inner(
        &self,
        x: Tensor<2>,
        rope: &RopeTables,
        mask: &Mask,
        cache: Option<CacheOfLayer<'_>>,
    ) -> Tensor<2> {
        let [batch, _, time, _] = rope.cos.dims();
        let rotated = |x: Tensor<2>, norm: &Tensor<1>| {
            let (cos, sin) = (rope.cos.clone(), rope.sin.clone());
            kernels::rms_norm_rotate(x, norm.clone(), self.eps, cos, sin)
        };
        let q = rotated(self.q_proj.forward(x.clone()), &self.q_norm);
        let k = rotated(self.k_proj.forward(x.clone()), &self.k_norm);
        let v = self.v_proj.forward(x);
        let v = v.reshape([batch, time, self.kv_heads, self.head_dim]).swap_dims(1, 2);
        let attended = match cache {
            None => kernels::attention(q, vec![(k, v)], mask),
            Some((cache, layer)) => cache.attend(layer, q, [k, v], mask),
        };
        attended
            .swap_dims(1, 2)
            .reshape([batch * time, self.heads * self.head_dim])
    }

    pub(crate) fn visit_mut(&mut self, path: &str, visitor: &mut ParamVisitorMut<'_>) {
        self.q_proj.visit_mut(&join(path, "q_proj"), visitor);
        self.k_proj.visit_mut(&join(path, "k_proj"), visitor);
        self.v_proj.visit_mut(&join(path, "v_proj"), visitor);
        self.o_proj.visit_mut(&join(path, "o_proj"), visitor);
        visitor(&join(path, "q_norm.weight"), ParamMut::Vector(&mut self.q_norm));
        visitor(&join(path, "k_norm.weight"), ParamMut::Vector(&mut self.k_norm));
    }

    pub(crate) fn visit_linear_mut(&mut self, path: &str, visitor: &mut LinearVisitorMut<'_>) {
        self.q_proj.visit_linear_mut(&join(path, "q_proj"), visitor);
        self.k_proj.visit_linear_mut(&join(path, "k_proj"), visitor);
        self.v_proj.visit_linear_mut(&join(path, "v_proj"), visitor);
        self.o_proj.visit_linear_mut(&join(path, "o_proj"), visitor);
    }
}
