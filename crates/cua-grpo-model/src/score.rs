//! Log-probs of given tokens: what training differentiates, and what `trainer score` prints.

use crate::batch::{Batch, ImageCache, Prefix, RowInput};
use crate::blocks::AdapterGradients;
use crate::nn::ints;
use crate::processor::Pixels;
use crate::text::DecoderTape;
use crate::vision::TowerTape;
use crate::{ModelError, Qwen3Vl};
use burn::tensor::{Int, Tensor};
use cua_grpo_core::Row;
use cua_grpo_kernels::{self as kernels, Kept, TokenScores, token_scores, token_scores_with_entropy};

/// Rows of logits that are held at once.
pub(crate) const CHUNK_ROWS: usize = 2048;

/// Scores of the trained tokens of a batch of rows.
#[derive(Debug, Clone)]
pub struct RowScores {
    /// Log-probs `[rows, completion]`: the trained tokens of each row, in order; 0 beyond the last.
    pub logprobs: Tensor<2>,
    /// Entropies in nats, shaped as `logprobs`, without gradient unless it was asked for.
    pub entropies: Tensor<2>,
}

/// Scores the trained tokens of `rows` under `model`, at `temperature`.
///
/// # Errors
/// When a row has no token before its first trained one, or does not fit the model.
pub fn score_rows(
    model: &Qwen3Vl,
    images: &ImageCache,
    rows: &[&Row],
    temperature: f32,
) -> Result<RowScores, ModelError> {
    score_rows_with(model, images, rows, temperature, false)
}

/// As [`score_rows`]; the entropies have a gradient where `entropy_gradient` says so, which costs the memory of the
/// logits.
///
/// # Errors
/// As [`score_rows`].
pub fn score_rows_with(
    model: &Qwen3Vl,
    images: &ImageCache,
    rows: &[&Row],
    temperature: f32,
    entropy_gradient: bool,
) -> Result<RowScores, ModelError> {
    let batch = assemble(model, images, rows)?;
    let targets = Targets::of(model, rows, &batch)?;
    let hidden = batch.hidden_at(model, None, targets.before.clone());
    Ok(targets.score(model, hidden, temperature, entropy_gradient))
}

/// What the backward pass of [`score_rows_by_blocks`] reads.
pub struct ScoreTape {
    targets: Targets,
    /// The last decoder layer's output where a trained token follows, a leaf, and the log-probs that came of it.
    last: Tensor<2>,
    logprobs: Tensor<2>,
    entropies: Option<Tensor<2>>,
    decoder: DecoderTape,
    tower: Option<TowerTape>,
}

/// As [`score_rows`], without autodiff: only the input of each block is kept, and [`ScoreTape::backward`] computes the
/// blocks again.
///
/// # Errors
/// As [`score_rows`].
pub fn score_rows_by_blocks(
    model: &Qwen3Vl,
    images: &ImageCache,
    rows: &[&Row],
    temperature: f32,
) -> Result<(RowScores, ScoreTape), ModelError> {
    score_rows_by_blocks_with(model, images, rows, temperature, false, Kept::here)
}

/// As [`score_rows_by_blocks`]; [`ScoreTape::backward_with`] takes a gradient of the entropies where `entropy_gradient`
/// says so, and `keep` says where the inputs of the blocks wait: [`Kept::here`] or [`Kept::offloaded`].
///
/// # Errors
/// As [`score_rows`].
pub fn score_rows_by_blocks_with(
    model: &Qwen3Vl,
    images: &ImageCache,
    rows: &[&Row],
    temperature: f32,
    entropy_gradient: bool,
    keep: fn(&Tensor<2>) -> Kept,
) -> Result<(RowScores, ScoreTape), ModelError> {
    let batch = assemble(model, images, rows)?;
    let targets = Targets::of(model, rows, &batch)?;
    let mut input = batch.input.clone();
    let mut tower = None;
    if let Some(index) = &batch.visual {
        let images: Vec<&Pixels> = batch.pixels.iter().map(AsRef::as_ref).collect();
        let (features, tape) = model.visual.forward_blocks(&images, keep);
        input.vision = Some((features, index.clone()));
        tower = Some(tape);
    }
    let (last, decoder) = model.language_model.forward_blocks(input, keep);
    let last = last.select(0, targets.before.clone()).autodiff().require_grad();
    let hidden = model.language_model.finish(last.clone());
    let RowScores { logprobs, entropies } = targets.score(model, hidden, temperature, entropy_gradient);
    let scores = RowScores {
        logprobs: logprobs.clone().without_autodiff(),
        entropies: entropies.clone().without_autodiff(),
    };
    let tape = ScoreTape {
        targets,
        last,
        logprobs,
        entropies: entropy_gradient.then_some(entropies),
        decoder,
        tower,
    };
    Ok((scores, tape))
}

