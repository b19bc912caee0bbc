//! Every loss and correction that keys reach: the trainer's loss and gradient are the peers' golden numbers, and an
//! update of a real policy has the loss that follows from its own log-probs.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use burn::tensor::{Device, Tensor, TensorData};
use cua_grpo_algo::{AdamWConfig, LossInputs, LossKind, Totals, policy_loss};
use cua_grpo_core::{Ending, Episode, Facts, Group, Row, Scorer, Task};
use cua_grpo_model::{Trainable, lora};
use serde_json::Value;
use std::collections::BTreeMap;
use trainer::assemble;
use trainer::config::{ConfigError, Flag, Sources, TrainConfig, load};
use trainer::learner::Learner;
use trainer::step::{Updates, micro_batch_loss, select};

/// The configuration that `--set` of each of `keys` gives.
fn configured(keys: &[&str]) -> Result<TrainConfig, ConfigError> {
    let flags = keys.iter().map(|key| Flag::assignment(key).unwrap()).collect();
    load(&Sources {
        flags,
        ..Sources::default()
    })
}

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
        let text = include_str!("../../cua-grpo-algo/tests/fixtures/grpo-vectors.json");
        let vectors: Value = serde_json::from_str(text).unwrap();
        let mask = matrix(&vectors["input"]["mask"]);
        Self { vectors, mask }
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
            let trained: Vec<bool> = mask.iter().map(|&mask| mask > 0.0).collect();
            Row {
                tokens: vec![7; trained.len()],
                logprobs: sampler.iter().map(|&value| value as f32).collect(),
                versions: vec![0; trained.len()],
                trained,
                images: Vec::new(),
            }
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

/// Keys that every case shares: those of the vectors' inputs.
const SHARED: &[&str] = &["beta=0", "max_new_tokens=6", "max_turns=1"];

fn case(keys: &[&str]) -> TrainConfig {
    let cispo = keys.contains(&"loss_type=cispo");
    let high = if cispo {
        "clip_epsilon_high=1.1"
    } else {
        "clip_epsilon_high=0.28"
    };
    configured(&[SHARED, &[high], keys].concat()).unwrap()
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
        let recomputed = case(&[key, "recompute_logprob=true"]);
        golden.check("trl_loss", name, &recomputed, "samp");
        golden.check("trl_loss", name, &case(&[key]), "old");
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
    for (name, keys) in [
        ("dapo_two_sided", &["loss_type=dapo", "delta=1.3", recompute][..]),
        ("grpo_kl", &["loss_type=grpo", "beta=0.04", recompute]),
        ("grpo_kl_bias", &["beta=0.04", "use_bias_correction_kl=true", recompute]),
        ("dapo_tis", &["loss_type=dapo", tis]),
        (
            "dapo_seqmask_is",
            &["loss_type=dapo", "importance_sampling_mode=sequence_mask"],
        ),
        ("vespo_tis", &["loss_type=vespo", tis]),
        (
            "dapo_opsm",
            &["loss_type=dapo", "off_policy_mask_threshold=0.05", recompute],
        ),
    ] {
        golden.check("trl_loss", name, &case(keys), "samp");
    }
    let high = "importance_sampling_clip_max=1.3";
    let low = "importance_sampling_clip_min=0.7";
    let geometric = "importance_sampling_clip_max=1.02";
    for (name, keys) in [
        ("token_mask", &["importance_sampling_mode=token_mask", high][..]),
        ("token_mask_lower", &["importance_sampling_mode=token_mask", high, low]),
        ("token_clamp", &["importance_sampling_mode=token_truncate", high, low]),
        (
            "seq_mask_geo",
            &["importance_sampling_mode=sequence_mean_mask", geometric],
        ),
        (
            "seq_clamp_geo",
            &["importance_sampling_mode=sequence_mean_truncate", geometric],
        ),
        ("dual_clip", &["dual_clip=1.2", recompute]),
    ] {
        golden.check("areal_loss", name, &case(&[&["loss_type=dapo"], keys].concat()), "samp");
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
        let (loss, _) = golden.evaluate(&case(&[loss, key]), "old");
        let default = golden.vectors["trl_loss"][name]["loss"].as_f64().unwrap();
        assert!(
            loss.is_finite() && (loss - default).abs() > 1e-4,
            "{key} changes nothing"
        );
    }
}

