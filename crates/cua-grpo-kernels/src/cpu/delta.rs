//! The gated delta rule, token by token: the state of a head stays in a core's cache, so chunks would save nothing here.
//!
//! The backward pass runs the recurrence in reverse. With `S'` the decayed state before a token's write, `r = v - S'^T k`
//! and `u = beta r`:
//! `dS += q do^T`, `dq = S do`, `du = dS^T k`, `dr = beta du`, `dbeta = du . r`, `dv = dr`, `dk = dS u - S' dr`,
//! `dS' = dS - k dr^T`, `dg = <dS', S'>`, `dS_before = e^g dS'`.
//! States are kept at the start of every [`SPAN`] tokens, and those between are computed again.

use super::buffer::{Fresh, dense, each, elements, tensor};
use super::simd::simd;
use crate::delta::LENGTH_EPS;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

/// Tokens between two states that the backward pass keeps.
const SPAN: usize = 32;

/// What the backward pass reads: the operands.
#[derive(Debug, Clone)]
pub(crate) struct Saved(Operands);

#[derive(Debug, Clone)]
pub(crate) struct Operands {
    pub q: FlexTensor,
    pub k: FlexTensor,
    pub v: FlexTensor,
    pub g: FlexTensor,
    pub beta: FlexTensor,
    pub state: FlexTensor,
    pub lengths: Vec<usize>,
}

/// Sizes of the operands.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    batch: usize,
    time: usize,
    key_heads: usize,
    key_dim: usize,
    heads: usize,
    width: usize,
}

/// One value head of one row; what follows a token is a stride away.
#[derive(Debug, Clone, Copy)]
struct Head<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    g: &'a [f32],
    beta: &'a [f32],
    sizes: Sizes,
}

impl Operands {
    fn dense(self) -> Self {
        Self {
            q: dense(self.q),
            k: dense(self.k),
            v: dense(self.v),
            g: dense(self.g),
            beta: dense(self.beta),
            state: dense(self.state),
            lengths: self.lengths,
        }
    }

    fn sizes(&self) -> Sizes {
        let (keys, values) = (self.q.layout().shape(), self.v.layout().shape());
        Sizes {
            batch: keys[0],
            time: keys[1],
            key_heads: keys[2],
            key_dim: keys[3],
            heads: values[2],
            width: values[3],
        }
    }

    fn head(&self, sizes: Sizes, row: usize, head: usize) -> Head<'_> {
        let key = row * sizes.time * sizes.key_heads + head / (sizes.heads / sizes.key_heads);
        let value = row * sizes.time * sizes.heads + head;
        // A row without tokens lies beyond the end.
        let from = |all: &'_ FlexTensor, start: usize| -> std::ops::Range<usize> {
            let end = all.layout().num_elements();
            start.min(end)..end
        };
        let (at, to) = (key * sizes.key_dim, value * sizes.width);
        Head {
            q: &elements(&self.q)[from(&self.q, at)],
            k: &elements(&self.k)[from(&self.k, at)],
            v: &elements(&self.v)[from(&self.v, to)],
            g: &elements(&self.g)[from(&self.g, value)],
            beta: &elements(&self.beta)[from(&self.beta, value)],
            sizes,
        }
    }

    /// The state before the first token of a head.
    fn before(&self, sizes: Sizes, row: usize, head: usize) -> &[f32] {
        let count = sizes.key_dim * sizes.width;
        &elements(&self.state)[(row * sizes.heads + head) * count..][..count]
    }
}

impl<'a> Head<'a> {
    /// Query, key, value, decay and share of a token.
    #[inline(always)]
    fn token(&self, number: usize) -> (&'a [f32], &'a [f32], &'a [f32], f32, f32) {
        let Sizes {
            key_heads,
            key_dim,
            heads,
            width,
            ..
        } = self.sizes;
        let (key, value) = (number * key_heads * key_dim, number * heads * width);
        (
            &self.q[key..key + key_dim],
            &self.k[key..key + key_dim],
            &self.v[value..value + width],
            self.g[number * heads].exp(),
            self.beta[number * heads],
        )
    }

