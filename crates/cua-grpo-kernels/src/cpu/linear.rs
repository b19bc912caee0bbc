//! Linear maps by blocks: bias, product and low-rank update meet in a core's cache.
//!
//! A weight in f32 is read in place, for one block of rows of the result after the other; where there is one such block
//! only, for blocks of columns. A [`Packed`] weight is widened panel by panel instead, each into one block of columns of the result, so that it is widened once and never as a whole.

use super::buffer::{Fresh, chunk_rows, dense, each, elements, tensor};
use super::columns::Block;
use super::gemm::{Matrix, gemm, gemm_columns, gemm_parallel};
use super::packed::{Packed, panel_lines};
use super::simd::simd;
use crate::ops::{Lora, Weight};
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, TensorData, bf16};
use rayon::prelude::*;

/// Rows of one block of a result: as many as a core's cache holds (the weight is packed again for each block), but in
/// four blocks at least, so that there is work to share.
fn block_rows(rows: usize, width: usize) -> usize {
    const CACHED: usize = 128 * 1024;
    (CACHED / width.max(1)).min(rows.div_ceil(4)).max(64)
}

/// A matrix whose rows or columns are contiguous.
#[derive(Debug, Clone)]
struct Plane {
    tensor: FlexTensor,
    transposed: bool,
}

impl Plane {
    fn new(tensor: FlexTensor) -> Self {
        let (shape, strides) = (tensor.layout().shape(), tensor.layout().strides());
        let (rows, columns) = (shape[0] as isize, shape[1] as isize);
        if strides[1] == 1 && strides[0] >= columns {
            return Self {
                tensor,
                transposed: false,
            };
        }
        if strides[0] == 1 && strides[1] >= rows {
            return Self {
                tensor,
                transposed: true,
            };
        }
        Self {
            tensor: tensor.to_contiguous(),
            transposed: false,
        }
    }

    fn rows(&self) -> usize {
        self.tensor.layout().shape()[0]
    }

    fn columns(&self) -> usize {
        self.tensor.layout().shape()[1]
    }

    /// Rows `start..start + count`.
    fn part(&self, start: usize, count: usize) -> Matrix<'_> {
        let layout = self.tensor.layout();
        let stride = layout.strides()[usize::from(self.transposed)].unsigned_abs();
        let step = if self.transposed { 1 } else { stride };
        let data = &self.tensor.storage::<f32>()[layout.start_offset() + start * step..];
        if self.transposed {
            Matrix::new(data, self.columns(), count, stride).transpose()
        } else {
            Matrix::new(data, count, self.columns(), stride)
        }
    }

    fn all(&self) -> Matrix<'_> {
        self.part(0, self.rows())
    }
}

/// The low-rank factors, their product with the input `[rows, r]`, and the scale.
#[derive(Debug, Clone)]
struct LowRank {
    a: Plane,
    b: Plane,
    inner: Vec<f32>,
    scaling: f32,
}

impl LowRank {
    /// Adds the update to a block of columns of all rows, which begins at column `start`.
    fn add_to(&self, out: &mut Block<'_>, start: usize) {
        let (rank, count) = (self.a.rows(), out.columns());
        let inner = Matrix::new(&self.inner, out.rows(), rank, rank);
        gemm_columns(out, true, self.scaling, inner, self.b.part(start, count).transpose());
    }
}

/// A weight `[out, in]`, as products read it.
#[derive(Debug, Clone)]
enum Stored {
    Plane(Plane),
    Packed(Packed),
}

impl Stored {
    fn of(weight: Weight<Flex>) -> Self {
        match weight {
            Weight::Dense(weight) if weight.dtype() == DType::BF16 => Self::Packed(Packed::bf16(weight)),
            Weight::Dense(weight) => Self::Plane(Plane::new(weight)),
            Weight::Nf4 { codes, absmax, shape } => Self::Packed(Packed::nf4(codes, absmax, shape)),
        }
    }
}

