//! What a decoder keeps of the tokens that it has seen: keys and values of attention, states of recurrent layers.

use super::DeltaState;
use crate::nn::ints;
use burn::tensor::{Device, Int, Tensor};
use cua_grpo_kernels::{self as kernels, Mask};

/// Keys (normed and rotated) and values of one layer, a long prefix and the columns appended since; or the state of a
/// recurrent one.
///
/// Both parts are `[batch, kv_heads, columns, head_dim]`. Appending copies only the tail; [`LayerCache::settle`] joins
/// the two.
#[derive(Debug, Clone, Default)]
pub struct LayerCache {
    prefix: Option<(Tensor<4>, Tensor<4>)>,
    tail: Option<(Tensor<4>, Tensor<4>)>,
    state: Option<DeltaState>,
}

/// Which row of a cache each row of another one goes on with, where it goes on with any.
pub struct Rows {
    /// A new row takes the columns of row 0, to hide them.
    columns: Tensor<1, Int>,
    rows: Vec<Option<usize>>,
}

impl Rows {
    /// One entry for each row.
    pub(crate) fn new(rows: Vec<Option<usize>>, device: &Device) -> Self {
        let columns = rows.iter().map(|row| row.unwrap_or(0) as i64).collect();
        Self {
            columns: ints(columns, device),
            rows,
        }
    }
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

    /// Joins the tail to the prefix.
    pub fn settle(&mut self) {
        let join = |prefix: Tensor<4>, tail: Tensor<4>| Tensor::cat(vec![prefix, tail], 2);
        self.prefix = match (self.prefix.take(), self.tail.take()) {
            (Some((k, v)), Some((tail_k, tail_v))) => Some((join(k, tail_k), join(v, tail_v))),
            (prefix, tail) => prefix.or(tail),
        };
    }

    /// Goes on with the rows `rows`, in that order. Call [`LayerCache::settle`] first.
    pub(crate) fn select_rows(&mut self, rows: &Rows) {
        for part in [&mut self.prefix, &mut self.tail] {
            if let Some((k, v)) = part.take() {
                *part = Some((k.select(0, rows.columns.clone()), v.select(0, rows.columns.clone())));
            }
        }
        self.state = self.state.take().map(|state| state.rows(&rows.rows));
    }

    /// A cache of the rows `rows` of this one, in that order. Call [`LayerCache::settle`] first.
    pub(crate) fn of_rows(&self, rows: &Rows) -> Self {
        let mut part = self.clone();
        part.select_rows(rows);
        part
    }

    /// Appends the columns that `part` appended to what it had from this cache, and takes its states: row `i` takes those of
    /// row `rows[i]`. A row that has none there takes any columns, which it hides, and keeps its state.
    pub(crate) fn append_rows(&mut self, mut part: Self, rows: &Rows) {
        if self.prefix.is_some() {
            part.prefix = None;
        }
        let state = part.state.take().map(|new| {
            let all = rows.rows.len();
            let own = self.state.take().unwrap_or_else(|| new.nothing(all));
            let sources = rows.rows.iter().enumerate();
            let sources: Vec<Option<usize>> = sources
                .map(|(own, row)| Some(row.map_or(own, |row| all + row)))
                .collect();
            own.followed_by(new).rows(&sources)
        });
        part.select_rows(rows);
        self.tail = part.tail.or(part.prefix);
        self.state = state.or(self.state.take());
    }

    /// Keeps the columns `columns`, in that order. Call [`LayerCache::settle`] first.
    pub fn select_columns(&mut self, columns: &Tensor<1, Int>) {
        if let Some((k, v)) = self.prefix.take() {
            self.prefix = Some((k.select(2, columns.clone()), v.select(2, columns.clone())));
        }
    }

    /// The state of a recurrent layer; `None` before its first token.
    pub fn state(&self) -> Option<&DeltaState> {
        self.state.as_ref()
    }
}

/// Where a decoder keeps what it needs of the tokens that it has seen.
pub trait KvCache {
    /// Takes keys and values of new tokens of layer `layer` in, and gives what the queries of these tokens see.
    ///
    /// # Shapes
    /// - q, output: `[batch, heads, time, head_dim]`
    /// - k, v: `[batch, kv_heads, time, head_dim]`
    fn attend(&mut self, layer: usize, q: Tensor<4>, kv: [Tensor<4>; 2], mask: &Mask) -> Tensor<4>;

    /// The state of the recurrent layer `layer`: `None` before the first token, and whatever the layer leaves there.
    fn state(&mut self, layer: usize) -> &mut Option<DeltaState>;
}

/// One cache a layer; the columns of the mask are those of the cache and then the new ones.
impl KvCache for Vec<LayerCache> {
    fn attend(&mut self, layer: usize, q: Tensor<4>, [k, v]: [Tensor<4>; 2], mask: &Mask) -> Tensor<4> {
        kernels::attention(q, self[layer].append(k, v), mask)
    }

    fn state(&mut self, layer: usize) -> &mut Option<DeltaState> {
        &mut self[layer].state
    }
}

/// A cache, and the layer that uses it.
pub type CacheOfLayer<'a> = (&'a mut dyn KvCache, usize);
