//! The parity meter: how far the sampler's log-probs are from the trainer's.

use crate::batching::{read_max, read_sum};
use anyhow::Result;
use burn::tensor::Tensor;

/// How far the sampler's log-probs are from the trainer's, where both have the same weights: with `d` the trainer's less
/// the sampler's, `sum |d|`, `max |d|`, and `sum (exp(d) - d - 1)`, which prime-rl calls mismatch KL.
#[derive(Clone)]
pub(crate) struct Parity {
    gap: Tensor<1>,
    largest: Tensor<1>,
    kl: Tensor<1>,
}

impl Parity {
    /// Of the tokens of a `mask`; all are `[rows, completion]`.
    pub(crate) fn of(trainer: &Tensor<2>, sampler: &Tensor<2>, mask: &Tensor<2>) -> Self {
        let apart = (trainer.clone() - sampler.clone()) * mask.clone();
        let size = apart.clone().abs();
        Self {
            gap: size.clone().sum(),
            largest: size.max(),
            kl: (apart.clone().exp() - apart - 1.0).sum(),
        }
    }

    /// Over all micro-batches of an update.
    ///
    /// # Errors
    /// When the figures cannot be read.
    pub(crate) fn read(parts: &[Self]) -> Result<Apart> {
        let column = |value: fn(&Self) -> &Tensor<1>| parts.iter().map(|part| value(part).clone()).collect();
        Ok(Apart {
            gap: read_sum(column(|part| &part.gap))?,
            largest: read_max(column(|part| &part.largest))?,
            kl: read_sum(column(|part| &part.kl))?,
        })
    }
}

/// The figures of an update.
pub(crate) struct Apart {
    /// Sum of `|d|` over the tokens.
    pub(crate) gap: f64,
    /// Largest `|d|`; `None` without rows.
    pub(crate) largest: Option<f64>,
    /// Sum of `exp(d) - d - 1`.
    pub(crate) kl: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn tokens_that_are_not_trained_do_not_count() {
        let device = Device::flex();
        let rows = |values: [[f32; 3]; 2]| Tensor::<2>::from_data(values, &device);
        let (trainer, sampler) = (
            rows([[-1.0, -2.0, -90.0], [-0.5, -0.1, -0.3]]),
            rows([[-1.5, -2.0, 0.0], [-0.5, 0.9, -0.2]]),
        );
        let mask = rows([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]);
        let parts = [
            Parity::of(&trainer, &sampler, &mask),
            Parity::of(&trainer, &trainer, &mask),
        ];
        let apart = Parity::read(&parts).unwrap();
        let k3 = |d: f64| d.exp() - d - 1.0;
        assert!((apart.gap - 1.5).abs() < 1e-6 && (apart.largest.unwrap() - 1.0).abs() < 1e-6);
        assert!((apart.kl - k3(0.5) - k3(-1.0)).abs() < 1e-6, "{}", apart.kl);
        assert_eq!(Parity::read(&[]).unwrap().largest, None);
    }
}
