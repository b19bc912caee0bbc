//! Every loss of the peers' vectors, with its gradient: TRL's to 1e-9 in f64, all to 1e-6 in f32. What an entry is made
//! of is read from its `args`, so a file with other inputs is tested as well (`GRPO_VECTORS`).
//!
//! AReaL casts log-probs to f32 on its way, so its numbers are good to 1e-6 only.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use burn::tensor::DType;
use common::{Case, Matrix, assert_close, matrix, tensor, values, vectors};
use cua_grpo_algo::{
    Aggregation, Correction, CorrectionAction, CorrectionLevel, LossConfig, LossKind, Rejection, RejectionLevel,
    RejectionMetric, Totals, aggregate, batch_normalised, high_entropy_keep, k1, k2, k3, vespo_phi,
};
use serde_json::Value;

/// An entry: the loss that its `args` ask for, over which inputs.
struct Entry {
    config: LossConfig,
    case: Case,
    totals: Totals,
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

/// TRL's `loss_type` and `level`.
fn kind(loss_type: &str, sequence: bool) -> LossKind {
    match (loss_type, sequence) {
        ("grpo", false) => LossKind::Grpo,
        ("grpo", true) => LossKind::Gspo,
        ("bnpo", false) => LossKind::Bnpo,
        ("dr_grpo", false) => LossKind::DrGrpo,
        ("dapo", false) => LossKind::Dapo,
        ("cispo", false) => LossKind::Cispo,
        ("sapo", false) => LossKind::Sapo,
        ("vespo", false) => LossKind::Vespo,
        ("luspo", true) => LossKind::Luspo,
        other => panic!("no loss for {other:?}"),
    }
}

/// The tokens that the high-entropy mask keeps, as a matrix.
fn entropy_keep(case: &Case, top: f64) -> Matrix {
    let entering = |(row, mask): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
        let pairs = row.iter().zip(mask);
        pairs
            .filter(|(_, mask)| **mask > 0.0)
            .map(|(value, _)| *value)
            .collect()
    };
    let entropies: Vec<f64> = case.entropies.iter().zip(&case.mask).flat_map(entering).collect();
    let mut keep = high_entropy_keep(&entropies, top).into_iter();
    let row = |mask: &Vec<f64>| {
        mask.iter()
            .map(|&mask| {
                if mask > 0.0 {
                    f64::from(keep.next().unwrap())
                } else {
                    0.0
                }
            })
            .collect()
    };
    case.mask.iter().map(row).collect()
}

/// `token_truncate|min=None` and the like, with the file's upper bound.
fn is_mode(text: &str, input: &Value) -> Correction {
    let (mode, min) = text.split_once("|min=").unwrap();
    let level = if mode.starts_with("token") {
        CorrectionLevel::Token
    } else {
        CorrectionLevel::Sequence
    };
    let action = if mode.ends_with("mask") {
        CorrectionAction::Mask
    } else {
        CorrectionAction::Truncate
    };
    let (min, max) = (min.parse().ok(), number(&input["is_cap"]).unwrap());
    Correction {
        level,
        action,
        min,
        max,
    }
}

fn trl(name: &str, entry: &Value, input: &Value, dtype: DType) -> Entry {
    let mut case = Case::golden();
    case.dtype = dtype;
    let args = entry["args"].as_object().unwrap();
    let known = "loss_type level delta beta is_mode opsm q ga coef bias_kl";
    assert!(args.keys().all(|key| known.contains(key.as_str())), "{name}: {args:?}");
    let sequence = args.get("level").and_then(Value::as_str) == Some("sequence");
    let loss_type = args["loss_type"].as_str().unwrap();
    let get = |key: &str| args.get(key).and_then(number);
    if let Some(top) = get("q") {
        case.keep = Some(entropy_keep(&case, top));
    }
    let mut totals = case.totals();
    if let Some(parts) = get("ga") {
        totals.rows *= parts;
        totals.micro_batches *= parts;
    }
    let padded = (loss_type, sequence) == ("luspo", false);
    if padded {
        // TRL's mean over all entries, padding too, of `q n_i`; here the ratio of LUSPO is a row's. The same number is
        // the mean over all places of a loss whose advantages are `A_i n_i`.
        for (advantage, mask) in case.advantages.iter_mut().zip(&case.mask) {
            advantage[0] *= mask.iter().sum::<f64>();
        }
        case.mask.iter_mut().flatten().for_each(|mask| *mask = 1.0);
        totals.max_completion_tokens = case.mask[0].len() as f64;
    }
    let config = LossConfig {
        epsilon: number(&input["eps"]).unwrap(),
        epsilon_high: number(&input["eps_high"]),
        cispo_cap: number(&input["cispo_eps_high"]).unwrap(),
        delta: get("delta"),
        beta: get("beta").unwrap_or(0.0),
        kl_times_ratio: args.get("bias_kl").is_some_and(|value| value == &Value::Bool(true)),
        correction: args.get("is_mode").map(|mode| is_mode(mode.as_str().unwrap(), input)),
        off_policy_threshold: get("opsm"),
        entropy_coef: get("coef").unwrap_or(0.0),
        ..LossConfig::new(if padded {
            LossKind::DrGrpo
        } else {
            kind(loss_type, sequence)
        })
    };
    Entry { config, case, totals }
}

