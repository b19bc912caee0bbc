//! The updates of one step: rows with advantages become gradients.

use crate::batching::{self, accumulate, micro_batches_of, read_sum};
use crate::config::TrainConfig;
use crate::known::{Before, Known, host, mask, padded};
use crate::learner::Learner;
use crate::metrics::UpdateFigures;
use crate::parity::Parity;
use anyhow::{Context, Result};
use burn::tensor::Tensor;
use cua_grpo_algo::{AlgoError, LossInputs, LossOutput, Proximal, StatSums, Totals, policy_loss, proximal_share};
use cua_grpo_core::{Row, derive_seed};
use cua_grpo_model::score::RowScores;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Which of the run's random streams draws the masks of dropout.
const DROPOUT: u64 = 2;
/// Which one shuffles the rows of a step into mini-batches.
const SHUFFLE: u64 = 3;
/// Rows that a message names.
const MOST_NAMED: usize = 4;

pub use crate::selection::{Credit, Selection, select};

/// The loss of one micro-batch of a step that holds `totals`. `inputs` are those of its rows.
///
/// What the ratio compares with (`o` in ALGORITHM.md) is what the sampler reported, or, where the configuration asks
/// for it, `before`: the log-probs before the first update of the step, none in that update, where they are those of
/// `inputs` themselves without their gradient. `reference` is needed where `beta` is above 0; the divergence enters
/// the loss unless it was taken from the rewards.
///
/// # Shapes
/// `before` and `reference` are `[rows, completion]`, as the log-probs of `inputs`.
///
/// # Errors
/// When shapes disagree or the reference is missing.
pub fn micro_batch_loss(
    config: &TrainConfig,
    inputs: LossInputs,
    before: Option<Tensor<2>>,
    reference: Option<Tensor<2>>,
    totals: &Totals,
) -> Result<LossOutput, AlgoError> {
    let old = if config.recomputes_logprobs() {
        before
    } else {
        inputs.sampler.clone()
    };
    let inputs = LossInputs {
        old,
        reference,
        ..inputs
    };
    policy_loss(&config.loss(), &inputs, totals)
}

/// What became of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// It was made.
    Made,
    /// None of its rows has a token that enters the loss: nothing was changed, and there is no figure.
    Empty,
    /// The gradient was not finite, for more than half of the rows: nothing was changed. Says where that came from.
    Skipped(String),
}

/// What some rows add to an update. Figures stay where they were computed until the whole update is.
struct Part {
    gradient: Tensor<1>,
    sums: StatSums,
    /// Sums over tokens, one for each micro-batch.
    entropy: Vec<Tensor<1>>,
    /// How far the sampler's log-probs are from the trainer's, one for each micro-batch.
    parity: Vec<Parity>,
}

impl batching::Part for Part {
    fn merge(self, later: Self) -> Self {
        Self {
            gradient: self.gradient + later.gradient,
            sums: self.sums.merge(later.sums),
            entropy: [self.entropy, later.entropy].concat(),
            parity: [self.parity, later.parity].concat(),
        }
    }
}

/// The updates of one step: they share their rows, and what the policy was before the first of them.
pub struct Updates<'a> {
    config: &'a TrainConfig,
    selection: &'a Selection<'a>,
    /// The version of the policy before the step.
    version: u64,
    before: Before,
    /// Which part of its episode each row is, where any is cut.
    share: Option<Vec<f64>>,
    /// Updates that were begun.
    begun: usize,
    /// The order of the rows in this pass over them.
    order: Vec<usize>,
    /// Rows that are left out because their gradient was not finite.
    bad: Vec<bool>,
    /// The figures of the updates that were made.
    pub figures: Vec<UpdateFigures>,
    /// Names of the rows that were left out because their gradient was not finite.
    pub skipped_rows: Vec<String>,
}

impl<'a> Updates<'a> {
    /// Updates on the selected rows.
    pub fn new(config: &'a TrainConfig, selection: &'a Selection<'a>) -> Self {
        let rows = selection.rows.len();
        Self {
            config,
            selection,
            version: 0,
            before: Before {
                known: vec![Known::default(); rows],
                ..Before::default()
            },
            share: selection.shares(),
            begun: 0,
            order: (0..rows).collect(),
            bad: vec![false; rows],
            figures: Vec::new(),
            skipped_rows: Vec::new(),
        }
    }

    /// The same updates of the policy of `version`: `prox_logp_method` compares it with the tokens' own.
    #[must_use]
    pub fn at_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// How many updates the step makes: `num_updates` of each of `num_minibatches` parts, none without rows.
    pub fn count(&self) -> usize {
        self.config.num_updates * self.parts()
    }

