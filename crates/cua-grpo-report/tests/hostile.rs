//! A run folder may be anyone's: a report of it has nothing in it that lies outside, and is bounded.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use cua_grpo_report::{ReportError, write_report};
use cua_grpo_train::metrics::{EvalEvent, Line, MetricsWriter, TrainEvent};
use cua_grpo_train::run_dir::Identity;
use serde_json::{Value, json};
use std::path::Path;

const SECRET: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01 the picture of someone else";

/// A run with one evaluation of one episode, whose only picture has the name `picture`; and a file beside the run.
fn run(picture: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("run");
    let folder = run.join("episodes/eval-0/000");
    std::fs::create_dir_all(&folder).unwrap();
    let mut metrics = MetricsWriter::create(&run).unwrap();
    metrics.write(&Line::Eval(EvalEvent::default())).unwrap();
    std::fs::write(folder.join("episode.json"), record(picture).to_string()).unwrap();
    std::fs::write(folder.join("own.png"), SECRET).unwrap();
    std::fs::write(home.path().join("secret.png"), SECRET).unwrap();
    home
}

fn record(picture: &str) -> Value {
    json!({
        "task": "wifi/1", "template": "wifi", "instruction": "turn it on", "success": false, "claimed": null,
        "reward": 0.0, "checks": [], "ending": "max_turns", "seconds": 1.0, "last_screenshot": picture,
        "turns": [{"screenshot": null, "reply": "", "summary": "", "points": [[1e308, -1e308]], "error": null}],
    })
}

fn report(home: &Path) -> Result<String, ReportError> {
    write_report(&home.join("run"), None).map(|path| std::fs::read_to_string(path).unwrap())
}

#[test]
fn pictures_outside_the_run_folder_are_refused() {
    let plain = run("own.png");
    assert!(report(plain.path()).unwrap().contains("data:image/png;base64,"));
    for name in ["../../../../secret.png", "deeper/own.png", "", ".", "..", "/"] {
        let home = run(name);
        let error = report(home.path()).unwrap_err();
        assert!(
            error.is_mendable() && error.to_string().contains("episode.json"),
            "{name}: {error}"
        );
        assert!(!home.path().join("run/report.html").exists());
    }
    let path = plain.path().join("secret.png").display().to_string();
    let absolute = run(&path);
    assert!(report(absolute.path()).unwrap_err().is_mendable());
}

#[cfg(unix)]
#[test]
fn links_out_of_the_run_folder_and_devices_are_refused() {
    use std::os::unix::fs::symlink;
    let replaced = |name: &str, to: &Path| {
        let home = run("own.png");
        let path = home.path().join("run").join(name);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).unwrap();
        } else {
            let _ = std::fs::remove_file(&path);
        }
        symlink(home.path().join(to), &path).unwrap();
        home
    };
    for (name, to) in [
        ("episodes/eval-0/000/own.png", "secret.png"),
        ("episodes/eval-0/000/own.png", "/dev/zero"),
        ("episodes/eval-0/000/episode.json", "/dev/zero"),
        ("config.yaml", "secret.png"),
        ("config.yaml", "/etc/passwd"),
    ] {
        let home = replaced(name, Path::new(to));
        let error = report(home.path()).unwrap_err();
        assert!(
            error.is_mendable() && error.to_string().contains("within"),
            "{name}: {error}"
        );
    }
    // A folder of episodes that lies elsewhere.
    let other = run("own.png");
    let home = replaced("episodes/eval-0", &other.path().join("run/episodes/eval-0"));
    assert!(report(home.path()).unwrap_err().is_mendable());
    // A run folder that is reached by a link is one like any other.
    let home = run("own.png");
    symlink(home.path().join("run"), home.path().join("link")).unwrap();
    write_report(&home.path().join("link"), None).unwrap();
}

#[test]
fn records_that_are_too_large_or_broken_are_refused() {
    let path = |home: &Path| home.join("run/episodes/eval-0/000/episode.json");
    let sparse = |path: &Path| std::fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
    let home = run("own.png");
    sparse(&path(home.path()));
    let error = report(home.path()).unwrap_err();
    assert!(error.is_mendable() && error.to_string().contains("at most"), "{error}");
    let home = run("own.png");
    sparse(&home.path().join("run/episodes/eval-0/000/own.png"));
    assert!(report(home.path()).unwrap_err().is_mendable());
    let home = run("own.png");
    let deep = "[".repeat(1 << 20);
    for text in ["", "{}", deep.as_str(), "null"] {
        std::fs::write(path(home.path()), text).unwrap();
        assert!(report(home.path()).unwrap_err().is_mendable());
    }
    // Of a run that tells its id, the line is told once in the chain of causes.
    Identity::new().write(&home.path().join("run")).unwrap();
    std::fs::write(home.path().join("run/metrics.jsonl"), "{\"kind\":\"eval\"}\n").unwrap();
    let error = report(home.path()).unwrap_err();
    assert!(error.is_mendable());
    let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let told = chain.filter(|error| error.to_string().contains("line 1")).count();
    assert_eq!(told, 1, "{error}");
}

