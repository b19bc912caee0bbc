//! A run folder may be anyone's: a report of it has nothing in it that lies outside, and is bounded.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use cua_grpo_report::{ReportError, write_report};
use cua_grpo_train::metrics::{EvalEvent, Line, MetricsWriter};
use serde_json::json;
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
    let record = json!({
        "task": "wifi/1", "template": "wifi", "instruction": "turn it on", "success": false, "claimed": null,
        "reward": 0.0, "checks": [], "ending": "max_turns", "seconds": 1.0, "last_screenshot": picture,
        "turns": [{"screenshot": null, "reply": "", "summary": "", "points": [[1e308, -1e308]], "error": null}],
    });
    std::fs::write(folder.join("episode.json"), record.to_string()).unwrap();
    std::fs::write(folder.join("own.png"), SECRET).unwrap();
    std::fs::write(home.path().join("secret.png"), SECRET).unwrap();
    home
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
    std::fs::write(home.path().join("run/metrics.jsonl"), "{\"kind\":\"eval\"}\n").unwrap();
    assert!(report(home.path()).unwrap_err().is_mendable());
}