    /// What queries are multiplied by.
    #[inline(always)]
    fn scale(&self) -> f32 {
        (self.sizes.key_dim as f32).powf(-0.5)
    }
}

/// `x` brought to the length `scale`; the inverse of its own length.
#[inline(always)]
fn normalise(out: &mut [f32], x: &[f32], scale: f32) -> f32 {
    let square: f32 = x.iter().map(|value| value * value).sum();
    let inverse = 1.0 / (square + LENGTH_EPS as f32).sqrt();
    for (out, value) in out.iter_mut().zip(x) {
        *out = value * inverse * scale;
    }
    inverse
}

/// Decays the state, writes a token into it and reads it: `missing` is `v - S'^T k`, `out` what is read.
#[inline(always)]
fn step(state: &mut [f32], [q, k, v]: [&[f32]; 3], decay: f32, beta: f32, missing: &mut [f32], out: &mut [f32]) {
    let width = v.len();
    missing.copy_from_slice(v);
    for (row, &k) in state.chunks_exact_mut(width).zip(k) {
        for (s, missing) in row.iter_mut().zip(missing.iter_mut()) {
            *s *= decay;
            *missing -= *s * k;
        }
    }
    out.fill(0.0);
    for ((row, &k), &q) in state.chunks_exact_mut(width).zip(k).zip(q) {
        let k = k * beta;
        for ((s, &missing), out) in row.iter_mut().zip(missing.iter()).zip(out.iter_mut()) {
            *s += k * missing;
            *out += *s * q;
        }
    }
}

simd! {
    /// Runs the tokens `from..to` of a head. Of each, `out` has what it reads; `states` (where there is room) what the state
    /// is before it, and `missing` what it found missing.
    fn advance(
        state: &mut [f32], head: &Head<'_>, from: usize, to: usize, out: &mut [f32], states: &mut [f32], missing: &mut [f32],
    ) {
        let Sizes { key_dim, width, .. } = head.sizes;
        let (mut q_unit, mut k_unit) = (vec![0.0; key_dim], vec![0.0; key_dim]);
        let (mut short, mut read) = (vec![0.0; width], vec![0.0; width]);
        for number in from..to {
            let (q, k, v, decay, beta) = head.token(number);
            normalise(&mut q_unit, q, head.scale());
            normalise(&mut k_unit, k, 1.0);
            let place = number - from;
            if let Some(kept) = states.get_mut(place * state.len()..(place + 1) * state.len()) {
                kept.copy_from_slice(state);
            }
            step(state, [&q_unit, &k_unit, v], decay, beta, &mut short, &mut read);
            if let Some(out) = out.get_mut(place * width..(place + 1) * width) {
                out.copy_from_slice(&read);
            }
            if let Some(missing) = missing.get_mut(place * width..(place + 1) * width) {
                missing.copy_from_slice(&short);
            }
        }
    }
}

/// As [`crate::delta_rule`], what is read and the state on one axis: `[batch, heads, time + key_dim, width]`.
pub(crate) fn delta_rule(operands: Operands) -> (FlexTensor, Saved) {
    let operands = operands.dense();
    let sizes = operands.sizes();
    let Sizes {
        batch,
        time,
        key_dim,
        heads,
        width,
        ..
    } = sizes;
    let mut out = Fresh::new(batch * heads * (time + key_dim) * width);
    each(out.pieces((time + key_dim) * width).enumerate(), |(number, out)| {
        let (row, head) = (number / heads, number % heads);
        let (read, state) = out.split_at_mut(time * width);
        state.copy_from_slice(operands.before(sizes, row, head));
        let head = operands.head(sizes, row, head);
        advance(state, &head, 0, operands.lengths[row], read, &mut [], &mut []);
    });
    let shape = [batch, heads, time + key_dim, width];
    (tensor(out.finish(), &shape), Saved(operands))
}

/// Gradients of a key head and its value heads in one row.
struct Part {
    q: Vec<f32>,
    k: Vec<f32>,
    heads: Vec<HeadPart>,
}

/// Gradients of one value head.
struct HeadPart {
    v: Vec<f32>,
    g: Vec<f32>,
    beta: Vec<f32>,
    state: Vec<f32>,
}

