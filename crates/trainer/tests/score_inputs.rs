//! Conversations and folders as other programs write them, through the real binary: numbers, marks, addresses, roles.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::{fixture, read_json, trainer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A copy of a fixture's folder, to be changed.
fn model(folder: &Path) -> PathBuf {
    let model = folder.join("model");
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(fixture("a")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::write(model.join(path.file_name().unwrap()), std::fs::read(&path).unwrap()).unwrap();
        }
    }
    model
}

/// Exit code, standard error, and the ids that `score` wrote for the text of a conversation file.
fn score(folder: &Path, model: &Path, conversation: &[u8]) -> (i32, String, Option<Vec<u32>>) {
    std::fs::write(folder.join("in.json"), conversation).unwrap();
    let out = folder.join("out.json");
    let _ = std::fs::remove_file(&out);
    let arguments = [
        "score",
        "--model",
        model.to_str().unwrap(),
        "--messages",
        "in.json",
        "--out",
        "out.json",
    ];
    let output = trainer(folder, &arguments);
    let ids = out
        .exists()
        .then(|| serde_json::from_value(read_json(&out)["input_ids"].clone()).unwrap());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), stderr, ids)
}

fn ids(folder: &Path, model: &Path, conversation: &[u8]) -> Vec<u32> {
    let (code, stderr, ids) = score(folder, model, conversation);
    assert_eq!(code, 0, "{stderr}");
    ids.unwrap()
}

#[test]
fn long_whole_numbers_reach_the_tokens_with_all_digits() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": "pay", "arguments":
        {"wei": 123456789012345678901234567890, "u64": 18446744073709551615}}}]}]}"#;
    // By transformers 5.24.
    let want = [
        481, 348, 198, 71, 72, 482, 198, 481, 64, 345, 338, 388, 83, 198, 494, 198, 272, 302, 258, 261, 79, 329, 279,
        261, 454, 258, 277, 86, 68, 72, 258, 220, 16, 17, 18, 19, 20, 21, 22, 23, 24, 15, 16, 17, 18, 19, 20, 21, 22,
        23, 24, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 15, 11, 261, 84, 21, 19, 258, 220, 16, 23, 19, 19, 21, 22, 19,
        19, 15, 22, 18, 22, 15, 24, 20, 20, 16, 21, 16, 20, 299, 198, 495, 482, 198,
    ];
    assert_eq!(ids(folder.path(), &fixture("a"), text.as_bytes()), want);
}

#[test]
fn byte_order_marks_are_passed_over_in_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = json!({"messages": [{"role": "user", "content": "hi é"}]}).to_string();
    let want = ids(folder.path(), &fixture("a"), text.as_bytes());
    let marked = format!("\u{FEFF}{text}");
    assert_eq!(ids(folder.path(), &fixture("a"), marked.as_bytes()), want);
    let wide: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(
        ids(folder.path(), &fixture("a"), &wide),
        want,
        "UTF-16, as PowerShell writes it"
    );
    let model = model(folder.path());
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "preprocessor_config.json",
        "chat_template.json",
        "config.json",
        "generation_config.json",
    ] {
        let text = std::fs::read_to_string(model.join(name)).unwrap();
        std::fs::write(model.join(name), format!("\u{FEFF}{text}")).unwrap();
    }
    assert_eq!(ids(folder.path(), &model, text.as_bytes()), want);
    // The configuration.
    std::fs::write(
        folder.path().join("c.yaml"),
        "\u{FEFF}learning_rate: 0.0002\nlora_r: 4\n",
    )
    .unwrap();
    let output = trainer(
        folder.path(),
        &["plan", "--config", "c.yaml", "--memory", "8", "--json"],
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn base64_may_have_line_breaks_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let png = std::fs::read(fixture("a").join("images/img1.png")).unwrap();
    std::fs::write(folder.path().join("p.png"), &png).unwrap();
    let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png);
    let lines: Vec<&str> = data
        .as_bytes()
        .chunks(60)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\r\n");
    let of = |part: Value| {
        let text = json!({"messages": [{"role": "user", "content": [part]}]}).to_string();
        ids(folder.path(), &fixture("a"), text.as_bytes())
    };
    let want = of(json!({"type": "image", "image": "p.png"}));
    for part in [
        json!({"type": "image", "path": "p.png"}),
        json!({"type": "image", "url": "p.png"}),
        json!({"type": "image", "base64": lines}),
        json!({"type": "image", "image": lines}),
        json!({"type": "image", "url": format!("data:image/png;base64,{lines}")}),
        json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,\n{lines}\n")}}),
    ] {
        assert_eq!(of(part), want);
    }
}

