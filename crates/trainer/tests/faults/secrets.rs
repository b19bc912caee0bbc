//! Planted secrets: nothing that the program writes holds one, whatever way it was given and whatever goes wrong.

use crate::live::*;
use cua_grpo_sim::{SimConfig, SimServer};
use std::path::{Path, PathBuf};
use std::process::Command;

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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_secret_is_told_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = [
        format!("gbox_api_key: [{KEY}, b]"),
        format!("gbox_api_key: {{a: {KEY}}}"),
        format!("gbox_api_key: !tag {KEY}"),
        format!("gbox_api_key: {KEY}: x"),
        format!("gbox_api_key: \"{KEY}"),
        format!("gbox: {{api_key: {KEY}}}"),
        format!("gbox_base_url: \"https://user:{KEY}@127.0.0.1:1/api\""),
        format!("gbox_base_url: \"user:{KEY}@127.0.0.1:1/api\""),
        format!("gbox_base_url: \"https://127.0.0.1:1/api?key={KEY}\""),
        format!("gbox_api_kye: {KEY}"),
        format!("? [gbox_api_key, {KEY}]\n: 1"),
        format!("hf_token: {KEY}"),
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
    ];
    for flag in flags {
        let output = finish(command(folder.path(), &["train"], std::slice::from_ref(&flag))).await;
        assert_eq!(output.status.code(), Some(2), "{flag}: {}", said(&output));
        assert!(!holds(&output.stderr), "{flag}: {}", said(&output));
    }
}
