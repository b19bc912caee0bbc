//! The losses of the peers' vectors, through the keys and the trainer.

use crate::made::{configured, row_of};
use burn::tensor::{Device, Tensor, TensorData};
use cua_grpo_algo::{LossInputs, LossKind, Totals};
use cua_grpo_core::Row;
use cua_grpo_train::config::TrainConfig;
use cua_grpo_train::step::micro_batch_loss;
use serde_json::Value;

type Matrix = Vec<Vec<f64>>;

fn matrix(value: &Value) -> Matrix {
    serde_json::from_value(value.clone()).unwrap()
}

/// The peers' inputs. The trainer's seam packs trained tokens to the left, so what lies under the mask is packed too.
struct Golden {
    vectors: Value,
    mask: Matrix,
}

impl Golden {
    fn new() -> Self {
        let vectors: Value = match std::env::var("GRPO_VECTORS") {
            Err(_) => {
                serde_json::from_str(include_str!("../../../cua-grpo-algo/tests/fixtures/grpo-vectors.json")).unwrap()
            }
            Ok(path) => {
                let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
                let found = std::fs::read(&path).or_else(|_| std::fs::read(root.join(&path)));
                serde_json::from_slice(&found.unwrap_or_else(|error| panic!("GRPO_VECTORS={path}: {error}"))).unwrap()
            }
        };
        let mask = matrix(&vectors["input"]["mask"]);
        Self { vectors, mask }
    }

    /// A number of the inputs as an assignment of `key`.
    fn key(&self, key: &str, name: &str) -> String {
        format!("{key}={}", self.vectors["input"][name])
    }

    /// A configuration with the clip range of the inputs.
    fn case(&self, keys: &[&str]) -> TrainConfig {
        let (low, high) = (
            self.key("clip_epsilon", "eps"),
            self.key("clip_epsilon_high", "eps_high"),
        );
        let cap = self.key("clip_epsilon_high", "cispo_eps_high");
        let range = match keys.iter().find_map(|key| key.strip_prefix("loss_type=")) {
            Some("cispo") => vec![&*cap],
            Some("sapo" | "vespo") => Vec::new(),
            _ => vec![&*low, &*high],
        };
        let limit = self.key("max_new_tokens", "max_completion_length");
        configured(&[&["beta=0", "max_turns=1", &*limit], &*range, keys].concat()).unwrap()
    }

    fn input(&self, name: &str) -> Matrix {
        matrix(&self.vectors["input"][name])
    }

    /// `values` under the mask, packed to the left and padded with what must never be looked at.
    fn packed(&self, values: &Matrix) -> Tensor<2> {
        let rows = values.iter().zip(&self.mask).flat_map(|(values, mask)| {
            let mut kept: Vec<f32> = (values.iter().zip(mask).filter(|(_, mask)| **mask > 0.0))
                .map(|(value, _)| *value as f32)
                .collect();
            kept.resize(values.len(), f32::NAN);
            kept
        });
        let data = TensorData::new(rows.collect::<Vec<_>>(), [values.len(), values[0].len()]);
        Tensor::from_data(data, &Device::flex())
    }

    fn rows(&self, sampler: &Matrix) -> Vec<Row> {
        let rows = sampler.iter().zip(&self.mask);
        rows.map(|(sampler, mask)| {
            row_of(
                sampler
                    .iter()
                    .zip(mask)
                    .map(|(&value, &mask)| (7, (mask > 0.0).then_some(value as f32))),
            )
        })
        .collect()
    }

    fn advantages(&self) -> Vec<f32> {
        serde_json::from_value(self.vectors["trl_advantages"]["group"].clone()).unwrap()
    }

