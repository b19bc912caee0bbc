//! Attention by blocks of queries: scores stay in a core's cache, and the backward pass computes them again.
//!
//! One piece of work is a key-value head of a row of the batch. The forward pass keeps `log sum exp` of each row of
//! scores, from which the backward pass has the weights `P` in one pass (as FlashAttention 2, Dao 2023, does):
//! `dV = P^T dO`, `dP = dO V^T`, `dS = P * (dP - rowsum(dO * O))`, `dQ = dS K / sqrt d`, `dK = dS^T Q / sqrt d`.
//!
//! What a query gives follows from the query and from the keys and values that it sees, to the last bit: neither other
//! queries nor keys that are hidden change it. So a token has in a decoder what it has in training.

use super::buffer::{Fresh, Heads, each, time_major};
use super::gemm::{Matrix, gemm};
use super::simd::{exp, map_sum, max, simd, sum_pairs};
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

/// Queries of one block.
const BLOCK: usize = 64;

/// Values are summed in pieces of so many columns: a longer sum is split by `gemm` at places that depend on its length.
const COLUMNS: usize = 256;

/// The shortest sum that `gemm` has no routine of its own for.
const FEWEST: usize = 3;

/// What the backward pass reads.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    q: Heads,
    k: Heads,
    v: Heads,
    out: Heads,
    /// `log sum exp` of the scaled scores, `[batch, heads, time_q]`.
    lse: Vec<f32>,
    causal: bool,
}

/// Which keys the queries of a head see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sees {
    /// All of them.
    All,
    /// Query `i` sees so many keys, and `i + 1` more.
    UpToItself(usize),
}

impl Sees {
    fn of(causal: bool) -> Self {
        if causal { Self::UpToItself(0) } else { Self::All }
    }
}

/// A block of queries and the keys that it may see.
struct Block {
    start: usize,
    rows: usize,
    columns: usize,
    sees: Sees,
}

impl Block {
    /// The blocks of `time` queries over `columns` keys.
    fn all(time: usize, columns: usize, sees: Sees) -> impl Iterator<Item = Self> {
        (0..time).step_by(BLOCK).map(move |start| {
            let rows = BLOCK.min(time - start);
            Self {
                start,
                rows,
                columns: match sees {
                    Sees::All => columns,
                    Sees::UpToItself(before) => before + start + rows,
                },
                sees,
            }
        })
    }

    /// How many keys query 0 of the block sees, and how many more each following one.
    fn visible(&self) -> (usize, usize) {
        match self.sees {
            Sees::All => (self.columns, 0),
            Sees::UpToItself(before) => (before + self.start + 1, 1),
        }
    }
}

/// The rows of one head, `stride` apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
    pub(super) dim: usize,
}

impl<'a> Head<'a> {
    fn of(heads: &'a Heads, row: usize, number: usize) -> Self {
        Self {
            data: heads.from(row, number),
            stride: heads.strides[2],
            dim: heads.sizes[3],
        }
    }

    /// Rows `start..start + count`.
    fn rows(self, start: usize, count: usize) -> Matrix<'a> {
        let from = self.data.get(start * self.stride..).unwrap_or_default();
        Matrix::new(from, count, self.dim, self.stride)
    }
}

simd! {
    /// Scaled scores to `e^(s - max)`, 0 where hidden; the inverse sum of each row and its `log sum exp`.
    fn soften(scores: &mut [f32], columns: usize, visible: (usize, usize), inverse: &mut [f32], lse: &mut [f32]) {
        let rows = scores.chunks_exact_mut(columns).zip(inverse).zip(lse).enumerate();
        for (number, ((row, inverse), lse)) in rows {
            let (seen, hidden) = row.split_at_mut(visible.0 + number * visible.1);
            let top = max(seen);
            let sum = map_sum(seen, |score| exp(score - top));
            hidden.fill(0.0);
            *inverse = 1.0 / sum;
            *lse = top + sum.ln();
        }
    }
}

simd! {
    /// Multiplies each row by its factor.
    fn scale_rows(rows: &mut [f32], width: usize, factors: &[f32]) {
        for (row, &factor) in rows.chunks_exact_mut(width).zip(factors) {
            for value in row {
                *value *= factor;
            }
        }
    }
}

simd! {
    /// `rowsum(dO * O)` of rows that are strided.
    fn row_dots(dots: &mut [f32], width: usize, a: &[f32], a_stride: usize, b: &[f32], b_stride: usize) {
        for (number, dot) in dots.iter_mut().enumerate() {
            let a = &a[number * a_stride..number * a_stride + width];
            let b = &b[number * b_stride..number * b_stride + width];
            *dot = sum_pairs(a, b, |a, b| a * b);
        }
    }
}

