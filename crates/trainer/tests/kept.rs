//! What is kept stays what it is, whatever else is asked for; and what fails says what is kept.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::runs::{refused, snapshot, succeed, text, with};
use common::{command, trainer_in};
use std::fs::{Permissions, set_permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[test]
fn outputs_never_go_over_what_a_run_or_a_model_keeps() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=1", "--output-dir=run"]));
    succeed(home.path(), &["merge", "--adapter=run", "--out=model"]);
    let said = r#"{"messages": [{"role": "user", "content": "hi"}]}"#;
    std::fs::write(home.path().join("in.json"), said).unwrap();
    let before = snapshot(home.path());
    let report = |output: &'static str| vec!["report", "run", "--output", output];
    let score = |out: &'static str| vec!["score", "--model=model", "--messages=in.json", "--out", out];
    let generate = |json: &'static str| {
        let limit = "--max-new-tokens=1";
        vec!["generate", "--model=model", "--messages=in.json", limit, "--json", json]
    };
    let merge = |out: &'static str| vec!["merge", "--adapter=run", "--out", out];
    let train = |folder: &'static str| with(&["--max-steps=1", "--output-dir", folder]);
    let imitate = |folder: &'static str| vec!["sft", "--set=max_steps=1", "--output-dir", folder];
    let of_run = "where the run in";
    let of_model = "a file of the model or adapter";
    for (arguments, why) in [
        (report("run/metrics.jsonl"), of_run),
        (report("run/run.json"), of_run),
        (report("run/final/adapter_model.safetensors"), of_run),
        (score("run/run.json"), of_run),
        (score("run/config.yaml"), of_run),
        (score("model/config.json"), of_model),
        (score("model/model.safetensors"), of_model),
        (generate("run/invocations.jsonl"), of_run),
        (generate("model/tokenizer.json"), of_model),
        (merge("run/checkpoints/checkpoint-9"), of_run),
        (merge("run/abandoned"), of_run),
        (train("run/episodes/eval-9"), of_run),
        (train("run/final/deeper"), of_run),
        (imitate("run/checkpoints/checkpoint-9"), of_run),
    ] {
        refused(home.path(), &arguments, &[why, "choose another name"]);
        assert!(snapshot(home.path()) == before, "{arguments:?} changed something");
    }
    // What a run does not keep may stand in its folder.
    succeed(home.path(), &report("run/report.html"));
    succeed(home.path(), &score("run/scores.json"));
    succeed(home.path(), &score("model/scores.json"));
    succeed(home.path(), &score("model/scores.json"));
}

/// Runs the binary as a user for whom the rights of files count; none where there is no way to be one.
fn as_anybody(home: &Path, arguments: &[&str]) -> Option<Output> {
    let mut command = command(home, arguments);
    if std::fs::metadata("/proc/self").ok()?.uid() == 0 {
        command.uid(65534).gid(65534);
    }
    command.output().ok()
}

/// Gives a folder and all in it to that user.
fn give(folder: &Path) {
    if chown(folder, Some(65534), Some(65534)).is_err() {
        return;
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        chown(&path, Some(65534), Some(65534)).unwrap();
        if path.is_dir() {
            give(&path);
        }
    }
}

#[test]
fn what_this_user_may_not_read_is_neither_damaged_nor_lost() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=2", "--output-dir=run"]));
    give(home.path());
    let resume = ["--resume=run", "--max-steps=3"];
    let before = snapshot(home.path());
    for (name, words) in [
        (
            "checkpoints/checkpoint-2/adapter_model.safetensors",
            "checkpoint-2 cannot be read",
        ),
        ("checkpoints/checkpoint-2/checksums.json", "checkpoint-2 cannot be read"),
        ("checkpoints/checkpoint-2", "checkpoint-2"),
        ("config.yaml", "run/config.yaml"),
        ("run.json", "let this user read it"),
    ] {
        let path = home.path().join("run").join(name);
        let rights = path.metadata().unwrap().permissions();
        set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
        let output = as_anybody(home.path(), &resume);
        set_permissions(&path, rights).unwrap();
        let Some(output) = output else {
            return;
        };
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(
            said.contains("Permission denied") && said.contains(words),
            "{name}: {said}"
        );
        for wrong in ["damaged", "lost", "start a new run", "remove it"] {
            assert!(!said.contains(wrong), "{name}: {said}");
        }
        assert!(snapshot(home.path()) == before, "{name}: something was changed");
    }
}

