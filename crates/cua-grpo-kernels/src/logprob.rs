//! Final head, log-probs of given tokens and entropies, in chunks: the logits of a long batch are never held at once.

use crate::linear::head;
use crate::ops::Op;
use crate::route::{is_fused, is_fused_weight};
use burn::tensor::{Int, Tensor, activation};

/// Scores of given tokens.
#[derive(Debug, Clone)]
pub struct TokenScores {
    /// Natural log-prob of each target `[rows]`.
    pub logprobs: Tensor<1>,
    /// Entropy of each distribution in nats `[rows]`, without gradient unless it was asked for.
    pub entropies: Tensor<1>,
}

/// Log-softmax of `hidden W^T / temperature`, gathered at `targets`.
///
/// # Shapes
/// - hidden: `[rows, width]`; weight: `[vocab, width]`; targets: `[rows]`
pub fn token_scores(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: Tensor<1, Int>,
    temperature: f32,
    chunk_rows: usize,
) -> TokenScores {
    #[cfg(feature = "cuda")]
    if let Some(scores) = crate::cuda::route::token_scores(&hidden, &weight, &targets, temperature, chunk_rows) {
        let [logprobs, entropies] = scores;
        return TokenScores { logprobs, entropies };
    }
    let rows = hidden.dims()[0];
    if rows == 0 || !is_fused(&hidden) || !is_fused_weight(&weight.clone().into()) {
        return reference(hidden, weight, targets, temperature, chunk_rows, false);
    }
    let scores: Tensor<2> = Op::TokenScores {
        hidden: hidden.into_dispatch(),
        weight: weight.into_dispatch(),
        targets: targets.into_dispatch(),
        temperature: f64::from(temperature),
        chunk_rows,
    }
    .run();
    let row = |number: usize| scores.clone().narrow(0, number, 1).reshape([rows]);
    TokenScores {
        logprobs: row(0),
        entropies: row(1).without_autodiff(),
    }
}

/// As [`token_scores`], with a gradient of the entropies too. Log-probs are those of [`token_scores`], to the last bit.
/// Entropies take plain tensor operations on every device, a second product with the head among them, and keep the logits
/// of all chunks for the backward pass.
///
/// # Shapes
/// As [`token_scores`].
pub fn token_scores_with_entropy(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: Tensor<1, Int>,
    temperature: f32,
    chunk_rows: usize,
) -> TokenScores {
    let logprobs = token_scores(hidden.clone(), weight.clone(), targets.clone(), temperature, chunk_rows);
    let entropies = reference(hidden, weight, targets, temperature, chunk_rows, true);
    TokenScores {
        logprobs: logprobs.logprobs,
        entropies: entropies.entropies,
    }
}

fn reference(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: Tensor<1, Int>,
    temperature: f32,
    chunk_rows: usize,
    entropy_gradient: bool,
) -> TokenScores {
    let rows = hidden.dims()[0];
    let mut logprobs = Vec::new();
    let mut entropies = Vec::new();
    for start in (0..rows).step_by(chunk_rows.max(1)) {
        let count = chunk_rows.min(rows - start);
        let logits = head(hidden.clone().narrow(0, start, count), weight.clone()) / temperature;
        let table = activation::log_softmax(logits, 1);
        let plain = if entropy_gradient {
            table.clone()
        } else {
            table.clone().without_autodiff()
        };
        entropies.push((plain.clone().exp() * plain).sum_dim(1).neg().squeeze_dim::<1>(1));
        let ids = targets.clone().narrow(0, start, count).unsqueeze_dim::<2>(1);
        logprobs.push(table.gather(1, ids).squeeze_dim::<1>(1));
    }
    TokenScores {
        logprobs: Tensor::cat(logprobs, 0),
        entropies: Tensor::cat(entropies, 0),
    }
}