/// What the backward pass reads.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    x: Plane,
    weight: Stored,
    low: Option<LowRank>,
    has_bias: bool,
}

simd! {
    fn add_rows(sum: &mut [f32], rows: &[f32]) {
        for row in rows.chunks_exact(sum.len()) {
            for (sum, &value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

/// `x W^T + b`, and `+ scaling * (x A^T) B^T` with an update.
pub(crate) fn linear(
    x: FlexTensor,
    weight: Weight<Flex>,
    bias: Option<FlexTensor>,
    lora: Lora<Flex>,
) -> (FlexTensor, Saved) {
    let weight = Stored::of(weight);
    let x = Plane::new(x);
    let bias = bias.map(|bias| bias.to_contiguous());
    let bias = bias.as_ref().map(elements);
    let rows = x.rows();
    let factors = match lora {
        Lora::Given { a, b, scaling } => Some((Plane::new(a), Plane::new(b), scaling)),
        Lora::Absent => None,
    };
    let low = factors.map(|(a, b, scaling)| {
        let mut inner = Fresh::new(rows * a.rows());
        let rank = a.rows();
        let many = block_rows(rows, rank);
        each(inner.pieces(many * rank).enumerate(), |(block, inner)| {
            gemm(
                inner,
                false,
                1.0,
                x.part(block * many, inner.len() / rank),
                a.all().transpose(),
            );
        });
        LowRank {
            a,
            b,
            inner: inner.finish(),
            scaling: scaling as f32,
        }
    });
    let out = match &weight {
        Stored::Plane(weight) => match shared_columns(rows, weight) {
            Some(many) => by_shared_columns(&x, weight, bias, low.as_ref(), many),
            None => by_rows(&x, weight, bias, low.as_ref()),
        },
        Stored::Packed(weight) => by_columns(&x, weight, bias, low.as_ref()),
    };
    let has_bias = bias.is_some();
    let saved = Saved {
        x,
        weight,
        low,
        has_bias,
    };
    (out, saved)
}

/// The result with a weight in f32, by blocks of rows.
fn by_rows(x: &Plane, weight: &Plane, bias: Option<&[f32]>, low: Option<&LowRank>) -> FlexTensor {
    let (rows, width) = (x.rows(), weight.rows());
    let mut out = Fresh::new(rows * width);
    let many = block_rows(rows, width);
    each(out.pieces(many * width).enumerate(), |(block, out)| {
        let (start, count) = (block * many, out.len() / width);
        if let Some(bias) = bias {
            out.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(bias));
        }
        gemm(out, bias.is_some(), 1.0, x.part(start, count), weight.all().transpose());
        if let Some(LowRank { a, b, inner, scaling }) = low {
            let inner = Matrix::new(&inner[start * a.rows()..], count, a.rows(), a.rows());
            gemm(out, true, *scaling, inner, b.all().transpose());
        }
    });
    tensor(out.finish(), &[rows, width])
}

/// How many columns of the result one thread computes, where few rows meet a large weight in f32.
fn shared_columns(rows: usize, weight: &Plane) -> Option<usize> {
    /// Products that are worth more than handing work over.
    const LARGE: usize = 1 << 20;
    /// Columns of one block: whole vectors, and work enough.
    const UNIT: usize = 32;
    let (width, depth) = (weight.rows(), weight.columns());
    let threads = rayon::current_num_threads();
    let worth = threads > 1 && rows <= block_rows(rows, width) && rows * width * depth >= LARGE;
    worth.then(|| width.div_ceil(2 * threads).next_multiple_of(UNIT))
}

/// The result of few rows, by blocks of columns.
fn by_shared_columns(
    x: &Plane,
    weight: &Plane,
    bias: Option<&[f32]>,
    low: Option<&LowRank>,
    many: usize,
) -> FlexTensor {
    let (rows, width) = (x.rows(), weight.rows());
    let mut out = vec![0.0f32; rows * width];
    let blocks = Block::all(&mut out, rows, width).split(many);
    each(blocks.into_par_iter().enumerate(), |(number, mut out)| {
        let (start, count) = (number * many, out.columns());
        if let Some(bias) = bias {
            out.fill_rows(&bias[start..start + count]);
        }
        let weight = weight.part(start, count).transpose();
        gemm_columns(&mut out, bias.is_some(), 1.0, x.all(), weight);
        if let Some(low) = low {
            low.add_to(&mut out, start);
        }
    });
    tensor(out, &[rows, width])
}

/// The result with a packed weight, by blocks of columns: each of them is one panel of rows of the weight.
fn by_columns(x: &Plane, weight: &Packed, bias: Option<&[f32]>, low: Option<&LowRank>) -> FlexTensor {
    let (rows, [width, depth]) = (x.rows(), weight.shape());
    let mut out = vec![0.0f32; rows * width];
    let many = panel_lines(rows, width, depth, 16);
    let blocks = Block::all(&mut out, rows, width).split(many);
    each(blocks.into_par_iter().enumerate(), |(number, mut out)| {
        let (start, count) = (number * many, out.columns());
        if let Some(bias) = bias {
            out.fill_rows(&bias[start..start + count]);
        }
        weight.with_panel(start..start + count, 0..depth, |panel| {
            let panel = Matrix::new(panel, count, depth, depth);
            gemm_columns(&mut out, bias.is_some(), 1.0, x.all(), panel.transpose());
        });
        if let Some(low) = low {
            low.add_to(&mut out, start);
        }
    });
    tensor(out, &[rows, width])
}

/// Gradients of x, weight, bias (where there is one), a and b (where there are), those of them that are wanted. The
/// gradient of a weight in bf16 is in bf16; four-bit weights have none.
pub(crate) fn linear_backward(grad: FlexTensor, saved: &Saved, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
    let Saved {
        x,
        weight,
        low,
        has_bias,
    } = saved;
    let grad = Plane::new(grad);
    let (rows, width, depth) = (x.rows(), grad.columns(), x.columns());
    let mut wanted = wanted.iter().copied();
    let mut next = || wanted.next().unwrap_or(false);
    let (want_x, want_weight) = (next(), next());
    let want_bias = *has_bias && next();
    let (want_a, want_b) = (next(), next());

    // scaling * dY B, [rows, r]
    let inner = low
        .as_ref()
        .filter(|_| want_x || want_a)
        .map(|LowRank { b, scaling, .. }| {
            let rank = b.columns();
            let mut inner = Fresh::new(rows * rank);
            let many = block_rows(rows, rank);
            each(inner.pieces(many * rank).enumerate(), |(block, inner)| {
                gemm(
                    inner,
                    false,
                    *scaling,
                    grad.part(block * many, inner.len() / rank),
                    b.all(),
                );
            });
            inner.finish()
        });
    let pull = inner
        .as_ref()
        .zip(low.as_ref())
        .map(|(inner, low)| (&inner[..], &low.a));
    let d_x = want_x.then(|| match weight {
        Stored::Plane(weight) => input_by_rows(&grad, weight, pull),
        Stored::Packed(weight) => input_by_columns(&grad, weight, pull),
    });
    let product = |left: Matrix<'_>, right: Matrix<'_>, shape: [usize; 2], factor: f32| {
        let mut out = vec![0.0f32; shape[0] * shape[1]];
        gemm_parallel(&mut out, false, factor, left.transpose(), right);
        tensor(out, &shape)
    };
    let d_weight = want_weight.then(|| {
        let gradient = product(grad.all(), x.all(), [width, depth], 1.0);
        match weight {
            Stored::Plane(_) => gradient,
            Stored::Packed(_) => narrow(&gradient),
        }
    });
    let mut gradients = vec![d_x, d_weight];
    if *has_bias {
        gradients.push(want_bias.then(|| column_sums(&grad)));
    }
    if let Some(LowRank {
        a,
        inner: forward,
        scaling,
        ..
    }) = low
    {
        let rank = a.rows();
        let pull = inner
            .as_ref()
            .filter(|_| want_a)
            .map(|inner| Matrix::new(inner, rows, rank, rank));
        gradients.push(pull.map(|pull| product(pull, x.all(), [rank, depth], 1.0)));
        let forward = Matrix::new(forward, rows, rank, rank);
        gradients.push(want_b.then(|| product(grad.all(), forward, [width, rank], *scaling)));
    }
    gradients
}

/// Gradient of x, `dY W + (scaling dY B) A`, by blocks of rows; `pull` holds the second product and A.
fn input_by_rows(grad: &Plane, weight: &Plane, pull: Option<(&[f32], &Plane)>) -> FlexTensor {
    let (rows, depth) = (grad.rows(), weight.columns());
    let mut d_x = Fresh::new(rows * depth);
    let many = block_rows(rows, depth);
    each(d_x.pieces(many * depth).enumerate(), |(block, d_x)| {
        let (start, count) = (block * many, d_x.len() / depth);
        gemm(d_x, false, 1.0, grad.part(start, count), weight.all());
        add_pull(d_x, start, pull);
    });
    tensor(d_x.finish(), &[rows, depth])
}

/// As `input_by_rows` with a packed weight, by blocks of columns: a sum over the output's width is never split.
fn input_by_columns(grad: &Plane, weight: &Packed, pull: Option<(&[f32], &Plane)>) -> FlexTensor {
    let (rows, [width, depth]) = (grad.rows(), weight.shape());
    let mut d_x = vec![0.0f32; rows * depth];
    let many = panel_lines(rows, depth, width, 64);
    let blocks = Block::all(&mut d_x, rows, depth).split(many);
    each(blocks.into_par_iter().enumerate(), |(number, mut d_x)| {
        let (start, count) = (number * many, d_x.columns());
        weight.with_panel(0..width, start..start + count, |panel| {
            let panel = Matrix::new(panel, width, count, count);
            gemm_columns(&mut d_x, false, 1.0, grad.all(), panel);
        });
    });
    if pull.is_some() {
        let many = block_rows(rows, depth);
        let blocks = d_x.par_chunks_mut((many * depth).max(1)).enumerate();
        each(blocks, |(block, d_x)| add_pull(d_x, block * many, pull));
    }
    tensor(d_x, &[rows, depth])
}

/// Adds the low-rank part to rows of the gradient of x that begin at row `start`.
fn add_pull(d_x: &mut [f32], start: usize, pull: Option<(&[f32], &Plane)>) {
    if let Some((inner, a)) = pull {
        let (rank, count) = (a.rows(), d_x.len() / a.columns());
        gemm(
            d_x,
            true,
            1.0,
            Matrix::new(&inner[start * rank..], count, rank, rank),
            a.all(),
        );
    }
}

/// `tensor` rounded to bf16.
fn narrow(tensor: &FlexTensor) -> FlexTensor {
    let values: Vec<bf16> = elements(tensor).iter().map(|&value| bf16::from_f32(value)).collect();
    FlexTensor::from_data(TensorData::new(values, tensor.layout().shape().to_vec()))
}

/// Sums over rows; blocks are summed apart and then added in order.
fn column_sums(grad: &Plane) -> FlexTensor {
    let width = grad.columns();
    let grad = dense(grad.tensor.clone());
    let blocks: Vec<Vec<f32>> = elements(&grad)
        .par_chunks(chunk_rows(width) * width.max(1))
        .map(|rows| {
            let mut sum = vec![0.0f32; width];
            add_rows(&mut sum, rows);
            sum
        })
        .collect();
    let mut sum = vec![0.0f32; width];
    blocks.iter().for_each(|block| add_rows(&mut sum, block));
    tensor(sum, &[width])
}
