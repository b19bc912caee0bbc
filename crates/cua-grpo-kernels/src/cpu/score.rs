//! Log-probs of given tokens and entropies, see [`crate::token_scores`]: logits are there for a chunk of rows at a time, and
//! are computed again in the backward pass.

use super::buffer::{dense, elements, tensor, values};
use super::linear::{self, linear, linear_backward};
use crate::ops::{Lora, Weight};
use crate::softmax::Softmax;
use burn::backend::Flex;
use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use rayon::prelude::*;

/// What the backward pass reads.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    /// `[rows, width]`
    hidden: FlexTensor,
    /// `[vocab, width]`
    weight: FlexTensor,
    targets: Vec<usize>,
    /// Of the logits of each row.
    softmaxes: Vec<Softmax>,
    temperature: f64,
    chunk_rows: usize,
}

impl Saved {
    fn width(&self) -> usize {
        self.hidden.shape()[1]
    }

    /// The rows of a chunk with what is behind their logits: the first one, and how many there are.
    fn chunks(&self) -> impl Iterator<Item = [usize; 2]> {
        let (rows, many) = (self.targets.len(), self.chunk_rows.max(1));
        (0..rows)
            .step_by(many)
            .map(move |start| [start, many.min(rows - start)])
    }

    /// The logits of a chunk, and what their gradients need.
    fn logits(&self, [start, count]: [usize; 2]) -> (FlexTensor, linear::Saved) {
        let width = self.width();
        let rows = elements(&self.hidden)[start * width..(start + count) * width].to_vec();
        let rows = tensor(rows, &[count, width]);
        linear(rows, Weight::Dense(self.weight.clone()), None, Lora::Absent)
    }
}

/// Log-probs and entropies `[2, rows]`.
pub(crate) fn scores(
    hidden: FlexTensor,
    weight: FlexTensor,
    targets: FlexTensor,
    temperature: f64,
    chunk_rows: usize,
) -> (FlexTensor, Saved) {
    let targets = dense(targets);
    let targets = match targets.dtype() {
        DType::I32 => values::<i32>(&targets).iter().map(|&target| target as usize).collect(),
        _ => values::<i64>(&targets).iter().map(|&target| target as usize).collect(),
    };
    let mut saved = Saved {
        hidden: dense(hidden),
        weight,
        targets,
        softmaxes: Vec::new(),
        temperature,
        chunk_rows,
    };
    let vocab = saved.weight.shape()[0];
    let mut softmaxes = Vec::with_capacity(saved.targets.len());
    let mut logprobs = Vec::with_capacity(saved.targets.len());
    let mut entropies = Vec::with_capacity(saved.targets.len());
    for chunk @ [start, count] in saved.chunks() {
        let (logits, _) = saved.logits(chunk);
        let rows = elements(&logits).par_chunks_exact(vocab);
        let found = rows.zip(&saved.targets[start..start + count]).map(|(logits, &target)| {
            let softmax = Softmax::of(logits, temperature);
            (softmax, softmax.logprob(logits[target]), softmax.entropy(logits) as f32)
        });
        for (softmax, logprob, entropy) in found.collect::<Vec<_>>() {
            softmaxes.push(softmax);
            logprobs.push(logprob);
            entropies.push(entropy);
        }
    }
    saved.softmaxes = softmaxes;
    let rows = logprobs.len();
    logprobs.extend(entropies);
    (tensor(logprobs, &[2, rows]), saved)
}

/// Gradients of the hidden states and of the weight, those of them that are wanted, from that of the log-probs: the first
/// row of `grad`.
pub(crate) fn backward(grad: FlexTensor, saved: &Saved, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
    let vocab = saved.weight.shape()[0];
    let grad = dense(grad);
    let grad = elements(&grad);
    let mut d_hidden = Vec::with_capacity(saved.targets.len() * saved.width());
    let mut d_weight: Option<FlexTensor> = None;
    for chunk @ [start, count] in saved.chunks() {
        let (logits, map) = saved.logits(chunk);
        let mut d_logits = vec![0.0f32; count * vocab];
        let rows = elements(&logits)
            .par_chunks_exact(vocab)
            .zip(d_logits.par_chunks_exact_mut(vocab));
        rows.enumerate().for_each(|(row, (logits, d_logits))| {
            let softmax = &saved.softmaxes[start + row];
            let factor = f64::from(grad[start + row]) / saved.temperature;
            let share = -factor / softmax.total();
            for (d, &logit) in d_logits.iter_mut().zip(logits) {
                *d = (share * softmax.weight(logit)) as f32;
            }
            d_logits[saved.targets[start + row]] += factor as f32;
        });
        let mut gradients = linear_backward(tensor(d_logits, &[count, vocab]), &map, wanted).into_iter();
        if let Some(d_chunk) = gradients.next().flatten() {
            d_hidden.extend_from_slice(elements(&dense(d_chunk)));
        }
        d_weight = match (d_weight, gradients.next().flatten()) {
            (Some(sum), Some(more)) => Some(Flex::float_add(sum, more)),
            (sum, more) => sum.or(more),
        };
    }
    let shape = [saved.targets.len(), saved.width()];
    let want_hidden = wanted.first().copied().unwrap_or(false);
    vec![want_hidden.then(|| tensor(d_hidden, &shape)), d_weight]
}
