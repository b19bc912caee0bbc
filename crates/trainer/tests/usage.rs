//! Errors of usage, through the real binary: exit code 2, one clear line, nothing written.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::path::Path;
use std::process::Command;

/// Arguments, environment, and words that the message must have.
type Case = (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

/// Exit code, standard output and standard error of the binary, in a folder of its own without our environment.
fn trainer(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn usage_errors_exit_with_2_say_what_to_do_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    std::fs::write(&file, "load_in_4bit: false\nlearnig_rate: 1e-3\n").unwrap();
    let cases: &[Case] = &[
        (
            &["--config", "bad.yaml"],
            &[],
            &["`learnig_rate`", "`learning_rate`", "bad.yaml"],
        ),
        (&["--config", "none.yaml"], &[], &["none.yaml", "--config"]),
        (
            &["--set", "max_steps=many"],
            &[],
            &["`max_steps`", "`many`", "whole number", "--set"],
        ),
        (&["--set", "nonsense"], &[], &["key=value"]),
        (
            &["train", "--temperature", "0"],
            &[],
            &["`temperature`", "more than 0", "--temperature"],
        ),
        (&[], &[("BATCH_SIZE", "two")], &["`batch_size`", "variable BATCH_SIZE"]),
        (&["--device", "tpu"], &[], &["`device`", "cpu, cuda or cuda:N"]),
        (&["--wandb"], &[], &["Weights & Biases", "later", "metrics.jsonl"]),
        (&["--wandb-project", "mine"], &[], &["Weights & Biases", "later"]),
        (&["--load-in-4bit", "--no-4bit"], &[], &["--load-in-4bit", "--no-4bit"]),
        (&["--no-lora"], &[], &["use_lora", "later", "--use-lora"]),
        (&["--resume", "none"], &[], &["--resume none", "no such folder"]),
        (&["plan", "--memory", "0"], &[], &["--memory", "above 0"]),
        (
            &["plan", "--model-name", "none"],
            &[],
            &["`none`", "starter", "30b-a3b"],
        ),
        (&["generate", "--prompt", "hello"], &[], &["--model"]),
        (&["score", "--model", "starter"], &[], &["--messages", "--out"]),
        (&["merge", "--out", "x"], &[], &["--adapter", "required"]),
        (&["--no-such-flag"], &[], &["--no-such-flag", "--help"]),
        (
            &["sft", "--set", "text_num_attention_heads=3"],
            &[],
            &["text_num_key_value_heads", "divisor"],
        ),
        (&["report", "none"], &[], &["none", "run folder"]),
    ];
    for (arguments, environment, words) in cases {
        let (code, _, stderr) = trainer(folder.path(), arguments, environment);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(
            words.iter().all(|word| stderr.contains(word)),
            "{arguments:?} {words:?}: {stderr}"
        );
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left, [file]);
}

#[test]
fn help_names_every_subcommand() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, _) = trainer(folder.path(), &["--help"], &[]);
    assert_eq!(code, 0);
    for name in "train eval sft sim report plan generate merge score --set --resume".split(' ') {
        assert!(stdout.contains(name), "{name}");
    }
}
