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

impl Imitation {
    /// Maximises the likelihood of the trained tokens of `rows`, a mean over tokens, each row once before any comes
    /// again. `told` is given each update's number from 1 and its loss in nats a token, `None` where it was left out.
    /// Ends early once `ended` says so, and gives the number of updates until then.
    ///
    /// # Errors
    /// When rows cannot be scored, or more than `max_skipped` updates in a row were left out.
    pub fn train(
        &self,
        rows: &[Row],
        learner: &mut Learner,
        ended: impl Fn() -> bool,
        mut told: impl FnMut(usize, Option<f64>),
    ) -> Result<usize> {
        let mut order: Vec<usize> = Vec::new();
        let mut rng = ChaCha8Rng::seed_from_u64(derive_seed(&[self.seed, ORDER]));
        let mut skipped = 0;
        for step in 0..self.steps {
            if ended() {
                return Ok(step);
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
            told(step + 1, loss);
        }
        Ok(self.steps)
    }

    /// One update on a batch; gives the mean negative log-likelihood a token. `None`: the gradient was not finite, and
    /// nothing was changed.
    fn update(&self, batch: &[&Row], learner: &mut Learner, learning_rate: f64) -> Result<Option<f64>> {
        let total: usize = batch.iter().map(|row| row.trained_tokens()).sum();
        let packed = learner.policy.model().packs_rows();
        let batches = micro_batches(batch, self.micro_batch_tokens, packed);
        let whole = accumulate(&batches, |_, members| {
            let rows: Vec<&Row> = members.iter().map(|&number| batch[number]).collect();
            let mut policy = learner.differentiable();
            let scores = policy.score(&rows, 1.0, true)?;
            let loss = scores.logprobs.sum().neg() / total as f64;
            let gradient = learner.gradient(&mut policy, &loss)?;
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