simd! {
    /// Scaled scores to weights `P`, and `dP` to `dS`.
    fn weights_grad(
        scores: &mut [f32], d_weights: &mut [f32], columns: usize, visible: (usize, usize), lse: &[f32], dots: &[f32],
    ) {
        let rows = scores.chunks_exact_mut(columns).zip(d_weights.chunks_exact_mut(columns)).zip(lse).zip(dots);
        for (number, (((p, d), &lse), &dot)) in rows.enumerate() {
            let seen = visible.0 + number * visible.1;
            let (p, p_hidden) = p.split_at_mut(seen);
            let (d, d_hidden) = d.split_at_mut(seen);
            for (p, d) in p.iter_mut().zip(d) {
                *p = exp(*p - lse);
                *d = *p * (*d - dot);
            }
            p_hidden.fill(0.0);
            d_hidden.fill(0.0);
        }
    }
}

/// `out = weights values`, of `rows` rows of weights.
fn weigh(out: &mut [f32], weights: &[f32], [rows, columns]: [usize; 2], values: Head<'_>) {
    let dim = values.dim;
    for start in (0..columns).step_by(COLUMNS) {
        let count = COLUMNS.min(columns - start);
        let weights = &weights[start..];
        if count >= FEWEST {
            let weights = Matrix::new(weights, rows, count, columns);
            gemm(out, start > 0, 1.0, weights, values.rows(start, count));
            continue;
        }
        // Columns of zeros besides.
        let mut few = vec![0.0f32; FEWEST * (rows + dim)];
        let (few_weights, few_values) = few.split_at_mut(FEWEST * rows);
        for (few, row) in few_weights.chunks_exact_mut(FEWEST).zip(weights.chunks(columns)) {
            few[..count].copy_from_slice(&row[..count]);
        }
        for (number, few) in few_values.chunks_exact_mut(dim).take(count).enumerate() {
            let from = (start + number) * values.stride;
            few.copy_from_slice(&values.data[from..from + dim]);
        }
        let weights = Matrix::new(few_weights, rows, FEWEST, FEWEST);
        gemm(out, start > 0, 1.0, weights, Matrix::new(few_values, FEWEST, dim, dim));
    }
}

/// Copies `[time, dim]` of one head into `[time, heads, dim]`.
pub(super) fn place(all: &mut [f32], head: &[f32], number: usize, heads: usize, dim: usize) {
    for (all, head) in all.chunks_exact_mut(heads * dim).zip(head.chunks_exact(dim)) {
        all[number * dim..(number + 1) * dim].copy_from_slice(head);
    }
}

fn scale(dim: usize) -> f32 {
    (dim as f64).powf(-0.5) as f32
}

/// `softmax(q k^T / sqrt d) v`, with key-value head `j` for query heads `j*g .. (j+1)*g`.
pub(crate) fn attention(q: FlexTensor, k: FlexTensor, v: FlexTensor, causal: bool) -> (FlexTensor, Saved) {
    let (q, k, v) = (Heads::new(q), Heads::new(k), Heads::new(v));
    let shape @ [batch, heads, time, dim] = q.sizes;
    let [_, kv_heads, columns, _] = k.sizes;
    let group = heads / kv_heads.max(1);
    let mut out = Fresh::new(batch * heads * time * dim);
    let mut lse = vec![0.0f32; batch * heads * time];
    let pieces = out
        .pieces(heads * time * dim)
        .zip(lse.par_chunks_mut((heads * time).max(1)));
    each(pieces.enumerate(), |(row, (out, lse))| {
        let done: Vec<Vec<f32>> = lse
            .par_chunks_mut(time.max(1))
            .enumerate()
            .map(|(head, lse)| {
                let kv = [&k, &v].map(|all| Head::of(all, row, head / group));
                forward_head(Head::of(&q, row, head), kv, columns, Sees::of(causal), lse)
            })
            .collect();
        for (head, done) in done.iter().enumerate() {
            place(out, done, head, heads, dim);
        }
    });
    let out = time_major(out.finish(), shape);
    let saved = Saved {
        q,
        k,
        v,
        out: Heads::new(out.clone()),
        lse,
        causal,
    };
    (out, saved)
}

