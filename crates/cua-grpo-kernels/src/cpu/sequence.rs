//! Attention over the caches of sequences, see [`crate::attention_cached`].

use super::attention::{Head, Sees, forward_head, place};
use super::buffer::Fresh;
use rayon::prelude::*;

/// What the cache of a sequence holds: keys and values `[tokens, kv_heads, head_dim]`, and the elements of a token.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) keys: &'a [f32],
    pub(crate) values: &'a [f32],
    pub(crate) width: usize,
}

/// What the last `lengths[i]` tokens of each cache attend to: queries and output are `[batch, time, heads, dim]`.
pub(crate) fn attend(q: &[f32], [heads, time, dim]: [usize; 3], lengths: &[usize], caches: &[Columns<'_>]) -> Vec<f32> {
    let row = time * heads * dim;
    let mut out = Fresh::new(lengths.len() * row);
    let pieces = out.pieces(row).zip(q.par_chunks(row.max(1)));
    let rows = pieces.zip(lengths.par_iter().zip(caches));
    rows.for_each(|((out, q), (&length, cache))| {
        let group = heads * dim / cache.width.max(1);
        let columns = cache.keys.len().checked_div(cache.width).unwrap_or(0);
        let sees = Sees::UpToItself(columns - length);
        let one = |head: usize| {
            let kv = [cache.keys, cache.values].map(|data| Head {
                data: data.get(head / group * dim..).unwrap_or_default(),
                stride: cache.width,
                dim,
            });
            let q = Head {
                data: &q[head * dim..],
                stride: heads * dim,
                dim,
            };
            forward_head(q, kv, columns, sees, &mut vec![0.0; length])
        };
        // A few queries are done sooner than handed over.
        let done: Vec<Vec<f32>> = if length > 8 {
            (0..heads).into_par_iter().map(one).collect()
        } else {
            (0..heads).map(one).collect()
        };
        for (head, done) in done.iter().enumerate() {
            place(out, done, head, heads, dim);
        }
    });
    out.finish()
}
