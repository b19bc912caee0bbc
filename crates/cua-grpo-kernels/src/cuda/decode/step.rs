//! The launches of one decode step, in order; every argument is an address or a constant, so they can be captured.

use super::buffers::{Buffers, Sizes};
use super::limits::{MOST_STOP_IDS, groups, suits_few};
use super::linear::{columns, linears};
use super::model::{DecodeLayer, DecodeModel};
use super::product::{Ending, Group, product};
use super::wide::Output;
use crate::cuda::blas::{Element, Product};
use crate::cuda::error::CudaError;
use crate::cuda::section::{Address, Arguments, Section};
use crate::cuda::source;
use crate::cuda::tensor::{primitive, whole};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// One token a row through the whole model, the draw and the bookkeeping.
pub(super) fn step(
    cx: &mut Section<'_>,
    model: &DecodeModel,
    cache: &[[CubeTensor; 2]],
    buffers: &Buffers,
) -> Result<(), CudaError> {
    let Sizes {
        rows, hidden, vocab, ..
    } = buffers.sizes;
    // The counters of the products start a step at 0.
    if model.has_adapter() {
        cx.zero(buffers.ready, 4 * groups(model))?;
    }
    let embedding = cx.address(&whole(primitive(&model.embedding)?)?)?;
    let mut arguments = Arguments::default()
        .address(buffers.x)
        .address(embedding)
        .address(buffers.ids)
        .long(rows)
        .long(hidden)
        .long(vocab);
    cx.launch(
        source::pointwise(DType::BF16),
        "gather_rows_i32",
        [rows, 1, 1],
        256,
        0,
        &mut arguments,
    )?;
    cx.chained = suits_few(&cx.gpu.card, model, rows);
    if cx.chained {
        few_rows(cx, model, cache, buffers)
    } else {
        many_rows(cx, model, cache, buffers)
    }
}

/// The layers, the head and the draw where a launch takes a product with all that stands around it.
fn few_rows(
    cx: &mut Section<'_>,
    model: &DecodeModel,
    cache: &[[CubeTensor; 2]],
    buffers: &Buffers,
) -> Result<(), CudaError> {
    let Sizes { hidden, mlp, vocab, .. } = buffers.sizes;
    let inner = model.heads * model.head_dim;
    let wide = inner + 2 * model.kv_heads * model.head_dim;
    for (number, (layer, cache)) in model.layers.iter().zip(cache).enumerate() {
        let (input_norm, mlp_norm) = (primitive(&layer.input_norm)?, primitive(&layer.mlp_norm)?);
        expect_bf16(&input_norm)?;
        expect_bf16(&mlp_norm)?;
        let qkv = Group {
            maps: &layer.qkv,
            x: buffers.x,
            width: hidden,
            norm: Some((&input_norm, model.eps)),
            ending: Ending::Store,
            y: buffers.qkv,
            y_row: wide,
            number: 4 * number,
        };
        product(cx, buffers, &qkv)?;
        attend(cx, model, buffers, layer, cache)?;
        let o = Group {
            maps: std::slice::from_ref(&layer.o),
            x: buffers.attended,
            width: inner,
            norm: None,
            ending: Ending::Add,
            y: buffers.x,
            y_row: hidden,
            number: 4 * number + 1,
        };
        product(cx, buffers, &o)?;
        let gate_up = Group {
            maps: &layer.gate_up,
            x: buffers.x,
            width: hidden,
            norm: Some((&mlp_norm, model.eps)),
            ending: Ending::Gated,
            y: buffers.gated,
            y_row: mlp,
            number: 4 * number + 2,
        };
        product(cx, buffers, &gate_up)?;
        let down = Group {
            maps: std::slice::from_ref(&layer.down),
            x: buffers.gated,
            width: mlp,
            number: 4 * number + 3,
            ..o
        };
        product(cx, buffers, &down)?;
    }
    let norm = primitive(&model.norm)?;
    expect_bf16(&norm)?;
    let head = [model.head_map()];
    let head = Group {
        maps: &head,
        x: buffers.x,
        width: hidden,
        norm: Some((&norm, model.eps)),
        ending: Ending::Wide,
        y: buffers.logits,
        y_row: vocab,
        number: groups(model) - 1,
    };
    product(cx, buffers, &head)?;
    sample(cx, buffers)
}