#[test]
fn roles_that_the_template_does_not_write_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let say = |roles: &[&str]| {
        let messages: Vec<Value> = roles
            .iter()
            .map(|role| json!({"role": role, "content": "hi"}))
            .collect();
        json!({"messages": messages}).to_string().into_bytes()
    };
    for (roles, number) in [
        (&["user", "assitant"][..], 1),
        (&["developer", "user"], 0),
        (&["user", "function", "user"], 1),
        (&["user", "User"], 1),
    ] {
        let (code, stderr, ids) = score(folder.path(), &fixture("a"), &say(roles));
        assert_eq!(code, 2, "{stderr}");
        assert!(ids.is_none());
        let role = format!("`{}`", roles[number]);
        for word in [
            &*format!("messages[{number}].role"),
            &*role,
            "system, user, assistant, tool",
        ] {
            assert!(stderr.contains(word), "{word}: {stderr}");
        }
    }
    // A template that writes every role may have them.
    let model = model(folder.path());
    std::fs::remove_file(model.join("chat_template.json")).unwrap();
    let any =
        "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endfor %}";
    std::fs::write(model.join("chat_template.jinja"), any).unwrap();
    assert!(!ids(folder.path(), &model, &say(&["developer", "user", "system"])).is_empty());
}

/// A conversation may come from somebody who knows the terminal.
#[test]
fn what_a_terminal_would_obey_is_shown_as_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let text = json!({"messages": [{"role": "\u{1b}[2J\u{202e}me", "content": "hi"}]}).to_string();
    let (code, stderr, ids) = score(folder.path(), Path::new("starter"), text.as_bytes());
    assert_eq!((code, ids), (2, None), "{stderr}");
    assert!(stderr.contains("`\\u{1b}[2J\\u{202e}me`"), "{stderr}");
    assert!(!stderr.contains(['\u{1b}', '\u{202e}']), "{stderr:?}");
}

/// What starts threads panics where the system gives it none.
#[cfg(unix)]
#[test]
fn too_few_open_files_are_one_error_that_says_what_to_do() {
    let program = env!("CARGO_BIN_EXE_trainer");
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 4; exec \"$0\" boxes list", program])
        .env("GBOX_API_KEY", "key")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.starts_with("error: cannot begin: ") && stderr.contains("ulimit -n"),
        "{stderr}"
    );
}

#[test]
fn a_picture_that_was_cut_short_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = fixture("pictures");
    for name in ["seq.jpg", "prog.jpg", "lossy.webp", "palette.gif", "rgb.bmp"] {
        let bytes = std::fs::read(pictures.join(name)).unwrap();
        std::fs::write(folder.path().join(name), &bytes[..bytes.len() * 3 / 4]).unwrap();
        let part = json!({"type": "image", "image": name});
        let text = json!({"messages": [{"role": "user", "content": [part]}]}).to_string();
        let (code, stderr, _) = score(folder.path(), &fixture("a"), text.as_bytes());
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(&format!("picture `{name}`")), "{stderr}");
    }
}

#[test]
fn two_different_templates_are_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let model = model(folder.path());
    let text =
        json!({"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "late"}]}).to_string();
    let (code, stderr, same) = score(folder.path(), &model, text.as_bytes());
    assert_eq!(code, 0, "{stderr}");
    assert!(!stderr.contains("two different chat templates"), "{stderr}");
    assert!(
        stderr.contains("messages[1]") && stderr.contains("not part of the prompt"),
        "{stderr}"
    );
    let other = "{%- for m in messages %}{{ m.content }}{%- endfor %}";
    std::fs::write(model.join("chat_template.jinja"), other).unwrap();
    let mut processor = read_json(&model.join("preprocessor_config.json"));
    processor["shortest_side"] = json!(3);
    std::fs::write(model.join("preprocessor_config.json"), processor.to_string()).unwrap();
    let (code, stderr, ids) = score(folder.path(), &model, text.as_bytes());
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(ids, same, "chat_template.json counts, as in transformers' processor");
    for words in [
        "two different chat templates",
        "chat_template.json is used",
        "not chat_template.jinja",
        "unknown key `shortest_side`",
    ] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
}
