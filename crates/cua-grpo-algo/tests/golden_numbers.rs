//! The peers' vectors of numbers that need no tensor: advantages, norms, masks, the proximal policy, the capacity law.
//! They are read from the file that `GRPO_VECTORS` names, if it is set.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Matrix, assert_close, matrix, numbers, vectors};
use cua_grpo_algo::{
    AdvantageConfig, AdvantageScale, Proximal, StalenessLimit, advantages, advantages_f64, capacity, gdpo, m2po_keep,
    proximal_share, weighted_sum, whiten,
};
use serde_json::Value;

/// Rewards of several functions, attempt by attempt; null is missing.
type Several = Vec<Vec<Option<f64>>>;

fn close(what: &str, got: &[f64], expected: &Value, tolerance: f64) {
    assert_close(what, &vec![got.to_vec()], &vec![numbers(expected)], tolerance);
}

fn scaled(groups: &[Vec<f64>], scale: AdvantageScale, epsilon: Option<f64>) -> Vec<f64> {
    let config = AdvantageConfig {
        scale,
        min_group_std: 0.0,
        epsilon,
    };
    advantages_f64(groups, config)
        .unwrap()
        .into_iter()
        .flatten()
        .flatten()
        .collect()
}

fn groups_of(input: &Value) -> Vec<Vec<f64>> {
    let size = input["group"].as_u64().unwrap() as usize;
    numbers(&input["rewards"]).chunks(size).map(<[f64]>::to_vec).collect()
}

/// Advantages of weighted sums; what nobody scored has 0 and enters no mean.
fn summed(rewards: &Several, weights: &[f64], size: usize) -> Vec<f64> {
    let sums: Vec<Option<f64>> = rewards.iter().map(|row| weighted_sum(row, weights).unwrap()).collect();
    let there = |group: &[Option<f64>]| group.iter().copied().flatten().collect();
    let groups: Vec<Vec<f64>> = sums.chunks(size).map(there).collect();
    let mut found = scaled(&groups, AdvantageScale::Group, None).into_iter();
    sums.iter()
        .map(|sum| sum.map_or(0.0, |_| found.next().unwrap()))
        .collect()
}

#[test]
fn advantages_are_those_of_trl() {
    let vectors = vectors();
    let (input, expected) = (&vectors["input"], &vectors["trl_advantages"]);
    let groups = groups_of(input);
    for (name, scale) in [
        ("group", AdvantageScale::Group),
        ("batch", AdvantageScale::Batch),
        ("none", AdvantageScale::None),
    ] {
        close(name, &scaled(&groups, scale, None), &expected[name], 1e-9);
    }
    let single: Vec<Vec<f32>> = groups
        .iter()
        .map(|group| group.iter().map(|&reward| reward as f32).collect())
        .collect();
    let config = AdvantageConfig {
        scale: AdvantageScale::Group,
        min_group_std: 0.0,
        ..Default::default()
    };
    let got = advantages(&single, config).unwrap().into_iter().flatten().flatten();
    let got: Vec<f64> = got.map(f64::from).collect();
    close("group in f32", &got, &expected["group"], 1e-6);
}

#[test]
fn advantages_of_several_rewards_are_those_of_trl() {
    let vectors = vectors();
    let (input, expected) = (&vectors["input"], &vectors["trl_advantages"]);
    let size = input["group"].as_u64().unwrap() as usize;
    let weights = numbers(&input["reward_weights"]);
    let rewards: Several = serde_json::from_value(input["rewards_2func"].clone()).unwrap();
    close(
        "sum",
        &summed(&rewards, &weights, size),
        &expected["two_funcs_sum_group"],
        1e-9,
    );
    let groups: Vec<Several> = rewards.chunks(size).map(<[Vec<Option<f64>>]>::to_vec).collect();
    let got = gdpo(&groups, &weights).unwrap().concat();
    close("gdpo", &got, &expected["two_funcs_gdpo"], 1e-9);
    let unscorable = &expected["unscorable_row1_groupsize3"];
    let rewards: Several = serde_json::from_value(unscorable["rewards"].clone()).unwrap();
    close("unscorable", &summed(&rewards, &weights, 3), &unscorable["adv"], 1e-9);
    assert!(gdpo(&groups, &weights[1..]).is_err());
}

