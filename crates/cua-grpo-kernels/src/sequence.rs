//! Attention of sequences that have a cache each, on the CPU.
//!
//! What a token gets follows from its sequence alone, to the last bit, and is what [`crate::attention()`] gives without a
//! cache: it does not depend on what else is computed, on padding, or on how many tokens are fed at once.

use crate::cpu::sequence::{Columns, attend};
use crate::host::host;
use burn::tensor::{Tensor, TensorData};

/// Keys and values of the tokens of a sequence, in one layer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyValues {
    /// `[tokens, kv_heads, head_dim]`
    keys: Vec<f32>,
    /// As `keys`.
    values: Vec<f32>,
    /// Elements of a token.
    width: usize,
}

impl KeyValues {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.keys.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `count` tokens.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        let end = self.keys.len().min(count * self.width);
        Self {
            keys: self.keys[..end].to_vec(),
            values: self.values[..end].to_vec(),
            width: self.width,
        }
    }
}

/// Appends the new tokens of each sequence to its cache, and gives what their queries see: all that is in the cache up to
/// themselves.
///
/// Row `i` of the batch has `lengths[i]` tokens of the sequence `caches[i]`, then padding, for which zeros come out.
///
/// # Shapes
/// - q, output: `[batch, heads, time, head_dim]`; k, v: `[batch, kv_heads, time, head_dim]`
///
/// # Panics
/// When shapes disagree, or a tensor is not on the CPU.
pub fn attention_cached(
    q: Tensor<4>,
    [k, v]: [Tensor<4>; 2],
    lengths: &[usize],
    caches: &mut [&mut KeyValues],
) -> Tensor<4> {
    let ([batch, heads, time, dim], [_, kv_heads, _, _]) = (q.dims(), k.dims());
    assert!(
        crate::route::is_fused(&q) && crate::route::heads_fit(&q, &k, &v) && k.dims()[2] == time,
        "attention over caches: expected f32 on the CPU and fitting heads; got {:?}, {:?} and {:?}",
        q.dims(),
        k.dims(),
        v.dims()
    );
    assert!(
        lengths.len() == batch && caches.len() == batch && lengths.iter().all(|&length| length <= time),
        "attention over caches: expected a length and a cache for each of {batch} rows of {time} tokens"
    );
    let device = q.device();
    // By token, as the projections have them: what lies so already is not copied.
    let [q, k, v] = [q, k, v].map(|tensor| host(tensor.swap_dims(1, 2)));
    let width = kv_heads * dim;
    for (row, (cache, &length)) in caches.iter_mut().zip(lengths).enumerate() {
        let new = row * time * width..(row * time + length) * width;
        cache.width = width;
        cache.keys.extend_from_slice(&k[new.clone()]);
        cache.values.extend_from_slice(&v[new]);
    }
    let caches = caches.iter().map(|cache| Columns {
        keys: &cache.keys,
        values: &cache.values,
        width: cache.width,
    });
    let caches: Vec<Columns<'_>> = caches.collect();
    let out = attend(&q, [heads, time, dim], lengths, &caches);
    Tensor::<4>::from_data(TensorData::new(out, [batch, time, heads, dim]), &device).swap_dims(1, 2)
}
