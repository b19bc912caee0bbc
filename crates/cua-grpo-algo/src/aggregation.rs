//! Aggregation: how the losses of tokens become one number (the choice and its totals; `loss/aggregate.rs` computes it).
//!
//! With `q` the loss a token, `m` the mask, `n_i` the masked-in tokens of row `i` (at least 1):
//!
//! | mode | loss | used by |
//! |---|---|---|
//! | `sequence_mean` | `sum_i (sum_t q m / n_i) / rows` | GRPO, GSPO, SAPO |
//! | `micro_batch_token_mean` | `sum q m / max(sum m, 1) / micro_batches`, local to the micro-batch | BNPO |
//! | `constant` | `sum q m / (rows * max_completion_tokens)` | Dr. GRPO |
//! | `token_mean` | `sum q m / max(tokens, 1)` | DAPO, CISPO, VESPO |
//! | `sequence_sum` | `sum q m / rows` | LUSPO |
//!
//! A sequence that was cut into several rows counts once: `rows` are sequences ([`Totals::rows`]), and in `sequence_mean` a
//! row is weighed by its part of the tokens of its sequence ([`crate::LossInputs::share`]), which makes its `n_i` those of
//! the sequence.
//!
//! A loss may be aggregated in another way than its own ([`crate::LossConfig::aggregation`]). verl calls them `token-mean`,
//! `seq-mean-token-mean`, `seq-mean-token-sum` and `seq-mean-token-sum-norm`; the last divides by a number of tokens
//! alone, so it is `constant` times the rows.
//!
//! `rows`, `tokens` and `micro_batches` are those of the **whole optimiser step** ([`Totals`]), so the losses of its
//! micro-batches add up to that of the step, however it is cut (BNPO alone depends on the cut, by definition).
//! Departures from TRL: its gradient accumulation divides by the number of micro-batches, which is the same only when
//! they have equal numbers of rows, and its DAPO denominator counts the whole generation batch even when that is
//! spread over several optimiser steps.

use cua_grpo_core::Row;
use serde::{Deserialize, Serialize};

/// How a loss a token becomes one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Mean over rows of the mean over tokens.
    SequenceMean,
    /// Mean over the tokens of the micro-batch, then over micro-batches.
    MicroBatchTokenMean,
    /// Sum over a constant number of tokens a row.
    Constant,
    /// Mean over the tokens of the optimiser step.
    TokenMean,
    /// Mean over rows of the sum over tokens.
    SequenceSum,
}

/// What one optimiser step holds, over all its micro-batches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Totals {
    /// Rows; where sequences were cut into several, the sum of their shares.
    pub rows: f64,
    /// Tokens that enter the loss.
    pub tokens: f64,
    /// Those of them whose entropy enters the bonus: fewer than `tokens` under [`crate::LossInputs::keep`].
    pub kept: f64,
    /// Micro-batches.
    pub micro_batches: f64,
    /// Upper bound of trained tokens in a row, for [`Aggregation::Constant`].
    pub max_completion_tokens: f64,
}

impl Aggregation {
    /// Every mode.
    pub const ALL: [Self; 5] = [
        Self::SequenceMean,
        Self::MicroBatchTokenMean,
        Self::Constant,
        Self::TokenMean,
        Self::SequenceSum,
    ];
}

impl Totals {
    /// The totals of an optimiser step over `rows` that is cut into `micro_batches`.
    pub fn of_rows<'a>(
        rows: impl IntoIterator<Item = &'a Row>,
        micro_batches: usize,
        max_completion_tokens: usize,
    ) -> Self {
        let (mut count, mut tokens) = (0, 0);
        for row in rows {
            count += 1;
            tokens += row.trained_tokens();
        }
        Self {
            micro_batches: micro_batches as f64,
            ..Self::single(count, tokens, max_completion_tokens)
        }
    }

    /// The totals of an optimiser step of one micro-batch with `rows` rows and `tokens` tokens.
    pub fn single(rows: usize, tokens: usize, max_completion_tokens: usize) -> Self {
        Self {
            rows: rows as f64,
            tokens: tokens as f64,
            kept: tokens as f64,
            micro_batches: 1.0,
            max_completion_tokens: max_completion_tokens as f64,
        }
    }
}
