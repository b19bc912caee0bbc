//! The inputs of the peers' vectors as tensors, and losses with their gradients.

#![allow(clippy::unwrap_used, dead_code, reason = "helpers of several test binaries")]

use burn::tensor::{DType, Device, Tensor, TensorData};
use cua_grpo_algo::{
    Correction, CorrectionAction, CorrectionLevel, LossConfig, LossInputs, LossKind, LossStats, Totals, policy_loss,
};
use cua_grpo_core::derive_seed;
use serde_json::Value;

pub type Matrix = Vec<Vec<f64>>;

/// The vectors: the file that `GRPO_VECTORS` names (from here or from the root of the repository), else the fixture.
pub fn vectors() -> Value {
    let text = match std::env::var("GRPO_VECTORS") {
        Err(_) => include_str!("../fixtures/grpo-vectors.json").to_owned(),
        Ok(path) => {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            let found = std::fs::read_to_string(&path).or_else(|_| std::fs::read_to_string(root.join(&path)));
            found.unwrap_or_else(|error| panic!("GRPO_VECTORS={path}: {error}"))
        }
    };
    serde_json::from_str(&text).unwrap()
}

pub fn matrix(value: &Value) -> Matrix {
    serde_json::from_value(value.clone()).unwrap()
}

pub fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

pub fn tensor(rows: &Matrix) -> Tensor<2> {
    tensor_of(rows, DType::F64)
}

pub fn tensor_of(rows: &Matrix, dtype: DType) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    let data = TensorData::new(rows.concat(), shape);
    Tensor::from_data(data, (&Device::flex().autodiff(), dtype))
}

pub fn values(tensor: Tensor<2>) -> Matrix {
    let [_, columns] = tensor.dims();
    tensor
        .try_into_vec_as::<f64>()
        .unwrap()
        .chunks(columns)
        .map(<[f64]>::to_vec)
        .collect()
}

/// Host copies of what a loss is computed from.
#[derive(Clone)]
pub struct Case {
    pub new: Matrix,
    pub old: Matrix,
    pub sampler: Matrix,
    pub reference: Matrix,
    pub entropies: Matrix,
    pub mask: Matrix,
    pub keep: Option<Matrix>,
    /// One a row, or one a token.
    pub advantages: Matrix,
    pub max_completion_tokens: f64,
    pub dtype: DType,
}

impl Case {
    pub fn golden() -> Self {
        let vectors = vectors();
        let input = &vectors["input"];
        let take = |name: &str| matrix(&input[name]);
        let advantages = numbers(&vectors["trl_advantages"]["group"]);
        Self {
            new: take("new"),
            old: take("old"),
            sampler: take("samp"),
            reference: take("ref"),
            entropies: take("ent"),
            mask: take("mask"),
            keep: None,
            advantages: advantages.into_iter().map(|advantage| vec![advantage]).collect(),
            max_completion_tokens: input["max_completion_length"].as_f64().unwrap(),
            dtype: DType::F64,
        }
    }

    pub fn totals(&self) -> Totals {
        let tokens: f64 = self.mask.iter().flatten().sum();
        let kept = self.keep.as_ref().map_or(tokens, |keep| {
            let both = keep.iter().flatten().zip(self.mask.iter().flatten());
            both.map(|(keep, mask)| keep * mask).sum()
        });
        Totals {
            rows: self.new.len() as f64,
            tokens,
            kept,
            micro_batches: 1.0,
            max_completion_tokens: self.max_completion_tokens,
        }
    }

    pub fn tensor(&self, rows: &Matrix) -> Tensor<2> {
        tensor_of(rows, self.dtype)
    }

    pub fn inputs(&self) -> LossInputs {
        LossInputs {
            logprobs: self.tensor(&self.new).require_grad(),
            old: Some(self.tensor(&self.old)),
            sampler: Some(self.tensor(&self.sampler)),
            behaviour: None,
            reference: Some(self.tensor(&self.reference)),
            mask: self.tensor(&self.mask),
            keep: self.keep.as_ref().map(|keep| self.tensor(keep)),
            share: None,
            entropies: Some(self.tensor(&self.entropies).require_grad()),
            advantages: self.tensor(&self.advantages),
        }
    }

