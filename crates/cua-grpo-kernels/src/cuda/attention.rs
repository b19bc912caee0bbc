//! Attention on the card: blocks of keys with a running maximum, and gradients from the log-sum-exp.

use super::error::CudaError;
use super::heads::{Heads, heads_first};
use super::section::{Address, Arguments, Section, section};
use super::source::{self, Source};
use super::tensor::empty;
use burn::tensor::DType;
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;

/// What the backward pass reads.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    q: Heads,
    k: Heads,
    v: Heads,
    out: Heads,
    /// Log-sum-exp of the scaled scores `[batch, heads, time_q]`.
    lse: CubeTensor,
    causal: bool,
    stretches: Vec<Stretch>,
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

/// A launch of the forward kernel.
#[derive(Clone, Copy)]
pub(super) struct Forward {
    pub batch: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub time_q: usize,
    pub time_k: usize,
    pub width: usize,
    /// Of queries, keys, values and the output.
    pub strides: [[usize; 3]; 4],
    pub causal: bool,
}

impl Forward {
    /// Launches on queries, keys, values, the output, and the log-sum-exp.
    pub fn launch(&self, cx: &mut Section<'_>, operands: [Address; 4], lse: Address) -> Result<(), CudaError> {
        const ROWS: usize = 64;
        const KEYS: usize = 64;
        let mut arguments = Arguments::default();
        for (address, strides) in operands.into_iter().zip(self.strides) {
            arguments = arguments.address(address).strides(strides);
        }
        let mut arguments = arguments
            .address(lse)
            .int(self.heads)
            .int(self.kv_heads)
            .int(self.time_q)
            .int(self.time_k)
            .float((self.width as f64).powf(-0.5))
            .address(0)
            .address(0);
        let name = if self.causal {
            "attention_forward_causal"
        } else {
            "attention_forward_full"
        };
        let grid = [self.heads, self.time_q.div_ceil(ROWS), self.batch];
        let shared = 1024 + (ROWS + 4 * KEYS) * tile_row(self.width);
        let kernel = text(source::attention_forward(self.width))?;
        cx.launch(kernel, name, grid, 2 * ROWS, shared, &mut arguments)
    }
}

/// Sequences of one length that stand one after the other: those of one launch.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    /// The first token, counted over the tokens of the batch row.
    first: usize,
    count: usize,
    length: usize,
}

/// Neighbours of like length together.
fn stretches(segments: &[usize]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut first = 0;
    for &length in segments.iter().filter(|&&length| length > 0) {
        match stretches.last_mut() {
            Some(stretch) if stretch.length == length => stretch.count += 1,
            _ => stretches.push(Stretch {
                first,
                count: 1,
                length,
            }),
        }
        first += length;
    }
    stretches
}

impl Stretch {
    /// Strides that make a batch of the sequences, from those of the row they stand in.
    fn strides<const N: usize>(&self, row: [[usize; 3]; N]) -> [[usize; 3]; N] {
        row.map(|[_, head, token]| [self.length * token, head, token])
    }

    /// Where the first token lies.
    fn place<const N: usize>(&self, at: [Address; N], row: &[[usize; 3]]) -> [Address; N] {
        let mut at = at;
        for (at, [_, _, token]) in at.iter_mut().zip(row) {
            *at += (2 * self.first * token) as u64;
        }
        at
    }
}

/// As [`crate::attention()`] with the mask `Causal` or `All`, or `Segments` where there are some.
pub(super) fn attention(
    q: CubeTensor,
    k: CubeTensor,
    v: CubeTensor,
    causal: bool,
    segments: &[usize],
) -> (CubeTensor, Saved) {
    let [q, k, v] = [q, k, v].map(Heads::aligned);
    let [batch, heads, time_q, width] = q.shape;
    let [_, kv_heads, time_k, _] = k.shape;
    let out = heads_first(&q.tensor, q.shape);
    let lse = empty(&q.tensor, [batch, heads, time_q], DType::F32);
    let strides = [&q, &k, &v, &out].map(|heads| heads.strides);
    let whole = Forward {
        batch,
        heads,
        kv_heads,
        time_q,
        time_k,
        width,
        strides,
        causal,
    };
    let stretches = stretches(segments);
    let tensors = [&q.tensor, &k.tensor, &v.tensor, &out.tensor, &lse];
    let parts = stretches.clone();
    section(tensors, move |cx, [q, k, v, out, lse]| {
        let operands = [q, k, v, out];
        if parts.is_empty() {
            return whole.launch(cx, operands, lse);
        }
        for stretch in parts {
            let part = Forward {
                batch: stretch.count,
                time_q: stretch.length,
                time_k: stretch.length,
                strides: stretch.strides(strides),
                ..whole
            };
            part.launch(
                cx,
                stretch.place(operands, &strides),
                lse + (4 * heads * stretch.first) as u64,
            )?;
        }
        Ok(())
    });
    let saved = Saved {
        q,
        k,
        v,
        out: out.clone(),
        lse,
        causal,
        stretches,
    };
    (out.tensor, saved)
}