/// Buffers of the backward pass of a head.
struct Buffers<'a> {
    /// The states before the tokens of the span, and after the last of them.
    states: &'a [f32],
    missing: &'a [f32],
    /// Gradient of what was read, for the whole row of the head.
    grad: &'a [f32],
    q: &'a mut [f32],
    k: &'a mut [f32],
    part: &'a mut HeadPart,
}

simd! {
    /// Pulls the gradient `part.state` of the state after token `to - 1` back to the state before token `from`.
    #[allow(clippy::needless_range_loop, reason = "four slices that go together")]
    fn retreat(buffers: &mut Buffers<'_>, head: &Head<'_>, from: usize, to: usize) {
        let Sizes { key_dim, width, .. } = head.sizes;
        let size = key_dim * width;
        let (mut q_unit, mut k_unit) = (vec![0.0; key_dim], vec![0.0; key_dim]);
        let (mut dq, mut dk, mut du) = (vec![0.0; key_dim], vec![0.0; key_dim], vec![0.0; width]);
        for number in (from..to).rev() {
            let place = number - from;
            let (q, k, _, decay, beta) = head.token(number);
            let q_inverse = normalise(&mut q_unit, q, head.scale());
            let k_inverse = normalise(&mut k_unit, k, 1.0);
            let grad = &buffers.grad[number * width..(number + 1) * width];
            let missing = &buffers.missing[place * width..(place + 1) * width];
            let (before, after) = buffers.states[place * size..(place + 2) * size].split_at(size);
            let d_state = &mut buffers.part.state;
            du.fill(0.0);
            for i in 0..key_dim {
                let row = i * width..(i + 1) * width;
                let (d_row, after) = (&mut d_state[row.clone()], &after[row]);
                let mut sum = 0.0;
                for j in 0..width {
                    d_row[j] += q_unit[i] * grad[j];
                    sum += after[j] * grad[j];
                    du[j] += d_row[j] * k_unit[i];
                }
                dq[i] = sum;
            }
            let (mut d_beta, mut d_g) = (0.0, 0.0);
            for j in 0..width {
                d_beta += du[j] * missing[j];
            }
            for i in 0..key_dim {
                let row = i * width..(i + 1) * width;
                let (d_row, before) = (&mut d_state[row.clone()], &before[row]);
                let mut sum = 0.0;
                for j in 0..width {
                    let (decayed, d_missing) = (before[j] * decay, beta * du[j]);
                    sum += d_row[j] * beta * missing[j] - decayed * d_missing;
                    let d_decayed = d_row[j] - k_unit[i] * d_missing;
                    d_g += d_decayed * decayed;
                    d_row[j] = d_decayed * decay;
                }
                dk[i] = sum;
            }
            buffers.part.g[number] = d_g;
            buffers.part.beta[number] = d_beta;
            for (dv, du) in buffers.part.v[number * width..].iter_mut().zip(&du) {
                *dv = beta * du;
            }
            let keys = number * key_dim..(number + 1) * key_dim;
            shorten(&mut buffers.q[keys.clone()], &dq, q, q_inverse, head.scale());
            shorten(&mut buffers.k[keys], &dk, k, k_inverse, 1.0);
        }
    }
}

/// Adds to `out` the gradient of `x` from that of [`normalise`].
#[inline(always)]
fn shorten(out: &mut [f32], grad: &[f32], x: &[f32], inverse: f32, scale: f32) {
    let along: f32 = x.iter().zip(grad).map(|(x, grad)| x * grad).sum::<f32>() * inverse;
    for ((out, x), grad) in out.iter_mut().zip(x).zip(grad) {
        *out += scale * inverse * (grad - x * inverse * along);
    }
}