/// The layers, the head and the draw with the products of the vendor library, or those in parts of the rows.
fn many_rows(
    cx: &mut Section<'_>,
    model: &DecodeModel,
    cache: &[[CubeTensor; 2]],
    buffers: &Buffers,
) -> Result<(), CudaError> {
    let Sizes { rows, hidden, mlp, .. } = buffers.sizes;
    let mut pending = 0;
    let wide = (model.heads + 2 * model.kv_heads) * model.head_dim;
    for (layer, cache) in model.layers.iter().zip(cache) {
        norm(cx, model, buffers, pending, &primitive(&layer.input_norm)?)?;
        let outputs = columns(&layer.qkv, buffers.qkv, wide);
        linears(cx, buffers, &layer.qkv, buffers.normed, hidden, &outputs)?;
        attend(cx, model, buffers, layer, cache)?;
        let out = [Output {
            at: buffers.delta,
            row: hidden,
        }];
        let inner = model.heads * model.head_dim;
        linears(
            cx,
            buffers,
            std::slice::from_ref(&layer.o),
            buffers.attended,
            inner,
            &out,
        )?;
        norm(cx, model, buffers, buffers.delta, &primitive(&layer.mlp_norm)?)?;
        let outputs = columns(&layer.gate_up, buffers.gate_up, 2 * mlp);
        linears(cx, buffers, &layer.gate_up, buffers.normed, hidden, &outputs)?;
        let mut arguments = Arguments::default()
            .address(buffers.gated)
            .address(buffers.gate_up)
            .address(buffers.gate_up + (2 * mlp) as u64)
            .long(rows)
            .long(mlp)
            .long(2 * mlp)
            .long(2 * mlp)
            .long(mlp);
        let blocks = (rows * mlp).div_ceil(256 * 8).min(8 * cx.gpu.card.multiprocessors);
        cx.link(
            source::pointwise(DType::BF16),
            "swiglu_forward",
            [blocks, 1, 1],
            256,
            0,
            &mut arguments,
        )?;
        linears(cx, buffers, std::slice::from_ref(&layer.down), buffers.gated, mlp, &out)?;
        pending = buffers.delta;
    }
    norm(cx, model, buffers, pending, &primitive(&model.norm)?)?;
    let head = cx.address(&whole(primitive(&model.head)?)?)?;
    let normed = buffers.normed;
    draw(cx, buffers, normed, head)
}

/// Logits in f32, the draw, and what follows from it.
pub(super) fn draw(cx: &mut Section<'_>, buffers: &Buffers, hidden: Address, head: Address) -> Result<(), CudaError> {
    let Sizes {
        rows,
        vocab,
        hidden: width,
        ..
    } = buffers.sizes;
    let product = Product {
        output: Element::F32,
        ..Product::linear(rows, vocab, width, Element::Bf16)
    };
    cx.multiply(product, 1.0, hidden, head, None, buffers.logits)?;
    sample(cx, buffers)
}

/// The draw from the logits, and what follows from it.
fn sample(cx: &mut Section<'_>, buffers: &Buffers) -> Result<(), CudaError> {
    let Sizes {
        rows,
        vocab,
        max_len,
        history,
        ..
    } = buffers.sizes;
    let kernel = source::sample(DType::F32);
    let mut arguments = Arguments::default().address(buffers.token);
    for score in buffers.scores {
        arguments = arguments.address(score);
    }
    let mut arguments = arguments
        .address(buffers.logits)
        .long(vocab)
        .int(vocab)
        .address(buffers.temperature)
        .address(buffers.top_k)
        .address(buffers.top_p)
        .address(buffers.seed)
        .address(buffers.step);
    let (blocks, threads) = match cx.gpu.card.is_hopper_or_newer() {
        true => (8 * rows, 512),
        false => (rows, 1024),
    };
    cx.link(kernel, "sample", [blocks, 1, 1], threads, 0, &mut arguments)?;
    let mut arguments = Arguments::default().address(buffers.token);
    for score in buffers.scores {
        arguments = arguments.address(score);
    }
    let mut arguments = arguments
        .address(buffers.ids)
        .address(buffers.column)
        .address(buffers.lens)
        .address(buffers.position)
        .address(buffers.step)
        .address(buffers.finished)
        .address(buffers.limit)
        .address(buffers.stop_ids)
        .int(MOST_STOP_IDS)
        .int(buffers.pad as usize)
        .address(buffers.tokens)
        .address(buffers.score_history)
        .int(history)
        .int(max_len)
        .int(rows)
        .address(buffers.active);
    cx.link(kernel, "advance", [1, 1, 1], 256, 0, &mut arguments)
}