/// One query head of `lse.len()` queries over `columns` keys: its output `[time, dim]`, and `log sum exp` of its scores.
pub(super) fn forward_head(
    q: Head<'_>,
    [k, v]: [Head<'_>; 2],
    columns: usize,
    sees: Sees,
    lse: &mut [f32],
) -> Vec<f32> {
    let (time, dim) = (lse.len(), q.dim);
    // A single query is computed with a row of zeros behind it: `gemm` has a routine of its own for a single row.
    let widest = BLOCK.min(time).max(2);
    let mut out = vec![0.0f32; (time + 1) * dim];
    let mut scores = vec![0.0f32; widest * columns];
    let mut inverse = [0.0f32; BLOCK];
    for block in Block::all(time, columns, sees) {
        let Block {
            start,
            rows: count,
            columns,
            ..
        } = block;
        let seen = &mut scores[..count * columns];
        gemm(
            seen,
            false,
            scale(dim),
            q.rows(start, count),
            k.rows(0, columns).transpose(),
        );
        let lse = &mut lse[start..start + count];
        soften(seen, columns, block.visible(), &mut inverse[..count], lse);
        let rows = count.max(2);
        let out = &mut out[start * dim..(start + rows) * dim];
        scores[count * columns..rows * columns].fill(0.0);
        weigh(out, &scores[..rows * columns], [rows, columns], v);
        scale_rows(&mut out[..count * dim], dim, &inverse[..count]);
    }
    out.truncate(time * dim);
    out
}

/// Gradients of q, k and v.
pub(crate) fn attention_backward(grad: FlexTensor, saved: &Saved) -> [FlexTensor; 3] {
    let grad = Heads::new(grad);
    let q_shape @ [batch, heads, time, dim] = saved.q.sizes;
    let k_shape @ [_, kv_heads, columns, _] = saved.k.sizes;
    let mut d_q = Fresh::new(batch * heads * time * dim);
    let mut d_k = Fresh::new(batch * kv_heads * columns * dim);
    let mut d_v = Fresh::new(batch * kv_heads * columns * dim);
    let kv_piece = (kv_heads * columns * dim).max(1);
    let pieces = d_k.pieces(kv_piece).zip(d_v.pieces(kv_piece));
    let pieces = d_q.pieces(heads * time * dim).zip(pieces);
    each(pieces.enumerate(), |(row, (d_q, (d_k, d_v)))| {
        let done: Vec<HeadGrads> = (0..kv_heads)
            .into_par_iter()
            .map(|kv| backward_head(&grad, saved, row, kv))
            .collect();
        for (kv, done) in done.iter().enumerate() {
            let group = heads / kv_heads;
            for (member, d_head) in done.q.chunks_exact((time * dim).max(1)).enumerate() {
                place(d_q, d_head, kv * group + member, heads, dim);
            }
            place(d_k, &done.k, kv, kv_heads, dim);
            place(d_v, &done.v, kv, kv_heads, dim);
        }
    });
    [
        time_major(d_q.finish(), q_shape),
        time_major(d_k.finish(), k_shape),
        time_major(d_v.finish(), k_shape),
    ]
}

/// Gradients of a key-value head and of the query heads it serves.
struct HeadGrads {
    /// `[group, time, dim]`
    q: Vec<f32>,
    /// `[columns, dim]`
    k: Vec<f32>,
    /// `[columns, dim]`
    v: Vec<f32>,
}

fn backward_head(grad: &Heads, saved: &Saved, row: usize, kv: usize) -> HeadGrads {
    let Saved {
        q,
        k,
        v,
        out,
        lse,
        causal,
    } = saved;
    let [_, heads, time, dim] = q.sizes;
    let [_, kv_heads, columns, _] = k.sizes;
    let group = heads / kv_heads;
    let mut grads = HeadGrads {
        q: vec![0.0; group * time * dim],
        k: vec![0.0; columns * dim],
        v: vec![0.0; columns * dim],
    };
    let mut scores = vec![0.0f32; BLOCK.min(time) * columns];
    let mut d_weights = scores.clone();
    let mut dots = vec![0.0f32; time];
    for member in 0..group {
        let head = kv * group + member;
        let lse = &lse[(row * heads + head) * time..][..time];
        row_dots(
            &mut dots,
            dim,
            grad.from(row, head),
            grad.strides[2],
            out.from(row, head),
            out.strides[2],
        );
        for block in Block::all(time, columns, Sees::of(*causal)) {
            let Block {
                start,
                rows: count,
                columns,
                ..
            } = block;
            let (p, d_s) = (&mut scores[..count * columns], &mut d_weights[..count * columns]);
            let [queries, d_out] = [q, grad].map(|all| Head::of(all, row, head).rows(start, count));
            let [keys, values] = [k, v].map(|all| Head::of(all, row, kv).rows(0, columns));
            gemm(p, false, scale(dim), queries, keys.transpose());
            gemm(d_s, false, 1.0, d_out, values.transpose());
            let range = start..start + count;
            weights_grad(p, d_s, columns, block.visible(), &lse[range.clone()], &dots[range]);
            let p = Matrix::new(p, count, columns, columns).transpose();
            gemm(&mut grads.v[..columns * dim], true, 1.0, p, d_out);
            let d_s = Matrix::new(d_s, count, columns, columns);
            let place = (member * time + start) * dim;
            gemm(&mut grads.q[place..place + count * dim], false, scale(dim), d_s, keys);
            gemm(
                &mut grads.k[..columns * dim],
                true,
                scale(dim),
                d_s.transpose(),
                queries,
            );
        }
    }
    grads
}
