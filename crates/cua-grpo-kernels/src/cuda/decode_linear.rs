//! Linear maps of a decode step: dense or four-bit weights, joined where they lie beside each other, and their adapters.

use super::decode::{DecodeLinear, DecodeModel, DecodeWeight, cube, primitive};
use super::decode_state::Buffers;
use super::decode_wide::{suits_wide, wide};
use super::error::CudaError;
use super::gemm::{Element, Product};
use super::section::{Address, Arguments, Section};
use super::source;
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// Columns of the output that a linear map writes: where they start and how far apart rows are.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub at: Address,
    pub row: usize,
}

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
    if suits_wide(cx.gpu.chains, maps, width, rows) {
        wide(cx, buffers, maps, x, width, outputs[0])?;
        return adapters(cx, buffers, maps, x, width, outputs);
    }
    let mut number = 0;
    while number < maps.len() {
        let output = outputs[number];
        match &maps[number].weight {
            DecodeWeight::Dense(weight) => {
                let weight = whole(primitive(weight)?)?;
                let first = cx.address(&weight)?;
                let mut columns = maps[number].shape()[0];
                while let Some(DecodeWeight::Dense(next)) = maps.get(number + 1).map(|map| &map.weight) {
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
            DecodeWeight::Nf4 { codes, absmax, shape } => {
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

/// A product that reads four-bit weights as such, at most 32 rows at a time.
fn four_bits(
    cx: &mut Section<'_>,
    rows: usize,
    [n, k]: [usize; 2],
    x: Address,
    codes: Address,
    absmax: Address,
    output: Output,
) -> Result<(), CudaError> {
    for start in (0..rows).step_by(32) {
        let count = (rows - start).min(32);
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
        let blocks = n.div_ceil(16).min(cx.gpu.multiprocessors);
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
        let Some((a, b, scaling)) = &map.lora else { continue };
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
    if rank > super::decode_state::MOST_RANK {
        return Err(CudaError::new("decoder: expected adapters of rank 256 at most", rank));
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

/// Rows that the adapter kernels take at a time.
const LORA_ROWS: usize = 64;

/// Into how many parts `width` columns are cut for `numbers` sums.
fn lora_splits(width: usize, numbers: usize) -> usize {
    width.div_ceil(if numbers <= 512 { 256 } else { 1024 })
}

/// Floats of scratch that [`adapters`] needs for maps of at most `width` inputs.
pub(super) fn lora_scratch(width: usize) -> usize {
    let most = LORA_ROWS * super::decode_state::MOST_RANK;
    4 * (lora_splits(width, 512) * 512).max(lora_splits(width, most) * most)
}

/// Weights are read by address: burn must not have padded their rows.
pub(super) fn whole(weight: CubeTensor) -> Result<CubeTensor, CudaError> {
    let strides = weight.meta.strides();
    if strides[strides.len() - 1] == 1 && strides[0] == weight.meta.shape()[strides.len() - 1] {
        Ok(weight)
    } else {
        let found = format!("shape {:?} with strides {strides:?}", weight.meta.shape());
        Err(CudaError::new(
            "decoder: expected a weight without gaps between its rows",
            found,
        ))
    }
}

impl DecodeLinear {
    /// `[out, in]`
    pub(super) fn shape(&self) -> [usize; 2] {
        match &self.weight {
            DecodeWeight::Dense(weight) => weight.dims(),
            DecodeWeight::Nf4 { shape, .. } => *shape,
        }
    }
}

impl DecodeModel {
    /// Whether any map has an adapter.
    pub(super) fn has_adapter(&self) -> bool {
        self.layers.iter().any(|layer| {
            let maps = layer.qkv.iter().chain(&layer.gate_up).chain([&layer.o, &layer.down]);
            maps.into_iter().any(|map| map.lora.is_some())
        })
    }
}