/// Gradients of all operands, in their order.
pub(crate) fn delta_rule_backward(grad: FlexTensor, saved: &Saved) -> Vec<Option<FlexTensor>> {
    let (Saved(operands), grad) = (saved, dense(grad));
    let sizes = operands.sizes();
    let Sizes {
        batch,
        time,
        key_heads,
        key_dim,
        heads,
        width,
    } = sizes;
    let group = heads / key_heads;
    let parts: Vec<Part> = (0..batch * key_heads)
        .into_par_iter()
        .map(|number| {
            let (row, key_head) = (number / key_heads, number % key_heads);
            let (mut q, mut k) = (vec![0.0; time * key_dim], vec![0.0; time * key_dim]);
            let heads = (key_head * group..(key_head + 1) * group)
                .map(|head| head_backward(operands, sizes, elements(&grad), [row, head], [&mut q, &mut k]));
            let heads = heads.collect();
            Part { q, k, heads }
        })
        .collect();
    let mut dq = vec![0.0; batch * time * key_heads * key_dim];
    let mut dk = vec![0.0; dq.len()];
    let mut dv = vec![0.0; batch * time * heads * width];
    let (mut dg, mut dbeta) = (vec![0.0; batch * time * heads], vec![0.0; batch * time * heads]);
    let mut ds = Vec::with_capacity(batch * heads * key_dim * width);
    for (number, part) in parts.into_iter().enumerate() {
        let (row, key_head) = (number / key_heads, number % key_heads);
        for token in 0..time {
            let to = ((row * time + token) * key_heads + key_head) * key_dim;
            dq[to..to + key_dim].copy_from_slice(&part.q[token * key_dim..(token + 1) * key_dim]);
            dk[to..to + key_dim].copy_from_slice(&part.k[token * key_dim..(token + 1) * key_dim]);
        }
        for (offset, head) in part.heads.into_iter().enumerate() {
            for token in 0..time {
                let to = (row * time + token) * heads + key_head * group + offset;
                dv[to * width..(to + 1) * width].copy_from_slice(&head.v[token * width..(token + 1) * width]);
                (dg[to], dbeta[to]) = (head.g[token], head.beta[token]);
            }
            ds.extend(head.state);
        }
    }
    let keys = [batch, time, key_heads, key_dim];
    [
        tensor(dq, &keys),
        tensor(dk, &keys),
        tensor(dv, &[batch, time, heads, width]),
        tensor(dg, &[batch, time, heads]),
        tensor(dbeta, &[batch, time, heads]),
        tensor(ds, &[batch, heads, key_dim, width]),
    ]
    .map(Some)
    .into()
}

fn head_backward(
    operands: &Operands,
    sizes: Sizes,
    grad: &[f32],
    [row, number]: [usize; 2],
    [q, k]: [&mut [f32]; 2],
) -> HeadPart {
    let Sizes {
        time,
        key_dim,
        heads,
        width,
        ..
    } = sizes;
    let (length, size) = (operands.lengths[row], key_dim * width);
    let head = operands.head(sizes, row, number);
    let grad = &grad[(row * heads + number) * (time + key_dim) * width..][..(time + key_dim) * width];
    // The state at the start of each span.
    let mut starts = Vec::with_capacity(length.div_ceil(SPAN) * size);
    let mut state = operands.before(sizes, row, number).to_vec();
    for from in (0..length).step_by(SPAN) {
        starts.extend_from_slice(&state);
        let to = (from + SPAN).min(length);
        advance(&mut state, &head, from, to, &mut [], &mut [], &mut []);
    }
    let mut part = HeadPart {
        v: vec![0.0; time * width],
        g: vec![0.0; time],
        beta: vec![0.0; time],
        state: grad[time * width..].to_vec(),
    };
    let (mut states, mut missing) = (vec![0.0; (SPAN + 1) * size], vec![0.0; SPAN * width]);
    for (span, start) in starts.chunks_exact(size).enumerate().rev() {
        let (from, to) = (span * SPAN, ((span + 1) * SPAN).min(length));
        let mut state = start.to_vec();
        advance(&mut state, &head, from, to, &mut [], &mut states, &mut missing);
        states[(to - from) * size..(to - from + 1) * size].copy_from_slice(&state);
        let mut buffers = Buffers {
            states: &states,
            missing: &missing,
            grad,
            q,
            k,
            part: &mut part,
        };
        retreat(&mut buffers, &head, from, to);
    }
    part
}
