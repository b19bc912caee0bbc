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
    /// Under the reference, i.e. the same model with the adapter off. Needed when `beta` is above 0. Shape
    /// `[rows, time]`.
    pub reference: Option<Tensor<2>>,
    /// 1 where the policy sampled the token, 0 elsewhere. Shape `[rows, time]`.
    pub mask: Tensor<2>,
    /// 1 where the token enters the surrogate, 0 where only the divergence does; absent means all. Shape `[rows, time]`.
    pub keep: Option<Tensor<2>>,
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
            reference: None,
            keep: None,
            entropies: None,
            mask,
            advantages,
        })
    }

    pub(super) fn validate(&self) -> Result<(), AlgoError> {
        let shape = self.logprobs.dims();
        let operation = "policy loss";
        expect_shape(operation, "mask", &self.mask, shape)?;
        if self.advantages.dims() != shape {
            expect_shape(operation, "advantages", &self.advantages, [shape[0], 1])?;
        }
        let optional = [
            ("old", &self.old),
            ("sampler", &self.sampler),
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