#[cfg(unix)]
#[test]
fn a_report_is_not_written_through_links_and_pipes_of_a_run_folder() {
    use std::os::unix::fs::symlink;
    let home = run("own.png");
    let (path, secret) = (home.path().join("run/report.html"), home.path().join("secret.png"));
    let fifo = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let refused = |what: &str| {
        let error = report(home.path()).unwrap_err();
        let text = error.to_string();
        assert!(
            error.is_mendable() && text.contains(what) && text.contains("report.html"),
            "{text}"
        );
        assert_eq!(std::fs::read(&secret).unwrap(), SECRET);
    };
    symlink(&secret, &path).unwrap();
    refused("found a link");
    std::fs::remove_file(&path).unwrap();
    fifo(&path);
    refused("found a pipe");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refused("found a folder");
    std::fs::remove_dir(&path).unwrap();
    report(home.path()).unwrap();
    // What the user names may be a link, and a pipe that somebody reads.
    let (link, pipe) = (home.path().join("link"), home.path().join("pipe"));
    symlink(home.path().join("target"), &link).unwrap();
    std::fs::write(home.path().join("target"), "").unwrap();
    write_report(&home.path().join("run"), Some(&link)).unwrap();
    assert!(link.is_symlink() && home.path().join("target").metadata().unwrap().len() > 1000);
    fifo(&pipe);
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read(pipe).unwrap().len()
    });
    write_report(&home.path().join("run"), Some(&pipe)).unwrap();
    assert!(reader.join().unwrap() > 1000);
    // The record of how the run was started is the run's own, too.
    fifo(&home.path().join("run/invocations.jsonl"));
    let error = report(home.path()).unwrap_err();
    assert!(
        error.is_mendable() && error.to_string().contains("invocations.jsonl"),
        "{error}"
    );
}

#[test]
fn episodes_and_lines_of_another_run_are_not_reported_as_this_ones() {
    let home = run("own.png");
    let run = home.path().join("run");
    let (mut identity, other) = (Identity::new(), Identity::new());
    identity.write(&run).unwrap();
    let mut metrics = MetricsWriter::create(&run).unwrap().on(&identity.timeline);
    metrics.write(&Line::Eval(EvalEvent::default())).unwrap();
    let train = |step| {
        Line::Train(TrainEvent {
            step,
            ..Default::default()
        })
    };
    metrics.write(&train(1)).unwrap();
    // Of the evaluation and of the step an episode of this run, two of another, and one of another step.
    for (name, step) in [("eval-0", 0), ("train-1", 1)] {
        let owners = [(&identity, step), (&other, step), (&other, step), (&identity, step + 1)];
        for (index, (owner, step)) in owners.into_iter().enumerate() {
            let folder = run.join(format!("episodes/{name}/{index:03}"));
            std::fs::create_dir_all(&folder).unwrap();
            let mut record = record("own.png");
            record["run"] = owner.timeline.as_str().into();
            record["step"] = step.into();
            std::fs::write(folder.join("episode.json"), record.to_string()).unwrap();
            std::fs::write(folder.join("own.png"), SECRET).unwrap();
        }
    }
    let html = report(home.path()).unwrap();
    let count = |text: &str| html.matches(text).count();
    assert_eq!(count("<section class=\"played "), 2, "one of each");
    assert_eq!(count("3 saved episodes are left out"), 2);
    // A line of another run at the end.
    let path = run.join("metrics.jsonl");
    let line = serde_json::to_string(&train(2).on(&other.timeline)).unwrap();
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, whole + &line + "\n").unwrap();
    let error = report(home.path()).unwrap_err();
    assert!(
        error.is_mendable() && error.to_string().contains("from line 3 on"),
        "{error}"
    );
}

#[test]
fn a_configuration_that_is_not_the_policys_is_told() {
    let home = run("own.png");
    let (config, last) = (home.path().join("run/config.yaml"), home.path().join("run/final"));
    std::fs::create_dir(&last).unwrap();
    std::fs::write(last.join("adapter_config.json"), "{}").unwrap();
    let text = |turns: usize| format!("load_in_4bit: false\nmax_turns: {turns}\n");
    std::fs::write(last.join("config.yaml"), text(3)).unwrap();
    std::fs::write(&config, text(3)).unwrap();
    assert!(!report(home.path()).unwrap().contains("`max_turns`"));
    std::fs::write(&config, text(9)).unwrap();
    let html = report(home.path()).unwrap();
    assert!(html.contains("`max_turns` is 3 in ") && html.contains(", but 9 in "));
}