#[test]
fn norms_are_those_of_areal() {
    // AReaL's norms are in f32.
    let (vectors, epsilon) = (vectors(), Some(1e-5));
    let expected = &vectors["areal_norm"];
    let groups = groups_of(&vectors["input"]);
    for (name, scale) in [
        ("group", AdvantageScale::Group),
        ("group_biased", AdvantageScale::GroupPopulation),
        ("group_mean_batch_std", AdvantageScale::Batch),
        ("rloo", AdvantageScale::LeaveOneOut),
    ] {
        close(name, &scaled(&groups, scale, epsilon), &expected[name], 1e-6);
    }
    // The vectors whiten TRL's advantages of groups, which fall along the row.
    let falling = [1.0, 0.5, 0.25, 1.0];
    let mask = matrix(&vectors["input"]["mask"]);
    let entering: Vec<Vec<bool>> = mask.iter().map(|row| row.iter().map(|m| *m > 0.0).collect()).collect();
    let advantages = scaled(&groups, AdvantageScale::Group, None);
    let mut rows: Matrix = advantages
        .iter()
        .map(|a| falling.map(|factor| factor * a).to_vec())
        .collect();
    whiten(&mut rows, &entering);
    assert_close("whitened", &rows, &matrix(&expected["batch_tokens_masked"]), 1e-6);
}

#[test]
fn the_tokens_that_m2po_keeps_are_those_of_areal() {
    let vectors = vectors();
    let input = &vectors["input"];
    let (old, sampler, mask) = (matrix(&input["old"]), matrix(&input["samp"]), matrix(&input["mask"]));
    let places: Vec<(usize, usize)> = (0..mask.len())
        .flat_map(|i| (0..mask[i].len()).map(move |t| (i, t)))
        .filter(|&(i, t)| mask[i][t] > 0.0)
        .collect();
    let squares: Vec<f64> = places
        .iter()
        .map(|&(i, t)| (sampler[i][t] - old[i][t]).powi(2))
        .collect();
    let keep = m2po_keep(&squares, input["m2_threshold"].as_f64().unwrap());
    let mut got = vec![vec![0.0; mask[0].len()]; mask.len()];
    for (&(i, t), keep) in places.iter().zip(keep) {
        got[i][t] = f64::from(keep);
    }
    assert_close("m2po", &got, &matrix(&vectors["areal_m2po_keep"]), 0.0);
}

#[test]
fn the_proximal_policy_is_that_of_areal() {
    let vectors = vectors();
    let (input, expected) = (&vectors["input"], &vectors["areal_prox_approx"]);
    let version = input["current_version"].as_u64().unwrap();
    let versions: Vec<Vec<u64>> = serde_json::from_value(input["versions"].clone()).unwrap();
    let shares: Matrix = versions
        .iter()
        .map(|row| {
            row.iter()
                .map(|&sampled_by| proximal_share(version, sampled_by))
                .collect()
        })
        .collect();
    assert_close("share", &shares, &matrix(&expected["alpha"]), 1e-9);
    let (new, sampler) = (matrix(&input["new"]), matrix(&input["samp"]));
    // AReaL holds the share in f32, which is off by up to 3e-8.
    for (name, kind) in [("loglinear", Proximal::Loglinear), ("linear", Proximal::Linear)] {
        let got: Matrix = (0..new.len())
            .map(|i| {
                let token = |t: usize| kind.between(sampler[i][t], new[i][t], shares[i][t]);
                (0..new[i].len()).map(token).collect()
            })
            .collect();
        assert_close(name, &got, &matrix(&expected[name]), 2e-7);
    }
}

#[test]
fn capacities_are_those_of_areal() {
    let vectors = vectors();
    let cases = vectors["areal_capacity"].as_array().unwrap();
    assert!(!cases.is_empty());
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
