//! What keys of advantages and losses mean, and which combinations are refused.

use crate::made::{configured, group};
use cua_grpo_train::step::select;

#[test]
fn the_scale_of_rewards_is_chosen_by_key() {
    let rewards = [1.0, 0.0, 0.0, 0.0];
    let groups = [group(&rewards)];
    let advantage = |key: &str| select(&configured(&[key]).unwrap(), &groups).unwrap().credit.rows[0];
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
        (&["max_new_tokens=2000", "max_turns=1000", "max_seq_length=2048"], 2048),
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
            &["sapo_temperature_pos", "more than 0"],
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
        (&["beta=0", "kl_estimator=k2"], &["kl_estimator", "k3", "beta"]),
        (&["kl_estimator=k1"], &["kl_estimator", "mean zero", "kl_in_reward"]),
        (&["beta=0", "kl_in_reward=true"], &["kl_in_reward", "beta"]),
        (
            &["kl_in_reward=true", "use_bias_correction_kl=true"],
            &["use_bias_correction_kl", "kl_in_reward"],
        ),
        (
            &["loss_type=dapo", "loss_aggregation=sequence_mean"],
            &["loss_aggregation", "dapo"],
        ),
        (&["loss_aggregation=mean"], &["loss_aggregation", "token_mean"]),
        (
            &["rejection_sampling_max=2"],
            &["rejection_sampling_max", "rejection_sampling_mode"],
        ),
        (
            &["rejection_sampling_mode=token_k3", "rejection_sampling_min=6"],
            &["rejection_sampling_min", "less than"],
        ),
        (
            &["rejection_sampling_mode=token"],
            &["rejection_sampling_mode", "sequence_max_k3"],
        ),
        (
            &["correct_kept_mass=true"],
            &["correct_kept_mass", "importance_sampling_mode"],
        ),
        (
            &["prox_logp_method=linear", "recompute_logprob=true"],
            &["prox_logp_method", "recompute_logprob"],
        ),
        (&["reward=random", "rewards={verified: 1}"], &["reward", "rewards"]),
        (&["rewards={verified: 0}"], &["rewards", "other than 0"]),
        (&["rewards={praise: 1}"], &["rewards", "efficiency"]),
        (
            &["multi_objective_aggregation=normalize_then_sum"],
            &["multi_objective_aggregation", "rewards"],
        ),
        (&["overlong_buffer=2000"], &["overlong_buffer", "max_new_tokens"]),
        (&["overlong_penalty=2"], &["overlong_penalty", "overlong_buffer"]),
        (
            &["scale_rewards=none", "advantage_epsilon=1e-4"],
            &["advantage_epsilon", "not divided"],
        ),
        (
            &["scale_rewards=batch", "whiten_advantages=true"],
            &["whiten_advantages", "already"],
        ),
        (&["gamma=0.5"], &["gamma", "step_credit"]),
        (
            &["step_credit=discounted", "step_advantage_weight=2"],
            &["step_advantage_weight", "gigpo"],
        ),
        (
            &["batch_size=1", "num_rollouts=2", "num_minibatches=3"],
            &["num_minibatches", "at most", "2"],
        ),
        (&["min_learning_rate=1e-6"], &["min_learning_rate", "constant"]),
        (
            &["lr_scheduler=cosine", "min_learning_rate=1"],
            &["min_learning_rate", "at most learning_rate, which is 0.002"],
        ),
        (&["loss_type=sapo", "clip_epsilon=0.3"], &["clip_epsilon", "sapo"]),
        (&["loss_type=cispo", "clip_epsilon=0.3"], &["clip_epsilon", "cispo"]),
        (
            &["loss_type=vespo", "clip_epsilon_high=0.3"],
            &["clip_epsilon_high", "null", "vespo"],
        ),
        (
            &["rejection_sampling_mode=token_k3", "rejection_sampling_max=-1"],
            &["rejection_sampling_max", "0 or more", "token_k3"],
        ),
        (
            &[
                "rejection_sampling_mode=sequence_mean_ratio",
                "rejection_sampling_max=0",
            ],
            &["rejection_sampling_max", "1 or more", "sequence_mean_ratio"],
        ),
        (
            &["rejection_sampling_mode=token_k2", "rejection_sampling_min=0"],
            &["rejection_sampling_min", "null"],
        ),
        (
            &["importance_sampling_mode=token_mask", "importance_sampling_clip_min=0"],
            &["importance_sampling_clip_min", "null"],
        ),
        (&["on_update=refill"], &["on_update", "keep", "max_staleness"]),
        (&["max_refills=3", "min_group_std=0"], &["max_refills", "min_group_std"]),
        (
            &["importance_sampling_mode=token_truncate", "recompute_logprob=false"],
            &["recompute_logprob", "importance_sampling_mode"],
        ),
        (
            &["prox_logp_method=loglinear"],
            &["prox_logp_method", "recompute", "max_staleness"],
        ),
    ] {
        let text = configured(keys).unwrap_err().to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{keys:?}: {text}");
    }
}

#[test]
fn keys_that_the_loss_uses_are_taken() {
    let older = ["lockstep=false", "max_staleness=2"];
    for keys in [
        &["loss_type=cispo", "clip_epsilon_high=3"][..],
        &["loss_type=sapo", "clip_epsilon=0.2"],
        &["rejection_sampling_mode=token_k3", "rejection_sampling_max=0"],
        &["rejection_sampling_mode=sequence_sum_k1", "rejection_sampling_max=1"],
        &["max_refills=3"],
        &["prox_logp_method=loglinear", older[0], older[1]],
        &[
            "prox_logp_method=loglinear",
            "positive_replay=1",
            "importance_sampling_mode=token_mask",
        ],
        &["on_update=finish", older[0], older[1]],
        &["importance_sampling_mode=token_truncate", "recompute_logprob=true"],
    ] {
        let taken = configured(keys);
        assert!(taken.is_ok(), "{keys:?}: {taken:?}");
    }
}
