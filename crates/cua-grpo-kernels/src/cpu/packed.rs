//! Weights that are stored narrow and widened to f32 a panel at a time.

use super::buffer::{dense, elements, values};
use super::simd::simd;
use crate::weight::{BLOCK, CODE};
use burn::backend::flex::FlexTensor;
use burn::tensor::bf16;
use std::cell::RefCell;
use std::ops::Range;

/// Elements of a panel that is read by many rows of input: the product copies it into its own order, so the panel need
/// not stay in the nearest cache, and a large one means fewer passes over the input.
const WIDE_PANEL: usize = 512 * 1024;
/// Elements of a panel that is read once or a few times: it stays in a core's cache between the two steps.
const SMALL_PANEL: usize = 48 * 1024;
/// Rows of input from which on a panel is wide.
const MANY_ROWS: usize = 64;

/// What both nibbles of a byte stand for, first element first.
static PAIRS: [[f32; 2]; 256] = pairs();

const fn pairs() -> [[f32; 2]; 256] {
    let mut table = [[0.0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [CODE[byte >> 4], CODE[byte & 15]];
        byte += 1;
    }
    table
}

/// A weight `[rows, columns]` in its stored form.
#[derive(Debug, Clone)]
pub(crate) enum Packed {
    /// Values in bf16.
    Bf16(FlexTensor),
    /// Four bits a value.
    Nf4 {
        /// Two values a byte.
        codes: FlexTensor,
        /// A scale a block.
        absmax: FlexTensor,
        /// `[rows, columns]`
        shape: [usize; 2],
    },
}

impl Packed {
    /// A matrix in bf16.
    pub(crate) fn bf16(tensor: FlexTensor) -> Self {
        Self::Bf16(dense(tensor))
    }

    /// Four-bit codes with a scale for each block of the flattened matrix.
    pub(crate) fn nf4(codes: FlexTensor, absmax: FlexTensor, shape: [usize; 2]) -> Self {
        let (codes, absmax) = (dense(codes), dense(absmax));
        Self::Nf4 { codes, absmax, shape }
    }

    /// `[rows, columns]`
    pub(crate) fn shape(&self) -> [usize; 2] {
        match self {
            Self::Bf16(tensor) => [tensor.layout().shape()[0], tensor.layout().shape()[1]],
            Self::Nf4 { shape, .. } => *shape,
        }
    }

    /// Runs `f` on the rows and columns given, row after row in f32, in memory that the thread keeps.
    pub(super) fn with_panel<T>(&self, rows: Range<usize>, columns: Range<usize>, f: impl FnOnce(&[f32]) -> T) -> T {
        thread_local! {
            static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
        }
        let all = self.shape()[1];
        SCRATCH.with_borrow_mut(|scratch| {
            let length = rows.len() * columns.len();
            if scratch.len() < length {
                scratch.resize(length, 0.0);
            }
            let panel = &mut scratch[..length];
            if columns.len() == all {
                self.widen(panel, rows.start * all);
            } else {
                for (row, panel) in rows.zip(panel.chunks_exact_mut(columns.len().max(1))) {
                    self.widen(panel, row * all + columns.start);
                }
            }
            f(panel)
        })
    }

    /// The elements from number `start` of the flattened matrix on.
    fn widen(&self, out: &mut [f32], start: usize) {
        match self {
            Self::Bf16(tensor) => widen_bf16(out, &values::<bf16>(tensor)[start..start + out.len()]),
            Self::Nf4 { codes, absmax, .. } => widen_nf4(out, values::<u8>(codes), elements(absmax), start),
        }
    }
}

/// Lines of a panel, for a matrix of `lines` lines of `length` elements that meets `rows` rows of input: whole multiples
/// of `unit`, and four panels at least where that leaves enough in each.
pub(super) fn panel_lines(rows: usize, lines: usize, length: usize, unit: usize) -> usize {
    let elements = if rows >= MANY_ROWS { WIDE_PANEL } else { SMALL_PANEL };
    let lines = (elements / length.max(1)).min(lines.div_ceil(4));
    lines.div_ceil(unit).max(1) * unit
}

simd! {
    fn widen_bf16(out: &mut [f32], stored: &[bf16]) {
        for (out, stored) in out.iter_mut().zip(stored) {
            *out = f32::from_bits(u32::from(stored.to_bits()) << 16);
        }
    }
}

simd! {
    /// Elements from `start` on: pairs of them block by block, and by themselves where a byte is cut.
    fn widen_nf4(out: &mut [f32], codes: &[u8], absmax: &[f32], start: usize) {
        let (mut out, mut at) = (out, start);
        while !out.is_empty() {
            let scale = absmax[at / BLOCK];
            let in_block = (BLOCK - at % BLOCK).min(out.len());
            let (block, rest) = out.split_at_mut(in_block);
            let (first, block) = block.split_at_mut(at % 2);
            if let [first] = first {
                *first = PAIRS[usize::from(codes[at / 2])][1] * scale;
            }
            let bytes = &codes[at.div_ceil(2)..];
            let (pairs, last) = block.as_chunks_mut::<2>();
            for (pair, &byte) in pairs.iter_mut().zip(bytes) {
                let [high, low] = PAIRS[usize::from(byte)];
                *pair = [high * scale, low * scale];
            }
            if let [last] = last {
                *last = PAIRS[usize::from(bytes[pairs.len()])][0] * scale;
            }
            at += in_block;
            out = rest;
        }
    }
}