impl ScoreTape {
    /// Gradients of the adapter factors from that of the log-probs `[rows, completion]`. `model` is
    /// [`Qwen3Vl::trainable`] for [`crate::Trainable::Adapter`].
    pub fn backward(self, model: &mut Qwen3Vl, grad: Tensor<2>) -> AdapterGradients {
        self.backward_with(model, grad, None)
    }

    /// As [`ScoreTape::backward`], from the gradient of the entropies `[rows, completion]` besides; it counts only where
    /// one was asked for when the rows were scored.
    pub fn backward_with(
        self,
        model: &mut Qwen3Vl,
        grad: Tensor<2>,
        entropy_grad: Option<Tensor<2>>,
    ) -> AdapterGradients {
        let mut gradients = AdapterGradients::default();
        let mut pulled = kernels::cotangent(self.logprobs, grad);
        if let (Some(entropies), Some(grad)) = (self.entropies, entropy_grad) {
            pulled = pulled + kernels::cotangent(entropies, grad);
        }
        let found = pulled.backward();
        let Some(grad) = self.last.grad(&found) else {
            return gradients;
        };
        let grad = self.targets.spread(grad);
        let decoder = &mut model.language_model;
        let features = decoder.backward_blocks("model.language_model", self.decoder, grad, &mut gradients);
        if let (Some(features), Some(tape)) = (features, self.tower) {
            let mut trained = false;
            model
                .visual
                .visit_linear_mut("", &mut |_, linear| trained |= linear.lora.is_some());
            if trained {
                model
                    .visual
                    .backward_blocks("model.visual", tape, features, &mut gradients);
            }
        }
        gradients
    }
}

/// Packs or right-pads `rows`, and reads their images.
fn assemble(model: &Qwen3Vl, images: &ImageCache, rows: &[&Row]) -> Result<Batch, ModelError> {
    let mut inputs = Vec::with_capacity(rows.len());
    for (row, pixels) in rows.iter().zip(images.of_rows(rows)?) {
        model.check_tokens(row.tokens())?;
        inputs.push(RowInput {
            tokens: row.tokens().to_vec(),
            pixels,
            sampled: row.sampled().to_vec(),
        });
    }
    if model.packs_rows() {
        Batch::pack(model, &inputs)
    } else {
        Batch::assemble(model, &inputs, &Prefix::default())
    }
}

/// Which hidden states predict the trained tokens, and where their scores go.
struct Targets {
    /// The state before each trained token, in the flattened batch.
    before: Tensor<1, Int>,
    /// The same on the host, and the number of states.
    states: (Vec<i64>, usize),
    ids: Tensor<1, Int>,
    /// For each place of `[rows, longest]`: its number among the trained tokens, or their count where it is padding.
    table: Tensor<1, Int>,
    rows: usize,
    longest: usize,
}

impl Targets {
    fn of(model: &Qwen3Vl, rows: &[&Row], batch: &Batch) -> Result<Self, ModelError> {
        let mut before = Vec::new();
        let mut ids = Vec::new();
        let mut starts = Vec::with_capacity(rows.len());
        for (number, row) in rows.iter().enumerate() {
            starts.push(ids.len());
            for (index, _) in row.trained().iter().enumerate().filter(|(_, trained)| **trained) {
                let previous = index.checked_sub(1).ok_or_else(|| ModelError::Input {
                    operation: "score row",
                    expected: "a prompt before the first trained token".to_owned(),
                    got: format!("row {number} trains its token 0"),
                })?;
                before.push((batch.starts[number] + previous) as i64);
                ids.push(i64::from(row.tokens()[index]));
            }
        }
        let longest = rows.iter().map(|row| row.trained_tokens()).max().unwrap_or(0);
        // Entry `ids.len()` of the flat scores is the zero that pads short rows.
        let mut table = vec![ids.len() as i64; rows.len() * longest];
        for (number, row) in rows.iter().enumerate() {
            for offset in 0..row.trained_tokens() {
                table[number * longest + offset] = (starts[number] + offset) as i64;
            }
        }
        let device = model.device();
        Ok(Self {
            before: ints(before.clone(), &device),
            states: (before, batch.input.tokens.dims()[0]),
            ids: ints(ids, &device),
            table: ints(table, &device),
            rows: rows.len(),
            longest,
        })
    }