/// `x += delta` (where there is one), then `normed = rms(x)`.
fn norm(
    cx: &mut Section<'_>,
    model: &DecodeModel,
    buffers: &Buffers,
    delta: Address,
    weight: &CubeTensor,
) -> Result<(), CudaError> {
    let Sizes { rows, hidden, .. } = buffers.sizes;
    expect_bf16(weight)?;
    let mut arguments = Arguments::default()
        .address(buffers.x)
        .address(buffers.normed)
        .address(delta)
        .address(cx.address(weight)?)
        .long(rows)
        .int(hidden)
        .float(model.eps);
    cx.link(
        source::norm(DType::BF16),
        "residual_rms",
        [rows, 1, 1],
        256,
        0,
        &mut arguments,
    )
}

/// Head norms, rotary embedding, cache write, and attention over the cache.
fn attend(
    cx: &mut Section<'_>,
    model: &DecodeModel,
    buffers: &Buffers,
    layer: &DecodeLayer,
    [keys, values]: &[CubeTensor; 2],
) -> Result<(), CudaError> {
    let Sizes {
        rows, max_len, splits, ..
    } = buffers.sizes;
    let (heads, kv_heads, width) = (model.heads, model.kv_heads, model.head_dim);
    let wide = (heads + 2 * kv_heads) * width;
    let (q_norm, k_norm) = (primitive(&layer.q_norm)?, primitive(&layer.k_norm)?);
    expect_bf16(&q_norm)?;
    let (keys, values) = (cx.address(keys)?, cx.address(values)?);
    let mut arguments = Arguments::default()
        .address(buffers.q)
        .address(keys)
        .address(values)
        .address(buffers.qkv)
        .address(cx.address(&q_norm)?)
        .address(cx.address(&k_norm)?)
        .address(buffers.position)
        .address(buffers.column)
        .address(buffers.frequencies)
        .int(rows)
        .int(heads)
        .int(kv_heads)
        .int(width)
        .long(wide)
        .long(max_len)
        .int(model.sections[0])
        .int(model.sections[1])
        .float(model.eps)
        .int(1);
    let blocks = (rows * (heads + 2 * kv_heads)).div_ceil(4);
    cx.link(
        source::rotary(DType::BF16),
        "qkv_rope_cache",
        [blocks, 1, 1],
        128,
        0,
        &mut arguments,
    )?;
    let kernel = source::attention_decode(width)
        .ok_or_else(|| CudaError::new("decoder: no attention kernel for heads of", width))?;
    let name = if heads / kv_heads <= 8 {
        "attention_decode_8"
    } else {
        "attention_decode_16"
    };
    let mut arguments = Arguments::default()
        .address(buffers.q)
        .address(keys)
        .address(values)
        .address(buffers.attended)
        .address(buffers.lens)
        .address(buffers.partial)
        .address(buffers.counters)
        .int(heads)
        .int(kv_heads)
        .int(max_len)
        .float((width as f64).powf(-0.5));
    cx.link(kernel, name, [splits, kv_heads, rows], 128, 0, &mut arguments)
}

fn expect_bf16(weight: &CubeTensor) -> Result<(), CudaError> {
    if weight.dtype == DType::BF16 {
        Ok(())
    } else {
        Err(CudaError::new("decoder: expected norms in bf16", weight.dtype))
    }
}