#[test]
fn the_scale_of_rewards_is_chosen_by_key() {
    let rewards = [1.0, 0.0, 0.0, 0.0];
    let groups = [group(&rewards)];
    let advantage = |key: &str| select(&configured(&[key]).unwrap(), &groups).unwrap().advantages[0];
    // Of (1, 0, 0, 0): mean 0.25, standard deviation sqrt(3)/4 of the population and 1/2 of the sample.
    for (key, expected) in [
        ("scale_rewards=group_population", 0.75 / (3.0_f64.sqrt() / 4.0 + 1e-8)),
        ("scale_rewards=group", 0.75 / (0.5 + 1e-4)),
        ("scale_rewards=batch", 0.75 / (0.5 + 1e-4)),
        ("scale_rewards=none", 0.75),
        ("scale_rewards=leave_one_out", 1.0),
    ] {
        let got = advantage(key);
        assert!(
            (f64::from(got) - expected).abs() < 1e-6,
            "{key}: got {got}, expected {expected}"
        );
    }
    let ratio = advantage("scale_rewards=group_population") / advantage("scale_rewards=group");
    assert!((ratio - 1.155).abs() < 1e-3, "15 % apart at 4 episodes, got {ratio}");
}

#[test]
fn dr_grpo_divides_by_what_the_context_can_hold_at_most() {
    for (keys, expected) in [
        (&["max_new_tokens=64", "max_turns=10", "max_seq_length=2048"], 640),
        (&["max_new_tokens=1024", "max_turns=15", "max_seq_length=8192"], 8192),
        (
            &["max_new_tokens=1024", "max_turns=15", "max_context_tokens=2000"],
            2000,
        ),
        (
            &[
                "max_new_tokens=2000",
                "max_turns=18446744073709551615",
                "max_seq_length=2048",
            ],
            2048,
        ),
    ] {
        assert_eq!(configured(keys).unwrap().completion_limit(), expected, "{keys:?}");
    }
}

#[test]
fn groups_that_faults_made_too_small_are_not_flat_groups() {
    let groups = [group(&[1.0, 0.0]), group(&[1.0, 1.0]), group(&[1.0]), group(&[])];
    let selection = select(&configured(&[]).unwrap(), &groups).unwrap();
    assert_eq!((selection.kept, selection.filtered, selection.lost), (1, 1, 2));
    let telling = selection.telling(&groups, 1);
    assert_eq!((telling.len(), telling[0].1.reward), (1, 1.0));
    let flat = [group(&[0.0, 0.0])];
    let selection = select(&configured(&[]).unwrap(), &flat).unwrap();
    let telling = selection.telling(&flat, 3);
    assert_eq!((telling.len(), telling[0].2), (2, None), "nothing was trained on");
}

#[test]
fn keys_that_the_loss_would_not_use_are_refused() {
    for (keys, words) in [
        (&["loss_type=ppo"][..], &["loss_type", "ppo", "grpo", "vespo"][..]),
        (
            &["loss_type=cispo", "clip_epsilon_high=0.28"],
            &["clip_epsilon_high", "cap"],
        ),
        (&["loss_type=sapo", "delta=2"], &["delta", "sapo"]),
        (&["loss_type=cispo", "dual_clip=3"], &["dual_clip", "cispo"]),
        (&["delta=1.1"], &["delta", "1.2"]),
        (&["dual_clip=1"], &["dual_clip", "more than 1"]),
        (&["sapo_temperature_pos=2"], &["sapo_temperature_pos", "grpo"]),
        (
            &["loss_type=sapo", "sapo_temperature_pos=0"],
            &["sapo_temperature_pos", "above 0"],
        ),
        (&["loss_type=sapo", "vespo_k_pos=1"], &["vespo_k_pos", "sapo"]),
        (
            &["importance_sampling_clip_max=2"],
            &["importance_sampling_clip_max", "importance_sampling_mode"],
        ),
        (
            &["importance_sampling_mode=sequence"],
            &["importance_sampling_mode", "sequence_mean_mask"],
        ),
        (
            &["loss_type=vespo", "importance_sampling_mode=sequence_mask"],
            &["importance_sampling_mode", "token_mask"],
        ),
        (
            &["importance_sampling_mode=token_mask", "importance_sampling_clip_min=4"],
            &["importance_sampling_clip_min", "less than"],
        ),
        (
            &["beta=0", "use_bias_correction_kl=true"],
            &["use_bias_correction_kl", "beta"],
        ),
        (&["off_policy_mask_threshold=.nan"], &["off_policy_mask_threshold"]),
        (&["scale_rewards=groups"], &["scale_rewards", "group_population"]),
    ] {
        let text = configured(keys).unwrap_err().to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{keys:?}: {text}");
    }
}

fn group(rewards: &[f32]) -> Group {
    let episode = |(index, &reward): (usize, &f32)| Episode {
        attempt: index as u64,
        turns: Vec::new(),
        ending: Ending::Reported,
        last_screenshot: None,
        facts: Facts::default(),
        reward,
        row: row(index as u32, 0.0),
        seconds: 0.0,
    };
    let task = Task {
        id: "test/0".into(),
        template: "test".into(),
        instruction: String::new(),
        seed: 0,
        setup: Vec::new(),
        checks: Vec::new(),
        max_turns: 1,
        tags: BTreeMap::new(),
    };
    Group {
        task,
        episodes: rewards.iter().enumerate().map(episode).collect(),
        faults: Vec::new(),
    }
}

