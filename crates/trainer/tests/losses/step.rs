//! The updates of a step with a real policy: mini-batches, what is known before the first update, rows that are bad.

use crate::made::{configured, group, row};
use crate::updates::{learner, scored};
use cua_grpo_algo::{LossInputs, Totals, policy_loss};
use cua_grpo_core::{Completion, Group, Prompt, Row, StopReason};
use cua_grpo_train::config::TrainConfig;
use cua_grpo_train::metrics::UpdateFigures;
use cua_grpo_train::step::{Update, Updates, select};

/// A group of four rows, which an adapter can tell apart.
fn four() -> [Group; 1] {
    let mut all = group(&[1.0, 0.0, 0.25, 0.5]);
    for (number, episode) in all.episodes.iter_mut().enumerate() {
        episode.row = row(number as u32, -2.0 + 0.2 * number as f32);
    }
    [all]
}

fn small(keys: &[&str]) -> TrainConfig {
    configured(&[&["temperature=1", "beta=0.1"], keys].concat()).unwrap()
}

/// The figures of all updates of a step, at a learning rate of 0.
fn figures(config: &TrainConfig, groups: &[Group]) -> Vec<UpdateFigures> {
    let selection = select(config, groups).unwrap();
    let mut updates = Updates::new(config, &selection).at_version(3);
    let mut learner = learner(config);
    for _ in 0..updates.count() {
        assert_eq!(updates.make(&mut learner, 0.0).unwrap(), Update::Made);
    }
    updates.figures
}

fn mean(figures: &[UpdateFigures], value: fn(&UpdateFigures) -> Option<f64>) -> f64 {
    figures.iter().map(|one| value(one).unwrap()).sum::<f64>() / figures.len() as f64
}

#[test]
fn mini_batches_hold_every_row_once_in_each_pass() {
    let groups = four();
    let whole = figures(&small(&[]), &groups);
    let parts = figures(&small(&["num_minibatches=2", "num_updates=3"]), &groups);
    assert_eq!((whole.len(), parts.len()), (1, 6));
    // Without a change of the policy, the mean over the halves of a pass is the whole.
    for pass in parts.chunks(2) {
        for value in [
            |one: &UpdateFigures| one.loss,
            |one: &UpdateFigures| one.kl.map(|_| 0.0),
        ] {
            let (got, expected) = (mean(pass, value), mean(&whole, value));
            assert!(
                (got - expected).abs() < 1e-5 * expected.abs().max(1.0),
                "{got} {expected}"
            );
        }
    }
    let firsts: Vec<u64> = parts.iter().step_by(2).map(|one| one.loss.unwrap().to_bits()).collect();
    let again = figures(&small(&["num_minibatches=2", "num_updates=3"]), &groups);
    assert_eq!(again, parts, "the order follows from the seed");
    assert!(firsts.len() == 3);
    // More parts than rows: each row is one.
    assert_eq!(figures(&small(&["num_minibatches=8"]), &groups).len(), 4);
}

#[test]
fn the_entropy_bonus_lowers_the_loss_and_raises_the_entropy() {
    let groups = four();
    let plain = figures(&small(&[]), &groups)[0];
    let bonus = small(&["entropy_coef=0.5"]);
    let with = figures(&bonus, &groups)[0];
    let expected = plain.loss.unwrap() - 0.5 * plain.entropy.unwrap();
    assert!((with.loss.unwrap() - expected).abs() < 1e-5, "{with:?} {plain:?}");
    assert_ne!(with.grad_norm, plain.grad_norm, "the bonus has a gradient");
    // A bonus alone: entropy rises.
    let config = small(&["entropy_coef=100", "num_updates=3", "beta=0"]);
    let selection = select(&config, &groups).unwrap();
    let (mut updates, mut learner) = (Updates::new(&config, &selection), learner(&config));
    for _ in 0..3 {
        updates.make(&mut learner, 0.01).unwrap();
    }
    let entropies: Vec<f64> = updates.figures.iter().map(|one| one.entropy.unwrap()).collect();
    assert!(entropies[2] > entropies[0], "{entropies:?}");
}