/// A launch of the gradient kernels.
#[derive(Clone, Copy)]
pub(super) struct Backward {
    pub batch: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub time_q: usize,
    pub time_k: usize,
    pub width: usize,
    /// Of queries, keys, values, the gradient of the output, and the output.
    pub strides: [[usize; 3]; 5],
    /// Of the gradients of queries, keys and values.
    pub d_strides: [[usize; 3]; 3],
    pub causal: bool,
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
        stretches,
    } = saved;
    let grad = Heads::aligned(cast(grad, q.tensor.dtype));
    let [batch, heads, time_q, width] = q.shape;
    let [_, kv_heads, time_k, _] = k.shape;
    let d_q = heads_first(&q.tensor, q.shape);
    let d_k = heads_first(&k.tensor, k.shape);
    let d_v = heads_first(&v.tensor, v.shape);
    let rows = empty(&q.tensor, [batch, heads, time_q, 2], DType::F32);
    let whole = Backward {
        batch,
        heads,
        kv_heads,
        time_q,
        time_k,
        width,
        strides: [q, k, v, &grad, out].map(|heads| heads.strides),
        d_strides: [&d_q, &d_k, &d_v].map(|heads| heads.strides),
        causal: *causal,
    };
    let tensors = [
        &q.tensor,
        &k.tensor,
        &v.tensor,
        &grad.tensor,
        &out.tensor,
        lse,
        &rows,
        &d_q.tensor,
        &d_k.tensor,
        &d_v.tensor,
    ];
    let stretches = stretches.clone();
    section(tensors, move |cx, [q, k, v, grad, out, lse, rows, d_q, d_k, d_v]| {
        let (inputs, outputs) = ([q, k, v, grad, out], [d_q, d_k, d_v]);
        if stretches.is_empty() {
            return whole.launch(cx, inputs, [lse, rows], outputs);
        }
        for stretch in stretches {
            let part = Backward {
                batch: stretch.count,
                time_q: stretch.length,
                time_k: stretch.length,
                strides: stretch.strides(whole.strides),
                d_strides: stretch.strides(whole.d_strides),
                ..whole
            };
            let inputs = stretch.place(inputs, &whole.strides);
            let outputs = stretch.place(outputs, &whole.d_strides);
            let before = (4 * heads * stretch.first) as u64;
            part.launch(cx, inputs, [lse + before, rows + 2 * before], outputs)?;
        }
        Ok(())
    });
    [d_q.tensor, d_k.tensor, d_v.tensor]
}

impl Backward {
    /// Launches on queries, keys, values, the gradient of the output and the output; on the log-sum-exp and space for two
    /// f32 a query and head; and on the gradients.
    pub fn launch(
        &self,
        cx: &mut Section<'_>,
        inputs: [Address; 5],
        [lse, rows]: [Address; 2],
        [d_q, d_k, d_v]: [Address; 3],
    ) -> Result<(), CudaError> {
        let kernel = text(source::attention_backward(self.width))?;
        let [q, k, v, grad, out] = inputs;
        let [.., grad_strides, out_strides] = self.strides;
        let mut arguments = Arguments::addresses([out])
            .strides(out_strides)
            .address(grad)
            .strides(grad_strides)
            .address(lse)
            .address(rows)
            .int(self.heads)
            .int(self.time_q)
            .address(0);
        let grid = [self.time_q.div_ceil(16), self.heads, self.batch];
        cx.launch(kernel, "attention_backward_prepare", grid, 256, 0, &mut arguments)?;
        let inputs = [q, k, v, grad];
        let [q_strides, k_strides, v_strides] = self.d_strides;
        let keys = self.arguments(inputs, rows, &[(d_k, k_strides), (d_v, v_strides)]);
        self.keys(cx, kernel, keys)?;
        self.queries(cx, kernel, self.arguments(inputs, rows, &[(d_q, q_strides)]))
    }

    /// The arguments of a gradient kernel that writes `outputs`, each an address with its strides.
    fn arguments(&self, inputs: [Address; 4], rows: Address, outputs: &[(Address, [usize; 3])]) -> Arguments {
        let mut arguments = Arguments::default();
        for (address, strides) in inputs.into_iter().zip(self.strides) {
            arguments = arguments.address(address).strides(strides);
        }
        arguments = arguments.address(rows);
        for &(address, strides) in outputs {
            arguments = arguments.address(address).strides(strides);
        }
        arguments
            .int(self.heads)
            .int(self.kv_heads)
            .int(self.time_q)
            .int(self.time_k)
            .float((self.width as f64).powf(-0.5))
            .address(0)
            .address(0)
    }

    fn keys(&self, cx: &mut Section<'_>, kernel: Source, mut arguments: Arguments) -> Result<(), CudaError> {
        const KEY_ROWS: usize = 64;
        const QUERIES: usize = 64;
        let name = if self.causal {
            "attention_backward_keys_causal"
        } else {
            "attention_backward_keys_full"
        };
        let grid = [self.kv_heads, self.time_k.div_ceil(KEY_ROWS), self.batch];
        let shared = 1024 + (2 * KEY_ROWS + 4 * QUERIES) * tile_row(self.width) + 16 * QUERIES;
        cx.launch(kernel, name, grid, KEY_ROWS * 2, shared, &mut arguments)
    }

    fn queries(&self, cx: &mut Section<'_>, kernel: Source, mut arguments: Arguments) -> Result<(), CudaError> {
        const QUERY_ROWS: usize = 64;
        const KEYS: usize = 64;
        let name = if self.causal {
            "attention_backward_queries_causal"
        } else {
            "attention_backward_queries_full"
        };
        let grid = [self.heads, self.time_q.div_ceil(QUERY_ROWS), self.batch];
        let shared = 1024 + (2 * QUERY_ROWS + 4 * KEYS) * tile_row(self.width);
        cx.launch(kernel, name, grid, QUERY_ROWS * 2, shared, &mut arguments)
    }
}
