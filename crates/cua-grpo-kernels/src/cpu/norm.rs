//! Norms over rows and their gradients.

use super::buffer::{Fresh, chunk_rows, dense, each, elements, tensor};
use super::simd::{simd, sum_pairs};
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

simd! {
    /// Rows of `out`, with the inverse root mean square of each row of `x`.
    fn rms_rows(out: &mut [f32], inverse: &mut [f32], x: &[f32], weight: &[f32], eps: f32) {
        let width = weight.len();
        for ((out, x), inverse) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(inverse) {
            let mean_square = sum_pairs(x, x, |a, b| a * b) / width as f32;
            *inverse = 1.0 / (mean_square + eps).sqrt();
            for ((out, &x), &weight) in out.iter_mut().zip(x).zip(weight) {
                *out = x * *inverse * weight;
            }
        }
    }
}

simd! {
    /// Rows of `d_x`; adds to `d_weight`, which is empty where nobody asks.
    fn rms_rows_grad(
        d_x: &mut [f32], d_weight: &mut [f32], grad: &[f32], x: &[f32], inverse: &[f32], weight: &[f32],
    ) {
        let width = weight.len();
        let mut scaled = vec![0.0f32; width];
        let rows = d_x.chunks_exact_mut(width).zip(grad.chunks_exact(width)).zip(x.chunks_exact(width)).zip(inverse);
        for (((d_x, grad), x), &inverse) in rows {
            for ((scaled, &grad), &weight) in scaled.iter_mut().zip(grad).zip(weight) {
                *scaled = grad * weight;
            }
            // x_hat = x * inverse; d_x = inverse * (g w - x_hat * mean(g w x_hat))
            let mean = sum_pairs(&scaled, x, |a, b| a * b) * inverse / width as f32;
            for ((d_x, &scaled), &x) in d_x.iter_mut().zip(&scaled).zip(x) {
                *d_x = inverse * (scaled - x * inverse * mean);
            }
            for ((d_weight, &grad), &x) in d_weight.iter_mut().zip(grad).zip(x) {
                *d_weight += grad * x * inverse;
            }
        }
    }
}

simd! {
    /// Rows of `out`, with mean and inverse deviation of each row of `x` in `stats`.
    fn layer_rows(out: &mut [f32], stats: &mut [[f32; 2]], x: &[f32], weight: &[f32], bias: &[f32], eps: f32) {
        let width = weight.len();
        for ((out, x), stats) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(stats) {
            let mean = sum_pairs(x, x, |a, _| a) / width as f32;
            let variance = sum_pairs(x, x, |a, _| (a - mean) * (a - mean)) / width as f32;
            let inverse = 1.0 / (variance + eps).sqrt();
            *stats = [mean, inverse];
            for (((out, &x), &weight), &bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                *out = (x - mean) * inverse * weight + bias;
            }
        }
    }
}

simd! {
    /// Rows of `d_x`; adds to `d_weight` and `d_bias`, which are empty where nobody asks.
    fn layer_rows_grad(
        d_x: &mut [f32], d_weight: &mut [f32], d_bias: &mut [f32],
        grad: &[f32], x: &[f32], stats: &[[f32; 2]], weight: &[f32],
    ) {
        let width = weight.len();
        let (mut scaled, mut normed) = (vec![0.0f32; width], vec![0.0f32; width]);
        let rows = d_x.chunks_exact_mut(width).zip(grad.chunks_exact(width)).zip(x.chunks_exact(width)).zip(stats);
        for (((d_x, grad), x), &[mean, inverse]) in rows {
            for ((scaled, &grad), &weight) in scaled.iter_mut().zip(grad).zip(weight) {
                *scaled = grad * weight;
            }
            for (normed, &x) in normed.iter_mut().zip(x) {
                *normed = (x - mean) * inverse;
            }
            let along_one = sum_pairs(&scaled, &scaled, |a, _| a) / width as f32;
            let along_x = sum_pairs(&scaled, &normed, |a, b| a * b) / width as f32;
            for ((d_x, &scaled), &normed) in d_x.iter_mut().zip(&scaled).zip(&normed) {
                *d_x = inverse * (scaled - along_one - normed * along_x);
            }
            for ((d_weight, &grad), &normed) in d_weight.iter_mut().zip(grad).zip(&normed) {
                *d_weight += grad * normed;
            }
            for (d_bias, &grad) in d_bias.iter_mut().zip(grad) {
                *d_bias += grad;
            }
        }
    }
}