    /// The trainer's loss with the log-probs of the vectors, `sampler` as the sampler's.
    fn evaluate(&self, config: &TrainConfig, sampler: &str) -> (f64, Matrix) {
        let rows = self.rows(&self.input(sampler));
        let rows: Vec<&Row> = rows.iter().collect();
        let now = self.packed(&self.input("new")).autodiff().require_grad();
        let inputs = LossInputs::from_rows(&rows, &self.advantages(), now.clone()).unwrap();
        let totals = Totals::of_rows(rows.iter().copied(), 1, config.completion_limit());
        let reference = (config.beta > 0.0).then(|| self.packed(&self.input("ref")));
        let before = Some(self.packed(&self.input("old")));
        let output = micro_batch_loss(config, inputs, before, reference, &totals).unwrap();
        let loss = f64::from(output.loss.clone().into_scalar::<f32>());
        let gradient = now.grad(&output.loss.backward()).unwrap();
        let packed = gradient.try_into_vec_as::<f32>().unwrap();
        let width = self.mask[0].len();
        let unpack = |(row, mask): (&[f32], &Vec<f64>)| {
            let mut values = row.iter();
            let place = |&mask: &f64| {
                if mask > 0.0 {
                    f64::from(*values.next().unwrap())
                } else {
                    0.0
                }
            };
            mask.iter().map(place).collect()
        };
        (loss, packed.chunks(width).zip(&self.mask).map(unpack).collect())
    }

    fn check(&self, peer: &str, name: &str, config: &TrainConfig, sampler: &str) {
        let expected = &self.vectors[peer][name];
        let (loss, gradient) = self.evaluate(config, sampler);
        let want = expected["loss"].as_f64().unwrap();
        assert!(
            (loss - want).abs() < 2e-6,
            "{name}: got a loss of {loss}, expected {want}"
        );
        let want = matrix(&expected["grad"]);
        for (got, want) in gradient.iter().flatten().zip(want.iter().flatten()) {
            assert!((got - want).abs() < 2e-6, "{name}: got {gradient:?}, expected {want:?}");
        }
    }
}

#[test]
fn every_loss_that_a_key_reaches_is_the_peers() {
    let golden = Golden::new();
    let mut reached = Vec::new();
    for (name, key) in [
        ("grpo", "loss_type=grpo"),
        ("bnpo", "loss_type=bnpo"),
        ("dr_grpo", "loss_type=dr_grpo"),
        ("dapo", "loss_type=dapo"),
        ("gspo", "loss_type=gspo"),
        ("luspo_seq", "loss_type=luspo"),
        ("cispo", "loss_type=cispo"),
        ("sapo", "loss_type=sapo"),
        ("vespo", "loss_type=vespo"),
    ] {
        // The ratio compares with the policy before the step where that is asked for, else with the sampler.
        let recomputed = golden.case(&[key, "recompute_logprob=true"]);
        golden.check("trl_loss", name, &recomputed, "samp");
        golden.check("trl_loss", name, &golden.case(&[key]), "old");
        reached.push(recomputed.loss_type);
    }
    assert_eq!(reached.len(), LossKind::ALL.len());
    assert!(
        LossKind::ALL.iter().all(|kind| reached.contains(kind)),
        "a loss without a test"
    );
}