    /// The loss and its gradient by the log-probs.
    pub fn evaluate(&self, config: &LossConfig, totals: &Totals) -> (f64, Matrix, LossStats) {
        evaluate(config, &self.inputs(), totals)
    }

    /// The rows in `range` alone.
    pub fn rows(&self, range: std::ops::Range<usize>) -> Self {
        let cut = |rows: &Matrix| rows[range.clone()].to_vec();
        Self {
            new: cut(&self.new),
            old: cut(&self.old),
            sampler: cut(&self.sampler),
            reference: cut(&self.reference),
            entropies: cut(&self.entropies),
            mask: cut(&self.mask),
            keep: self.keep.as_ref().map(cut),
            advantages: cut(&self.advantages),
            ..*self
        }
    }
}

pub fn evaluate(config: &LossConfig, inputs: &LossInputs, totals: &Totals) -> (f64, Matrix, LossStats) {
    let output = policy_loss(config, inputs, totals).unwrap();
    let loss = output.loss.clone().try_into_vec_as::<f64>().unwrap()[0];
    let gradients = output.loss.backward();
    (
        loss,
        values(inputs.logprobs.grad(&gradients).unwrap()),
        output.sums.read().unwrap(),
    )
}

pub fn assert_close(what: &str, got: &Matrix, expected: &Matrix, tolerance: f64) {
    assert_eq!((got.len(), got[0].len()), (expected.len(), expected[0].len()), "{what}");
    for (i, (got, expected)) in got.iter().flatten().zip(expected.iter().flatten()).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance,
            "{what}: element {i}: got {got}, expected {expected}"
        );
    }
}

/// A number in [0, 1) that depends on `seed` alone.
fn uniform(seed: &[u64]) -> f64 {
    (derive_seed(seed) >> 11) as f64 / (1_u64 << 53) as f64
}

pub fn random_case(seed: u64, rows: usize, time: usize) -> Case {
    let fill = |stream: u64, scale: f64, base: Option<&Matrix>| -> Matrix {
        let cell = |i: usize, t: usize| {
            let noise = uniform(&[seed, stream, i as u64, t as u64]);
            base.map_or(-3.0 * noise, |base| base[i][t] + scale * (noise - 0.5))
        };
        (0..rows).map(|i| (0..time).map(|t| cell(i, t)).collect()).collect()
    };
    let new = fill(0, 0.0, None);
    let (old, sampler, reference) = (
        fill(1, 0.8, Some(&new)),
        fill(2, 0.9, Some(&new)),
        fill(3, 1.0, Some(&new)),
    );
    let mask = fill(4, 0.0, None)
        .iter()
        .map(|row| row.iter().map(|&v| f64::from(v > -2.0)).collect())
        .collect();
    let advantages = (0..rows)
        .map(|i| vec![3.0 * (uniform(&[seed, 5, i as u64]) - 0.5)])
        .collect();
    Case {
        new,
        old,
        sampler,
        reference,
        entropies: fill(6, 0.0, None)
            .iter()
            .map(|row| row.iter().map(|v| -v).collect())
            .collect(),
        mask,
        keep: None,
        advantages,
        max_completion_tokens: 6.0,
        dtype: DType::F64,
    }
}

/// The same case with an advantage of its own for each token, and a mask of the surrogate.
pub fn by_token(seed: u64, rows: usize, time: usize) -> Case {
    let case = random_case(seed, rows, time);
    let cell = |stream: u64, i: usize, t: usize| uniform(&[seed, stream, i as u64, t as u64]);
    let fill = |value: &dyn Fn(usize, usize) -> f64| -> Matrix {
        (0..rows).map(|i| (0..time).map(|t| value(i, t)).collect()).collect()
    };
    Case {
        advantages: fill(&|i, t| 3.0 * (cell(7, i, t) - 0.5)),
        keep: Some(fill(&|i, t| f64::from(cell(8, i, t) > 0.3))),
        ..case
    }
}

/// A loss with a divergence and a correction.
pub fn loaded(kind: LossKind) -> LossConfig {
    let correction = Correction {
        level: CorrectionLevel::Token,
        action: CorrectionAction::Truncate,
        min: Some(0.8),
        max: 1.2,
    };
    LossConfig {
        beta: 0.1,
        kl_times_ratio: true,
        correction: Some(correction),
        ..LossConfig::new(kind)
    }
}