/// A row of a prompt of two tokens and a reply; `gap` is how far the sampler's log-probs lie above -3.
fn row(number: u32, gap: f32) -> Row {
    let count = 5 + number as usize;
    Row {
        tokens: (0..count as u32).map(|token| 40 + 3 * token + 7 * number).collect(),
        trained: (0..count).map(|index| index >= 2).collect(),
        logprobs: (0..count)
            .map(|index| if index >= 2 { gap - 3.0 } else { 0.0 })
            .collect(),
        versions: vec![0; count],
        images: Vec::new(),
    }
}

fn learner(config: &TrainConfig) -> Learner {
    let folder = assemble::open(config).unwrap();
    let mut policy = assemble::load(config, &folder).unwrap().policy;
    lora::attach(policy.model_mut(), &assemble::lora(config), 1).unwrap();
    Learner::new(policy, Trainable::Adapter, AdamWConfig::default(), config.max_grad_norm).unwrap()
}

/// Log-probs of `rows` under the learner's policy now.
fn scored(learner: &Learner, rows: &[&Row], adapter: bool) -> Tensor<2> {
    Scorer::score(&learner.policy, rows, 1.0, adapter).unwrap().logprobs
}

/// Two updates of a real policy: the loss of each is what the library makes of the policy's log-probs at that moment.
#[test]
fn an_updates_loss_follows_from_the_policys_own_logprobs() {
    for kind in LossKind::ALL {
        for correction in [false, true] {
            let name = serde_json::to_value(kind).unwrap();
            let loss_type = format!("loss_type={}", name.as_str().unwrap());
            let mut keys = vec![&*loss_type, "num_updates=2", "learning_rate=0.01", "temperature=1"];
            if correction {
                keys.push("importance_sampling_mode=token_truncate");
            }
            let config = configured(&keys).unwrap();
            let mut learner = learner(&config);
            let mut groups = [group(&[1.0, 0.0, 0.25])];
            for (number, episode) in groups[0].episodes.iter_mut().enumerate() {
                episode.row = row(number as u32, -2.0 + 0.2 * number as f32);
            }
            let selection = select(&config, &groups).unwrap();
            let rows = selection.rows.clone();
            let totals = Totals::of_rows(rows.iter().copied(), 1, config.completion_limit());
            let first = scored(&learner, &rows, true);
            let mut updates = Updates::new(&config, &selection);
            for number in 0..2 {
                let now = scored(&learner, &rows, true);
                let mut inputs = LossInputs::from_rows(&rows, &selection.advantages, now.autodiff()).unwrap();
                inputs.old = if correction {
                    Some(first.clone())
                } else {
                    inputs.sampler.clone()
                };
                inputs.reference = Some(scored(&learner, &rows, false));
                let expected = policy_loss(&config.loss(), &inputs, &totals)
                    .unwrap()
                    .sums
                    .read()
                    .unwrap();
                updates.make(&mut learner, config.learning_rate).unwrap();
                let got = updates.figures[number];
                let what = format!("{kind:?}, correction {correction}, update {number}");
                let close =
                    |got: Option<f64>, expected: f64| (got.unwrap() - expected).abs() < 1e-4 * expected.abs().max(1.0);
                assert!(close(got.loss, expected.loss), "{what}: {got:?} {expected:?}");
                assert!(
                    close(got.ratio_mean, expected.ratio_mean),
                    "{what}: {got:?} {expected:?}"
                );
                assert!(close(got.kl, expected.kl.unwrap()), "{what}: {got:?} {expected:?}");
                assert_eq!(got.correction_mean.is_some(), correction, "{what}");
                assert!(got.grad_norm.unwrap() > 0.0, "{what}");
            }
            let ratio = |number: usize| updates.figures[number].ratio_mean.unwrap();
            assert!(correction == ((ratio(0) - 1.0).abs() < 1e-6), "{kind:?}: {}", ratio(0));
            assert!(
                ratio(0) != ratio(1),
                "{kind:?}: the second update starts from another policy"
            );
        }
    }
}

#[test]
fn without_beta_there_is_no_divergence_and_no_made_up_one() {
    let config = configured(&["beta=0"]).unwrap();
    let groups = [group(&[1.0, 0.0])];
    let selection = select(&config, &groups).unwrap();
    let mut updates = Updates::new(&config, &selection);
    updates.make(&mut learner(&config), 0.0).unwrap();
    let figures = updates.figures[0];
    assert_eq!((figures.kl, figures.correction_mean), (None, None));
    assert!(figures.loss.is_some() && figures.entropy.is_some_and(|entropy| entropy > 0.0));
}
