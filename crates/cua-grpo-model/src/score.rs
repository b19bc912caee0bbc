//! Log-probs of given tokens: what training differentiates, and what `trainer score` prints.

use crate::batch::{Batch, ImageCache, Prefix, RowInput};
use crate::{ModelError, Qwen3Vl};
use burn::tensor::{Int, Tensor, TensorData};
use cua_grpo_core::Row;
use cua_grpo_kernels::{TokenScores, token_scores};

/// Rows of logits that are held at once.
const CHUNK_ROWS: usize = 2048;

/// Scores of the trained tokens of a batch of rows.
#[derive(Debug, Clone)]
pub struct RowScores {
    /// Log-probs `[rows, completion]`: the trained tokens of each row, in order; 0 beyond the last.
    pub logprobs: Tensor<2>,
    /// Entropies in nats, shaped as `logprobs`, without gradient.
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
    let mut inputs = Vec::with_capacity(rows.len());
    for row in rows {
        model.check_tokens(&row.tokens)?;
        let pixels = row
            .images
            .iter()
            .map(|image| images.pixels(image))
            .collect::<Result<_, _>>()?;
        inputs.push(RowInput {
            tokens: row.tokens.clone(),
            pixels,
            sampled: row.trained.clone(),
        });
    }
    let batch = Batch::assemble(model, &inputs, &Prefix::default())?;
    let device = model.device();
    // The hidden state before a token predicts it.
    let mut before = Vec::new();
    let mut targets = Vec::new();
    let mut starts = Vec::with_capacity(rows.len());
    for (number, row) in rows.iter().enumerate() {
        starts.push(targets.len());
        for (index, _) in row.trained.iter().enumerate().filter(|(_, trained)| **trained) {
            let previous = index.checked_sub(1).ok_or_else(|| ModelError::Input {
                operation: "score row",
                expected: "a prompt before the first trained token".to_owned(),
                got: format!("row {number} trains its token 0"),
            })?;
            before.push((number * batch.time + previous) as i64);
            targets.push(i64::from(row.tokens[index]));
        }
    }
    let count = targets.len();
    let longest = rows.iter().map(|row| row.trained_tokens()).max().unwrap_or(0);
    // Entry `count` of the flat scores is the zero that pads short rows.
    let mut table = vec![count as i64; rows.len() * longest];
    for (number, row) in rows.iter().enumerate() {
        for offset in 0..row.trained_tokens() {
            table[number * longest + offset] = (starts[number] + offset) as i64;
        }
    }
    let ints = |values: Vec<i64>| {
        let length = values.len();
        Tensor::<1, Int>::from_data(TensorData::new(values, [length]), &device)
    };
    let hidden = batch.hidden(model, None).select(0, ints(before));
    let TokenScores { logprobs, entropies } =
        token_scores(hidden, model.head(), ints(targets), temperature, CHUNK_ROWS);
    let table = ints(table);
    let spread = |flat: Tensor<1>| {
        let padded = Tensor::cat(vec![flat, Tensor::zeros([1], &device)], 0);
        padded.select(0, table.clone()).reshape([rows.len(), longest])
    };
    Ok(RowScores {
        logprobs: spread(logprobs),
        entropies: spread(entropies),
    })
}
