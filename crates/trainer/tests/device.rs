//! `tasks check --device` against a service with full phones: what holds, what does not, and that no box is left.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::command;
use cua_grpo_sim::{Faults, PhoneKind, SimConfig, SimServer};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const OWN: &str = r#"templates:
  - id: timeout_by_steps
    category: own
    difficulty: medium
    max_turns: 20
    instructions: ["Let the screen turn off after 1 minute."]
    setup: ["settings put system screen_off_timeout 15000"]
    checks: [{command: settings get system screen_off_timeout, equals: "60000"}]
    expert:
      - open "Settings"
      - find "Display"
      - tap "Display"
      - find "Screen timeout"
      - tap "Screen timeout"
      - tap "1 minute"
  - id: rotate_by_switch
    category: own
    difficulty: easy
    max_turns: 12
    instructions: ["Turn auto-rotate off."]
    setup: ["settings put system accelerometer_rotation $((2 - 1))"]
    checks: [{command: settings get system accelerometer_rotation, equals: "0"}]
    expert:
      - open "Settings"
      - find "Display"
      - tap "Display"
      - find "Auto-rotate screen"
      - switch "Auto-rotate screen" off
  - id: added_up
    category: own
    difficulty: medium
    max_turns: 20
    instructions: ["Let the calculator show 12 + 34."]
    checks: [{command: uiautomator dump /dev/tty, expect: '(?s).* text="46" .*'}]
    expert:
      - open "Calculator"
      - tap "clear"
      - tap each of "12"
      - tap "plus"
      - tap each of "34"
      - tap "equals"
  - id: said_wrong
    category: own
    difficulty: easy
    max_turns: 4
    instructions: ["What is 2 and 3? Report it."]
    report: {equals: "5"}
    expert:
      - report "6"
  - id: got_stuck
    category: own
    difficulty: easy
    max_turns: 4
    instructions: ["Turn the moon off."]
    checks: [{command: echo on, equals: "off"}]
    expert:
      - open "Settings"
      - switch "The moon" off
"#;

const WRONG: &str = r#"templates:
  - id: precheck_fails
    category: own
    difficulty: easy
    max_turns: 4
    instructions: ["Do it."]
    precheck: [{command: echo here, equals: there}]
    checks: [{command: echo a, equals: b}]
  - id: done_already
    category: own
    difficulty: easy
    max_turns: 4
    instructions: ["Do it."]
    checks: [{command: echo a, equals: a}]
  - id: cannot_be_read
    category: own
    difficulty: easy
    max_turns: 4
    instructions: ["Do it."]
    checks: [{command: cat /sdcard/nothing, equals: a}]
  - id: set_up_fails
    category: own
    difficulty: easy
    max_turns: 4
    instructions: ["Do it."]
    setup: [rm /sdcard/nothing]
    checks: [{command: echo a, equals: b}]
  - id: put_back
    category: own
    difficulty: easy
    max_turns: 4
    instructions: ["Do it."]
    setup: ["settings put system screen_brightness 10", "settings delete system screen_brightness"]
    checks: [{command: echo a, equals: b}]
"#;

async fn service(faults: Faults) -> SimServer {
    let config = SimConfig {
        phone: PhoneKind::Pixel.into(),
        quota: 4,
        faults,
        ..Default::default()
    };
    SimServer::start(config).await.unwrap()
}

fn check(folder: &Path, server: &SimServer, more: &[&str]) -> Command {
    let address = format!("gbox_base_url={}", server.base_url());
    let arguments = [
        "tasks",
        "check",
        "--device",
        "--set",
        &address,
        "--set",
        "concurrency=3",
    ];
    let mut command = command(folder, &[&arguments, more].concat());
    command
        .env("GBOX_API_KEY", "k-12345678")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn ended(mut command: Command) -> (i32, String, String) {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_tried_on_boxes_and_an_expert_plays_their_steps() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.yaml"), OWN).unwrap();
    let server = service(Faults::default()).await;
    let (code, stdout, stderr) = ended(check(folder.path(), &server, &["own.yaml"])).await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    let line = |id: &str| {
        let found = stdout.lines().find(|line| line.starts_with(id));
        found.unwrap_or_else(|| panic!("{id}: {stdout}{stderr}")).to_owned()
    };
    let first = line("timeout_by_steps");
    assert!(
        first.contains("holds: set up, 1 settings read back; 0 of 1 checks at the start; expert done"),
        "{stdout}"
    );
    for id in ["rotate_by_switch", "added_up"] {
        assert!(line(id).contains("expert done"), "{stdout}");
    }
    assert!(
        stdout.contains("settings get system screen_off_timeout: \"15000\", then \"60000\""),
        "{stdout}"
    );
    assert!(
        line("said_wrong").contains("asks for an answer; expert NOT DONE"),
        "{stdout}"
    );
    let stuck = line("got_stuck");
    assert!(stuck.contains("expert STUCK: `switch \"The moon\" off`"), "{stdout}");
    assert!(
        stderr.contains("5 of 5 templates hold on this phone; an expert has played 5 and solved 3"),
        "{stderr}"
    );
    let ids: Vec<&str> = stdout
        .lines()
        .filter(|line| line.contains(" holds: "))
        .map(|line| &line[..5])
        .collect();
    assert_eq!(
        ids,
        ["timeo", "rotat", "added", "said_", "got_s"],
        "in the order of the file"
    );
    assert_eq!(server.stats().live_boxes, 0, "boxes left");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_told_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wrong.yaml"), WRONG).unwrap();
    let server = service(Faults::default()).await;
    let (code, stdout, stderr) = ended(check(folder.path(), &server, &["wrong.yaml"])).await;
    assert_eq!(code, 2, "{stdout}{stderr}");
    for (id, words) in [
        (
            "precheck_fails",
            "the precheck `echo here` expects \"there\" and reads \"here\"",
        ),
        ("done_already", "1 of 1 checks at the start"),
        ("cannot_be_read", "the checks cannot be read"),
        ("set_up_fails", "expected exit code 0"),
        ("put_back", "does not read back"),
    ] {
        let line = stdout.lines().find(|line| line.starts_with(id)).unwrap();
        assert!(line.contains("DOES NOT HOLD") && line.contains(words), "{id}: {line}");
    }
    assert!(
        stderr.contains("0 of 5 templates hold") && stderr.contains("not all templates hold"),
        "{stderr}"
    );
    assert_eq!(server.stats().live_boxes, 0, "boxes left");
    // Without a key there is no service to ask.
    let mut keyless = check(folder.path(), &server, &["wrong.yaml"]);
    keyless.env_remove("GBOX_API_KEY");
    let (code, _, stderr) = ended(keyless).await;
    assert!(code == 2 && stderr.contains("GBOX_API_KEY"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_boxes_of_a_check() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.yaml"), OWN).unwrap();
    let server = service(Faults::default()).await;
    let child = check(folder.path(), &server, &["own.yaml"]).spawn().unwrap();
    let begin = Instant::now();
    while server.stats().live_boxes == 0 {
        assert!(begin.elapsed() < Duration::from_secs(60), "no box was made");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let kill = format!("kill -s TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = output.await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert_eq!(server.stats().live_boxes, 0, "boxes left: {stderr}");
}
