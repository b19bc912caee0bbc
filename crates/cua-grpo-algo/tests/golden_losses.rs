//! Losses and gradients against the numbers that TRL and AReaL compute from the same inputs, to 1e-6.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Case, assert_close, matrix, tensor, values, vectors};
use cua_grpo_algo::{
    Correction, CorrectionAction, CorrectionLevel, LossConfig, LossKind, StalenessLimit, Totals, capacity, k1, k2, k3,
};
use serde_json::Value;

fn config(kind: LossKind) -> LossConfig {
    LossConfig {
        epsilon_high: Some(0.28),
        cispo_cap: 1.1,
        ..LossConfig::new(kind)
    }
}

fn correction(level: CorrectionLevel, action: CorrectionAction, min: Option<f64>, max: f64) -> Option<Correction> {
    Some(Correction {
        level,
        action,
        min,
        max,
    })
}

fn check(peer: &str, name: &str, config: LossConfig, totals: Totals) {
    let vectors = vectors();
    let expected = &vectors[peer][name];
    let (loss, gradient, _) = Case::golden().evaluate(&config, &totals);
    let expected_loss = expected["loss"].as_f64().unwrap();
    assert!(
        (loss - expected_loss).abs() < 1e-6,
        "{name}: got a loss of {loss}, expected {expected_loss}"
    );
    assert_close(name, &gradient, &matrix(&expected["grad"]), 1e-6);
}

#[test]
fn losses_and_gradients_are_those_of_trl() {
    use CorrectionAction::{Mask, Truncate};
    use CorrectionLevel::{Sequence, Token};
    use LossKind::*;
    let tis = correction(Token, Truncate, None, 3.0);
    let cases = [
        ("grpo", config(Grpo)),
        ("bnpo", config(Bnpo)),
        ("dr_grpo", config(DrGrpo)),
        ("dapo", config(Dapo)),
        ("gspo", config(Gspo)),
        ("luspo_seq", config(Luspo)),
        ("cispo", config(Cispo)),
        ("sapo", config(Sapo)),
        ("vespo", config(Vespo)),
        (
            "dapo_two_sided",
            LossConfig {
                delta: Some(1.3),
                ..config(Dapo)
            },
        ),
        (
            "grpo_kl",
            LossConfig {
                beta: 0.04,
                ..config(Grpo)
            },
        ),
        (
            "grpo_kl_bias",
            LossConfig {
                beta: 0.04,
                kl_times_ratio: true,
                ..config(Grpo)
            },
        ),
        (
            "dapo_tis",
            LossConfig {
                correction: tis,
                ..config(Dapo)
            },
        ),
        (
            "dapo_seqmask_is",
            LossConfig {
                correction: correction(Sequence, Mask, None, 3.0),
                ..config(Dapo)
            },
        ),
        (
            "vespo_tis",
            LossConfig {
                correction: tis,
                ..config(Vespo)
            },
        ),
        (
            "dapo_opsm",
            LossConfig {
                off_policy_threshold: Some(0.05),
                ..config(Dapo)
            },
        ),
    ];
    for (name, config) in cases {
        check("trl_loss", name, config, Case::golden().totals());
    }
    let two = Totals {
        rows: 8.0,
        micro_batches: 2.0,
        ..Case::golden().totals()
    };
    check("trl_loss", "grpo_ga2", config(Grpo), two);
}

#[test]
fn corrected_losses_and_gradients_are_those_of_areal() {
    use CorrectionAction::{Mask, Truncate};
    use CorrectionLevel::{SequenceMean, Token};
    let cases = [
        ("decoupled_no_rejection (behaviour weight NOT applied)", None),
        ("token_mask", correction(Token, Mask, None, 1.3)),
        ("token_mask_lower", correction(Token, Mask, Some(0.7), 1.3)),
        ("token_clamp", correction(Token, Truncate, Some(0.7), 1.3)),
        ("seq_mask_geo", correction(SequenceMean, Mask, None, 1.02)),
        ("seq_clamp_geo", correction(SequenceMean, Truncate, None, 1.02)),
    ];
    for (name, correction) in cases {
        check(
            "areal_loss",
            name,
            LossConfig {
                correction,
                ..config(LossKind::Dapo)
            },
            Case::golden().totals(),
        );
    }
    let dual = LossConfig {
        dual_clip: Some(1.2),
        ..config(LossKind::Dapo)
    };
    check("areal_loss", "dual_clip", dual, Case::golden().totals());
}

#[test]
fn correction_weights_are_those_of_trl() {
    let (vectors, case) = (vectors(), Case::golden());
    let levels = [
        ("token", CorrectionLevel::Token),
        ("sequence", CorrectionLevel::Sequence),
    ];
    let actions = [
        ("truncate", CorrectionAction::Truncate),
        ("mask", CorrectionAction::Mask),
    ];
    for (level_name, level) in levels {
        for (action_name, action) in actions {
            for (min_name, min) in [("None", None), ("0.5", Some(0.5))] {
                let name = format!("{level_name}_{action_name}|min={min_name}");
                let correction = Correction {
                    level,
                    action,
                    min,
                    max: 3.0,
                };
                let weights = correction.weights(tensor(&case.old), tensor(&case.sampler), &tensor(&case.mask));
                assert_close(&name, &values(weights), &matrix(&vectors["trl_is_ratio"][&name]), 1e-9);
            }
        }
    }
}

#[test]
fn divergences_are_those_of_the_vectors() {
    let (vectors, case) = (vectors(), Case::golden());
    let expected = &vectors["kl_new_vs_ref"];
    let (new, reference) = (tensor(&case.new), tensor(&case.reference));
    assert_close(
        "k1",
        &values(k1(new.clone(), reference.clone())),
        &matrix(&expected["k1"]),
        1e-9,
    );
    assert_close(
        "k2",
        &values(k2(new.clone(), reference.clone())),
        &matrix(&expected["k2"]),
        1e-9,
    );
    assert_close("k3", &values(k3(new, reference)), &matrix(&expected["k3"]), 1e-9);
}

#[test]
fn statistics_are_those_of_trl() {
    let vectors = vectors();
    let metrics = &vectors["trl_loss"]["grpo_kl"]["metrics"];
    let (_, _, stats) = Case::golden().evaluate(
        &LossConfig {
            beta: 0.04,
            ..config(LossKind::Grpo)
        },
        &Case::golden().totals(),
    );
    let close = |got: f64, expected: &Value| (got - expected.as_f64().unwrap()).abs() < 1e-6;
    assert!(
        close(stats.clip_fraction_low, &metrics["clip_ratio/low_mean"]),
        "{stats:?}"
    );
    assert!(
        close(stats.clip_fraction_high, &metrics["clip_ratio/high_mean"]),
        "{stats:?}"
    );
    assert!(
        close(stats.clip_fraction(), &metrics["clip_ratio/region_mean"]),
        "{stats:?}"
    );
    assert!(close(stats.kl.unwrap(), &metrics["kl"]), "{stats:?}");
    assert_eq!(
        (stats.tokens, stats.correction_mean, stats.correction_fraction),
        (12.0, None, None)
    );
}

#[test]
fn capacities_are_those_of_areal() {
    let vectors = vectors();
    let cases = vectors["areal_capacity"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let take = |name: &str| case[name].as_u64().unwrap();
        let limit = StalenessLimit {
            max_staleness: take("eta"),
            batch: take("batch"),
            max_concurrent: take("max_concurrent"),
        };
        let got = capacity(limit, take("version"), take("accepted"), take("running"));
        assert_eq!(got, case["capacity"].as_i64().unwrap(), "{case}");
    }
}
