//! Laws that hold for any numbers: k3 is never negative, cutting a step changes nothing.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use burn::tensor::DType;
use common::{Case, Matrix, assert_close, evaluate, loaded, random_case, tensor, values};
use cua_grpo_algo::{
    AlgoError, Correction, CorrectionAction, CorrectionLevel, LossConfig, LossInputs, LossKind, Rejection,
    RejectionLevel, RejectionMetric, Totals, k3, policy_loss,
};
use cua_grpo_core::{Completion, Prompt, Row, StopReason};

#[test]
fn an_advantage_a_row_is_the_same_advantage_at_each_token() {
    for kind in LossKind::ALL {
        let case = random_case(51, 3, 5);
        let spread = Case {
            advantages: case.advantages.iter().map(|row| vec![row[0]; 5]).collect(),
            ..case.clone()
        };
        let config = LossConfig {
            off_policy_threshold: Some(0.01),
            ..loaded(kind)
        };
        let (row, token) = (
            case.evaluate(&config, &case.totals()),
            spread.evaluate(&config, &case.totals()),
        );
        assert!((row.0 - token.0).abs() < 1e-12, "{kind:?}");
        assert_close(&format!("{kind:?}"), &token.1, &row.1, 1e-12);
        assert_eq!(row.2, token.2, "{kind:?}");
    }
}

#[test]
fn a_rejected_row_has_no_surrogate_and_still_counts() {
    let case = random_case(61, 3, 5);
    let mut far = case.clone();
    far.sampler[1].iter_mut().for_each(|value| *value -= 3.0);
    let rejection = Some(Rejection {
        metric: RejectionMetric::Ratio,
        level: RejectionLevel::SequenceMean,
        min: Some(0.2),
        max: 5.0,
    });
    for kind in [LossKind::Dapo, LossKind::Gspo] {
        let config = LossConfig {
            rejection,
            ..LossConfig::new(kind)
        };
        let free = case.evaluate(&LossConfig::new(kind), &case.totals());
        let (_, gradient, _) = far.evaluate(&config, &case.totals());
        assert!(gradient[1].iter().all(|g| *g == 0.0), "{gradient:?}");
        assert_close("others", &vec![gradient[0].clone()], &vec![free.1[0].clone()], 1e-12);
    }
}

#[test]
fn exponents_are_clamped_so_that_far_policies_stay_finite() {
    for kind in LossKind::ALL {
        for distance in [-300.0, 300.0] {
            let mut case = random_case(71, 3, 5);
            case.dtype = DType::F32;
            case.old.iter_mut().flatten().for_each(|value| *value += distance);
            case.sampler.iter_mut().flatten().for_each(|value| *value -= distance);
            case.reference.iter_mut().flatten().for_each(|value| *value += distance);
            for level in CorrectionLevel::ALL {
                let correction = Correction {
                    level: if kind == LossKind::Vespo {
                        CorrectionLevel::Token
                    } else {
                        level
                    },
                    action: CorrectionAction::Truncate,
                    min: None,
                    max: 3.0,
                };
                let config = LossConfig {
                    correction: Some(correction),
                    ..loaded(kind)
                };
                let (loss, gradient, _) = case.evaluate(&config, &case.totals());
                assert!(loss.is_finite(), "{kind:?} at {distance}: {loss}");
                assert!(
                    gradient.iter().flatten().all(|g| g.is_finite()),
                    "{kind:?} at {distance}"
                );
            }
        }
    }
}

#[test]
fn k3_is_never_negative_and_finite_for_any_distance() {
    for seed in 0..20 {
        let case = random_case(100 + seed, 4, 6);
        let far: Matrix = case
            .reference
            .iter()
            .map(|row| row.iter().map(|v| v * 10_f64.powi(seed as i32 % 5)).collect())
            .collect();
        let divergence = values(k3(tensor(&case.new), tensor(&far)));
        assert!(
            divergence.iter().flatten().all(|k| *k >= 0.0 && k.is_finite()),
            "{divergence:?}"
        );
    }
    let same = random_case(1, 2, 3);
    assert_close(
        "equal policies",
        &values(k3(tensor(&same.new), tensor(&same.new))),
        &vec![vec![0.0; 3]; 2],
        0.0,
    );
}

