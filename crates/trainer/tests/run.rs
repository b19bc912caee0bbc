//! The whole loop on the simulated phone, through the real binary: artefacts, exact resume, reruns, faults.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::runs::{log, succeed};
use common::trainer;
use cua_grpo_train::metrics::{Line, deterministic, read_metrics};

/// Small enough for a test, large enough that groups differ and updates are made.
const SMALL: &[&str] = &[
    "--batch-size=2",
    "--num-rollouts=4",
    "--max-turns=6",
    "--set=eval_episodes=4",
    "--set=concurrency=8",
    "--set=max_new_tokens=48",
    "--set=save_steps=2",
    "--set=min_group_std=0",
    "--set=save_episodes=2",
];

fn with<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    SMALL.iter().copied().chain(rest.iter().copied()).collect()
}

#[test]
fn a_resumed_run_equals_one_that_was_never_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &with(&["--max-steps=4", "--output-dir=whole"]));
    succeed(folder.path(), &with(&["--max-steps=2", "--output-dir=parts"]));
    let parts = folder.path().join("parts");
    for name in [
        "config.yaml",
        "metrics.jsonl",
        "report.html",
        "episodes/train.jsonl",
        "episodes/eval-0/000/episode.json",
        "checkpoints/checkpoint-2/adapter_model.safetensors",
        "checkpoints/checkpoint-2/adapter_config.json",
        "checkpoints/checkpoint-2/training_state.json",
        "best_model/adapter_model.safetensors",
        "final/adapter_config.json",
    ] {
        assert!(parts.join(name).is_file(), "the run folder lacks {name}");
    }
    succeed(
        folder.path(),
        &["--resume=parts/checkpoints/checkpoint-2", "--max-steps=4"],
    );
    let lines = |run: &str| -> Vec<_> {
        read_metrics(&folder.path().join(run))
            .unwrap()
            .iter()
            .map(deterministic)
            .collect()
    };
    let (whole, mut parts) = (lines("whole"), lines("parts"));
    assert_eq!(whole.len(), 6, "two evaluations and four steps");
    let closing = parts.remove(3);
    assert_eq!(
        (&closing["kind"], &closing["step"]),
        (&"eval".into(), &2.into()),
        "the evaluation that closed the first part stays"
    );
    assert_eq!(whole, parts, "metrics differ after the resume");
    let adapter = |run: &str| std::fs::read(folder.path().join(run).join("final/adapter_model.safetensors")).unwrap();
    assert!(
        adapter("whole") == adapter("parts"),
        "the adapters differ after the resume"
    );
    assert_eq!(log(&folder.path().join("whole")), log(&folder.path().join("parts")));
    let events = read_metrics(&folder.path().join("whole")).unwrap();
    for event in &events {
        if let Line::Train(train) = event {
            let ratio = train.ratio_mean.unwrap();
            assert!((ratio - 1.0).abs() < 1e-4, "ratio at staleness 0: {ratio}");
            assert_eq!(train.staleness_max, 0);
        }
    }
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Line::Train(train) if train.grad_norm > Some(0.0)))
    );
}

#[test]
fn without_a_learning_rate_nothing_changes_and_an_earlier_run_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = with(&["--max-steps=1", "--learning-rate=0", "--output-dir=run"]);
    succeed(folder.path(), &arguments);
    let events = read_metrics(&folder.path().join("run")).unwrap();
    let rates: Vec<f64> = events
        .iter()
        .filter_map(|event| match event {
            Line::Eval(eval) => Some(eval.success_rate),
            Line::Train(_) => None,
        })
        .collect();
    assert_eq!(rates.len(), 2);
    assert_eq!(rates[0], rates[1]);
    let before = std::fs::read(folder.path().join("run/metrics.jsonl")).unwrap();
    let text = succeed(folder.path(), &arguments);
    assert!(text.contains("run-2"), "{text}");
    assert_eq!(before, std::fs::read(folder.path().join("run/metrics.jsonl")).unwrap());
}

#[test]
fn an_unreachable_service_and_an_unknown_template_are_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    // Arguments, exit code (2: the user can mend it), words of the message.
    let cases: &[(&[&str], i32, &[&str])] = &[
        (
            &["--set=gbox_base_url=http://127.0.0.1:9/api/v1", "--set=gbox_api_key=k"],
            1,
            &["127.0.0.1:9", "gbox_base_url"],
        ),
        (
            &["--set=gbox_base_url=http://127.0.0.1:9/api/v1"],
            2,
            &["GBOX_API_KEY", "sim"],
        ),
        (&["--set=templates=[wify]"], 2, &["wify"]),
        (&["--model-name=no-such"], 2, &["no-such", "starter", "org/name"]),
        (&["--set=lora_target_modules=[q_prog]"], 2, &["q_prog", "q_proj"]),
    ];
    for (arguments, code, words) in cases {
        let output = trainer(folder.path(), arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {text}");
        for word in *words {
            assert!(text.contains(word), "{arguments:?}: expected `{word}` in: {text}");
        }
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            0,
            "{arguments:?} left something behind"
        );
    }
}

#[test]
fn a_policy_in_four_bits_is_trained_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--max-steps=1",
        "--load-in-4bit",
        "--output-dir=four",
        "--set=eval_episodes=2",
    ];
    succeed(folder.path(), &with(&flags));
    let losses: Vec<f64> = read_metrics(&folder.path().join("four"))
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Line::Train(line) => line.loss,
            Line::Eval(_) => None,
        })
        .collect();
    assert!(losses.len() == 1 && losses[0].is_finite(), "{losses:?}");
}