    fn parts(&self) -> usize {
        self.config.num_minibatches.min(self.selection.rows.len())
    }

    /// The next update, on the rows of its mini-batch.
    ///
    /// Unless log-probs are recomputed, the ratio is that of the policy now to the policy that sampled, by the
    /// sampler's own log-probs: at staleness 0 it is 1 up to rounding in the first update, and how far it is from 1
    /// measures whether sampling and training agree. With `lora_dropout` above 0 the policy that is trained drops
    /// entries and the one that sampled did not, so ratio and `sampler_gap` show the noise of dropout too. (TRL draws
    /// masks for the old log-probs as well unless `disable_dropout` is set; verl computes them in evaluation mode, as
    /// here.)
    ///
    /// Rows without a token that enters the loss (the time of their episode was over before its first reply, or they were
    /// cut and are masked) are not scored. They count in means over sequences as they always do.
    ///
    /// Rows whose gradient is not finite are named, counted and left out of this update and the later ones; where they
    /// are more than half of the rows, the update is skipped.
    ///
    /// # Errors
    /// When the rows cannot be scored; an update that is skipped is no error.
    pub fn make(&mut self, learner: &mut Learner, learning_rate: f64) -> Result<Update> {
        if self.begun == 0 && self.config.scores_before() {
            self.before = Before::of(self.config, self.selection, learner)?;
        }
        let members = self.next_rows(learner);
        self.begun += 1;
        if members.is_empty() {
            return Ok(Update::Skipped("no row is left whose gradient is finite".to_owned()));
        }
        if members.iter().all(|&row| self.selection.tokens_of(row) == 0) {
            return Ok(Update::Empty);
        }
        let Err(bad) = self.update(learner, learning_rate, &members)? else {
            return Ok(Update::Made);
        };
        if bad.is_empty() {
            let sum = "each row's gradient is finite, their sum is not";
            return Ok(Update::Skipped(sum.to_owned()));
        }
        let names = self.selection.names(&bad);
        if 2 * bad.len() > members.len() {
            return Ok(Update::Skipped(named(&names)));
        }
        tracing::warn!(rows = named(&names), "rows are left out: their gradient is not finite");
        self.skipped_rows.extend(names);
        bad.iter().for_each(|&row| self.bad[row] = true);
        let left: Vec<usize> = members.into_iter().filter(|&row| !self.bad[row]).collect();
        if left.iter().all(|&row| self.selection.tokens_of(row) == 0) {
            return Ok(Update::Skipped(named(&self.skipped_rows)));
        }
        Ok(match self.update(learner, learning_rate, &left)? {
            Ok(()) => Update::Made,
            Err(bad) => Update::Skipped(named(&self.selection.names(&bad))),
        })
    }

    /// The rows of the next update: all of them in their order, or the next part of a shuffled pass.
    fn next_rows(&mut self, learner: &Learner) -> Vec<usize> {
        let (rows, parts) = (self.selection.rows.len(), self.parts().max(1));
        let place = self.begun % parts;
        if parts > 1 && place == 0 {
            let seed = derive_seed(&[self.config.seed, SHUFFLE, learner.adamw.steps()]);
            self.order = (0..rows).collect();
            self.order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        }
        let part = &self.order[rows * place / parts..rows * (place + 1) / parts];
        part.iter().copied().filter(|&row| !self.bad[row]).collect()
    }

    /// One update on `members`. The inner error has the rows whose gradient is not finite; nothing was changed then.
    fn update(
        &mut self,
        learner: &mut Learner,
        learning_rate: f64,
        members: &[usize],
    ) -> Result<Result<(), Vec<usize>>> {
        let scored = members.iter().filter(|&&row| self.selection.tokens_of(row) > 0);
        let packed = learner.policy.model().packs_rows();
        let (rows, most) = (&self.selection.rows, self.config.micro_batch_tokens);
        let batches = micro_batches_of(rows, scored.copied().collect(), most, packed);
        let totals = self.totals(members, batches.len());
        let mut found = Vec::new();
        let whole = accumulate(&batches, |number, members| {
            let (part, used) = self.part(learner, &totals, number, members)?;
            found.extend(members.iter().copied().zip(used));
            Ok(part)
        })?;
        let whole = whole.context("an update without rows: this is a bug")?;
        let Some(grad_norm) = learner.update(whole.gradient, learning_rate)? else {
            return Ok(Err(self.culprits(learner, &totals, members)?));
        };
        for (row, known) in found {
            self.before.known[row] = known;
        }
        let stats = whole.sums.read()?;
        let entropy = read_sum(whole.entropy)?;
        let apart = Parity::read(&whole.parity)?;
        let mean = |sum: f64| (totals.tokens > 0.0).then(|| sum / totals.tokens);
        self.figures.push(UpdateFigures {
            loss: Some(stats.loss),
            kl: stats.kl,
            ratio_mean: Some(stats.ratio_mean),
            clip_fraction: Some(stats.clip_fraction()),
            grad_norm: Some(grad_norm),
            entropy: mean(entropy),
            sampler_gap: mean(apart.gap),
            sampler_gap_max: apart.largest,
            mismatch_kl: mean(apart.kl),
            correction_mean: stats.correction_mean,
            correction_fraction: stats.correction_fraction,
            masked_fraction: stats.masked_fraction,
        });
        Ok(Ok(()))
    }

