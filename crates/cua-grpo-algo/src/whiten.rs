//! Whitening: advantages of tokens are centred and scaled once more over the whole batch (AReaL `adv_norm`).
//!
//! `A <- (A - mean) / (std + 1e-5)` over the tokens that enter the loss, with the unbiased standard deviation; tokens
//! that do not enter it become 0. A long episode weighs more here, because every token counts once.

use crate::advantage::{mean, std};

/// Whitens `rows` in place: each token with whether it enters the loss.
pub fn whiten(rows: &mut [Vec<f64>], entering: &[Vec<bool>]) {
    let pairs = rows.iter().zip(entering).flat_map(|(row, mask)| row.iter().zip(mask));
    let all: Vec<f64> = pairs.filter(|(_, enters)| **enters).map(|(value, _)| *value).collect();
    let (centre, spread) = (mean(&all), std(&all, 1) + 1e-5);
    for (row, mask) in rows.iter_mut().zip(entering) {
        for (value, enters) in row.iter_mut().zip(mask) {
            *value = if *enters { (*value - centre) / spread } else { 0.0 };
        }
    }
}
