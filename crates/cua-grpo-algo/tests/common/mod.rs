//! The inputs of the peers' vectors as tensors, and losses with their gradients.

#![allow(clippy::unwrap_used, dead_code, reason = "helpers of several test binaries")]

use burn::tensor::{DType, Device, Tensor, TensorData};
use cua_grpo_algo::{
    AdvantageConfig, AdvantageScale, LossConfig, LossInputs, LossStats, Totals, advantages, policy_loss,
};
use serde_json::Value;

pub type Matrix = Vec<Vec<f64>>;

pub fn vectors() -> Value {
    serde_json::from_str(include_str!("../fixtures/grpo-vectors.json")).unwrap()
}

pub fn matrix(value: &Value) -> Matrix {
    let row = |row: &Value| row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    value.as_array().unwrap().iter().map(row).collect()
}

pub fn tensor(rows: &Matrix) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    let data = TensorData::new(rows.concat(), shape);
    Tensor::from_data(data, (&Device::flex().autodiff(), DType::F64))
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
    pub mask: Matrix,
    pub advantages: Vec<f64>,
}

impl Case {
    pub fn golden() -> Self {
        let vectors = vectors();
        let input = &vectors["input"];
        let take = |name: &str| matrix(&input[name]);
        let rewards: Vec<f32> = input["rewards"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap() as f32)
            .collect();
        let config = AdvantageConfig {
            scale: AdvantageScale::Group,
            min_group_std: 0.0,
        };
        let groups: Vec<&[f32]> = rewards.chunks(2).collect();
        let ours: Vec<f64> = advantages(&groups, config)
            .unwrap()
            .into_iter()
            .flatten()
            .flatten()
            .map(f64::from)
            .collect();
        let theirs: Vec<f64> = matrix(&serde_json::json!([vectors["trl_advantages"]["group"]])).remove(0);
        assert!(
            ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-6),
            "{ours:?} {theirs:?}"
        );
        Self {
            new: take("new"),
            old: take("old"),
            sampler: take("samp"),
            reference: take("ref"),
            mask: take("mask"),
            advantages: theirs,
        }
    }

    pub fn totals(&self) -> Totals {
        let tokens: f64 = self.mask.iter().flatten().sum();
        Totals {
            rows: self.new.len() as f64,
            tokens,
            micro_batches: 1.0,
            max_completion_tokens: 6.0,
        }
    }

    pub fn inputs(&self) -> LossInputs {
        let advantages = self.advantages.iter().map(|&a| vec![a]).collect();
        LossInputs {
            logprobs: tensor(&self.new).require_grad(),
            old: Some(tensor(&self.old)),
            sampler: Some(tensor(&self.sampler)),
            reference: Some(tensor(&self.reference)),
            mask: tensor(&self.mask),
            advantages: tensor(&advantages),
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
            mask: cut(&self.mask),
            advantages: self.advantages[range.clone()].to_vec(),
        }
    }
}

pub fn evaluate(config: &LossConfig, inputs: &LossInputs, totals: &Totals) -> (f64, Matrix, LossStats) {
    let output = policy_loss(config, inputs, totals).unwrap();
    let loss = output.loss.clone().into_scalar::<f64>();
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