#[test]
fn the_divergence_is_taken_from_the_rewards_and_not_added_to_the_loss() {
    let groups = four();
    let config = small(&["kl_in_reward=true", "kl_estimator=k1", "num_updates=2"]);
    let selection = select(&config, &groups).unwrap();
    let mut learner = learner(&config);
    // A first step of learning, so that policy and reference differ.
    let warm = small(&["beta=0"]);
    let warmed = select(&warm, &groups).unwrap();
    Updates::new(&warm, &warmed).make(&mut learner, 0.05).unwrap();
    let rows = selection.rows.clone();
    let (now, reference) = (scored(&learner, &rows, true), scored(&learner, &rows, false));
    let apart = (now.clone() - reference.clone())
        .sum_dim(1)
        .try_into_vec_as::<f32>()
        .unwrap();
    assert!(apart.iter().any(|value| value.abs() > 1e-3), "{apart:?}");
    let penalties: Vec<f64> = apart.iter().map(|value| config.beta * f64::from(*value)).collect();
    let credit = selection.penalised(&config, &penalties).unwrap();
    assert_ne!(credit, selection.credit);
    let mut inputs = LossInputs::from_rows(&rows, &credit.rows, now.autodiff()).unwrap();
    inputs.old = inputs.sampler.clone();
    let totals = Totals::of_rows(rows.iter().copied(), 1, config.completion_limit());
    let expected = policy_loss(&config.loss(), &inputs, &totals)
        .unwrap()
        .sums
        .read()
        .unwrap();
    let mut updates = Updates::new(&config, &selection);
    updates.make(&mut learner, 0.0).unwrap();
    let got = updates.figures[0];
    assert!((got.loss.unwrap() - expected.loss).abs() < 1e-4, "{got:?} {expected:?}");
    assert!(got.kl.is_some(), "it is still measured");
}

#[test]
fn tokens_are_left_out_by_their_entropy_and_by_their_drift() {
    let groups = four();
    let masked = |keys: &[&str]| figures(&small(keys), &groups)[0].masked_fraction;
    assert_eq!(masked(&[]), None);
    let tokens: usize = groups[0].episodes.iter().map(|one| one.row.trained_tokens()).sum();
    let half = masked(&["top_entropy_quantile=0.5"]).unwrap();
    assert!((half - 0.5).abs() <= 1.0 / tokens as f64, "{half}");
    let drift = masked(&["m2po_threshold=1e-6"]).unwrap();
    assert!(
        (drift - (1.0 - 1.0 / tokens as f64)).abs() < 1e-6,
        "one is always kept, got {drift}"
    );
    assert_eq!(
        masked(&["rejection_sampling_mode=token_k2", "rejection_sampling_max=1e6"]),
        Some(0.0)
    );
}

#[test]
fn the_proximal_policy_lies_between_sampler_and_policy_by_age() {
    // Version 3 trains on what version 0 sampled: two thirds of the way, so the ratio is exp of the last third.
    let groups = four();
    let config = small(&["prox_logp_method=loglinear", "lockstep=false", "max_staleness=3"]);
    let selection = select(&config, &groups).unwrap();
    let learner = learner(&config);
    let now = scored(&learner, &selection.rows, true)
        .try_into_vec_as::<f32>()
        .unwrap();
    let time = now.len() / selection.rows.len();
    let mut ratios = Vec::new();
    for (index, row) in selection.rows.iter().enumerate() {
        let sampled = row
            .logprobs()
            .iter()
            .zip(row.trained())
            .filter(|(_, trained)| **trained);
        ratios.extend(
            sampled
                .enumerate()
                .map(|(t, (s, _))| f64::from((now[index * time + t] - s) / 3.0).exp()),
        );
    }
    let expected = ratios.iter().sum::<f64>() / ratios.len() as f64;
    let got = figures(&config, &groups)[0].ratio_mean.unwrap();
    assert!((got - expected).abs() < 1e-4 * expected, "{got} {expected}");
}

#[test]
fn weights_over_what_top_p_left_are_the_kept_mass_at_staleness_0() {
    let mut groups = four();
    let keys = ["importance_sampling_mode=token_truncate", "correct_kept_mass=true"];
    let (plain, cut) = (small(&keys[..1]), small(&keys));
    // Rows as the policy itself would have sampled them, with 0.8 of the mass kept.
    let learner = learner(&plain);
    for episode in &mut groups[0].episodes {
        let scores = scored(&learner, &[&episode.row], true)
            .try_into_vec_as::<f32>()
            .unwrap();
        let mut row = Row::new(1.0);
        let mut next = scores.into_iter();
        for (&token, &trained) in episode.row.tokens().iter().zip(episode.row.trained()) {
            if trained {
                let reply = Completion::new(vec![token], vec![next.next().unwrap()], 0, StopReason::Stop).unwrap();
                row.push_completion(&reply.with_kept_mass(vec![0.8]).unwrap()).unwrap();
            } else {
                row.push_prompt(&Prompt::new(vec![token]));
            }
        }
        episode.row = row;
    }
    let ratio = figures(&small(&[]), &groups)[0].ratio_mean.unwrap();
    assert!(
        (ratio - 1.0).abs() < 1e-5,
        "both are log-probs of the whole vocabulary: {ratio}"
    );
    let weight = |config: &TrainConfig| figures(config, &groups)[0].correction_mean.unwrap();
    assert!((weight(&plain) - 1.0).abs() < 1e-5, "{}", weight(&plain));
    assert!((weight(&cut) - 0.8).abs() < 1e-5, "{}", weight(&cut));
}