#[test]
fn every_correction_and_bound_that_a_key_reaches_is_the_peers() {
    let golden = Golden::new();
    let tis = "importance_sampling_mode=token_truncate";
    let recompute = "recompute_logprob=true";
    let beta = &*golden.key("beta", "beta");
    let delta = &*golden.key("delta", "delta");
    let threshold = &*golden.key("off_policy_mask_threshold", "opsm");
    let cap = &*golden.key("importance_sampling_clip_max", "is_cap");
    for (name, keys) in [
        ("dapo_two_sided", &["loss_type=dapo", delta, recompute][..]),
        ("grpo_kl", &["loss_type=grpo", beta, recompute]),
        ("grpo_kl_bias", &[beta, "use_bias_correction_kl=true", recompute]),
        ("dapo_tis", &["loss_type=dapo", tis, cap]),
        (
            "dapo_seqmask_is",
            &["loss_type=dapo", "importance_sampling_mode=sequence_mask", cap],
        ),
        ("vespo_tis", &["loss_type=vespo", tis, cap]),
        ("dapo_opsm", &["loss_type=dapo", threshold, recompute]),
    ] {
        golden.check("trl_loss", name, &golden.case(keys), "samp");
    }
    // The bounds of a rejection stand with its entry.
    let bound = |key: &str, name: &str, end: &str| {
        let value = &golden.vectors["areal_loss"][name]["args"]["r"][end];
        format!("{key}={value}")
    };
    let free = "importance_sampling_clip_max=1e6";
    let (weights, rejects) = ("importance_sampling_clip", "rejection_sampling");
    for (name, mode, prefix, keys) in [
        ("token_mask", "importance_sampling_mode=token_mask", weights, &[][..]),
        ("token_mask_lower", "importance_sampling_mode=token_mask", weights, &[]),
        ("token_clamp", "importance_sampling_mode=token_truncate", weights, &[]),
        (
            "seq_mask_geo",
            "importance_sampling_mode=sequence_mean_mask",
            weights,
            &[],
        ),
        (
            "seq_clamp_geo",
            "importance_sampling_mode=sequence_mean_truncate",
            weights,
            &[],
        ),
        (
            "seq_mask_sum",
            "rejection_sampling_mode=sequence_sum_ratio",
            rejects,
            &["importance_sampling_mode=sequence_mean_truncate", free],
        ),
        (
            "seq_mask_k3_max",
            "rejection_sampling_mode=sequence_max_k3",
            rejects,
            &[tis, free],
        ),
        (
            "token_mask_k2",
            "rejection_sampling_mode=token_k2",
            rejects,
            &[tis, free],
        ),
        (
            "gspo_seq_mask",
            "rejection_sampling_mode=sequence_mean_ratio",
            rejects,
            &["importance_sampling_mode=sequence_mean_truncate", free],
        ),
    ] {
        let high = bound(&format!("{prefix}_max"), name, "upper");
        let low = bound(&format!("{prefix}_min"), name, "lower");
        let loss = match name.starts_with("gspo") {
            true => &["loss_type=gspo", "loss_aggregation=token_mean"][..],
            false => &["loss_type=dapo"],
        };
        let config = golden.case(&[loss, &[mode, &high, &low], keys].concat());
        golden.check("areal_loss", name, &config, "samp");
    }
    let dual = &*golden.key("dual_clip", "c_clip");
    for (name, keys) in [
        ("dual_clip", &["loss_type=dapo", dual][..]),
        ("gspo", &["loss_type=gspo", "loss_aggregation=token_mean"]),
        ("sapo_token_mean", &["loss_type=sapo", "loss_aggregation=token_mean"]),
    ] {
        golden.check("areal_loss", name, &golden.case(&[keys, &[recompute]].concat()), "samp");
    }
}

#[test]
fn the_parameters_of_sapo_and_vespo_reach_their_losses() {
    let golden = Golden::new();
    for (loss, key, name) in [
        ("loss_type=sapo", "sapo_temperature_pos=2", "sapo"),
        ("loss_type=sapo", "sapo_temperature_neg=2", "sapo"),
        ("loss_type=vespo", "vespo_k_pos=1", "vespo"),
        ("loss_type=vespo", "vespo_lambda_pos=1", "vespo"),
        ("loss_type=vespo", "vespo_k_neg=1", "vespo"),
        ("loss_type=vespo", "vespo_lambda_neg=1", "vespo"),
    ] {
        let (loss, _) = golden.evaluate(&golden.case(&[loss, key]), "old");
        let default = golden.vectors["trl_loss"][name]["loss"].as_f64().unwrap();
        assert!(
            loss.is_finite() && (loss - default).abs() > 1e-4,
            "{key} changes nothing"
        );
    }
}
