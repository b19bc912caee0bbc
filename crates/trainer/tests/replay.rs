//! What a run was trained on is recorded, and learnt from again without a phone: the same figures and the same adapter.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::runs::{adapter, copy_folder, lines, log, refused, snapshot, succeed, with};
use std::path::Path;

/// The lines of the training steps.
fn steps(run: &Path) -> Vec<serde_json::Value> {
    let all = lines(run).into_iter();
    all.filter(|line| line["kind"] == "train").collect()
}

#[test]
fn a_record_is_learnt_from_again_to_the_digit_and_with_other_keys() {
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("run");
    let said = succeed(
        home.path(),
        &with(&[
            "--max-steps=3",
            "--output-dir=run",
            "--set=record=1",
            "--set=save_total_limit=0",
        ]),
    );
    assert!(said.contains("the record of step 1 takes"), "{said}");
    let before = snapshot(&run);
    // The same keys: the same lines and bytes. Small pieces of one run, the second of which goes on from the first.
    let replay = ["--set=environment=replay:run", "--output-dir=again"];
    let said = succeed(home.path(), &with(&[&replay[..], &["--max-steps=2"]].concat()));
    assert!(said.contains("learning from the record of run, steps 1 to 3"), "{said}");
    let said = succeed(home.path(), &["--resume=again", "--max-steps=9"]);
    assert!(said.contains("the record ends after step 3"), "{said}");
    assert!(!said.contains("was lost or cut"), "{said}");
    let again = home.path().join("again");
    assert_eq!(steps(&again), steps(&run));
    assert_eq!(lines(&again).len(), 3, "no evaluations");
    for step in 1..=3 {
        let name = format!("checkpoints/checkpoint-{step}");
        assert!(adapter(&again.join(&name)) == adapter(&run.join(&name)), "step {step}");
    }
    assert!(adapter(&again.join("final")) == adapter(&run.join("final")));
    assert_eq!(log(&again), log(&run));
    assert!(before == snapshot(&run), "a replay changed what it reads");
    // Another learning rate, another loss: the rewards are those of the record, the weights are others.
    let other = [
        "--set=environment=replay:run",
        "--output-dir=other",
        "--max-steps=2",
        "--learning-rate=0.001",
        "--set=loss_type=cispo",
        "--set=num_rollouts=8",
        "--set=max_sampler_gap=0.000000001",
    ];
    let said = succeed(home.path(), &with(&other));
    assert!(
        said.contains("`num_rollouts` is 4 there, here 8: without effect"),
        "{said}"
    );
    let other = home.path().join("other");
    for (there, here) in steps(&run).iter().zip(steps(&other)) {
        for key in ["reward_mean", "tokens_sampled", "kept_mass_mean", "boxes_created"] {
            assert_eq!(there[key], here[key], "{key}");
        }
    }
    assert!(adapter(&other.join("final")) != adapter(&run.join("checkpoints/checkpoint-2")));
    mends(home.path());
}

/// What a replay refuses.
fn mends(home: &Path) {
    let replay = |rest: &[&'static str]| [&["--set=environment=replay:run", "--output-dir=not"], rest].concat();
    refused(
        home,
        &replay(&["--temperature=0.5"]),
        &["`temperature` is", "here 0.5", "record"],
    );
    refused(
        home,
        &replay(&["--set=reward=shaped"]),
        &["`reward` is verified there, here shaped"],
    );
    refused(
        home,
        &["--set=environment=replay:other", "--output-dir=not"],
        &["replay:other", "record a run with"],
    );
    refused(
        home,
        &["--set=environment=sim"],
        &["environment", "phone, or replay:RUN"],
    );
    refused(
        home,
        &["--resume=run/checkpoints/checkpoint-1", "--set=environment=replay:run"],
        &["the record of the same run", "--output-dir"],
    );
    // Damage, and a step that is lost.
    copy_folder(&home.join("run"), &home.join("hurt"));
    let rows = home.join("hurt/episodes/record-2/rows.safetensors");
    let mut bytes = std::fs::read(&rows).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&rows, bytes).unwrap();
    let hurt = ["--set=environment=replay:hurt", "--max-steps=2", "--output-dir=damaged"];
    refused(home, &with(&hurt), &["record-2 is damaged", "rows.safetensors"]);
    std::fs::remove_dir_all(home.join("hurt/episodes/record-2")).unwrap();
    refused(home, &with(&hurt), &["step 2", "the record has no"]);
}

#[test]
fn successes_of_earlier_steps_join_groups_without_one_and_survive_a_resume_and_a_replay() {
    let home = tempfile::tempdir().unwrap();
    let keys = [
        "--set=positive_replay=3",
        "--set=record=1",
        "--num-rollouts=2",
        "--batch-size=4",
        "--max-turns=4",
        "--set=eval_episodes=2",
        "--set=concurrency=8",
        "--set=max_new_tokens=48",
        "--set=save_steps=1",
        "--set=eval_steps=0",
        "--set=save_episodes=1",
        "--set=templates=[wifi, bluetooth]",
    ];
    let run = |rest: &[&'static str]| succeed(home.path(), &[&keys[..], rest].concat());
    // What is lent was sampled by other weights: that is no gap between sampler and trainer.
    run(&[
        "--max-steps=4",
        "--output-dir=whole",
        "--set=max_sampler_gap=0.000000001",
    ]);
    run(&["--max-steps=2", "--output-dir=parts"]);
    succeed(home.path(), &["--resume=parts", "--max-steps=4"]);
    let (whole, parts) = (home.path().join("whole"), home.path().join("parts"));
    let lent: Vec<u64> = steps(&whole)
        .iter()
        .map(|line| line["successes_replayed"].as_u64().unwrap())
        .collect();
    assert!(lent[0] == 0 && lent.iter().sum::<u64>() > 0, "{lent:?}");
    assert_eq!(steps(&whole), steps(&parts));
    assert!(adapter(&whole.join("final")) == adapter(&parts.join("final")));
    run(&["--max-steps=4", "--output-dir=again", "--set=environment=replay:whole"]);
    let again = home.path().join("again");
    assert_eq!(steps(&whole), steps(&again));
    assert!(adapter(&whole.join("final")) == adapter(&again.join("final")));
    // Without them the same rollouts teach something else.
    let without = [
        &keys[1..],
        &[
            "--max-steps=4",
            "--output-dir=without",
            "--set=environment=replay:whole",
        ],
    ]
    .concat();
    succeed(home.path(), &without);
    let without = steps(&home.path().join("without"));
    assert!(without.iter().all(|line| line.get("successes_replayed").is_none()));
    assert!(adapter(&home.path().join("without/final")) != adapter(&again.join("final")));
    refused(
        home.path(),
        &["--set=positive_replay=3", "--set=recompute_logprob=true"],
        &["positive_replay", "importance_sampling_mode"],
    );
}
