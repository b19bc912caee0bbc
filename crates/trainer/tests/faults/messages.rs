//! Messages: seen by default, filtered, as JSON, in `log.txt`; and nothing ends because they cannot be written.

use crate::live::*;
use cua_grpo_sim::{Faults, Mishap, MishapShare};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

fn flags(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_of_the_libraries_are_seen_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults {
        mishaps: vec![MishapShare {
            kind: Mishap::Drop,
            share: 0.05,
        }],
        ..Default::default()
    };
    let sim = faulty(faults, 4).await;
    let run = |name: &str, log: Option<&str>, more: &[&str]| {
        let mut all = at(&sim);
        all.extend(flags(&["--max-steps=1", "--set=max_lost_share=1"]));
        all.push(format!("--output-dir={name}"));
        all.extend(flags(more));
        let mut command = command(folder.path(), SMALL, &all);
        log.map(|log| command.env("RUST_LOG", log));
        command
    };
    let output = finish(run("text", None, &[])).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("WARN cua_grpo_gbox::transport: trying again"), "{text}");
    let log = std::fs::read_to_string(folder.path().join("text/log.txt")).unwrap();
    for word in ["trying again", "run folder", "step 1/1", "tasks solved"] {
        assert!(log.contains(word), "{word} in {log}");
    }

    let text = said(&finish(run("off", Some("off"), &[])).await);
    assert!(!text.contains("trying again") && text.contains("step 1/1"), "{text}");
    let wrong = said(&finish(run("wrong", Some("cua_grpo_gbox=loud"), &[])).await);
    assert!(wrong.contains("warning: RUST_LOG is `cua_grpo_gbox=loud`"), "{wrong}");

    let json = said(&finish(run("json", None, &["--log-format=json"])).await);
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        for key in ["timestamp", "level", "message", "target"] {
            assert!(line[key].is_string(), "{key} in {line}");
        }
    }
    let again = |line: &&Value| line["message"] == "trying again";
    let warning = lines.iter().find(again).unwrap();
    assert_eq!((&warning["level"], &warning["retry"]), (&"WARN".into(), &1.into()));
    assert!(
        lines
            .iter()
            .any(|line| line["level"] == "INFO" && line["message"].as_str().unwrap().contains("step 1/1"))
    );
    let log = std::fs::read_to_string(folder.path().join("json/log.txt")).unwrap();
    assert!(
        log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_does_not_end_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let all = flags(&["--max-steps=1", "--output-dir=run", "--verbose"]);
    let mut child = command(folder.path(), SMALL, &all).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let output = end(child).await;
    assert_eq!(output.status.code(), Some(0), "after {line}");
    assert!(folder.path().join("run/final/adapter_model.safetensors").is_file());
    let log = std::fs::read_to_string(folder.path().join("run/log.txt")).unwrap();
    assert!(log.contains("step 1/1"), "what nobody read is in the log: {log}");

    // A result that nobody reads is no failure either; an error message that nobody reads changes no exit code.
    let mut child = command(folder.path(), &["eval", "--episodes=1", "--max-turns=1"], &[])
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(end(child).await.status.code(), Some(0));
    let mut child = command(folder.path(), &["--set=no_such_key=1"], &[]).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(end(child).await.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_records_but_not_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    std::fs::create_dir_all(run.join("episodes")).unwrap();
    // No file may grow beyond 20 MB, and two of them are larger already: they are on a full disk.
    for name in ["log.txt", "episodes/train.jsonl"] {
        let file = std::fs::File::create(run.join(name)).unwrap();
        file.set_len(30 << 20).unwrap();
    }
    // Where the folder of the first evaluation's episodes should be, stands something else.
    std::fs::write(run.join("episodes/eval-0"), "").unwrap();
    let output = limited(folder.path(), 40_000, &["--max-steps=1", "--output-dir=run"]).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(
        text.matches("a line of log.txt could not be written").count(),
        2,
        "the first and the tenth: {text}"
    );
    assert!(text.contains("File too large"), "{text}");
    assert!(text.contains("warning: ") && text.contains("episodes"), "{text}");
    assert_eq!(steps(&run).len(), 1);
    assert!(run.join("final/adapter_model.safetensors").is_file());

    // Standard error on a full disk.
    let mut command = command(folder.path(), SMALL, &flags(&["--max-steps=1", "--output-dir=quiet"]));
    command.stderr(Stdio::from(
        std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap(),
    ));
    assert_eq!(finish(command).await.status.code(), Some(0));
    // Standard output on a full disk: the result is lost, which is a failure.
    let mut command = crate::live::command(folder.path(), &["eval", "--episodes=1", "--max-turns=1"], &[]);
    command.stdout(Stdio::from(
        std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap(),
    ));
    let output = finish(command).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("cannot write to standard output"),
        "{}",
        said(&output)
    );
}

/// Runs under a limit of the size of files, in blocks of 512 bytes.
async fn limited(folder: &Path, blocks: usize, more: &[&str]) -> std::process::Output {
    let words: Vec<&str> = SMALL.iter().chain(more).copied().collect();
    let script = format!(
        "ulimit -f {blocks}; exec {} {}",
        env!("CARGO_BIN_EXE_trainer"),
        words.join(" ")
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).env_clear().current_dir(folder);
    finish(shell).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_cannot_be_written_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    // The starter, pictures and metrics fit below 3 MB, an adapter of this rank does not.
    let output = limited(
        folder.path(),
        6000,
        &["--max-steps=1", "--output-dir=run", "--lora-r=256"],
    )
    .await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("error: ") && text.contains("File too large") && text.contains("run/"),
        "{text}"
    );
}