    /// What an update on `members` holds.
    fn totals(&self, members: &[usize], micro_batches: usize) -> Totals {
        let rows = members.iter().map(|&row| self.selection.rows[row]);
        let mut totals = Totals::of_rows(rows, micro_batches, self.config.completion_limit());
        let entering = |row: usize| self.selection.tokens_of(row);
        totals.tokens = members.iter().map(|&row| entering(row)).sum::<usize>() as f64;
        if let Some(share) = &self.share {
            totals.rows = members.iter().map(|&row| share[row]).sum();
        }
        let kept = |row: usize| self.before.kept(self.selection, row);
        totals.kept = members.iter().map(|&row| kept(row)).sum::<usize>() as f64;
        totals
    }

    /// Scores the rows `members`, micro-batch `number` of an update of `totals`, and takes the gradient of their loss.
    /// Gives back what is known of the rows, where later updates use it again.
    fn part(&self, learner: &Learner, totals: &Totals, number: usize, members: &[usize]) -> Result<(Part, Vec<Known>)> {
        let (config, selection, before) = (self.config, self.selection, &self.before);
        let temperature = config.temperature as f32;
        let credit = before.credit.as_ref().unwrap_or(&selection.credit);
        let rows: Vec<&Row> = members.iter().map(|&row| selection.rows[row]).collect();
        let advantages: Vec<f32> = members.iter().map(|&row| credit.rows[row]).collect();
        let fresh = members.iter().any(|&row| before.known[row].reference.is_none());
        let reference = match config.beta > 0.0 && fresh {
            true => Some(learner.policy.score(&rows, temperature, false)?.logprobs),
            false => None,
        };
        // The masks follow from the update and the micro-batch: a repeated forward pass drops the same entries.
        let seed = derive_seed(&[config.seed, DROPOUT, learner.adamw.steps(), number as u64]);
        let bonus = config.entropy_coef != 0.0;
        let mut policy = learner.differentiable().with_dropout(config.lora_dropout, seed);
        let (scores, tape) = if learner.by_blocks() {
            let constant = learner.policy.with_dropout(config.lora_dropout, seed);
            let (scores, tape) = constant
                .with_entropy_gradient(bonus)
                .score_by_blocks(&rows, temperature)?;
            let leaf = |values: Tensor<2>| values.autodiff().require_grad();
            let logprobs = leaf(scores.logprobs);
            let entropies = if bonus {
                leaf(scores.entropies)
            } else {
                scores.entropies
            };
            (RowScores { logprobs, entropies }, Some(tape))
        } else {
            let scores = policy.with_entropy_gradient(bonus).score(&rows, temperature, true)?;
            (scores, None)
        };
        let RowScores { logprobs, entropies } = scores;
        let now = logprobs.clone().inner();
        let mut inputs = LossInputs::from_rows(&rows, &advantages, logprobs.clone())?;
        if let Some(tokens) = &credit.tokens {
            inputs.advantages = padded(members.iter().map(|&row| &*tokens[row]), &logprobs);
        }
        if let Some(entering) = &selection.entering {
            inputs.mask = mask(members.iter().map(|&row| &*entering[row]), &logprobs);
        }
        if let Some(keep) = &before.keep {
            inputs.keep = Some(mask(members.iter().map(|&row| &*keep[row]), &logprobs));
        }
        if let Some(share) = &self.share {
            let shares: Vec<f32> = members.iter().map(|&row| share[row] as f32).collect();
            inputs = inputs.with_shares(&shares);
        }
        if config.correct_kept_mass {
            inputs = inputs.with_kept_mass(&rows);
        }
        let apart = |sampled: &Tensor<2>| Parity::of(&now, sampled, &inputs.mask);
        let parity = inputs.sampler.as_ref().map(apart).into_iter().collect();
        let plain = if bonus {
            entropies.clone().inner()
        } else {
            entropies.clone()
        };
        let entropy = vec![(plain * inputs.mask.clone()).sum()];
        inputs.entropies = bonus.then(|| entropies.clone());
        let known = |pick: fn(&Known) -> Option<&[f32]>| {
            let known: Option<Vec<&[f32]>> = members.iter().map(|&row| pick(&before.known[row])).collect();
            known.map(|rows| padded(rows.into_iter(), &logprobs))
        };
        let reference = reference.or_else(|| known(|known| known.reference.as_deref()));
        let recomputed = config.prox_logp_method == Proximal::Recompute;
        let old = if recomputed {
            known(|known| known.before.as_deref())
        } else {
            let sampler = inputs.sampler.clone();
            sampler.map(|sampler| {
                config
                    .prox_logp_method
                    .tensor(sampler, now.clone(), self.shares(&rows, &logprobs))
            })
        };
        let used = if self.count() > 1 {
            let compared = recomputed && config.recomputes_logprobs();
            self.remember(&rows, members, compared.then_some(&now), reference.as_ref())?
        } else {
            Vec::new()
        };
        let output = micro_batch_loss(config, inputs, old, reference, totals)?;
        let gradient = match tape {
            None => learner.gradient(&policy, &output.loss)?,
            Some(tape) => {
                let gradients = output.loss.backward();
                let of = |leaf: &Tensor<2>| {
                    let grad = leaf.grad(&gradients);
                    grad.unwrap_or_else(|| leaf.zeros_like().inner())
                };
                let entropies = bonus.then(|| of(&entropies));
                learner.gradient_by_blocks(&mut policy, tape, of(&logprobs), entropies)?
            }
        };
        let part = Part {
            gradient,
            sums: output.sums,
            entropy,
            parity,
        };
        Ok((part, used))
    }

