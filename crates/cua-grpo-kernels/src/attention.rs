//! Scaled dot-product attention with grouped query heads.

use crate::mask::Mask;
use crate::ops::Op;
use crate::route::{heads_fit, is_fused};
use burn::tensor::Tensor;

/// `softmax(q k^T / sqrt(d) + mask) v`; key-value head `j` serves query heads `j*g .. (j+1)*g`.
///
/// Keys and values come in parts that stand one after the other (a cache and what was appended to it).
///
/// # Shapes
/// - q: `[batch, heads, time_q, head_dim]`; k, v of part `p`: `[batch, kv_heads, columns_p, head_dim]`
/// - output: `[batch, heads, time_q, head_dim]`
pub fn attention(q: Tensor<4>, mut parts: Vec<(Tensor<4>, Tensor<4>)>, mask: &Mask) -> Tensor<4> {
    #[cfg(feature = "cuda")]
    if let Some(output) = crate::cuda::route::attention(&q, &parts, mask) {
        return output;
    }
    if let Mask::Segments(lengths) = mask {
        return segments(&q, &parts, lengths);
    }
    let fused = parts
        .iter()
        .all(|(k, v)| is_fused(k) && is_fused(v) && heads_fit(&q, k, v))
        && is_fused(&q);
    match mask {
        Mask::All | Mask::Causal if fused && parts.len() == 1 => {
            let (k, v) = parts.remove(0);
            let causal = matches!(mask, Mask::Causal);
            assert!(
                !causal || k.dims()[2] == q.dims()[2],
                "causal attention: expected as many keys as queries"
            );
            Op::Attention {
                q: q.into_dispatch(),
                k: k.into_dispatch(),
                v: v.into_dispatch(),
                causal,
                segments: Vec::new(),
            }
            .run()
        }
        _ => reference::attention(q, parts, mask),
    }
}

/// Attention inside frames, of queries and keys that are rotated first ([`crate::rotate`]), all as one projection gives them.
///
/// # Shapes
/// - qkv: `[frames * patches, 3 * heads * head_dim]`: queries, keys, values; cos, sin: `[1, 1, patches, head_dim]`
/// - output: `[frames * patches, heads * head_dim]`
pub fn attention_packed(qkv: Tensor<2>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<2> {
    let ([rows, width], [_, _, patches, head_dim]) = (qkv.dims(), cos.dims());
    let (frames, heads) = (rows / patches, width / (3 * head_dim));
    #[cfg(feature = "cuda")]
    if (rows, width) == (frames * patches, 3 * heads * head_dim)
        && cos.dims() == [1, 1, patches, head_dim]
        && sin.dims() == cos.dims()
        && let Some(output) = crate::cuda::route::attention_packed(&qkv, &cos, &sin)
    {
        return output;
    }
    let qkv = qkv.reshape([frames, patches, 3 * heads, head_dim]).swap_dims(1, 2);
    let part = |index: usize| qkv.clone().narrow(1, index * heads, heads);
    let q = crate::rotate(part(0), cos.clone(), sin.clone());
    let k = crate::rotate(part(1), cos, sin);
    let attended = attention(q, vec![(k, part(2))], &Mask::All);
    attended.swap_dims(1, 2).reshape([rows, heads * head_dim])
}

/// Causal attention within sequences of `lengths` tokens, each alone.
fn segments(q: &Tensor<4>, parts: &[(Tensor<4>, Tensor<4>)], lengths: &[usize]) -> Tensor<4> {
    let [(k, v)] = parts else {
        panic!(
            "attention within segments: expected keys and values in one part, got {}",
            parts.len()
        )
    };
    let total = lengths.iter().sum::<usize>();
    assert!(
        q.dims()[2] == total && k.dims()[2] == total,
        "attention within segments of {total} tokens: got {} queries and {} keys",
        q.dims()[2],
        k.dims()[2]
    );
    let mut start = 0;
    let mut outputs = Vec::with_capacity(lengths.len());
    for &length in lengths.iter().filter(|&&length| length > 0) {
        let part = |tensor: &Tensor<4>| tensor.clone().narrow(2, start, length);
        outputs.push(attention(part(q), vec![(part(k), part(v))], &Mask::Causal));
        start += length;
    }
    if outputs.is_empty() {
        q.zeros_like()
    } else {
        Tensor::cat(outputs, 2)
    }
}

/// The same in plain tensor operations.
pub(crate) mod reference {
    use crate::mask::{Mask, causal_bias, segment_bias};
    use burn::tensor::{DType, Tensor, activation};

    /// Reference of [`crate::attention()`].
    pub fn attention(q: Tensor<4>, parts: Vec<(Tensor<4>, Tensor<4>)>, mask: &Mask) -> Tensor<4> {
        let dtype = q.dtype();
        if dtype != DType::F32 {
            // Scores and their softmax are in f32 whatever the model computes in.
            let wide = |tensor: Tensor<4>| tensor.cast(DType::F32);
            let parts = parts.into_iter().map(|(k, v)| (wide(k), wide(v))).collect();
            return attention(wide(q), parts, mask).cast(dtype);
        }
        let [batch, heads, time_q, head_dim] = q.dims();
        let kv_heads = parts.first().map_or(heads, |(k, _)| k.dims()[1]);
        let group = heads / kv_heads;
        let bias = match mask {
            Mask::All => None,
            Mask::Causal => Some(causal_bias(time_q, &q.device().inner())),
            Mask::Segments(lengths) => Some(segment_bias(lengths, &q.device().inner())),
            Mask::Bias(bias) => Some(bias.clone()),
        };
        // The query heads of a group stand below each other, so keys and values are never repeated.
        let q = (q * (head_dim as f64).powf(-0.5)).reshape([batch, kv_heads, group * time_q, head_dim]);
        let scores: Vec<Tensor<4>> = parts
            .iter()
            .map(|(k, _)| matmul(q.clone(), k.clone().swap_dims(2, 3)))
            .collect();
        let scores = cat(scores, 3); // [batch, kv_heads, group * time_q, columns]
        let columns = scores.dims()[3];
        let scores = match bias {
            None => scores,
            Some(bias) => {
                let [bias_batch, ..] = bias.dims();
                let bias = bias.reshape([bias_batch, 1, 1, time_q, columns]);
                let scores = scores.reshape([batch, kv_heads, group, time_q, columns]) + bias;
                scores.reshape([batch, kv_heads, group * time_q, columns])
            }
        };
        let weights = activation::softmax(scores, 3);
        let mut start = 0;
        let mut output: Option<Tensor<4>> = None;
        for (_, v) in parts {
            let count = v.dims()[2];
            let part = if count == columns {
                weights.clone()
            } else {
                weights.clone().narrow(3, start, count)
            };
            let attended = matmul(part, v);
            output = Some(match output {
                None => attended,
                Some(sum) => sum + attended,
            });
            start += count;
        }
        // No part means no key: nothing to attend to.
        let output = output.unwrap_or_else(|| q.zeros_like());
        output.reshape([batch, heads, time_q, head_dim])
    }

    /// The product of the last two axes, never with rounded operands.
    fn matmul(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
        #[cfg(feature = "cuda")]
        if let Some(output) = crate::cuda::route::matmul(&a, &b) {
            return output;
        }
        a.matmul(b)
    }

    fn cat(mut tensors: Vec<Tensor<4>>, dim: usize) -> Tensor<4> {
        if tensors.len() == 1 {
            tensors.remove(0)
        } else {
            Tensor::cat(tensors, dim)
        }
    }
}
