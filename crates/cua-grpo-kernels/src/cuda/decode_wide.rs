//! Four-bit products of a decode step with more rows than one tile of the tensor cores has, 32 rows at a time: parts of the
//! columns, then their sum. The kernels are in `product_wide.cu`.

use super::decode::{DecodeLinear, DecodeModel, DecodeWeight, cube, primitive};
use super::decode_linear::Output;
use super::decode_product::MOST_ROWS;
use super::decode_state::Buffers;
use super::error::CudaError;
use super::section::{Address, Arguments, Section};
use super::source;
use burn::tensor::DType;

/// Rows of one launch.
const ROWS: usize = 32;
/// Columns of a part.
const PART: usize = 1024;

/// Whether maps that read the same input of `width` columns can be multiplied here with `rows` rows.
pub(super) fn suits_wide(chains: bool, maps: &[DecodeLinear], width: usize, rows: usize) -> bool {
    let fits = |map: &DecodeLinear| {
        matches!(map.weight, DecodeWeight::Nf4 { .. }) && map.shape()[0].is_multiple_of(16) && map.shape()[1] == width
    };
    chains && rows > MOST_ROWS && width.is_multiple_of(256) && maps.len() <= 3 && maps.iter().all(fits)
}

/// Floats of scratch for the parts of the largest group of `model`, or 0 where no group comes here.
pub(super) fn wide_scratch(chains: bool, model: &DecodeModel, rows: usize) -> usize {
    let group = |maps: &[DecodeLinear]| {
        let width = maps[0].shape()[1];
        let outputs: usize = maps.iter().map(|map| map.shape()[0]).sum();
        match suits_wide(chains, maps, width, rows) {
            true => width.div_ceil(PART) * rows.min(ROWS) * outputs,
            false => 0,
        }
    };
    let of = |layer: &super::decode::DecodeLayer| {
        let single = [&layer.o, &layer.down].map(|map| group(std::slice::from_ref(map)));
        group(&layer.qkv)
            .max(group(&layer.gate_up))
            .max(single[0])
            .max(single[1])
    };
    model.layers.iter().map(of).max().unwrap_or(0)
}

/// `y = x W^T` for maps that read the same input and write beside each other.
pub(super) fn wide(
    cx: &mut Section<'_>,
    buffers: &Buffers,
    maps: &[DecodeLinear],
    x: Address,
    width: usize,
    output: Output,
) -> Result<(), CudaError> {
    let rows = buffers.sizes.rows;
    let (mut words, mut outputs) = (Vec::new(), 0);
    for map in maps {
        let DecodeWeight::Nf4 { codes, absmax, shape } = &map.weight else {
            return Err(CudaError::new("decoder: expected four-bit weights", format!("{map:?}")));
        };
        let codes = cube(codes.clone().into_dispatch())?;
        words.extend([cx.address(&codes)?, cx.address(&primitive(absmax)?)?, shape[0] as u64]);
        outputs += shape[0];
    }
    words.resize(9, 0);
    let parts = width.div_ceil(PART);
    let kernels = source::product_wide(DType::BF16);
    for start in (0..rows).step_by(ROWS) {
        let count = (rows - start).min(ROWS);
        let mut arguments = Arguments::default()
            .address(buffers.parts)
            .address(x + (start * width * 2) as u64)
            .structure(&words)
            .int(maps.len())
            .int(count)
            .int(width);
        let name = if count <= 16 { "wide_nf4_16" } else { "wide_nf4_32" };
        let blocks = (cx.gpu.multiprocessors / parts).max(1) * parts;
        cx.link(
            kernels,
            name,
            [blocks, 1, 1],
            512,
            143_360 + 2064 * count,
            &mut arguments,
        )?;
        let mut arguments = Arguments::default()
            .address(output.at + (start * output.row * 2) as u64)
            .long(output.row)
            .address(buffers.parts)
            .int(parts)
            .int(count)
            .int(outputs);
        let blocks = (count * outputs).div_ceil(1024).min(4 * cx.gpu.multiprocessors);
        cx.link(kernels, "wide_sum", [blocks, 1, 1], 256, 0, &mut arguments)?;
    }
    Ok(())
}
