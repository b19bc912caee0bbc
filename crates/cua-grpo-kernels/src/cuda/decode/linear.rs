//! Linear maps of a decode step: dense or four-bit weights, joined where they lie beside each other, and their adapters.

use super::buffers::Buffers;
use super::limits::{FOUR_BIT_ROWS, LORA_ROWS, MOST_RANK, lora_splits, suits_wide};
use super::model::DecodeLinear;
use super::wide::{Output, wide};
use crate::cuda::blas::{Element, Product};
use crate::cuda::error::CudaError;
use crate::cuda::section::{Address, Arguments, Section};
use crate::cuda::source;
use crate::cuda::tensor::{cube, primitive, whole};
use crate::weight::{Lora, Nf4, Weight};
use burn::tensor::DType;

/// Where each map of a group writes in the joined output.
pub(super) fn columns(maps: &[DecodeLinear], at: Address, row: usize) -> Vec<Output> {
    let mut start = 0;
    let place = maps.iter().map(|map| {
        let place = Output {
            at: at + (start * 2) as u64,
            row,
        };
        start += map.shape()[0];
        place
    });
    place.collect()
}

/// Linear maps that read the same input. Weights that lie one after the other are multiplied as one.
pub(super) fn linears(
    cx: &mut Section<'_>,
    buffers: &Buffers,
    maps: &[DecodeLinear],
    x: Address,
    width: usize,
    outputs: &[Output],
) -> Result<(), CudaError> {
    let rows = buffers.sizes.rows;
    if suits_wide(&cx.gpu.card, maps, width, rows) {
        wide(cx, buffers, maps, x, width, outputs[0])?;
        return adapters(cx, buffers, maps, x, width, outputs);
    }
    let mut number = 0;
    while number < maps.len() {
        let output = outputs[number];
        match &maps[number].weight {
            Weight::Dense(weight) => {
                let weight = whole(primitive(weight)?)?;
                let first = cx.address(&weight)?;
                let mut columns = maps[number].shape()[0];
                while let Some(Weight::Dense(next)) = maps.get(number + 1).map(|map| &map.weight) {
                    if cx.address(&whole(primitive(next)?)?)? != first + (columns * width * 2) as u64 {
                        break;
                    }
                    number += 1;
                    columns += maps[number].shape()[0];
                }
                let product = Product {
                    d_stride: output.row,
                    ..Product::linear(rows, columns, width, Element::Bf16)
                };
                cx.multiply(product, 1.0, x, first, None, output.at)?;
            }
            Weight::Nf4(Nf4 { codes, absmax, shape }) => {
                let codes = cube(codes.clone().into_dispatch())?;
                let absmax = primitive(absmax)?;
                let (codes, absmax) = (cx.address(&codes)?, cx.address(&absmax)?);
                four_bits(cx, rows, *shape, x, codes, absmax, output)?;
            }
        }
        number += 1;
    }
    adapters(cx, buffers, maps, x, width, outputs)
}

/// A product that reads four-bit weights as such.
fn four_bits(
    cx: &mut Section<'_>,
    rows: usize,
    [n, k]: [usize; 2],
    x: Address,
    codes: Address,
    absmax: Address,
    output: Output,
) -> Result<(), CudaError> {
    for start in (0..rows).step_by(FOUR_BIT_ROWS) {
        let count = (rows - start).min(FOUR_BIT_ROWS);
        let name = match count {
            0..=8 => "nf4_gemm_8",
            9..=16 => "nf4_gemm_16",
            _ => "nf4_gemm_32",
        };
        let mut arguments = Arguments::default()
            .address(output.at + (start * output.row * 2) as u64)
            .address(x + (start * k * 2) as u64)
            .address(codes)
            .address(absmax)
            .address(0)
            .int(count)
            .int(n)
            .int(k)
            .long(k)
            .long(output.row);
        let blocks = n.div_ceil(16).min(cx.gpu.card.multiprocessors);
        cx.link(
            source::nf4(DType::BF16),
            name,
            [blocks, 1, 1],
            640,
            229_376,
            &mut arguments,
        )?;
    }
    Ok(())
}

/// Adds the low-rank updates of maps that read the same input.
fn adapters(
    cx: &mut Section<'_>,
    buffers: &Buffers,
    maps: &[DecodeLinear],
    x: Address,
    width: usize,
    outputs: &[Output],
) -> Result<(), CudaError> {
    let mut words = Vec::new();
    let (mut rank, mut blocks) = (0, 0);
    for (map, output) in maps.iter().zip(outputs) {
        let Some(Lora { a, b, scaling }) = &map.lora else {
            continue;
        };
        let (a, b) = (primitive(a)?, primitive(b)?);
        let (n, r) = (b.meta.shape()[0], b.meta.shape()[1]);
        words.extend([cx.address(&a)?, cx.address(&b)?, output.at, output.row as u64]);
        words.extend([(n as u64) | ((r as u64) << 32), u64::from((*scaling as f32).to_bits())]);
        rank = rank.max(r);
        blocks += n.div_ceil(128);
    }
    if words.is_empty() {
        return Ok(());
    }
    if rank > MOST_RANK {
        let expected = format!("decoder: expected adapters of rank {MOST_RANK} at most");
        return Err(CudaError::new(expected, rank));
    }
    let (count, rows) = (words.len() / 6, buffers.sizes.rows);
    words.resize(24, 0);
    for start in (0..rows).step_by(LORA_ROWS) {
        let part = (rows - start).min(LORA_ROWS);
        let splits = lora_splits(width, part * rank);
        let mut shifted = words.clone();
        for module in shifted.chunks_exact_mut(6) {
            module[2] += start as u64 * module[3] * 2;
        }
        let mut arguments = Arguments::default()
            .address(buffers.lora)
            .address(x + (start * width * 2) as u64)
            .long(width)
            .structure(&shifted)
            .int(count)
            .int(part)
            .int(width)
            .int(splits);
        cx.link(
            source::lora(),
            "lora_shrink",
            [splits * count * part.div_ceil(8) * rank.div_ceil(16), 1, 1],
            128,
            0,
            &mut arguments,
        )?;
        let mut arguments = Arguments::default()
            .address(buffers.lora)
            .structure(&shifted)
            .int(count)
            .int(part)
            .int(splits);
        cx.link(
            source::lora(),
            "lora_expand",
            [part.div_ceil(8) * blocks, 1, 1],
            128,
            0,
            &mut arguments,
        )?;
    }
    Ok(())
}
