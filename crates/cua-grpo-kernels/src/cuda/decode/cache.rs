//! The cache of a [`super::Decoder`]: the tokens of a prefill go in and see what is there; rows move when it grows or shrinks.

use super::model::DecodeModel;
use crate::cuda::attention::Forward;
use crate::cuda::error::CudaError;
use crate::cuda::heads::{Heads, heads_first};
use crate::cuda::section::{Address, Arguments, Section, section};
use crate::cuda::source;
use crate::cuda::tensor::{dispatched, empty, primitive};
use burn::tensor::{DType, Tensor};
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;

/// New tokens of one row of a prefill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The row of the cache that they continue.
    pub row: usize,
    /// Columns of that row which hold earlier tokens.
    pub start: usize,
    /// New tokens; what is behind them in the batch is padding.
    pub count: usize,
}

/// Keys and values of each layer `[rows, kv_heads, max_len, head_dim]`.
pub(super) struct Cache {
    pub layers: Vec<[CubeTensor; 2]>,
    pub rows: usize,
    pub max_len: usize,
}

/// Keys and values of one layer, filled with zeros.
fn zeros(model: &DecodeModel, rows: usize, max_len: usize) -> Result<[CubeTensor; 2], CudaError> {
    let shape = [rows, model.kv_heads, max_len, model.head_dim];
    let device = model.embedding.device();
    // Made flat: burn would leave gaps between rows of 64 or 128 elements.
    let flat = || Tensor::<1>::zeros([shape.iter().product::<usize>()], (&device, DType::BF16)).reshape(shape);
    Ok([primitive(&flat())?, primitive(&flat())?])
}

/// Where the rows of a batch go in a cache: three numbers each.
struct Places {
    rows: Vec<i32>,
    start: Vec<i32>,
    count: Vec<i32>,
}

impl Places {
    fn of(spans: &[Span]) -> Self {
        let ints = |of: fn(&Span) -> usize| spans.iter().map(|span| of(span) as i32).collect();
        Self {
            rows: ints(|span| span.row),
            start: ints(|span| span.start),
            count: ints(|span| span.count),
        }
    }

    fn upload(&self, cx: &mut Section<'_>, at: Address) -> Result<(), CudaError> {
        cx.upload(at, &[self.rows.as_slice(), &self.start, &self.count].concat())
    }
}

/// Sizes of a batch of keys or values `[batch, heads, time, width]` with its element strides.
#[derive(Clone, Copy)]
struct Fresh {
    shape: [usize; 4],
    strides: [usize; 3],
}

impl Fresh {
    /// Launches the copy of `x` to `cache`; `places` was filled by [`Places::upload`].
    fn store(
        self,
        cx: &mut Section<'_>,
        cache: Address,
        x: Address,
        places: Address,
        max_len: usize,
    ) -> Result<(), CudaError> {
        let [batch, heads, time, width] = self.shape;
        let bytes = (4 * batch) as u64;
        let mut arguments = Arguments::addresses([cache, x])
            .long(heads)
            .long(time)
            .int(width)
            .strides(self.strides)
            .address(places)
            .address(places + bytes)
            .address(places + 2 * bytes)
            .long(batch)
            .long(max_len);
        let blocks = (batch * heads * time * width)
            .div_ceil(256 * 4)
            .min(16 * cx.gpu.card.multiprocessors);
        let kernel = source::cache(DType::BF16);
        cx.launch(kernel, "cache_store", [blocks, 1, 1], 256, 0, &mut arguments)
    }
}

fn fresh(heads: &Heads) -> Fresh {
    let (shape, strides) = (heads.shape, heads.strides);
    Fresh { shape, strides }
}

impl Cache {
    /// An empty one.
    pub fn new(model: &DecodeModel, rows: usize, max_len: usize) -> Result<Self, CudaError> {
        let layers = model.layers.iter().map(|_| zeros(model, rows, max_len));
        Ok(Self {
            layers: layers.collect::<Result<_, _>>()?,
            rows,
            max_len,
        })
    }

