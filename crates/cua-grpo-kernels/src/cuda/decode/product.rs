//! Linear maps of a decode step with few rows: each is one launch, with the norm before it, the adapters beside it, and
//! the residual or the gate after it. The blocks are in `product.cu`.

use super::buffers::Buffers;
use super::limits::shared_bytes;
use super::model::DecodeLinear;
use crate::cuda::error::CudaError;
use crate::cuda::section::{Address, Arguments, Section};
use crate::cuda::source;
use crate::cuda::tensor::{cube, primitive, whole};
use crate::weight::{Lora, Nf4, Weight};
use burn_cubecl::tensor::CubeTensor;

/// What becomes of the sums; the numbers are those of `product.cu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// They are stored.
    Store = 0,
    /// They are added to what is there.
    Add = 1,
    /// The first of two maps gates the second.
    Gated = 2,
    /// They are stored as f32.
    Wide = 3,
}

/// Maps that read the same input.
pub(super) struct Group<'a> {
    pub maps: &'a [DecodeLinear],
    /// `[rows, width]`
    pub x: Address,
    pub width: usize,
    /// Weight of an RMS norm of the input, and its epsilon.
    pub norm: Option<(&'a CubeTensor, f64)>,
    pub ending: Ending,
    /// Where the first output of the first row goes, and how far apart rows are.
    pub y: Address,
    pub y_row: usize,
    /// Which of the step's groups this is: each has a counter of its own.
    pub number: usize,
}

/// Launches the product of a group.
pub(super) fn product(cx: &mut Section<'_>, buffers: &Buffers, group: &Group<'_>) -> Result<(), CudaError> {
    let (rows, k) = (buffers.sizes.rows, group.width);
    let four = group.maps[0].is_four_bits();
    let (mut words, mut ranks, mut tiles) = (Vec::new(), 0, 0);
    for map in group.maps {
        let (weight, absmax) = match &map.weight {
            Weight::Dense(weight) => (cx.address(&whole(primitive(weight)?)?)?, 0),
            Weight::Nf4(Nf4 { codes, absmax, .. }) => {
                let codes = cube(codes.clone().into_dispatch())?;
                (cx.address(&codes)?, cx.address(&primitive(absmax)?)?)
            }
        };
        let (n, r) = (map.shape()[0], map.rank());
        let (mut factors, mut scale) = ([0; 2], 0.0);
        if let Some(Lora { a, b, scaling }) = &map.lora {
            factors = [cx.address(&primitive(a)?)?, cx.address(&primitive(b)?)?];
            scale = *scaling as f32;
        }
        words.extend([weight, absmax, factors[0], factors[1]]);
        words.extend([(n as u64) | ((r as u64) << 32), u64::from(scale.to_bits())]);
        ranks += r;
        tiles += n / 16;
    }
    words.resize(18, 0);
    let normed = group.norm.is_some();
    let near = shared_bytes(four, false, normed, rows, k, ranks);
    let far = !normed && near > cx.gpu.card.shared[1];
    let name = match (four, far) {
        (true, false) => "product_nf4",
        (true, true) => "product_nf4_far",
        (false, false) => "product_bf16",
        (false, true) => "product_bf16_far",
    };
    let (norm, eps) = match group.norm {
        Some((weight, eps)) => (cx.address(weight)?, eps),
        None => (0, 0.0),
    };
    let mut arguments = Arguments::default()
        .address(group.y)
        .long(group.y_row)
        .address(group.x)
        .address(norm)
        .float(eps)
        .structure(&words)
        .int(group.maps.len())
        .int(rows)
        .int(k)
        .int(group.ending as usize)
        .address(buffers.low)
        .address(buffers.ready + 4 * group.number as u64)
        .int(ranks);
    let shared = shared_bytes(four, far, normed, rows, k, ranks);
    let two = shared <= cx.gpu.card.shared[1];
    let blocks = tiles.min(cx.gpu.card.multiprocessors << usize::from(two));
    cx.link(source::product(), name, [blocks, 1, 1], 320, shared, &mut arguments)
}