/// What the backward pass of a norm reads.
#[derive(Debug, Clone)]
pub(crate) struct Saved<S> {
    x: FlexTensor,
    weight: FlexTensor,
    stats: Vec<S>,
}

/// `w * x / sqrt(mean(x^2) + eps)`.
pub(crate) fn rms(x: FlexTensor, weight: FlexTensor, eps: f64) -> (FlexTensor, Saved<f32>) {
    let (x, weight) = (dense(x), dense(weight));
    let (all, w) = (elements(&x), elements(&weight));
    let rows = chunk_rows(w.len());
    let piece = rows * w.len().max(1);
    let mut out = Fresh::new(all.len());
    let mut stats = vec![0.0f32; all.len() / w.len().max(1)];
    let pieces = out
        .pieces(piece)
        .zip(stats.par_chunks_mut(rows))
        .zip(all.par_chunks(piece));
    each(pieces, |((out, stats), x)| rms_rows(out, stats, x, w, eps as f32));
    let out = tensor(out.finish(), x.layout().shape());
    (out, Saved { x, weight, stats })
}

/// Gradients of x and, where `with_weight`, of the weight.
pub(crate) fn rms_backward(grad: FlexTensor, saved: &Saved<f32>, with_weight: bool) -> (FlexTensor, Vec<FlexTensor>) {
    backward(grad, saved, usize::from(with_weight), |d_x, sums, grad, x, stats, w| {
        rms_rows_grad(d_x, sums, grad, x, stats, w);
    })
}

/// `w * (x - mean) / sqrt(var + eps) + b`.
pub(crate) fn layer(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, eps: f64) -> (FlexTensor, Saved<[f32; 2]>) {
    let (x, weight, bias) = (dense(x), dense(weight), dense(bias));
    let (all, w, b) = (elements(&x), elements(&weight), elements(&bias));
    let rows = chunk_rows(w.len());
    let piece = rows * w.len().max(1);
    let mut out = Fresh::new(all.len());
    let mut stats = vec![[0.0f32; 2]; all.len() / w.len().max(1)];
    let pieces = out
        .pieces(piece)
        .zip(stats.par_chunks_mut(rows))
        .zip(all.par_chunks(piece));
    each(pieces, |((out, stats), x)| layer_rows(out, stats, x, w, b, eps as f32));
    let out = tensor(out.finish(), x.layout().shape());
    (out, Saved { x, weight, stats })
}

/// Gradients of x and, where `with_weights`, of weight and bias.
pub(crate) fn layer_backward(
    grad: FlexTensor,
    saved: &Saved<[f32; 2]>,
    with_weights: bool,
) -> (FlexTensor, Vec<FlexTensor>) {
    backward(
        grad,
        saved,
        2 * usize::from(with_weights),
        |d_x, sums, grad, x, stats, w| {
            let (d_weight, d_bias) = sums.split_at_mut(sums.len() / 2);
            layer_rows_grad(d_x, d_weight, d_bias, grad, x, stats, w);
        },
    )
}

/// Gradient of x, and `vectors` sums over rows; pieces of rows are summed apart and then added in order.
fn backward<S: Sync>(
    grad: FlexTensor,
    saved: &Saved<S>,
    vectors: usize,
    rows_grad: impl Fn(&mut [f32], &mut [f32], &[f32], &[f32], &[S], &[f32]) + Sync,
) -> (FlexTensor, Vec<FlexTensor>) {
    let grad = dense(grad);
    let (grad_all, x_all, w) = (elements(&grad), elements(&saved.x), elements(&saved.weight));
    let width = w.len();
    let rows = chunk_rows(width);
    let piece = rows * width.max(1);
    let mut d_x = Fresh::new(x_all.len());
    let partial: Vec<Vec<f32>> = d_x
        .pieces(piece)
        .zip(grad_all.par_chunks(piece))
        .zip(x_all.par_chunks(piece))
        .zip(saved.stats.par_chunks(rows))
        .map(|(((d_x, grad), x), stats)| {
            let mut sums = vec![0.0f32; vectors * width];
            rows_grad(d_x, &mut sums, grad, x, stats, w);
            sums
        })
        .collect();
    let mut sums = vec![0.0f32; vectors * width];
    for part in partial {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part;
        }
    }
    let vectors = sums
        .chunks_exact(width.max(1))
        .map(|sum| tensor(sum.to_vec(), &[width]))
        .collect();
    (tensor(d_x.finish(), saved.x.layout().shape()), vectors)
}
