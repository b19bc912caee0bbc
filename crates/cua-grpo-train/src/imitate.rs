//! Imitation: every weight, or an adapter, becomes likelier to say what was demonstrated.

use crate::batching::{self, accumulate, micro_batches};
use crate::learner::Learner;
use anyhow::{Context, Result, ensure};
use burn::tensor::Tensor;
use cua_grpo_algo::Schedule;
use cua_grpo_core::{Row, derive_seed};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// Which of the run's random streams shuffles the demonstrations.
const ORDER: u64 = 1;

/// How demonstrations are learnt.
#[derive(Debug, Clone)]
pub struct Imitation {
    /// Rows of one update.
    pub batch_size: usize,
    /// Updates.
    pub steps: usize,
    /// The learning rate of each update.
    pub schedule: Schedule,
    /// Most tokens of a micro-batch.
    pub micro_batch_tokens: usize,
    /// Updates in a row that may be left out because their gradient is not finite.
    pub max_skipped: usize,
    /// Seed of the order.
    pub seed: u64,
}

/// Losses, the last of which are averaged.
const LAST: usize = 10;

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Learnt {
    /// Updates, those that were left out included.
    pub steps: usize,
    /// The loss before the first update.
    first: Option<f64>,
    /// The last losses.
    last: VecDeque<f64>,
}

impl Learnt {
    fn take(&mut self, loss: Option<f64>) {
        self.steps += 1;
        let Some(loss) = loss else { return };
        self.first.get_or_insert(loss);
        self.last.push_back(loss);
        if self.last.len() > LAST {
            self.last.pop_front();
        }
    }

    /// Words about a loss that ended far above where it began, or is not finite: what was learnt is worse than nothing.
    pub fn diverged(&self) -> Option<String> {
        let first = self.first?;
        let last = self.last.iter().sum::<f64>() / self.last.len().max(1) as f64;
        let far = !last.is_finite() || last > 1.5 * first + 0.1;
        far.then(|| {
            format!(
                "the loss diverged: it began at {first:.4} and ended at {last:.4} nats a token (mean of the last {} \
                 updates); lower learning_rate",
                self.last.len()
            )
        })
    }
}

impl Imitation {
    /// Maximises the likelihood of the trained tokens of `rows`, a mean over tokens, each row once before any comes
    /// again. `told` is given each update's number from 1 and its loss in nats a token, `None` where it was left out.
    /// Ends early once `ended` says so.
    ///
    /// # Errors
    /// When rows cannot be scored, or more than `max_skipped` updates in a row were left out.
    pub fn train(
        &self,
        rows: &[Row],
        learner: &mut Learner,
        ended: impl Fn() -> bool,
        mut told: impl FnMut(usize, Option<f64>),
    ) -> Result<Learnt> {
        let mut learnt = Learnt::default();
        let mut order: Vec<usize> = Vec::new();
        let mut rng = ChaCha8Rng::seed_from_u64(derive_seed(&[self.seed, ORDER]));
        let mut skipped = 0;
        for step in 0..self.steps {
            if ended() {
                return Ok(learnt);
            }
            if order.len() < self.batch_size.min(rows.len()) {
                let mut next: Vec<usize> = (0..rows.len()).collect();
                next.shuffle(&mut rng);
                order.extend(next);
            }
            let batch: Vec<&Row> = order
                .drain(..self.batch_size.min(order.len()))
                .map(|number| &rows[number])
                .collect();
            let loss = self.update(&batch, learner, self.schedule.learning_rate(step as u64))?;
            match loss {
                Some(_) => skipped = 0,
                None => {
                    skipped += 1;
                    ensure!(
                        skipped <= self.max_skipped,
                        "{skipped} updates in a row have a gradient that is not finite; lower learning_rate"
                    );
                    tracing::warn!(step = step + 1, "an update was skipped: its gradient is not finite");
                }
            }
            learnt.take(loss);
            told(step + 1, loss);
        }
        Ok(learnt)
    }

    /// One update on a batch; gives the mean negative log-likelihood a token. `None`: the gradient was not finite, and
    /// nothing was changed.
    fn update(&self, batch: &[&Row], learner: &mut Learner, learning_rate: f64) -> Result<Option<f64>> {
        let total: usize = batch.iter().map(|row| row.trained_tokens()).sum();
        let packed = learner.policy.model().packs_rows();
        let batches = micro_batches(batch, self.micro_batch_tokens, packed);
        let whole = accumulate(&batches, |_, members| {
            let rows: Vec<&Row> = members.iter().map(|&number| batch[number]).collect();
            let policy = learner.differentiable();
            let scores = policy.score(&rows, 1.0, true)?;
            let loss = scores.logprobs.sum().neg() / total as f64;
            let gradient = learner.gradient(&policy, &loss)?;
            let losses = vec![loss.inner()];
            Ok(Part { gradient, losses })
        })?;
        let Part { gradient, losses } = whole.context("an update without demonstrations")?;
        let made = learner.update(gradient, learning_rate)?;
        let loss = batching::read_sum(losses)?;
        Ok(made.map(|_| loss))
    }
}

/// What some rows add to an update.
struct Part {
    gradient: Tensor<1>,
    /// One for each micro-batch.
    losses: Vec<Tensor<1>>,
}

impl batching::Part for Part {
    fn merge(self, later: Self) -> Self {
        Self {
            gradient: self.gradient + later.gradient,
            losses: [self.losses, later.losses].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_that_ends_far_above_its_beginning_is_told() {
        let told = |losses: &[f64]| {
            let mut learnt = Learnt::default();
            losses.iter().for_each(|loss| learnt.take(Some(*loss)));
            learnt.diverged()
        };
        for good in [
            &[][..],
            &[6.0],
            &[6.0, 0.1],
            &[0.02, 0.05],
            &[6.0, 50.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1],
        ] {
            assert_eq!(told(good), None, "{good:?}");
        }
        for bad in [&[6.0, 19.0][..], &[6.0, f64::INFINITY], &[6.0, f64::NAN], &[0.02, 0.5]] {
            assert!(told(bad).unwrap().contains("learning_rate"), "{bad:?}");
        }
        let words = told(&[6.0, 20.0, 20.0]).unwrap();
        assert!(words.contains("began at 6.0000 and ended at 15.3333"), "{words}");
    }
}
