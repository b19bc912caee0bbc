//! What a loss is computed from.

use crate::AlgoError;
use crate::tensor::expect_shape;
use burn::tensor::{Tensor, TensorData};
use cua_grpo_core::Row;

/// Log-probs of one micro-batch and what goes with them. All log-probs are over the full vocabulary at the same
/// temperature. Position `t` of a row belongs to its token `t` (given all before it); what lies outside of the mask is
/// never looked at.
#[derive(Debug, Clone)]
pub struct LossInputs {
    /// Under the policy now, with a gradient. Shape `[rows, time]`.
    pub logprobs: Tensor<2>,
    /// Under the policy before this optimiser step. Absent when the step is the first on its samples: then it is
    /// `logprobs` itself without gradient, and every ratio is 1. Shape `[rows, time]`.
    pub old: Option<Tensor<2>>,
    /// As the sampler reported them. Needed by a correction. Shape `[rows, time]`.
    pub sampler: Option<Tensor<2>>,
    /// Of the distribution that the token was drawn from, where that is another than `sampler`'s: what top-p and top-k
    /// left of it. Corrections and rejections compare with it. Shape `[rows, time]`.
    pub behaviour: Option<Tensor<2>>,
    /// Under the reference, i.e. the same model with the adapter off. Needed when `beta` is above 0. Shape
    /// `[rows, time]`.
    pub reference: Option<Tensor<2>>,
    /// 1 where the policy sampled the token, 0 elsewhere. Shape `[rows, time]`.
    pub mask: Tensor<2>,
    /// 1 where the token enters the surrogate, 0 where only the divergence does; absent means all. Shape `[rows, time]`.
    pub keep: Option<Tensor<2>>,
    /// Which part of its sequence each row is, where sequences were cut into several rows: those of a sequence add up to 1.
    /// A mean over sequences weighs rows by it; absent means that each row is a sequence. Shape `[rows, 1]`.
    pub share: Option<Tensor<2>>,
    /// Entropies of the policy now in nats, with a gradient. Needed by an entropy bonus. Shape `[rows, time]`.
    pub entropies: Option<Tensor<2>>,
    /// One advantage a row, `[rows, 1]`, or one a token, `[rows, time]`.
    pub advantages: Tensor<2>,
}

impl LossInputs {
    /// The inputs of `rows` that were scored as `logprobs` (position `t` is the row's `t`-th trained token, rows
    /// padded at the end): the mask and the sampler's log-probs are taken from the rows; what else there is, is absent.
    ///
    /// # Shapes
    /// `logprobs` is `[rows, time]`, `advantages` has one entry a row.
    ///
    /// # Errors
    /// [`AlgoError::Shape`] when the numbers of rows disagree or a row trains more than `time` tokens.
    pub fn from_rows(rows: &[&Row], advantages: &[f32], logprobs: Tensor<2>) -> Result<Self, AlgoError> {
        let operation = "loss inputs";
        let [count, time] = logprobs.dims();
        let longest = rows.iter().map(|row| row.trained_tokens()).max().unwrap_or(0);
        let lengths = [("rows", rows.len(), count), ("advantages", advantages.len(), count)];
        for (what, got, expected) in lengths {
            if got != expected {
                let (what, expected, got) = (what.to_owned(), vec![expected], vec![got]);
                return Err(AlgoError::Shape {
                    operation,
                    what,
                    expected,
                    got,
                });
            }
        }
        if longest > time {
            let (what, expected, got) = ("log-probs".to_owned(), vec![count, longest], vec![count, time]);
            return Err(AlgoError::Shape {
                operation,
                what,
                expected,
                got,
            });
        }
        let (mut mask, mut sampler) = (vec![0.0_f32; count * time], vec![0.0_f32; count * time]);
        for (index, row) in rows.iter().enumerate() {
            let sampled = row
                .logprobs()
                .iter()
                .zip(row.trained())
                .filter(|(_, trained)| **trained);
            for (t, (&logprob, _)) in sampled.enumerate() {
                mask[index * time + t] = 1.0;
                sampler[index * time + t] = logprob;
            }
        }
        let place = (&logprobs.device().inner(), logprobs.dtype());
        let matrix =
            |values: Vec<f32>, columns: usize| Tensor::from_data(TensorData::new(values, [count, columns]), place);
        let (mask, sampler, advantages) = (
            matrix(mask, time),
            matrix(sampler, time),
            matrix(advantages.to_vec(), 1),
        );
        Ok(Self {
            logprobs,
            old: None,
            sampler: Some(sampler),
            behaviour: None,
            reference: None,
            keep: None,
            share: None,
            entropies: None,
            mask,
            advantages,
        })
    }

    /// The log-probs `s - ln S` of the distribution that tokens were drawn from, where the sampler kept the mass `S` of
    /// the vocabulary ([`Row::kept_mass`]) and `s` is the log-prob under all of it.
    ///
    /// # Shapes
    /// As of [`LossInputs::from_rows`] with the same `rows`.
    #[must_use]
    pub fn with_kept_mass(self, rows: &[&Row]) -> Self {
        let [count, time] = self.logprobs.dims();
        let mut behaviour = vec![0.0_f32; count * time];
        for (index, row) in rows.iter().enumerate() {
            let tokens = row.logprobs().iter().zip(row.kept_mass()).zip(row.trained());
            let sampled = tokens.filter(|(_, trained)| **trained);
            for (t, ((logprob, mass), _)) in sampled.enumerate() {
                behaviour[index * time + t] = logprob - mass.max(f32::MIN_POSITIVE).ln();
            }
        }
        let place = (&self.logprobs.device().inner(), self.logprobs.dtype());
        let behaviour = Tensor::from_data(TensorData::new(behaviour, [count, time]), place);
        Self {
            behaviour: Some(behaviour),
            ..self
        }
    }

    /// The same inputs of rows that are parts of longer sequences, see [`LossInputs::share`].
    ///
    /// # Shapes
    /// One share a row.
    #[must_use]
    pub fn with_shares(self, shares: &[f32]) -> Self {
        let place = (&self.mask.device(), self.mask.dtype());
        let share = TensorData::new(shares.to_vec(), [shares.len(), 1]);
        let share = Some(Tensor::from_data(share, place));
        Self { share, ..self }
    }

    pub(super) fn validate(&self) -> Result<(), AlgoError> {
        let shape = self.logprobs.dims();
        let operation = "policy loss";
        expect_shape(operation, "mask", &self.mask, shape)?;
        if self.advantages.dims() != shape {
            expect_shape(operation, "advantages", &self.advantages, [shape[0], 1])?;
        }
        if let Some(share) = &self.share {
            expect_shape(operation, "share", share, [shape[0], 1])?;
        }
        let optional = [
            ("old", &self.old),
            ("sampler", &self.sampler),
            ("behaviour", &self.behaviour),
            ("reference", &self.reference),
            ("keep", &self.keep),
            ("entropies", &self.entropies),
        ];
        for (name, tensor) in optional {
            if let Some(tensor) = tensor {
                expect_shape(operation, name, tensor, shape)?;
            }
        }
        Ok(())
    }
}