#[test]
fn cutting_a_step_into_micro_batches_changes_nothing() {
    for kind in LossKind::ALL.into_iter().filter(|&kind| kind != LossKind::Bnpo) {
        let case = random_case(7, 5, 6);
        let totals = Totals {
            micro_batches: 3.0,
            ..case.totals()
        };
        let (whole, gradient, stats) = case.evaluate(&loaded(kind), &totals);
        // Unequal parts on purpose: dividing by the number of parts would be wrong here.
        let parts = [0..1, 1..2, 2..5].map(|range| case.rows(range));
        let mut loss = 0.0;
        let mut gradients = Matrix::new();
        for part in &parts {
            let (own, rows, _) = part.evaluate(&loaded(kind), &totals);
            loss += own;
            gradients.extend(rows);
        }
        let sums = parts.map(|part| policy_loss(&loaded(kind), &part.inputs(), &totals).unwrap().sums);
        let merged = sums
            .into_iter()
            .reduce(cua_grpo_algo::StatSums::merge)
            .unwrap()
            .read()
            .unwrap();
        assert!((loss - whole).abs() < 1e-9, "{kind:?}: {loss} {whole}");
        assert_close(&format!("{kind:?}"), &gradients, &gradient, 1e-9);
        assert!(
            (merged.kl.unwrap() - stats.kl.unwrap()).abs() < 1e-6 && merged.tokens == stats.tokens,
            "{merged:?} {stats:?}"
        );
    }
}

