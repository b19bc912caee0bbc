//! Updates of a real policy.

use crate::made::{configured, group, row};
use burn::tensor::Tensor;
use cua_grpo_algo::{AdamWConfig, LossInputs, LossKind, Totals, policy_loss};
use cua_grpo_core::Row;
use cua_grpo_model::{Trainable, lora};
use cua_grpo_train::config::TrainConfig;
use cua_grpo_train::learner::Learner;
use cua_grpo_train::step::{Updates, select};
use trainer::assemble;

pub fn learner(config: &TrainConfig) -> Learner {
    let folder = assemble::open(config).unwrap();
    let mut policy = assemble::load(config, &folder, |_| Ok(())).unwrap().policy;
    lora::attach(policy.model_mut(), &config.lora(), 1).unwrap();
    Learner::new(policy, Trainable::Adapter, AdamWConfig::default(), config.max_grad_norm).unwrap()
}

/// Log-probs of `rows` under the learner's policy now.
pub fn scored(learner: &Learner, rows: &[&Row], adapter: bool) -> Tensor<2> {
    learner.policy.score(rows, 1.0, adapter).unwrap().logprobs
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
                let mut inputs = LossInputs::from_rows(&rows, &selection.credit.rows, now.autodiff()).unwrap();
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
