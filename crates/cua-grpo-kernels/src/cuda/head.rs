//! The output head and the scores of given tokens, in chunks of rows: logits are in f32, and never held in full.

use super::blas::{Element, Product};
use super::error::CudaError;
use super::section::{Address, Arguments, Section, section};
use super::source;
use super::tensor::{dense, element_of, empty, rows_of};
use burn::tensor::DType;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

/// Threads of a block.
const BLOCK: usize = 512;

/// What the backward pass reads. The head is frozen.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    hidden: CubeTensor,
    weight: CubeTensor,
    targets: CubeTensor,
    lse: CubeTensor,
    temperature: f64,
    chunk_rows: usize,
}

/// Addresses and sizes of one chunk.
struct Chunk {
    start: usize,
    rows: usize,
}

fn chunks(rows: usize, most: usize) -> impl Iterator<Item = Chunk> {
    let most = most.max(1);
    (0..rows).step_by(most).map(move |start| Chunk {
        start,
        rows: most.min(rows - start),
    })
}

/// Logits of a chunk, in f32.
fn logits(
    cx: &mut Section<'_>,
    chunk: &Chunk,
    hidden: Address,
    weight: Address,
    out: Address,
    (vocab, width, dtype): (usize, usize, DType),
) -> Result<(), CudaError> {
    let product = Product {
        output: Element::F32,
        ..Product::linear(chunk.rows, vocab, width, element_of(dtype))
    };
    let hidden = hidden + (chunk.start * width * dtype.size()) as u64;
    cx.multiply(product, 1.0, hidden, weight, None, out)
}

/// Log-probs and entropies `[2, rows]` of `targets` under `hidden W^T / temperature`.
pub(super) fn scores(
    hidden: CubeTensor,
    weight: CubeTensor,
    targets: CubeTensor,
    temperature: f64,
    chunk_rows: usize,
) -> (CubeTensor, Saved) {
    let (hidden, weight) = (into_contiguous(hidden), into_contiguous(weight));
    let targets = dense(targets, DType::I32);
    let ([rows, width], vocab) = (rows_of(&hidden), rows_of(&weight)[0]);
    let out = empty(&hidden, [2, rows], DType::F32);
    let lse = empty(&hidden, [rows], DType::F32);
    let buffer = empty(&hidden, [chunk_rows.min(rows), vocab], DType::F32);
    let dtype = hidden.dtype;
    let tensors = [&hidden, &weight, &buffer, &targets, &lse, &out];
    section(tensors, move |cx, [phidden, pweight, pbuffer, ptargets, plse, pout]| {
        for chunk in chunks(rows, chunk_rows) {
            logits(cx, &chunk, phidden, pweight, pbuffer, (vocab, width, dtype))?;
            let offset = (chunk.start * 4) as u64;
            let mut arguments = Arguments::default()
                .address(plse + offset)
                .address(pout + offset)
                .address(pout + (rows * 4) as u64 + offset)
                .address(pbuffer)
                .address(ptargets + offset)
                .long(chunk.rows)
                .long(vocab)
                .long(vocab)
                .float(1.0 / temperature);
            let kernel = source::scores(DType::F32);
            cx.launch(
                kernel,
                "token_scores_forward",
                [chunk.rows, 1, 1],
                BLOCK,
                0,
                &mut arguments,
            )?;
        }
        Ok(())
    });
    let saved = Saved {
        hidden,
        weight,
        targets,
        lse,
        temperature,
        chunk_rows,
    };
    (out, saved)
}

/// The gradient of the hidden states from that of [`scores`] `[2, rows]`; that of the entropies is not read.
pub(super) fn backward(grad: CubeTensor, saved: &Saved) -> CubeTensor {
    let Saved {
        hidden,
        weight,
        targets,
        lse,
        temperature,
        chunk_rows,
    } = saved;
    let grad = dense(grad, DType::F32);
    let ([rows, width], vocab, dtype) = (rows_of(hidden), rows_of(weight)[0], hidden.dtype);
    let d_hidden = empty(hidden, [rows, width], dtype);
    let most = (*chunk_rows).min(rows);
    let buffer = empty(hidden, [most, vocab], DType::F32);
    let narrow = (dtype != DType::F32).then(|| empty(hidden, [most, vocab], dtype));
    let (temperature, narrowed) = (*temperature, narrow.is_some());
    let tensors = [
        hidden,
        weight,
        &buffer,
        targets,
        lse,
        &grad,
        &d_hidden,
        narrow.as_ref().unwrap_or(&buffer),
    ];
    section(tensors, move |cx, addresses| {
        let [phidden, pweight, pbuffer, ptargets, plse, pgrad, pd_hidden, pnarrow] = addresses;
        for chunk in chunks(rows, most) {
            logits(cx, &chunk, phidden, pweight, pbuffer, (vocab, width, dtype))?;
            let offset = (chunk.start * 4) as u64;
            let mut arguments = Arguments::default()
                .address(pbuffer)
                .address(pbuffer)
                .address(ptargets + offset)
                .address(plse + offset)
                .address(0)
                .address(pgrad + offset)
                .address(0)
                .long(chunk.rows)
                .long(vocab)
                .long(vocab)
                .float(1.0 / temperature)
                .float(1.0);
            let kernel = source::scores(DType::F32);
            cx.launch(
                kernel,
                "token_scores_backward",
                [chunk.rows, 1, 1],
                BLOCK,
                0,
                &mut arguments,
            )?;
            let mut d_logits = pbuffer;
            if narrowed {
                let count = chunk.rows * vocab;
                let mut arguments = Arguments::default().address(pnarrow).address(pbuffer).long(count);
                let blocks = count.div_ceil(256 * 8).min(8 * cx.gpu.card.multiprocessors);
                let kernel = source::pointwise(DType::BF16);
                cx.launch(kernel, "cast_f32_to_bf16", [blocks, 1, 1], 256, 0, &mut arguments)?;
                d_logits = pnarrow;
            }
            let product = Product::plain(chunk.rows, width, vocab, element_of(dtype));
            let place = pd_hidden + (chunk.start * width * dtype.size()) as u64;
            cx.multiply(product, 1.0, d_logits, pweight, None, place)?;
        }
        Ok(())
    });
    d_hidden
}