#[test]
fn a_sequence_in_two_rows_counts_once() {
    use LossKind::{Cispo, Dapo, DrGrpo, Grpo, Sapo};
    for kind in [Grpo, DrGrpo, Dapo, Cispo, Sapo] {
        let (mut case, config) = (
            random_case(33, 3, 7),
            LossConfig {
                beta: 0.1,
                ..LossConfig::new(kind)
            },
        );
        case.mask[1] = vec![1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0];
        let (whole, gradient, stats) = case.evaluate(&config, &case.totals());
        // The second row in two: its first two tokens, and the three others.
        let (before, after) = (case.rows(0..2), case.rows(1..3));
        let mut parts = Case {
            new: [before.new, after.new].concat(),
            old: [before.old, after.old].concat(),
            sampler: [before.sampler, after.sampler].concat(),
            reference: [before.reference, after.reference].concat(),
            entropies: [before.entropies, after.entropies].concat(),
            mask: [before.mask, after.mask].concat(),
            advantages: [before.advantages, after.advantages].concat(),
            ..case.clone()
        };
        parts.mask[1] = vec![1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        parts.mask[2][..2].fill(0.0);
        let inputs = parts.inputs().with_shares(&[1.0, 0.4, 0.6, 1.0]);
        let (loss, found, counted) = evaluate(&config, &inputs, &case.totals());
        assert!((loss - whole).abs() < 1e-7, "{kind:?}: {loss} {whole}");
        let joined = found[1].iter().zip(&found[2]).map(|(a, b)| a + b).collect();
        let found = vec![found[0].clone(), joined, found[3].clone()];
        assert_close(&format!("{kind:?}"), &found, &gradient, 1e-7);
        assert!(counted.tokens == stats.tokens && (counted.ratio_mean - stats.ratio_mean).abs() < 1e-6);
    }
}

#[test]
fn twice_the_rows_in_the_step_is_half_the_loss() {
    let case = Case::golden();
    let (one, _, _) = case.evaluate(&LossConfig::new(LossKind::Grpo), &case.totals());
    let (half, _, _) = case.evaluate(
        &LossConfig::new(LossKind::Grpo),
        &Totals {
            rows: 8.0,
            ..case.totals()
        },
    );
    assert!((half - one / 2.0).abs() < 1e-12);
}

#[test]
fn dapo_is_bnpo_when_the_step_is_one_micro_batch() {
    let case = random_case(3, 4, 7);
    let dapo = case.evaluate(&loaded(LossKind::Dapo), &case.totals());
    let bnpo = case.evaluate(&loaded(LossKind::Bnpo), &case.totals());
    assert!((dapo.0 - bnpo.0).abs() < 1e-7);
    assert_close("gradient", &dapo.1, &bnpo.1, 1e-7);
}

#[test]
fn without_old_logprobs_the_ratio_is_1_and_the_gradient_is_that_of_reinforce() {
    let case = random_case(11, 3, 4);
    let mut inputs = case.inputs();
    inputs.old = None;
    let (_, gradient, stats) = evaluate(&LossConfig::new(LossKind::Dapo), &inputs, &case.totals());
    assert!((stats.ratio_mean - 1.0).abs() < 1e-6);
    let tokens = case.totals().tokens;
    let expected: Matrix = case
        .mask
        .iter()
        .zip(&case.advantages)
        .map(|(mask, advantage)| mask.iter().map(|m| -m * advantage[0] / tokens).collect())
        .collect();
    assert_close("gradient", &gradient, &expected, 1e-9);
}

#[test]
fn what_lies_outside_of_the_mask_may_be_anything() {
    for kind in LossKind::ALL {
        let case = random_case(21, 3, 5);
        let expected = case.evaluate(&loaded(kind), &case.totals());
        let mut dirty = case.clone();
        for (i, t) in (0..3)
            .flat_map(|i| (0..5).map(move |t| (i, t)))
            .filter(|&(i, t)| case.mask[i][t] == 0.0)
        {
            dirty.new[i][t] = f64::NAN;
            dirty.old[i][t] = f64::INFINITY;
            dirty.sampler[i][t] = f64::NEG_INFINITY;
            dirty.reference[i][t] = f64::NAN;
            dirty.entropies[i][t] = f64::NAN;
        }
        let got = dirty.evaluate(&loaded(kind), &case.totals());
        assert_eq!(got.0, expected.0, "{kind:?}");
        assert_close(&format!("{kind:?}"), &got.1, &expected.1, 0.0);
        assert_eq!(got.2, expected.2, "{kind:?}");
    }
}

#[test]
fn a_threshold_of_infinity_masks_no_row() {
    let case = Case::golden();
    let off = case.evaluate(&LossConfig::new(LossKind::Dapo), &case.totals());
    let threshold = LossConfig {
        off_policy_threshold: Some(f64::INFINITY),
        ..LossConfig::new(LossKind::Dapo)
    };
    assert_eq!(case.evaluate(&threshold, &case.totals()).1, off.1);
}

#[test]
fn missing_inputs_and_wrong_shapes_are_named() {
    let case = Case::golden();
    let config = LossConfig {
        beta: 0.1,
        ..LossConfig::default()
    };
    let mut inputs = case.inputs();
    inputs.reference = None;
    let error = policy_loss(&config, &inputs, &case.totals()).unwrap_err();
    assert!(
        matches!(error, AlgoError::Missing { input: "reference", .. }),
        "{error}"
    );
    inputs.advantages = inputs.mask.clone().narrow(1, 0, 2);
    let error = policy_loss(&LossConfig::default(), &inputs, &case.totals()).unwrap_err();
    let (rows, shape) = (case.new.len(), inputs.advantages.dims());
    let expected = format!("advantages of shape [{rows}, 1], got {shape:?}");
    assert!(error.to_string().contains(&expected), "{error}");
    let refused = [
        LossConfig {
            epsilon: f64::NAN,
            ..LossConfig::default()
        },
        LossConfig {
            delta: Some(1.1),
            ..LossConfig::default()
        },
        LossConfig {
            beta: -1.0,
            ..LossConfig::default()
        },
    ];
    for config in refused {
        assert!(matches!(config.validate(), Err(AlgoError::Value { .. })), "{config:?}");
    }
}

#[test]
fn rows_become_masks_and_sampler_logprobs() {
    let row = |trained: &[bool]| {
        let mut row = Row::new(1.0);
        for &trained in trained {
            if trained {
                let token = Completion::new(vec![7], vec![-0.5], 0, StopReason::Stop).unwrap();
                row.push_completion(&token).unwrap();
            } else {
                row.push_prompt(&Prompt::new(vec![7]));
            }
        }
        row
    };
    let rows = [row(&[false, true, true]), row(&[false, true])];
    let logprobs = tensor(&vec![vec![-1.0; 3]; 2]).require_grad();
    let refs: Vec<&Row> = rows.iter().collect();
    let inputs = LossInputs::from_rows(&refs, &[1.0, -2.0], logprobs.clone()).unwrap();
    let totals = Totals::of_rows(&rows, 1, 3);
    assert_eq!((totals.rows, totals.tokens), (2.0, 3.0));
    let (loss, gradient, stats) = evaluate(&LossConfig::new(LossKind::Grpo), &inputs, &totals);
    assert!((loss - 0.5).abs() < 1e-6, "mean of -1 and 2, got {loss}");
    assert_close(
        "gradient",
        &gradient,
        &vec![vec![-0.25, -0.25, 0.0], vec![1.0, 0.0, 0.0]],
        1e-6,
    );
    assert!((stats.sampler_gap.unwrap() - 0.5).abs() < 1e-6, "{stats:?}");
    let long = row(&[true; 4]);
    assert!(matches!(
        LossInputs::from_rows(&[&long, &long], &[1.0, 1.0], logprobs.clone()),
        Err(AlgoError::Shape { .. })
    ));
    assert!(matches!(
        LossInputs::from_rows(&refs, &[1.0], logprobs),
        Err(AlgoError::Shape { .. })
    ));
}