#[test]
fn a_row_that_is_not_finite_is_left_out_named_and_counted() {
    let groups = four();
    let config = small(&["num_updates=2"]);
    let mut selection = select(&config, &groups).unwrap();
    selection.credit.rows[1] = f32::NAN;
    let (mut updates, mut one) = (Updates::new(&config, &selection), learner(&config));
    for _ in 0..2 {
        assert_eq!(updates.make(&mut one, 0.01).unwrap(), Update::Made);
    }
    assert_eq!(updates.skipped_rows, ["task test/0 episode 1"], "it is named once");
    let figures = updates.figures.iter();
    assert!(
        figures
            .clone()
            .all(|one| one.loss.unwrap().is_finite() && one.grad_norm.unwrap() > 0.0)
    );
    // More than half: the update is not made.
    let mut selection = select(&config, &groups).unwrap();
    selection.credit.rows[1..].fill(f32::INFINITY);
    let mut updates = Updates::new(&config, &selection);
    let Update::Skipped(names) = updates.make(&mut learner(&config), 0.01).unwrap() else {
        panic!("three of four rows are bad");
    };
    assert!(
        names.contains("episode 1") && names.contains("episode 3") && updates.figures.is_empty(),
        "{names}"
    );
}

/// Four rows, of which the second ends before its first reply.
fn one_without_a_reply() -> [Group; 1] {
    let mut groups = four();
    let mut empty = Row::new(1.0);
    empty.push_prompt(&Prompt::new(vec![1; 7]));
    groups[0].episodes[1].row = empty;
    groups
}

#[test]
fn rows_without_a_reply_are_not_scored() {
    let groups = one_without_a_reply();
    for keys in [
        &["loss_type=grpo"][..],
        &["loss_type=dapo", "num_updates=2"],
        &["loss_type=grpo", "num_updates=2", "kl_in_reward=true"],
        &["loss_type=grpo", "m2po_threshold=0.04"],
    ] {
        let together = figures(&small(keys), &groups);
        // Each row stands alone, that one too.
        let alone = figures(&small(&[keys, &["micro_batch_tokens=1"]].concat()), &groups);
        assert_eq!(together.len(), alone.len());
        for (one, other) in together.iter().zip(&alone) {
            let (one, other) = (one.loss.unwrap(), other.loss.unwrap());
            assert!(
                (one - other).abs() < 1e-5 * one.abs().max(1.0),
                "{keys:?}: {one} {other}"
            );
        }
    }
}

#[test]
fn an_update_without_a_token_is_none() {
    let config = small(&["num_minibatches=4"]);
    let groups = one_without_a_reply();
    let selection = select(&config, &groups).unwrap();
    let (mut updates, mut learner) = (Updates::new(&config, &selection), self::learner(&config));
    let made: Vec<Update> = (0..4).map(|_| updates.make(&mut learner, 0.01).unwrap()).collect();
    assert_eq!(made.iter().filter(|one| **one == Update::Empty).count(), 1, "{made:?}");
    assert_eq!((updates.figures.len(), learner.adamw.steps()), (3, 3));
    // All replies were cut, and are masked: the step has no figures, and the weights stay.
    let (config, groups) = (small(&["num_updates=2"]), four());
    let mut selection = select(&config, &groups).unwrap();
    selection.entering = Some(
        selection
            .rows
            .iter()
            .map(|row| vec![false; row.trained_tokens()])
            .collect(),
    );
    let (mut updates, mut learner) = (Updates::new(&config, &selection), self::learner(&config));
    for _ in 0..2 {
        assert_eq!(updates.make(&mut learner, 0.01).unwrap(), Update::Empty);
    }
    assert_eq!(
        (updates.figures.len(), updates.tokens(), learner.adamw.steps()),
        (0, 0, 0)
    );
}
