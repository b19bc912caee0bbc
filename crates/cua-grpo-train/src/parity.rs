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
            kl: exp_beyond_line(apart).sum(),
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

/// Where `exp(d) - d - 1` is taken by its series.
const NEAR: f64 = 0.5;

/// `exp(d) - d - 1`. Near 0 the difference would be what f32 has lost of `exp(d)`, and so below 0 as often as above: there
/// it is the series `d^2 / 2 (1 + d / 3 (1 + d / 4 (...)))`, which cannot be negative.
fn exp_beyond_line(d: Tensor<2>) -> Tensor<2> {
    let far = d.clone().abs().greater_scalar(NEAR);
    let near = d.clone().clamp(-NEAR, NEAR);
    let bracket = (3..=8).rev().fold(near.clone() / 9.0 + 1.0, |inner, number| {
        near.clone() / f64::from(number) * inner + 1.0
    });
    let series = near.square() * 0.5 * bracket;
    series.mask_where(far, d.clone().exp() - d - 1.0)
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

    #[test]
    fn the_divergence_of_equal_policies_is_never_below_0() {
        let device = Device::flex();
        let zero = Tensor::<2>::zeros([1, 1], &device);
        let mask = Tensor::<2>::ones([1, 1], &device);
        for sign in [1.0, -1.0] {
            for power in -28..6 {
                for part in 0..16 {
                    let d = (sign * 2.0_f64.powi(power) * (1.0 + f64::from(part) / 16.0)) as f32;
                    let trainer = Tensor::<2>::from_data([[d]], &device);
                    let got = Parity::read(&[Parity::of(&trainer, &zero, &mask)]).unwrap().kl;
                    let d = f64::from(d);
                    // The f64 difference has too few digits where its series has enough.
                    let expected = if d.abs() < 1e-3 {
                        d * d / 2.0 * (1.0 + d / 3.0)
                    } else {
                        d.exp_m1() - d
                    };
                    assert!(
                        got >= 0.0 && (got - expected).abs() <= 2e-6 * expected,
                        "{d}: {got}, not {expected}"
                    );
                }
            }
        }
    }
}
