//! A judge over HTTP as a reward, through the real binary: figures in `metrics.jsonl` and in the report, faults, and keys.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::runs::{lines, refused};
use common::trainer_in;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

const KEY: &str = "planted-judge-key";

/// What a service was asked: the key, and the body.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// A service whose answer to a question follows from its number.
fn service(answer: impl Fn(usize) -> String + Send + 'static) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    let asked = Asked::default();
    let kept = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            one(stream, &kept, &answer);
        }
    });
    (address, asked)
}

fn one(mut stream: TcpStream, kept: &Asked, answer: &impl Fn(usize) -> String) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut key) = (0, String::new());
    for line in reader
        .by_ref()
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
    {
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if lower.starts_with("authorization: ") {
            key = line.split_once(": ").unwrap().1.to_owned();
        }
    }
    let mut body = vec![0; length];
    if length == 0 || reader.read_exact(&mut body).is_err() {
        return;
    }
    let number = {
        let mut kept = kept.lock().unwrap();
        kept.push((key, serde_json::from_slice(&body).unwrap()));
        kept.len() - 1
    };
    let body = json!({"choices": [{"message": {"content": answer(number)}, "finish_reason": "stop"}]}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all((head + &body).as_bytes());
}

const SMALL: &[&str] = &[
    "--batch-size=2",
    "--num-rollouts=4",
    "--max-turns=3",
    "--max-steps=1",
    "--set=eval_episodes=3",
    "--set=concurrency=8",
    "--set=max_new_tokens=32",
    "--set=min_group_std=0",
    "--set=rewards={verified: 1, judge: 0.5}",
    "--set=judge_model=eyes",
];

fn train(folder: &Path, address: &str, more: &[&str]) -> (i32, String, String) {
    let address = format!("--set=judge_base_url={address}");
    let arguments: Vec<&str> = SMALL
        .iter()
        .copied()
        .chain([address.as_str()])
        .chain(more.iter().copied())
        .collect();
    trainer_in(folder, &arguments, &[("CUA_JUDGE_API_KEY", KEY)])
}

#[test]
fn what_a_judge_says_is_paid_and_held_against_the_state() {
    let home = tempfile::tempdir().unwrap();
    let (address, asked) = service(|number| format!("{{\"success\": {}}}", number % 2 == 0));
    let (code, _, stderr) = train(home.path(), &address, &["--output-dir=run"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("judge    eyes at http://127.0.0.1:"), "{stderr}");
    let run = home.path().join("run");
    let lines = lines(&run);
    let asked = asked.lock().unwrap();
    // Eight episodes of the step, three of each evaluation.
    assert_eq!(asked.len(), 14);
    for (key, body) in asked.iter() {
        assert_eq!(key, &format!("Bearer {KEY}"));
        let text = body.to_string();
        assert!(
            text.contains("data:image/") && text.contains("The task: "),
            "no picture or no task"
        );
    }
    let step = lines.iter().find(|line| line["kind"] == "train").unwrap();
    assert_eq!(step["judged"], 8);
    let (said, solved) = (4.0, step["success_rate"].as_f64().unwrap() * 8.0);
    let paid = step["reward_mean"].as_f64().unwrap() * 8.0;
    assert!((paid - (solved + 0.5 * said)).abs() < 1e-4, "{step}");
    for line in &lines {
        let (judged, share) = (
            line["judged"].as_u64().unwrap(),
            line["judge_agreement"].as_f64().unwrap(),
        );
        let agreed = share * judged as f64;
        assert!(
            (agreed - agreed.round()).abs() < 1e-9 && (0.0..=1.0).contains(&share),
            "{line}"
        );
        assert!(line["judge_false_successes"].as_u64().unwrap() <= judged);
    }
    let report = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("the judge sees as the state shows"));
    // The key is in no file of the run.
    for name in ["config.yaml", "metrics.jsonl", "report.html", "log.txt"] {
        assert!(
            !std::fs::read_to_string(run.join(name)).unwrap().contains(KEY),
            "{name}"
        );
    }
}

#[test]
fn a_judge_that_gives_no_verdict_costs_its_groups_and_pays_nothing() {
    let home = tempfile::tempdir().unwrap();
    // It answers once with words, and then as it should: asking again makes it good, and it is counted.
    let (address, asked) = service(|number| match number {
        3 => "Well done!".to_owned(),
        _ => "{\"success\": false}".to_owned(),
    });
    let (code, _, stderr) = train(home.path(), &address, &["--output-dir=run"]);
    assert_eq!(code, 0, "{stderr}");
    let lines = lines(&home.path().join("run"));
    let faults: u64 = lines.iter().map(|line| line["faults_reward"].as_u64().unwrap()).sum();
    let lost: u64 = lines.iter().map(|line| line["lost"].as_u64().unwrap()).sum();
    assert_eq!((faults, lost, asked.lock().unwrap().len()), (1, 0, 15));
    // One that never does ends the run, and says why.
    let (address, _) = service(|_| "Well done!".to_owned());
    let (code, _, stderr) = train(home.path(), &address, &["--set=max_retries=1", "--output-dir=other"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("Well done!") && stderr.contains("max_lost_share"),
        "{stderr}"
    );
}

#[test]
fn keys_of_a_judge_go_together() {
    let home = tempfile::tempdir().unwrap();
    let url = "--set=judge_base_url=http://127.0.0.1:1/v1";
    let (judge, model) = ("--set=reward=judge", "--set=judge_model=m");
    for (arguments, words) in [
        (&[judge][..], "judge_base_url"),
        (&[judge, url], "judge_model"),
        (&["--set=rewards={judge: 1}", model], "judge_base_url"),
        (&[url], "reward=judge"),
        (&["--set=judge_transcript=true"], "reward=judge"),
        (&[judge, model, "--set=judge_base_url=host/v1"], "http://"),
        (
            &[judge, model, "--set=judge_base_url=http://u:pw@h/v1"],
            "CUA_JUDGE_API_KEY",
        ),
        (&[judge, model, url, "--set=judge_screenshots=0"], "judge_transcript"),
    ] {
        refused(home.path(), arguments, &[words]);
    }
}
