//! What the kernels of a decode step take: rows, ranks and shared memory, and the scratch that follows from them.

use super::model::{DecodeLayer, DecodeLinear, DecodeModel};
use crate::cuda::capability::Capability;

/// Largest rank of an adapter.
pub(super) const MOST_RANK: usize = 256;
/// Most tokens that end a reply.
pub(super) const MOST_STOP_IDS: usize = 16;

/// Most rows of the products that take along what stands around them (`product.cu`).
const FEW_ROWS: usize = 8;
/// Floats of scratch for `x A^T` of a group.
pub(super) const LOW: usize = 8 * 3 * MOST_RANK * FEW_ROWS;

/// Rows that a four-bit product takes at a time (`nf4.cu`, `product_wide.cu`).
pub(super) const FOUR_BIT_ROWS: usize = 32;
/// Columns of a part of a wide four-bit product.
pub(super) const PART: usize = 1024;

/// Rows that the adapter kernels take at a time (`lora.cu`).
pub(super) const LORA_ROWS: usize = 64;

/// Groups of maps of a step: four a layer, and the head.
pub(super) fn groups(model: &DecodeModel) -> usize {
    4 * model.layers.len() + 1
}

/// Whether all maps of `model` can be multiplied with `rows` rows by the products for few rows on `card`.
pub(super) fn suits_few(card: &Capability, model: &DecodeModel, rows: usize) -> bool {
    let group = |maps: &[DecodeLinear], normed: bool, gated: bool| {
        let [_, k] = maps[0].shape();
        let four = maps[0].is_four_bits();
        let ranks: usize = maps.iter().map(DecodeLinear::rank).sum();
        let alike = maps.iter().all(|map| {
            let [n, width] = map.shape();
            let same = map.is_four_bits() == four && width == k;
            same && n % 16 == 0 && map.rank() <= MOST_RANK && (!gated || n == maps[0].shape()[0])
        });
        let far = !normed && shared_bytes(four, false, normed, rows, k, ranks) > card.shared[1];
        let fits = shared_bytes(four, far, normed, rows, k, ranks) <= card.shared[0];
        alike && fits && k % if four { 256 } else { 64 } == 0
    };
    let layers = model.layers.iter().all(|layer| {
        let [qkv, o, gate_up, down] = layer.groups();
        group(qkv, true, false) && group(o, false, false) && group(gate_up, true, true) && group(down, false, false)
    });
    rows <= FEW_ROWS && layers && group(&[model.head_map()], true, false)
}

/// Shared memory of a product for few rows: `four` bits or bf16, the input `far` (in global memory) or near, `normed`
/// first, of `k` columns, with adapters of `ranks` in all.
pub(super) fn shared_bytes(four: bool, far: bool, normed: bool, rows: usize, k: usize, ranks: usize) -> usize {
    let weights = if four { 88_064 } else { 65_536 };
    let x = if far { 0 } else { rows * (2 * k + 16) };
    weights + x + if normed { 2 * k } else { 0 } + 1024 * rows + 384 + 4 * ranks * rows
}

/// Shared memory of the wide four-bit product with `rows` rows.
pub(super) fn wide_bytes(rows: usize) -> usize {
    143_360 + 2064 * rows
}

/// Whether maps that read the same input of `width` columns can be multiplied with `rows` rows by the wide four-bit
/// product on `card`.
pub(super) fn suits_wide(card: &Capability, maps: &[DecodeLinear], width: usize, rows: usize) -> bool {
    let fits = |map: &DecodeLinear| map.is_four_bits() && map.shape()[0].is_multiple_of(16) && map.shape()[1] == width;
    let room = wide_bytes(rows.min(FOUR_BIT_ROWS)) <= card.shared[0];
    room && rows > FEW_ROWS && width.is_multiple_of(256) && maps.len() <= 3 && maps.iter().all(fits)
}

/// Floats of scratch for the parts of the largest group of `model`, or 0 where no group is multiplied in parts.
pub(super) fn wide_scratch(card: &Capability, model: &DecodeModel, rows: usize) -> usize {
    let group = |maps: &[DecodeLinear]| {
        let width = maps[0].shape()[1];
        let outputs: usize = maps.iter().map(|map| map.shape()[0]).sum();
        match suits_wide(card, maps, width, rows) {
            true => width.div_ceil(PART) * rows.min(FOUR_BIT_ROWS) * outputs,
            false => 0,
        }
    };
    let all = model.layers.iter().flat_map(DecodeLayer::groups);
    all.map(group).max().unwrap_or(0)
}

/// Into how many parts the adapter kernels cut `width` columns for `numbers` sums.
pub(super) fn lora_splits(width: usize, numbers: usize) -> usize {
    width.div_ceil(if numbers <= 512 { 256 } else { 1024 })
}

/// Floats of scratch of the adapter kernels for maps of at most `width` inputs.
pub(super) fn lora_scratch(width: usize) -> usize {
    let most = LORA_ROWS * MOST_RANK;
    4 * (lora_splits(width, 512) * 512).max(lora_splits(width, most) * most)
}