/// AReaL's `rejection_sampling`: weights, and what is left out.
fn rejection(args: &Value) -> (Correction, Option<Rejection>) {
    let text = |key: &str| args[key].as_str().unwrap();
    let (min, max) = (number(&args["lower"]), number(&args["upper"]).unwrap());
    let token = text("level") == "token";
    let metric = match text("metric") {
        "ratio" => RejectionMetric::Ratio,
        "kl_k1" => RejectionMetric::K1,
        "kl_k2" => RejectionMetric::K2,
        "kl_k3" => RejectionMetric::K3,
        other => panic!("no metric {other}"),
    };
    let level = match text("agg") {
        _ if token => RejectionLevel::Token,
        "mean" => RejectionLevel::SequenceMean,
        "sum" => RejectionLevel::SequenceSum,
        "max" => RejectionLevel::SequenceMax,
        other => panic!("no aggregation {other}"),
    };
    // Weights are a token's, but for a row's ratio the geometric mean.
    let geometric = !token && metric == RejectionMetric::Ratio;
    let weights = Correction {
        level: if geometric {
            CorrectionLevel::SequenceMean
        } else {
            CorrectionLevel::Token
        },
        action: CorrectionAction::Truncate,
        min: None,
        max: 1e9,
    };
    if text("action") == "clamp" {
        assert!(metric == RejectionMetric::Ratio && (token || level == RejectionLevel::SequenceMean));
        return (Correction { min, max, ..weights }, None);
    }
    let rejection = Rejection {
        metric,
        level,
        min,
        max,
    };
    (weights, Some(rejection))
}

fn areal(name: &str, entry: &Value, input: &Value, dtype: DType) -> Entry {
    let mut case = Case::golden();
    case.dtype = dtype;
    let totals = case.totals();
    let args = &entry["args"];
    let sequence = args["level"].as_str() == Some("sequence");
    let kind = match name {
        "sapo_token_mean" => LossKind::Sapo,
        _ if sequence => LossKind::Gspo,
        _ => LossKind::Dapo,
    };
    let mut config = LossConfig {
        epsilon: number(&input["eps"]).unwrap(),
        epsilon_high: number(&input["eps_high"]),
        dual_clip: number(&args["c"]),
        aggregation: Some(Aggregation::TokenMean),
        ..LossConfig::new(kind)
    };
    if args["r"].is_object() {
        let (correction, rejection) = rejection(&args["r"]);
        config.correction = Some(correction);
        config.rejection = rejection;
    }
    Entry { config, case, totals }
}

fn check(peer: &str, made: fn(&str, &Value, &Value, DType) -> Entry, (exact, single): (f64, f64)) {
    let vectors = vectors();
    let entries = vectors[peer].as_object().unwrap();
    assert!(!entries.is_empty());
    for (name, expected) in entries {
        for (dtype, tolerance) in [(DType::F64, exact), (DType::F32, single)] {
            let Entry { config, case, totals } = made(name, expected, &vectors["input"], dtype);
            let (loss, gradient, stats) = case.evaluate(&config, &totals);
            let want = number(&expected["loss"]).unwrap();
            assert!(
                (loss - want).abs() <= tolerance,
                "{name} in {dtype:?}: got a loss of {loss}, expected {want}"
            );
            assert_close(name, &gradient, &matrix(&expected["grad"]), tolerance);
            let metrics = &expected["metrics"];
            // TRL's clip fractions of ratios a row are means over rows; those of a loss that counts padding are not ours.
            let a_token = config.kind.ratio_level() == cua_grpo_algo::RatioLevel::Token && name != "luspo_token";
            for (key, got) in [
                ("clip_ratio/low_mean", Some(stats.clip_fraction_low)),
                ("clip_ratio/high_mean", Some(stats.clip_fraction_high)),
                ("clip_ratio/region_mean", Some(stats.clip_fraction())),
                ("kl", stats.kl),
            ] {
                if let (true, Some(want)) = (a_token, number(&metrics[key])) {
                    assert!(
                        (got.unwrap() - want).abs() < 1e-6,
                        "{name} {key}: {stats:?}, expected {want}"
                    );
                }
            }
        }
    }
}

#[test]
fn losses_and_gradients_are_those_of_trl() {
    check("trl_loss", trl, (1e-9, 1e-6));
}

#[test]
fn losses_and_gradients_are_those_of_areal() {
    check("areal_loss", areal, (1e-6, 2e-6));
}

#[test]
fn correction_weights_are_those_of_trl() {
    let (vectors, case) = (vectors(), Case::golden());
    for (name, expected) in vectors["trl_is_ratio"].as_object().unwrap() {
        let correction = is_mode(name, &vectors["input"]);
        let weights = correction.weights(tensor(&case.old), tensor(&case.sampler), &tensor(&case.mask));
        assert_close(name, &values(weights), &matrix(expected), 1e-9);
    }
}

