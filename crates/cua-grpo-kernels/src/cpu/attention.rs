//! Attention by blocks of queries: scores stay in a core's cache, and the backward pass computes them again.
//!
//! One piece of work is a key-value head of a row of the batch. The forward pass keeps `log sum exp` of each row of
//! scores, from which the backward pass has the weights `P` in one pass (as FlashAttention 2, Dao 2023, does):
//! `dV = P^T dO`, `dP = dO V^T`, `dS = P * (dP - rowsum(dO * O))`, `dQ = dS K / sqrt d`, `dK = dS^T Q / sqrt d`.

use super::buffer::{Fresh, Heads, each, time_major};
use super::gemm::{Matrix, gemm};
use super::simd::{exp, map_sum, max, simd, sum_pairs};
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

/// Queries of one block.
const BLOCK: usize = 64;

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

/// A block of queries and the keys that it may see.
struct Block {
    start: usize,
    rows: usize,
    columns: usize,
    causal: bool,
}

impl Block {
    /// The blocks of `time` queries over `columns` keys.
    fn all(time: usize, columns: usize, causal: bool) -> impl Iterator<Item = Self> {
        (0..time).step_by(BLOCK).map(move |start| {
            let rows = BLOCK.min(time - start);
            Self {
                start,
                rows,
                columns: if causal { start + rows } else { columns },
                causal,
            }
        })
    }

    /// How many keys query 0 of the block sees, and how many more each following one.
    fn visible(&self) -> (usize, usize) {
        if self.causal {
            (self.start + 1, 1)
        } else {
            (self.columns, 0)
        }
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

/// Rows `start..start + count` of a head.
fn rows<'a>(head: &'a Heads, row: usize, number: usize, start: usize, count: usize) -> Matrix<'a> {
    let stride = head.strides[2];
    let from = head.from(row, number).get(start * stride..).unwrap_or_default();
    Matrix::new(from, count, head.sizes[3], stride)
}

/// Copies `[time, dim]` of one head into `[time, heads, dim]`.
fn place(all: &mut [f32], head: &[f32], number: usize, heads: usize, dim: usize) {
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
    let mut out = Fresh::new(batch * heads * time * dim);
    let mut lse = vec![0.0f32; batch * heads * time];
    let pieces = out
        .pieces(heads * time * dim)
        .zip(lse.par_chunks_mut((heads * time).max(1)));
    each(pieces.enumerate(), |(row, (out, lse))| {
        let done: Vec<Vec<f32>> = lse
            .par_chunks_mut(time.max(1))
            .enumerate()
            .map(|(head, lse)| forward_head(&q, &k, &v, (row, head), causal, lse))
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

/// One query head: its output `[time, dim]`.
fn forward_head(
    q: &Heads,
    k: &Heads,
    v: &Heads,
    (row, head): (usize, usize),
    causal: bool,
    lse: &mut [f32],
) -> Vec<f32> {
    let [_, heads, time, dim] = q.sizes;
    let [_, kv_heads, columns, _] = k.sizes;
    let kv = head / (heads / kv_heads);
    let mut out = vec![0.0f32; time * dim];
    let mut scores = vec![0.0f32; BLOCK.min(time) * columns];
    let mut inverse = [0.0f32; BLOCK];
    for block in Block::all(time, columns, causal) {
        let Block {
            start,
            rows: count,
            columns,
            ..
        } = block;
        let scores = &mut scores[..count * columns];
        let keys = rows(k, row, kv, 0, columns).transpose();
        gemm(scores, false, scale(dim), rows(q, row, head, start, count), keys);
        soften(
            scores,
            columns,
            block.visible(),
            &mut inverse[..count],
            &mut lse[start..start + count],
        );
        let out = &mut out[start * dim..(start + count) * dim];
        gemm(
            out,
            false,
            1.0,
            Matrix::new(scores, count, columns, columns),
            rows(v, row, kv, 0, columns),
        );
        scale_rows(out, dim, &inverse[..count]);
    }
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
        for block in Block::all(time, columns, *causal) {
            let Block {
                start,
                rows: count,
                columns,
                ..
            } = block;
            let (p, d_s) = (&mut scores[..count * columns], &mut d_weights[..count * columns]);
            let (queries, d_out) = (rows(q, row, head, start, count), rows(grad, row, head, start, count));
            let (keys, values) = (rows(k, row, kv, 0, columns), rows(v, row, kv, 0, columns));
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