    /// The gradient of all states `[rows * time, hidden]` from that of the states `before` trained tokens.
    fn spread(&self, grad: Tensor<2>) -> Tensor<2> {
        let (before, count) = &self.states;
        // Where no trained token follows, the row of zeros behind the gradients.
        let mut after = vec![before.len() as i64; *count];
        for (number, &state) in before.iter().enumerate() {
            after[state as usize] = number as i64;
        }
        let device = grad.device();
        let nothing = Tensor::zeros([1, grad.dims()[1]], (&device, grad.dtype()));
        Tensor::cat(vec![grad, nothing], 0).select(0, ints(after, &device))
    }

    /// Scores from the final norm of the hidden states `before` trained tokens.
    fn score(&self, model: &Qwen3Vl, hidden: Tensor<2>, temperature: f32, entropy_gradient: bool) -> RowScores {
        let score = if entropy_gradient {
            token_scores_with_entropy
        } else {
            token_scores
        };
        let TokenScores { logprobs, entropies } =
            score(hidden, model.head(), self.ids.clone(), temperature, CHUNK_ROWS);
        let spread = |flat: Tensor<1>| {
            let padded = Tensor::cat(vec![flat, Tensor::zeros([1], &model.device())], 0);
            padded.select(0, self.table.clone()).reshape([self.rows, self.longest])
        };
        RowScores {
            logprobs: spread(logprobs),
            entropies: spread(entropies),
        }
    }
}

/// Logits that [`score_sequence`] holds at once.
pub(crate) const SEQUENCE_LOGITS: usize = 1 << 25;

/// Scores of every token of one sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceScores {
    /// Natural log-prob of tokens `1..` given all before each, at temperature 1: one entry fewer than tokens.
    pub logprobs: Vec<f32>,
    /// Positions of all tokens: time, height, width.
    pub positions: [Vec<i64>; 3],
}

/// Scores one sequence under `model` (and its adapter), without gradient.
///
/// # Errors
/// When the sequence is empty, does not fit the model, or a score is not finite.
pub fn score_sequence(model: &Qwen3Vl, row: &RowInput) -> Result<SequenceScores, ModelError> {
    let input = |expected: &str, got: String| ModelError::Input {
        operation: "score sequence",
        expected: expected.to_owned(),
        got,
    };
    if row.tokens.is_empty() {
        return Err(input("at least one token", "none".to_owned()));
    }
    model.check_tokens(&row.tokens)?;
    let positions = row.place(&model.config, Default::default())?.axes;
    let count = row.tokens.len() - 1;
    if count == 0 {
        let logprobs = Vec::new();
        return Ok(SequenceScores { logprobs, positions });
    }
    let batch = Batch::assemble(model, std::slice::from_ref(row), &Prefix::default())?;
    let targets: Vec<i64> = row.tokens[1..].iter().map(|&token| i64::from(token)).collect();
    let targets = ints(targets, &model.device());
    let hidden = batch.hidden(model, None).narrow(0, 0, count);
    let chunk = (SEQUENCE_LOGITS / model.config.text.vocab_size).max(1);
    let scores = token_scores(hidden, model.head(), targets, 1.0, chunk);
    let logprobs = cua_grpo_kernels::host(scores.logprobs);
    match logprobs.iter().position(|value| !value.is_finite()) {
        None => Ok(SequenceScores { logprobs, positions }),
        Some(index) => Err(input(
            "finite log-probs; are the weights damaged?",
            format!("{} at token {}", logprobs[index], index + 1),
        )),
    }
}
