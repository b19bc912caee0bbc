//! Planted secrets: nothing that the program writes holds one, whatever way it was given and whatever goes wrong.

use crate::live::*;
use cua_grpo_sim::{SimConfig, SimServer};
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const KEY: &str = "planted-key-8f3a";
const TOKEN: &str = "planted-token-51c7";

/// Every file below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

fn holds(bytes: &[u8]) -> bool {
    [KEY, TOKEN]
        .iter()
        .any(|secret| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_and_its_reports_hold_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let sim = SimServer::start(SimConfig {
        api_key: Some(KEY.into()),
        ..Default::default()
    });
    let sim = sim.await.unwrap();
    let address = format!("--set=gbox_base_url={}", sim.base_url());
    let secret = |mut command: Command| {
        command.envs([("HF_TOKEN", TOKEN), ("RUST_LOG", "trace")]);
        command
    };
    // By a variable, by a flag, and by a file.
    let quickstart = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/quickstart.yaml");
    let quickstart = std::fs::read_to_string(quickstart).unwrap();
    std::fs::write(
        folder.path().join("c.yaml"),
        format!("{quickstart}\ngbox_api_key: {KEY}\n"),
    )
    .unwrap();
    let flag = format!("--set=gbox_api_key={KEY}");
    let ways: [(&str, &[&str]); 3] = [("variable", &[]), ("flag", &[&flag]), ("file", &["--config=c.yaml"])];
    for (way, arguments) in ways {
        let run = format!("--output-dir={way}");
        let more = [&[address.clone(), run, "--max-steps=1".into()][..]].concat();
        let mut command = command(folder.path(), SMALL, &more);
        command.args(arguments);
        if way == "variable" {
            command.env("GBOX_API_KEY", KEY);
        }
        let output = finish(secret(command)).await;
        assert_eq!(output.status.code(), Some(0), "{way}: {}", said(&output));
        assert!(!holds(&output.stdout) && !holds(&output.stderr), "{way}: a stream");
    }
    // Where the key is wrong, the service refuses it.
    let wrong = command(
        folder.path(),
        SMALL,
        &[address.clone(), format!("--set=gbox_api_key={KEY}x")],
    );
    let output = finish(secret(wrong)).await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(!holds(&output.stderr), "{}", said(&output));
    let written = files(folder.path())
        .into_iter()
        .filter(|path| !path.ends_with("c.yaml"));
    let mut count = 0;
    for path in written {
        count += 1;
        assert!(!holds(&std::fs::read(&path).unwrap()), "{}", path.display());
    }
    assert!(count > 30, "{count} files");
}

/// A service that refuses every request with what it was sent, here at this status.
async fn echoing(status: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut buffer = vec![0; 65_536];
            let read = socket.read(&mut buffer).await.unwrap_or(0);
            let sent = String::from_utf8_lossy(&buffer[..read]).replace(['\r', '\n'], " ");
            assert!(sent.is_empty() || sent.contains(KEY), "the key was not sent: {sent}");
            // Small steps, so that the key is not what a cut leaves out.
            let body = format!(
                "{{\"message\": \"{}\"}}",
                sent.chars().skip(sent.find(KEY).unwrap_or(0)).collect::<String>()
            );
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = socket.write_all((head + &body).as_bytes()).await;
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_service_sends_back_is_in_no_file_and_no_stream() {
    let folder = tempfile::tempdir().unwrap();
    for status in ["401 Unauthorized", "400 Bad Request", "429 Too Many Requests", "200 OK"] {
        let address = format!("--set=gbox_base_url={}", echoing(status).await);
        let commands: [&[&str]; 3] = [
            &["train", "--max-steps=1", "--output-dir=run", "--model-name=starter"],
            &["eval", "--episodes=1", "--model-name=starter"],
            &["boxes", "list", "--all"],
        ];
        for arguments in commands {
            let budget = match arguments[0] {
                "boxes" => vec![address.clone()],
                _ => vec![address.clone(), "--set=outage_budget=0".to_owned()],
            };
            let mut command = command(folder.path(), arguments, &budget);
            command.envs([("GBOX_API_KEY", KEY), ("RUST_LOG", "cua_grpo_gbox=trace,trainer=trace")]);
            let output = finish(command).await;
            let told = said(&output);
            assert!(!output.status.success(), "{status} {arguments:?}: {told}");
            assert!(!holds(&output.stdout) && !holds(&output.stderr), "{status}: {told}");
            assert!(told.contains("***"), "{status} {arguments:?}: {told}");
        }
    }
    for path in files(folder.path()) {
        assert!(!holds(&std::fs::read(&path).unwrap()), "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_secret_is_told_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = [
        format!("gbox_api_key: [{KEY}, b]"),
        format!("gbox_api_key: {{a: {KEY}}}"),
        format!("gbox_api_key: !tag {KEY}"),
        format!("gbox_api_key: !!int {KEY}"),
        format!("judge_api_key: !!float \"{KEY}\""),
        format!("gbox_api_key: !<tag:yaml.org,2002:bool> &a {KEY}"),
        format!("gbox_base_url: http://u%3A{KEY}%40host/"),
        format!("gbox_api_key: {KEY}: x"),
        format!("gbox_api_key: \"{KEY}"),
        format!("gbox: {{api_key: {KEY}}}"),
        format!("gbox_base_url: \"https://user:{KEY}@127.0.0.1:1/api\""),
        format!("gbox_base_url: \"user:{KEY}@127.0.0.1:1/api\""),
        format!("gbox_base_url: \"https://127.0.0.1:1/api?key={KEY}\""),
        format!("gbox_api_kye: {KEY}"),
        format!("? [gbox_api_key, {KEY}]\n: 1"),
        format!("hf_token: {KEY}"),
        format!("model_name: \"https://user:{KEY}@127.0.0.1:1/x/y\""),
        format!("model_name: \"https://127.0.0.1:1/x/y?token={KEY}\""),
        format!("model_name: \"user:{KEY}@127.0.0.1:1/x/y\""),
    ];
    for text in yaml {
        std::fs::write(folder.path().join("c.yaml"), &text).unwrap();
        let output = finish(command(folder.path(), &["train", "--config=c.yaml"], &[])).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(2), "{text}: {told}");
        assert!(!holds(&output.stderr) && !told.contains("bug"), "{text}: {told}");
    }
    let flags = [
        format!("--set=gbox_api_key {KEY}"),
        format!("--set=gbox_api_key:{KEY}"),
        format!("--set={KEY}"),
        format!("--set=GBOX_API_KEY={KEY}"),
        format!("--set=gbox_base_url=https://u:{KEY}@127.0.0.1:1/x"),
        format!("--set=model_name=https://u:{KEY}@127.0.0.1:1/x/y"),
        format!("--model-name=https://u:{KEY}@127.0.0.1:1/x/y"),
    ];
    for flag in flags {
        let output = finish(command(folder.path(), &["train"], std::slice::from_ref(&flag))).await;
        assert_eq!(output.status.code(), Some(2), "{flag}: {}", said(&output));
        assert!(!holds(&output.stderr), "{flag}: {}", said(&output));
    }
    // A model is no address, and neither is the Hub one with a password.
    let model = format!("--model=https://user:{KEY}@127.0.0.1:1/x/y");
    std::fs::write(
        folder.path().join("m.json"),
        r#"{"messages": [{"role": "user", "content": "x"}]}"#,
    )
    .unwrap();
    let commands: [&[&str]; 3] = [
        &["generate", "--prompt=x", &model],
        &["score", "--messages=m.json", "--out=o.json", &model],
        &["generate", "--prompt=x", "--model=org/none"],
    ];
    for arguments in commands {
        let mut command = command(folder.path(), arguments, &[]);
        command.envs([
            ("HF_ENDPOINT", format!("http://u:{KEY}@127.0.0.1:1")),
            ("HF_HOME", "cache".to_owned()),
        ]);
        let output = finish(command).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(!holds(&output.stderr), "{arguments:?}: {told}");
        let named = told.contains("HF_ENDPOINT") || told.contains("***@127.0.0.1:1/x/y");
        assert!(named, "{arguments:?}: {told}");
    }
}
