//! Four-bit products of a decode step with more rows than one tile of the tensor cores has, 32 rows at a time: parts of the
//! columns, then their sum. The kernels are in `product_wide.cu`.

use super::buffers::Buffers;
use super::limits::{FOUR_BIT_ROWS, PART, wide_bytes};
use super::model::DecodeLinear;
use crate::cuda::error::CudaError;
use crate::cuda::section::{Address, Arguments, Section};
use crate::cuda::source;
use crate::cuda::tensor::{cube, primitive};
use crate::weight::{Nf4, Weight};
use burn::tensor::DType;

/// Columns of the output that a linear map writes: where they start and how far apart rows are.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub at: Address,
    pub row: usize,
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
        let Weight::Nf4(Nf4 { codes, absmax, shape }) = &map.weight else {
            return Err(CudaError::new("decoder: expected four-bit weights", format!("{map:?}")));
        };
        let codes = cube(codes.clone().into_dispatch())?;
        words.extend([cx.address(&codes)?, cx.address(&primitive(absmax)?)?, shape[0] as u64]);
        outputs += shape[0];
    }
    words.resize(9, 0);
    let parts = width.div_ceil(PART);
    let kernels = source::product_wide(DType::BF16);
    for start in (0..rows).step_by(FOUR_BIT_ROWS) {
        let count = (rows - start).min(FOUR_BIT_ROWS);
        let mut arguments = Arguments::default()
            .address(buffers.parts)
            .address(x + (start * width * 2) as u64)
            .structure(&words)
            .int(maps.len())
            .int(count)
            .int(width);
        let name = if count <= 16 { "wide_nf4_16" } else { "wide_nf4_32" };
        let blocks = (cx.gpu.card.multiprocessors / parts).max(1) * parts;
        cx.link(kernels, name, [blocks, 1, 1], 512, wide_bytes(count), &mut arguments)?;
        let mut arguments = Arguments::default()
            .address(output.at + (start * output.row * 2) as u64)
            .long(output.row)
            .address(buffers.parts)
            .int(parts)
            .int(count)
            .int(outputs);
        let blocks = (count * outputs).div_ceil(1024).min(4 * cx.gpu.card.multiprocessors);
        cx.link(kernels, "wide_sum", [blocks, 1, 1], 256, 0, &mut arguments)?;
    }
    Ok(())
}