    /// What is known of `rows` after they were scored: what was known before, else `now` and `reference`.
    fn remember(
        &self,
        rows: &[&Row],
        members: &[usize],
        now: Option<&Tensor<2>>,
        reference: Option<&Tensor<2>>,
    ) -> Result<Vec<Known>> {
        let mut known: Vec<Known> = members.iter().map(|&row| self.before.known[row].clone()).collect();
        if let (Some(now), true) = (now, known.iter().any(|known| known.before.is_none())) {
            for (known, now) in known.iter_mut().zip(host(now.clone(), rows)?) {
                known.before.get_or_insert(now);
            }
        }
        if let (Some(reference), true) = (reference, known.iter().any(|known| known.reference.is_none())) {
            for (known, reference) in known.iter_mut().zip(host(reference.clone(), rows)?) {
                known.reference.get_or_insert(reference);
            }
        }
        Ok(known)
    }

    /// How far each token's proximal policy lies between sampler and policy, by its age.
    fn shares(&self, rows: &[&Row], like: &Tensor<2>) -> Tensor<2> {
        let shares: Vec<Vec<f32>> = rows
            .iter()
            .map(|row| {
                let tokens = row.versions().iter().zip(row.trained());
                let sampled = tokens.filter(|(_, trained)| **trained);
                sampled
                    .map(|(&version, _)| proximal_share(self.version, version) as f32)
                    .collect()
            })
            .collect();
        padded(shares.iter().map(Vec::as_slice), like)
    }

    /// Which of `members` have a gradient that is not finite: each is taken alone, once more.
    fn culprits(&self, learner: &Learner, totals: &Totals, members: &[usize]) -> Result<Vec<usize>> {
        let mut found = Vec::new();
        for &row in members.iter().filter(|&&row| self.selection.tokens_of(row) > 0) {
            let (alone, _) = self.part(learner, totals, row, &[row])?;
            let square = alone.gradient.square().sum().into_scalar::<f32>();
            if !square.is_finite() {
                found.push(row);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Tokens that enter the loss of the updates of one pass over the rows.
    pub fn tokens(&self) -> usize {
        (0..self.selection.rows.len())
            .map(|row| self.selection.tokens_of(row))
            .sum()
    }
}

/// The first of some names, and how many more there are.
fn named(names: &[String]) -> String {
    match names.get(..MOST_NAMED) {
        Some(first) if names.len() > MOST_NAMED => {
            format!("{} and {} more rows", first.join(", "), names.len() - MOST_NAMED)
        }
        _ => names.join(", "),
    }
}