    /// As [`super::Decoder::attend`].
    pub fn attend(
        &self,
        layer: usize,
        q: Tensor<4>,
        [k, v]: [Tensor<4>; 2],
        spans: &[Span],
        copies: &[Vec<Span>],
    ) -> Result<Tensor<4>, CudaError> {
        let bf16 = |tensor: &Tensor<4>| Ok(cast(primitive(tensor)?, DType::BF16));
        let like = q.clone().without_autodiff();
        let q = Heads::aligned(bf16(&q)?);
        let (k, v) = (Heads::of(bf16(&k)?), Heads::of(bf16(&v)?));
        let ([batch, heads, time, width], kv_heads) = (q.shape, k.shape[1]);
        let (rows, max_len) = (self.rows, self.max_len);
        let inside = |span: &Span| span.row < rows && span.count <= time && span.start + span.count < max_len;
        for spans in copies.iter().map(Vec::as_slice).chain([spans]) {
            if spans.len() != batch || !spans.iter().all(inside) {
                let expected = format!("decoder: expected {batch} spans inside {rows} rows of {max_len} columns");
                return Err(CudaError::new(expected, spans));
            }
        }
        let out = heads_first(&q.tensor, q.shape);
        let lse = empty(&q.tensor, [batch, heads, time], DType::F32);
        let places_at = empty(&q.tensor, [3 * batch], DType::I32);
        let all = copies.iter().map(Vec::as_slice).chain([spans]);
        let places: Vec<Places> = all.map(Places::of).collect();
        let (fresh_k, fresh_v) = (fresh(&k), fresh(&v));
        let cached = [kv_heads * max_len * width, max_len * width, width];
        let strides = [q.strides, cached, cached, out.strides];
        let padded = spans.iter().any(|span| span.count < time);
        let spans = spans.to_vec();
        let [keys, values] = &self.layers[layer];
        let tensors = [
            &q.tensor,
            &k.tensor,
            &v.tensor,
            &out.tensor,
            &lse,
            &places_at,
            keys,
            values,
        ];
        section(tensors, move |cx, [q, k, v, out, lse, at, keys, values]| {
            for places in &places {
                places.upload(cx, at)?;
                fresh_k.store(cx, keys, k, at, max_len)?;
                fresh_v.store(cx, values, v, at, max_len)?;
            }
            if padded {
                cx.zero(out, batch * heads * time * width * 2)?;
            }
            let row = |at: Address, elements: usize, size: usize| at + (elements * size) as u64;
            for (b, span) in spans.iter().enumerate().filter(|(_, span)| span.count > 0) {
                let forward = Forward {
                    batch: 1,
                    heads,
                    kv_heads,
                    time_q: span.count,
                    time_k: span.start + span.count,
                    width,
                    strides,
                    causal: true,
                };
                let operands = [
                    row(q, b * strides[0][0], 2),
                    row(keys, span.row * cached[0], 2),
                    row(values, span.row * cached[0], 2),
                    row(out, b * strides[3][0], 2),
                ];
                forward.launch(cx, operands, row(lse, b * heads * time, 4))?;
            }
            Ok(())
        });
        Ok(dispatched(like, out.tensor))
    }

    /// As [`super::Decoder::copy`].
    pub fn copy(&self, beginnings: &[(usize, usize, usize)]) -> Result<(), CudaError> {
        let (rows, max_len) = (self.rows, self.max_len);
        let inside = |&(from, to, count): &(usize, usize, usize)| from < rows && to < rows && count <= max_len;
        if !beginnings.iter().all(inside) {
            let expected = format!("decoder: expected beginnings of {rows} rows of {max_len} columns");
            return Err(CudaError::new(expected, beginnings));
        }
        // A launch copies a row to one other at most.
        let mut rounds: Vec<Vec<Span>> = Vec::new();
        for &(row, to, count) in beginnings.iter().filter(|(from, to, _)| from != to) {
            let span = Span {
                row: to,
                start: 0,
                count,
            };
            if let Some(round) = rounds.iter_mut().find(|round| round[row].count == 0) {
                round[row] = span;
            } else {
                let mut round = vec![Span::default(); rows];
                round[row] = span;
                rounds.push(round);
            }
        }
        let longest = beginnings.iter().map(|(_, _, count)| *count).max().unwrap_or(0);
        let rounds: std::sync::Arc<[Places]> = rounds.iter().map(|spans| Places::of(spans)).collect();
        for tensor in self.layers.iter().flatten() {
            let mut beginning = fresh(&Heads::of(tensor.clone()));
            beginning.shape[2] = longest;
            let at = empty(tensor, [3 * rows], DType::I32);
            let rounds = rounds.clone();
            section([tensor, &at], move |cx, [cache, at]| {
                rounds.iter().try_for_each(|places| {
                    places.upload(cx, at)?;
                    beginning.store(cx, cache, cache, at, max_len)
                })
            });
        }
        Ok(())
    }

    /// As [`super::Decoder::rearrange`]. Layers move one after the other, so that little more than the cache is held.
    pub fn rearrange(
        &mut self,
        model: &DecodeModel,
        from: &[Option<(usize, usize)>],
        max_len: usize,
    ) -> Result<(), CudaError> {
        let old_rows = self.rows;
        let mut places = Places {
            rows: vec![0; old_rows],
            start: vec![0; old_rows],
            count: vec![0; old_rows],
        };
        for (new, old) in from.iter().enumerate() {
            if let Some((row, count)) = *old {
                places.rows[row] = new as i32;
                places.count[row] = count as i32;
            }
        }
        let places = std::sync::Arc::new(places);
        for layer in 0..self.layers.len() {
            let grown = zeros(model, from.len(), max_len)?;
            let at = empty(&grown[0], [3 * old_rows], DType::I32);
            for (old, new) in self.layers[layer].iter().zip(&grown) {
                let old = Heads::of(old.clone());
                let (fresh, places) = (fresh(&old), places.clone());
                section([new, &old.tensor, &at], move |cx, [new, old, at]| {
                    places.upload(cx, at)?;
                    fresh.store(cx, new, old, at, max_len)
                });
            }
            self.layers[layer] = grown;
        }
        (self.rows, self.max_len) = (from.len(), max_len);
        Ok(())
    }
}
