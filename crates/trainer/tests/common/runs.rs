//! Small runs through the real binary, and what their folders hold.

use super::trainer;
use cua_grpo_train::metrics::{Line, TrainEvent, deterministic, read_metrics};
use std::path::{Path, PathBuf};
use std::process::Output;

/// Small enough for a test, large enough that groups differ and updates are made.
pub const SMALL: &[&str] = &[
    "--batch-size=1",
    "--num-rollouts=4",
    "--max-turns=4",
    "--set=eval_episodes=3",
    "--set=concurrency=4",
    "--set=max_new_tokens=48",
    "--set=save_steps=1",
    "--set=eval_steps=1",
    "--set=min_group_std=0",
    "--set=save_episodes=1",
    "--set=templates=[wifi, bluetooth]",
];

/// The steps of a run, from its `metrics.jsonl`.
pub fn steps(run: &Path) -> Vec<TrainEvent> {
    let lines = read_metrics(run).unwrap().into_iter();
    lines
        .filter_map(|line| match line {
            Line::Train(event) => Some(event),
            Line::Eval(_) => None,
        })
        .collect()
}

/// What it said.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the binary, which must succeed.
#[track_caller]
pub fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = trainer(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

/// Runs what the user has to mend: exit code 2, and all `words` in the message.
#[track_caller]
pub fn refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let output = trainer(folder, arguments);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{arguments:?}: expected `{word}` in: {text}");
    }
}

/// [`SMALL`] and `rest`.
pub fn with<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    SMALL.iter().copied().chain(rest.iter().copied()).collect()
}

/// The lines of `metrics.jsonl` without wall-clock keys.
pub fn lines(run: &Path) -> Vec<serde_json::Value> {
    read_metrics(run).unwrap().iter().map(deterministic).collect()
}

/// The steps of `metrics.jsonl`, evaluations with an `e`.
pub fn order(run: &Path) -> Vec<String> {
    let name = |event: &Line| match event {
        Line::Eval(eval) => format!("e{}", eval.step),
        Line::Train(train) => train.step.to_string(),
    };
    read_metrics(run).unwrap().iter().map(name).collect()
}

/// The lines of the log of training episodes without the name of the timeline, which is drawn; each must have one.
pub fn log(run: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.join("episodes/train.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line.as_object_mut().unwrap().remove("run").is_some(), "{line}");
        line
    };
    text.lines().map(line).collect()
}

/// The weights of an adapter folder.
pub fn adapter(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("adapter_model.safetensors")).unwrap()
}

/// Copies a folder to a new place.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// All files of a folder.
pub fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !["log.txt", ".lock"].contains(&path.file_name().unwrap().to_str().unwrap()) {
                files.push((path.clone(), std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
