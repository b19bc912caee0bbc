//! Attention on the card: blocks of keys with a running maximum, and gradients from the log-sum-exp.

use super::heads::{Heads, heads_first};
use super::module::Source;
use super::section::{Arguments, Section, empty, section};
use super::{CudaError, source};
use burn::tensor::DType;
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;

/// What the backward pass reads.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    q: Heads,
    k: Heads,
    v: Heads,
    out: Heads,
    /// Log-sum-exp of the scaled scores `[batch, heads, time_q]`.
    lse: CubeTensor,
    causal: bool,
}

/// Whether there is a kernel for these heads.
pub(crate) fn supports(dtype: DType, head_dim: usize) -> bool {
    dtype == DType::BF16 && source::attention_forward(head_dim).is_some()
}

/// Bytes of a row of a tile in shared memory.
fn tile_row(head_dim: usize) -> usize {
    if head_dim == 64 { 128 } else { 256 }
}

fn text(found: Option<Source>) -> Result<Source, CudaError> {
    found.ok_or_else(|| CudaError::new("attention", "there is no kernel for this head size"))
}

/// As [`crate::attention()`] with the mask `Causal` or `All`.
pub(super) fn attention(q: CubeTensor, k: CubeTensor, v: CubeTensor, causal: bool) -> (CubeTensor, Saved) {
    const ROWS: usize = 64;
    const KEYS: usize = 64;
    let [q, k, v] = [q, k, v].map(Heads::aligned);
    let [batch, heads, time_q, width] = q.shape;
    let [_, kv_heads, time_k, _] = k.shape;
    let out = heads_first(&q.tensor, q.shape);
    let lse = empty(&q.tensor, [batch, heads, time_q], DType::F32);
    section(&q.tensor.client, |cx| {
        let mut arguments = Arguments::default();
        for heads in [&q, &k, &v, &out] {
            arguments = heads.strides_to(arguments.address(cx.address(&heads.tensor)?));
        }
        let mut arguments = arguments
            .address(cx.address(&lse)?)
            .int(heads)
            .int(kv_heads)
            .int(time_q)
            .int(time_k)
            .float((width as f64).powf(-0.5))
            .address(0)
            .address(0);
        let name = if causal {
            "attention_forward_causal"
        } else {
            "attention_forward_full"
        };
        let grid = [heads, time_q.div_ceil(ROWS), batch];
        let shared = 1024 + (ROWS + 4 * KEYS) * tile_row(width);
        cx.launch(
            text(source::attention_forward(width))?,
            name,
            grid,
            2 * ROWS,
            shared,
            &mut arguments,
        )
    });
    let saved = Saved {
        q,
        k,
        v,
        out: out.clone(),
        lse,
        causal,
    };
    (out.tensor, saved)
}

/// Gradients of queries, keys and values.
pub(super) fn backward(grad: CubeTensor, saved: &Saved) -> [CubeTensor; 3] {
    let Saved {
        q,
        k,
        v,
        out,
        lse,
        causal,
    } = saved;
    let grad = Heads::aligned(cast(grad, q.tensor.dtype));
    let [batch, heads, time_q, _] = q.shape;
    let d_q = heads_first(&q.tensor, q.shape);
    let d_k = heads_first(&k.tensor, k.shape);
    let d_v = heads_first(&v.tensor, v.shape);
    let rows = empty(&q.tensor, [batch, heads, time_q, 2], DType::F32);
    section(&q.tensor.client, |cx| {
        let kernel = text(source::attention_backward(q.shape[3]))?;
        let mut arguments = Arguments::default();
        for heads in [out, &grad] {
            arguments = heads.strides_to(arguments.address(cx.address(&heads.tensor)?));
        }
        let mut arguments = arguments
            .address(cx.address(lse)?)
            .address(cx.address(&rows)?)
            .int(heads)
            .int(time_q)
            .address(0);
        let grid = [time_q.div_ceil(16), heads, batch];
        cx.launch(kernel, "attention_backward_prepare", grid, 256, 0, &mut arguments)?;
        let inputs = [q, k, v, &grad];
        backward_keys(cx, kernel, inputs, &rows, [&d_k, &d_v], *causal)?;
        backward_queries(cx, kernel, inputs, &rows, &d_q, *causal)
    });
    [d_q.tensor, d_k.tensor, d_v.tensor]
}

/// The arguments that both gradient kernels begin with.
fn common(
    cx: &Section<'_>,
    inputs: [&Heads; 4],
    rows: &CubeTensor,
    outputs: &[&Heads],
) -> Result<Arguments, CudaError> {
    let mut arguments = Arguments::default();
    for heads in inputs {
        arguments = heads.strides_to(arguments.address(cx.address(&heads.tensor)?));
    }
    arguments = arguments.address(cx.address(rows)?);
    for heads in outputs {
        arguments = heads.strides_to(arguments.address(cx.address(&heads.tensor)?));
    }
    let [q, k, ..] = inputs;
    let ([_, heads, time_q, width], [_, kv_heads, time_k, _]) = (q.shape, k.shape);
    Ok(arguments
        .int(heads)
        .int(kv_heads)
        .int(time_q)
        .int(time_k)
        .float((width as f64).powf(-0.5))
        .address(0)
        .address(0))
}

fn backward_keys(
    cx: &mut Section<'_>,
    kernel: Source,
    inputs: [&Heads; 4],
    rows: &CubeTensor,
    outputs: [&Heads; 2],
    causal: bool,
) -> Result<(), CudaError> {
    const KEY_ROWS: usize = 64;
    const QUERIES: usize = 64;
    let mut arguments = common(cx, inputs, rows, &outputs)?;
    let [batch, kv_heads, time_k, width] = inputs[1].shape;
    let name = if causal {
        "attention_backward_keys_causal"
    } else {
        "attention_backward_keys_full"
    };
    let grid = [kv_heads, time_k.div_ceil(KEY_ROWS), batch];
    let shared = 1024 + (2 * KEY_ROWS + 4 * QUERIES) * tile_row(width) + 16 * QUERIES;
    cx.launch(kernel, name, grid, KEY_ROWS * 2, shared, &mut arguments)
}

fn backward_queries(
    cx: &mut Section<'_>,
    kernel: Source,
    inputs: [&Heads; 4],
    rows: &CubeTensor,
    output: &Heads,
    causal: bool,
) -> Result<(), CudaError> {
    const QUERY_ROWS: usize = 64;
    const KEYS: usize = 64;
    let mut arguments = common(cx, inputs, rows, &[output])?;
    let [batch, heads, time_q, width] = inputs[0].shape;
    let name = if causal {
        "attention_backward_queries_causal"
    } else {
        "attention_backward_queries_full"
    };
    let grid = [heads, time_q.div_ceil(QUERY_ROWS), batch];
    let shared = 1024 + (2 * QUERY_ROWS + 4 * KEYS) * tile_row(width);
    cx.launch(kernel, name, grid, QUERY_ROWS * 2, shared, &mut arguments)
}
