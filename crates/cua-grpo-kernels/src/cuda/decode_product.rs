//! Linear maps of a decode step with few rows: each is one launch, with the norm before it, the adapters beside it, and
//! the residual or the gate after it. The blocks are in `product.cu`.

use super::decode::{DecodeLinear, DecodeModel, DecodeWeight, cube, primitive};
use super::decode_linear::whole;
use super::decode_state::{Buffers, MOST_RANK};
use super::error::CudaError;
use super::section::{Address, Arguments, Section};
use super::source;
use burn_cubecl::tensor::CubeTensor;

/// Most rows of one launch.
pub(super) const MOST_ROWS: usize = 8;
/// Shared memory that a block may have, and that one of two blocks of a multiprocessor may have.
const SHARED: [usize; 2] = [232_448, 115_712];

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

/// Groups of a step: four a layer, and the head.
pub(super) fn groups(model: &DecodeModel) -> usize {
    4 * model.layers.len() + 1
}

/// Floats of scratch for `x A^T` of a group.
pub(super) const LOW: usize = 8 * 3 * MOST_RANK * MOST_ROWS;

/// Whether the maps of `model` can be multiplied with `rows` rows here.
pub(super) fn suits(cx: &Section<'_>, model: &DecodeModel, rows: usize) -> bool {
    let group = |maps: &[DecodeLinear], normed: bool, gated: bool| {
        let [_, k] = maps[0].shape();
        let four = matches!(maps[0].weight, DecodeWeight::Nf4 { .. });
        let ranks: usize = maps.iter().map(rank).sum();
        let alike = maps.iter().all(|map| {
            let [n, width] = map.shape();
            let same = matches!(map.weight, DecodeWeight::Nf4 { .. }) == four && width == k;
            same && n % 16 == 0 && rank(map) <= MOST_RANK && (!gated || n == maps[0].shape()[0])
        });
        let far = !normed && shared_bytes(four, false, normed, rows, k, ranks) > SHARED[1];
        let fits = shared_bytes(four, far, normed, rows, k, ranks) <= SHARED[0];
        alike && fits && k % if four { 256 } else { 64 } == 0
    };
    let layers = model.layers.iter().all(|layer| {
        group(&layer.qkv, true, false)
            && group(std::slice::from_ref(&layer.o), false, false)
            && group(&layer.gate_up, true, true)
            && group(std::slice::from_ref(&layer.down), false, false)
    });
    cx.gpu.chains && rows <= MOST_ROWS && layers && group(&[head(model)], true, false)
}

/// The head as a map.
pub(super) fn head(model: &DecodeModel) -> DecodeLinear {
    DecodeLinear {
        weight: DecodeWeight::Dense(model.head.clone()),
        lora: None,
    }
}

fn rank(map: &DecodeLinear) -> usize {
    map.lora.as_ref().map_or(0, |(a, _, _)| a.dims()[0])
}

fn shared_bytes(four: bool, far: bool, normed: bool, rows: usize, k: usize, ranks: usize) -> usize {
    let weights = if four { 88_064 } else { 65_536 };
    let x = if far { 0 } else { rows * (2 * k + 16) };
    weights + x + if normed { 2 * k } else { 0 } + 1024 * rows + 384 + 4 * ranks * rows
}

/// Launches the product of a group.
pub(super) fn product(cx: &mut Section<'_>, buffers: &Buffers, group: &Group<'_>) -> Result<(), CudaError> {
    let (rows, k) = (buffers.sizes.rows, group.width);
    let four = matches!(group.maps[0].weight, DecodeWeight::Nf4 { .. });
    let (mut words, mut ranks, mut tiles) = (Vec::new(), 0, 0);
    for map in group.maps {
        let (weight, absmax) = match &map.weight {
            DecodeWeight::Dense(weight) => (cx.address(&whole(primitive(weight)?)?)?, 0),
            DecodeWeight::Nf4 { codes, absmax, .. } => {
                let codes = cube(codes.clone().into_dispatch())?;
                (cx.address(&codes)?, cx.address(&primitive(absmax)?)?)
            }
        };
        let (n, r) = (map.shape()[0], rank(map));
        let (mut factors, mut scale) = ([0; 2], 0.0);
        if let Some((a, b, scaling)) = &map.lora {
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
    let far = !normed && near > SHARED[1];
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
    let two = shared <= SHARED[1];
    let blocks = tiles.min(cx.gpu.multiprocessors << usize::from(two));
    cx.link(source::product(), name, [blocks, 1, 1], 320, shared, &mut arguments)
}
