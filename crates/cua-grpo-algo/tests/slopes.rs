//! Gradients against slopes: every loss with everything that it can be loaded with.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Matrix, assert_close, by_token, loaded, random_case, values};
use cua_grpo_algo::{
    Aggregation, KlEstimator, LossConfig, LossKind, Rejection, RejectionLevel, RejectionMetric, policy_loss,
};

/// Everything that a loss can be loaded with.
fn variants(kind: LossKind) -> Vec<LossConfig> {
    let base = loaded(kind);
    let clips = !matches!(kind, LossKind::Cispo | LossKind::Sapo | LossKind::Vespo);
    let mut found: Vec<LossConfig> = KlEstimator::ALL.map(|kl| LossConfig { kl, ..base }).to_vec();
    found.extend(Aggregation::ALL.map(|aggregation| LossConfig {
        aggregation: Some(aggregation),
        entropy_coef: 0.3,
        ..base
    }));
    for level in RejectionLevel::ALL {
        let rejection = Some(Rejection {
            metric: RejectionMetric::K2,
            level,
            min: None,
            max: 0.05,
        });
        found.push(LossConfig { rejection, ..base });
    }
    if clips {
        found.push(LossConfig {
            delta: Some(1.25),
            ..base
        });
        found.push(LossConfig {
            dual_clip: Some(1.1),
            ..base
        });
    }
    found.push(LossConfig {
        off_policy_threshold: Some(0.01),
        ..base
    });
    found
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    // CISPO and VESPO hold a factor fixed on purpose, so their gradient is not the slope of their value.
    let kinds = LossKind::ALL
        .into_iter()
        .filter(|kind| !matches!(kind, LossKind::Cispo | LossKind::Vespo));
    for (seed, kind) in kinds.enumerate() {
        for config in variants(kind) {
            for case in [random_case(seed as u64, 3, 5), by_token(seed as u64, 3, 5)] {
                let step = 1e-6;
                let (_, gradient, _) = case.evaluate(&config, &case.totals());
                let mut slopes = gradient.clone();
                for (i, t) in (0..3).flat_map(|i| (0..5).map(move |t| (i, t))) {
                    let at = |offset: f64| {
                        let mut moved = case.clone();
                        moved.new[i][t] += offset;
                        moved.evaluate(&config, &case.totals()).0
                    };
                    slopes[i][t] = (at(step) - at(-step)) / (2.0 * step);
                }
                assert!(gradient.iter().flatten().any(|g| g.abs() > 1e-4), "{config:?}");
                assert_close(&format!("{config:?}"), &gradient, &slopes, 1e-7);
            }
        }
    }
}

#[test]
fn a_factor_that_is_held_fixed_is_the_gradient_of_cispo_and_vespo() {
    // q = -c A l with c fixed: where the log-prob is 1 further, the loss is -c A further, which is the gradient.
    for kind in [LossKind::Cispo, LossKind::Vespo] {
        for case in [random_case(31, 3, 5), by_token(32, 3, 5)] {
            let config = LossConfig::new(kind);
            let (loss, gradient, _) = case.evaluate(&config, &case.totals());
            let euler: f64 = (gradient.iter().flatten().zip(case.new.iter().flatten()))
                .map(|(g, l)| g * l)
                .sum();
            assert!(
                (loss - euler).abs() < 1e-9 && loss.abs() > 1e-3,
                "{kind:?}: {loss} {euler}"
            );
        }
    }
}

#[test]
fn the_entropy_bonus_has_the_gradient_of_its_mean() {
    let case = by_token(41, 3, 5);
    let config = LossConfig {
        entropy_coef: 0.25,
        ..LossConfig::new(LossKind::Grpo)
    };
    let (inputs, totals) = (case.inputs(), case.totals());
    let output = policy_loss(&config, &inputs, &totals).unwrap();
    let gradients = output.loss.backward();
    let got = values(inputs.entropies.unwrap().grad(&gradients).unwrap());
    let keep = case.keep.as_ref().unwrap();
    let expected: Matrix = (case.mask.iter().zip(keep))
        .map(|(mask, keep)| {
            mask.iter()
                .zip(keep)
                .map(|(m, k)| -0.25 * m * k / totals.kept)
                .collect()
        })
        .collect();
    assert_close("entropy", &got, &expected, 1e-12);
    let (with, _, _) = case.evaluate(&config, &totals);
    let (without, _, _) = case.evaluate(&LossConfig::new(LossKind::Grpo), &totals);
    let mean: f64 = (0..3)
        .flat_map(|i| (0..5).map(move |t| (i, t)))
        .map(|(i, t)| case.entropies[i][t] * case.mask[i][t] * keep[i][t] / totals.kept)
        .sum();
    assert!((without - with - 0.25 * mean).abs() < 1e-12);
}