#[test]
fn a_run_that_fails_says_which_checkpoint_is_kept() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=1", "--output-dir=run"]));
    std::fs::write(home.path().join("run/checkpoints/checkpoint-2"), "in the way").unwrap();
    let output = common::trainer(home.path(), &["--resume=run", "--max-steps=2"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    // What was in the way could not be removed once the checkpoint had its place.
    assert!(
        home.path()
            .join("run/checkpoints/checkpoint-2/training_state.json")
            .is_file()
    );
    assert!(
        last.contains("The checkpoint of step 2 is saved") && last.contains("--resume run"),
        "{said}"
    );
}

#[test]
fn what_the_environment_says_in_vain_is_named_or_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let nowhere = "http://127.0.0.1:1";
    let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].map(|name| (name, nowhere));
    let arguments = with(&["--max-steps=0", "--set=eval_episodes=1", "--output-dir=run"]);
    let (code, _, said) = trainer_in(home.path(), &arguments, &proxies);
    assert_eq!(code, 0, "a proxy was asked for the phone inside this process: {said}");
    let arguments = with(&["--max-steps=0", "--output-dir=other"]);
    let (code, _, said) = trainer_in(home.path(), &arguments, &[("TMPDIR", "/none")]);
    assert!(code != 0 && said.contains("TMPDIR"), "{said}");
    let (code, _, said) = trainer_in(home.path(), &arguments, &[("TOKIO_WORKER_THREADS", "many")]);
    assert!(code == 2 && said.contains("TOKIO_WORKER_THREADS"), "{said}");
    assert!(!home.path().join("other").exists());
}

#[test]
fn a_value_of_a_file_that_another_key_overrules_is_told() {
    let home = tempfile::tempdir().unwrap();
    let written = "load_in_4bit: false\nmodel_name: starter\nrecompute_logprob: false\n";
    for (more, told) in [("", false), ("importance_sampling_mode: token_truncate\n", true)] {
        std::fs::write(home.path().join("my.yaml"), format!("{written}{more}")).unwrap();
        let arguments = with(&[
            "--config=my.yaml",
            "--max-steps=0",
            "--set=eval_episodes=1",
            "--output-dir=out",
        ]);
        let (_, _, said) = trainer_in(home.path(), &arguments, &[]);
        let line = said.lines().find(|line| line.contains("`recompute_logprob` is false"));
        assert_eq!(line.is_some(), told, "{said}");
        assert!(line.is_none_or(|line| line.contains("importance_sampling_mode") && line.contains("my.yaml")));
    }
}

#[test]
fn a_second_signal_does_not_speak_of_checkpoints_that_there_are_not() {
    let home = tempfile::tempdir().unwrap();
    let arguments = ["sft", "--set=demonstrations=4000", "--output-dir=model"];
    let mut process = command(home.path(), &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(process.stderr.take().unwrap());
    let interrupt = |id: u32| Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();
    let mut said = String::new();
    while !home.path().join(".model.unfinished").exists() && !said.contains("phone") {
        reader.read_line(&mut said).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(700));
    interrupt(process.id());
    while !said.contains("interrupted (SIGINT)") {
        assert!(reader.read_line(&mut said).unwrap() > 0, "{said}");
    }
    interrupt(process.id());
    reader.read_to_string(&mut said).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(130), "{said}");
    assert!(!said.contains("checkpoint"), "{said}");
}
