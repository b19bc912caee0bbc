//! The policy loss: surrogate, off-policy mask, correction, divergence and aggregation, in this order.
//!
//! As in TRL, the off-policy mask and the correction act on the surrogate and leave the divergence alone.

use super::aggregate::aggregate;
use super::config::{LossConfig, LossKind};
use super::inputs::LossInputs;
use super::kl::k3;
use super::ratio::log_ratio;
use super::stats::StatSums;
use super::{cispo, clipped, sapo, vespo};
use crate::tensor::{masked, row_lengths};
use crate::{AlgoError, Totals};
use burn::tensor::Tensor;

/// A loss and what is worth logging about it.
#[derive(Debug, Clone)]
pub struct LossOutput {
    /// The loss of this micro-batch, with a gradient; those of one step add up. Shape `[1]`.
    pub loss: Tensor<1>,
    /// Sums for the log, without gradient, still on the device.
    pub sums: StatSums,
}

/// The loss of one micro-batch of an optimiser step that holds `totals`.
///
/// # Errors
/// [`AlgoError`] when shapes disagree, a constant is out of its range, or an input that the configuration needs is
/// missing.
pub fn policy_loss(config: &LossConfig, inputs: &LossInputs, totals: &Totals) -> Result<LossOutput, AlgoError> {
    config.validate()?;
    inputs.validate()?;
    let missing = |input, reason| AlgoError::Missing {
        operation: "policy loss",
        input,
        reason,
    };
    let (mask, advantages) = (&inputs.mask, &inputs.advantages);
    // Whatever lies outside of the mask is cut off here, gradient included.
    let logprobs = masked(inputs.logprobs.clone(), mask);
    let old = masked(
        inputs.old.clone().unwrap_or_else(|| inputs.logprobs.clone()).detach(),
        mask,
    );
    let log_ratio = log_ratio(config.kind.ratio_level(), logprobs.clone(), old.clone(), mask);
    let ratio = log_ratio.clone().exp();

    let corrected = match config.correction {
        None => None,
        Some(correction) => {
            let sampler = inputs
                .sampler
                .clone()
                .ok_or(missing("sampler", "a correction is configured"))?;
            let weights = correction.weights(old.clone(), sampler.clone(), mask);
            let outside = correction.outside(old.clone(), sampler, mask);
            let shape = logprobs.dims();
            Some((weights.expand(shape), outside.expand(shape)))
        }
    };
    let weights = corrected.as_ref().map(|(weights, _)| weights.clone());

    let mut losses = match config.kind {
        LossKind::Grpo | LossKind::Bnpo | LossKind::DrGrpo | LossKind::Dapo | LossKind::Gspo | LossKind::Luspo => {
            clipped::surrogate(config, ratio.clone(), advantages.clone())
        }
        LossKind::Cispo => cispo::surrogate(config, ratio.clone(), logprobs.clone(), advantages.clone()),
        LossKind::Sapo => sapo::surrogate(config, ratio.clone(), advantages.clone()),
        LossKind::Vespo => vespo::surrogate(
            config,
            log_ratio,
            logprobs.clone(),
            weights.clone(),
            advantages.clone(),
            mask,
        ),
    };
    if let Some(threshold) = config.off_policy_threshold {
        let sampler = inputs
            .sampler
            .clone()
            .map_or_else(|| old.clone(), |sampler| masked(sampler.detach(), mask));
        let drift = (sampler - logprobs.clone().detach()).sum_dim(1) / row_lengths(mask);
        let drop = drift
            .greater_scalar(threshold)
            .bool_and(advantages.clone().lower_scalar(0.0));
        losses = losses.mask_fill(drop.expand(logprobs.dims()), 0.0);
    }
    if let (Some(weights), false) = (&weights, config.kind == LossKind::Vespo) {
        losses = losses * weights.clone();
    }
    let mut divergence = None;
    if config.beta > 0.0 {
        let reference = inputs
            .reference
            .clone()
            .ok_or(missing("reference", "beta is above 0"))?;
        let mut kl = k3(logprobs.clone(), masked(reference.detach(), mask));
        if config.kl_times_ratio {
            kl = kl * ratio.clone();
        }
        losses = losses + kl.clone() * config.beta;
        divergence = Some(kl);
    } else if let Some(reference) = &inputs.reference {
        divergence = Some(k3(logprobs.clone().detach(), masked(reference.clone().detach(), mask)));
    }

    let loss = aggregate(config.kind.aggregation(), losses, mask, totals);
    let sampler_gap = inputs
        .sampler
        .clone()
        .map(|sampler| (old - masked(sampler.detach(), mask)).abs());
    let sums = StatSums::new(
        config,
        &loss,
        ratio,
        advantages,
        mask,
        divergence,
        corrected,
        sampler_gap,
    );
    Ok(LossOutput { loss, sums })
}