#[test]
fn correction_weights_are_those_of_verl() {
    let (vectors, case) = (vectors(), Case::golden());
    let expected = &vectors["verl_tis"];
    // verl's bound is 2 in the vectors; what it computes outside of the mask is never looked at here.
    let weights = |level| {
        let correction = Correction {
            level,
            action: CorrectionAction::Truncate,
            min: None,
            max: 2.0,
        };
        correction.weights(tensor(&case.old), tensor(&case.sampler), &tensor(&case.mask))
    };
    let under = |rows: Matrix| -> Matrix {
        let row = |(row, mask): (Vec<f64>, &Vec<f64>)| row.iter().zip(mask).map(|(value, mask)| value * mask).collect();
        rows.into_iter().zip(&case.mask).map(row).collect()
    };
    let token = weights(CorrectionLevel::Token);
    let scaled = batch_normalised(token.clone(), &tensor(&case.mask));
    for (name, got) in [("token", token), ("token_batch_normalised", scaled)] {
        assert_close(name, &under(values(got)), &under(matrix(&expected[name])), 1e-9);
    }
    let sequence = values(weights(CorrectionLevel::Sequence));
    assert_close("sequence", &sequence, &matrix(&expected["sequence"]), 1e-9);
}

#[test]
fn aggregations_are_those_of_verl() {
    let (vectors, case) = (vectors(), Case::golden());
    // The vectors aggregate A l.
    let losses: Matrix = (case.new.iter().zip(&case.advantages))
        .map(|(row, advantage)| row.iter().map(|l| l * advantage[0]).collect())
        .collect();
    let rows = case.new.len() as f64;
    let totals = Totals {
        max_completion_tokens: case.new[0].len() as f64,
        ..case.totals()
    };
    for (name, aggregation, factor) in [
        ("token-mean", Aggregation::TokenMean, 1.0),
        ("seq-mean-token-sum", Aggregation::SequenceSum, 1.0),
        ("seq-mean-token-mean", Aggregation::SequenceMean, 1.0),
        ("seq-mean-token-sum-norm", Aggregation::Constant, rows),
    ] {
        let got = aggregate(aggregation, tensor(&losses), &tensor(&case.mask), &totals);
        let got = got.try_into_vec_as::<f64>().unwrap()[0] * factor;
        let want = number(&vectors["verl_agg"][name]).unwrap();
        assert!(
            (got.abs() - want.abs()).abs() < 1e-9,
            "{name}: got {got}, expected {want}"
        );
    }
}

#[test]
fn divergences_are_those_of_the_vectors() {
    let (vectors, case) = (vectors(), Case::golden());
    let expected = &vectors["kl_new_vs_ref"];
    let (new, reference) = (tensor(&case.new), tensor(&case.reference));
    for (name, got) in [
        ("k1", k1(new.clone(), reference.clone())),
        ("k2", k2(new.clone(), reference.clone())),
        ("k3", k3(new, reference)),
    ] {
        assert_close(name, &values(got), &matrix(&expected[name]), 1e-9);
    }
}

#[test]
fn masks_and_factors_are_those_of_trl() {
    let (vectors, case) = (vectors(), Case::golden());
    let (input, masks) = (&vectors["input"], &vectors["trl_masks"]);
    let top = number(&input["top_entropy_quantile"]).unwrap();
    assert_close(
        "high entropy",
        &entropy_keep(&case, top),
        &matrix(&masks["high_entropy"]),
        0.0,
    );
    let differences: Matrix = (case.new.iter().zip(&case.old).zip(&case.mask))
        .map(|((new, old), mask)| (new.iter().zip(old).zip(mask)).map(|((l, o), m)| (l - o) * m).collect())
        .collect();
    let config = LossConfig::new(LossKind::Vespo);
    let (mask, advantages) = (tensor(&case.mask), tensor(&case.advantages));
    let phi = vespo_phi(&config, tensor(&differences), None, advantages, &mask);
    assert_close("vespo phi", &values(phi), &matrix(&masks["vespo_phi"]), 1e-9);
    // A row is left out of the surrogate when its gradient vanishes with the mask and not without it.
    let threshold = number(&input["opsm"]);
    let gradient = |off_policy_threshold| {
        let config = LossConfig {
            off_policy_threshold,
            ..LossConfig::new(LossKind::Cispo)
        };
        case.evaluate(&config, &case.totals()).1
    };
    let sizes = |rows: Matrix| {
        rows.iter()
            .map(|row| row.iter().map(|g| g.abs()).sum::<f64>())
            .collect::<Vec<_>>()
    };
    let kept: Matrix = (sizes(gradient(threshold)).iter().zip(sizes(gradient(None))))
        .map(|(masked, free)| vec![f64::from(*masked > 0.0 || free == 0.0)])
        .collect();
    assert_close("off-policy", &kept, &matrix(&masks["opsm"]), 0.0);
}
