//! Rotary position embedding and its inverse (the backward pass rotates the other way).

use super::buffer::{CHUNK, Fresh, Heads, dense, each, elements, sizes, tensor, time_major};
use super::simd::simd;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

simd! {
    /// Fills the dense rows `out` with the rotated rows of `x`, which are `stride` apart; their tables are `table_stride` apart.
    fn rotate_rows(
        out: &mut [f32], x: &[f32], stride: usize, cos: &[f32], sin: &[f32], table_stride: usize, dim: usize, sign: f32,
    ) {
        let half = dim / 2;
        for (number, out) in out.chunks_exact_mut(dim).enumerate() {
            let (out_1, out_2) = out.split_at_mut(half);
            let (x_1, x_2) = x[number * stride..number * stride + dim].split_at(half);
            let table = number * table_stride..number * table_stride + half;
            let (cos, sin) = (&cos[table.clone()], &sin[table]);
            for i in 0..half {
                let s = sign * sin[i];
                out_1[i] = x_1[i] * cos[i] - x_2[i] * s;
                out_2[i] = x_2[i] * cos[i] + x_1[i] * s;
            }
        }
    }
}

/// `x * cos + rot(x) * sin`; with `sign = -1` the gradient of `x` from that of the output.
///
/// The output lies in memory in the order of `x`: by head or by time.
pub(crate) fn rotate(x: FlexTensor, cos: FlexTensor, sin: FlexTensor, sign: f32) -> FlexTensor {
    let x = Heads::new(x);
    let shape @ [batch, heads, time, dim] = x.sizes;
    let (cos, sin) = (dense(cos), dense(sin));
    let (cos_all, sin_all) = (elements(&cos), elements(&sin));
    // One table for all rows of the batch, or one each.
    let row_table = if sizes(&cos)[0] == 1 { 0 } else { time * dim };
    let by_time = x.strides[1] < x.strides[2];
    let (outer, inner) = if by_time { (time, heads) } else { (heads, time) };
    let mut out = Fresh::new(batch * heads * time * dim);
    let piece = (inner * dim).max(1);
    // Neighbouring pieces go together; a small tensor is one piece of work.
    let together = (CHUNK / piece).max(1);
    each(out.pieces(together * piece).enumerate(), |(block, out)| {
        for (offset, out) in out.chunks_exact_mut(piece).enumerate() {
            let number = block * together + offset;
            let (row, index) = (number / outer, number % outer);
            let table = row * row_table;
            if by_time {
                let table = table + index * dim;
                let from = &x.from(row, 0)[index * x.strides[2]..];
                rotate_rows(
                    out,
                    from,
                    x.strides[1],
                    &cos_all[table..],
                    &sin_all[table..],
                    0,
                    dim,
                    sign,
                );
            } else {
                let from = x.from(row, index);
                rotate_rows(
                    out,
                    from,
                    x.strides[2],
                    &cos_all[table..],
                    &sin_all[table..],
                    dim,
                    dim,
                    sign,
                );
            }
        }
    });
    let out = out.finish();
    if by_time {
        time_major(out, shape)
    } else {
        tensor(out, &shape)
    }
}
