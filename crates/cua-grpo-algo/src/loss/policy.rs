//! The policy loss: surrogate, masks of the surrogate, correction, divergence, aggregation and entropy bonus, in this
//! order.
//!
//! As in TRL, the masks (off-policy, rejection, [`LossInputs::keep`]) and the correction act on the surrogate and leave
//! the divergence alone.
//!
//! Entropy bonus: `loss -= coef * sum H / kept`, over the tokens of `keep`, with the gradient of `H`; where the loss is
//! a mean over the tokens of the step, the denominator is that one, `tokens`.

use super::aggregate::{aggregate, over};
use super::config::{LossConfig, LossKind};
use super::inputs::LossInputs;
use super::ratio::{log_ratio, ratio};
use super::stats::StatSums;
use super::{cispo, clipped, sapo, vespo};
use crate::tensor::{masked, row_lengths};
use crate::{Aggregation, AlgoError, Totals};
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
    let shape = logprobs.dims();
    let behaviour = || inputs.behaviour.clone().or_else(|| inputs.sampler.clone());
    let rejected = match config.rejection {
        None => None,
        Some(rejection) => {
            let sampler = behaviour().ok_or(missing("sampler", "a rejection is configured"))?;
            Some(rejection.keep(old.clone(), sampler, mask))
        }
    };
    let left = rejected
        .clone()
        .map_or_else(|| mask.clone(), |kept| kept * mask.clone());
    let log_ratio = log_ratio(config.kind.ratio_level(), logprobs.clone(), old.clone(), &left);
    let ratio = ratio(log_ratio.clone());

    let corrected = match config.correction {
        None => None,
        Some(correction) => {
            let sampler = behaviour().ok_or(missing("sampler", "a correction is configured"))?;
            let weights = correction.weights(old.clone(), sampler.clone(), mask);
            let outside = correction.outside(old.clone(), sampler, mask);
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
    // 1 where the surrogate is kept.
    let mut kept: Vec<Tensor<2>> = rejected.into_iter().chain(inputs.keep.clone()).collect();
    if let Some(threshold) = config.off_policy_threshold {
        let sampler = inputs
            .sampler
            .clone()
            .map_or_else(|| old.clone(), |sampler| masked(sampler.detach(), mask));
        let drift = (sampler - logprobs.clone().detach()).sum_dim(1) / row_lengths(mask);
        let bad = advantages.clone().expand(shape).lower_scalar(0.0);
        let drop = drift.expand(shape).greater_scalar(threshold).bool_and(bad);
        kept.push(mask.ones_like().mask_fill(drop, 0.0));
    }
    for kept in &kept {
        losses = masked(losses, kept);
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
        let mut kl = config.kl.tensor(logprobs.clone(), masked(reference.detach(), mask));
        if config.kl_times_ratio {
            kl = kl * ratio.clone();
        }
        losses = losses + kl.clone() * config.beta;
        divergence = Some(kl);
    } else if let Some(reference) = &inputs.reference {
        let reference = masked(reference.clone().detach(), mask);
        divergence = Some(config.kl.tensor(logprobs.clone().detach(), reference));
    }

    if let (Some(share), Aggregation::SequenceMean) = (&inputs.share, config.aggregation()) {
        losses = losses * share.clone();
    }
    let mut loss = aggregate(config.aggregation(), losses, mask, totals);
    if config.entropy_coef != 0.0 {
        let entropies = inputs.entropies.clone();
        let entropies = entropies.ok_or(missing("entropies", "entropy_coef is not 0"))?;
        let mut entropies = masked(entropies, mask);
        if let Some(kept) = &inputs.keep {
            entropies = masked(entropies, kept);
        }
        let count = match config.aggregation() {
            Aggregation::TokenMean => totals.tokens,
            _ => totals.kept,
        };
        loss = loss - over(entropies.sum(), count) * config.entropy_coef;
    }
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
        kept.into_iter().reduce(|a, b| a * b).map(|kept| kept.neg() + 1.0),
    );
    Ok(LossOutput { loss, sums })
}
