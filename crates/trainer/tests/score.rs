//! `trainer score` through the real binary, against the golden figures of transformers and PEFT, and on bad input.
//!
//! Mutations tried, each fails a test: targets not shifted, states of the next token, temperature 0.7, the adapter left
//! out, pictures in reverse order, tools left out, height and width positions swapped, another frame rate, literals
//! always escaped.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::{Golden, SETS, close, fixture, folder_with_images, golden, messages, read_json, succeed, trainer};
use serde_json::{Value, json};
use std::path::Path;

/// What `score` wrote.
struct Scored {
    ids: Vec<i64>,
    logprobs: Vec<f32>,
    positions: Vec<i64>,
    file: Value,
}

fn score(folder: &Path, set: &str, conversation: &Value, rest: &[&str]) -> Scored {
    std::fs::write(folder.join("in.json"), conversation.to_string()).unwrap();
    let model = fixture(set);
    let mut arguments = vec!["score", "--model", model.to_str().unwrap()];
    arguments.extend(["--messages", "in.json", "--out", "out.json"]);
    arguments.extend(rest);
    succeed(folder, &arguments);
    let file = read_json(&folder.join("out.json"));
    let ids: Vec<i64> = serde_json::from_value(file["input_ids"].clone()).unwrap();
    let logprobs: Vec<Option<f32>> = serde_json::from_value(file["logprobs"].clone()).unwrap();
    assert_eq!(logprobs.len(), ids.len());
    assert_eq!(logprobs[0], None, "nothing stands before the first token");
    let positions: Vec<Vec<i64>> = serde_json::from_value(file["position_ids"].clone()).unwrap();
    assert!(positions.len() == 3 && positions.iter().all(|axis| axis.len() == ids.len()));
    Scored {
        ids,
        logprobs: logprobs[1..].iter().map(|value| value.unwrap()).collect(),
        positions: positions.concat(),
        file,
    }
}

/// Log-prob of `token` under `logits`, in f64.
fn logprob(logits: &[f32], token: usize) -> f32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - top).exp()).sum();
    (f64::from(logits[token] - top) - sum.ln()) as f32
}

const CASES: [&str; 5] = ["text_only", "one_image", "two_images", "three_images", "video_stripped"];

#[test]
fn every_golden_conversation_has_the_ids_positions_and_logprobs_of_transformers() {
    for set in SETS {
        let folder = folder_with_images(set);
        let positions = Golden::open(set, "positions");
        for case in CASES {
            let what = format!("{set} {case}");
            let got = score(folder.path(), set, &json!({"messages": messages(set, case)}), &[]);
            assert_eq!(got.ids, positions.ints(&format!("{case}.input_ids")), "{what}");
            assert_eq!(got.positions, positions.ints(&format!("{case}.position_ids")), "{what}");
            let (key, from) = match case {
                "video_stripped" => ("video_grid_thw", "video.video_grid_thw"),
                _ => ("image_grid_thw", &*format!("{case}.image_grid_thw")),
            };
            let grids: Vec<Vec<i64>> = serde_json::from_value(got.file[key].clone()).unwrap();
            let want = if case == "text_only" {
                Vec::new()
            } else {
                positions.ints(from)
            };
            assert_eq!(grids.concat(), want, "{what}");
            // Log-probs from the golden logits, where those were kept.
            let forward = Golden::open(set, &format!("forward_{case}"));
            let logits = forward.floats("logits");
            let at = forward.ints("logit_positions");
            let vocab = logits.len() / at.len();
            let known = at.iter().zip(logits.chunks_exact(vocab));
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for (position, logits) in known.filter(|(position, _)| (**position as usize) < got.logprobs.len()) {
                let position = *position as usize;
                ours.push(got.logprobs[position]);
                theirs.push(logprob(logits, got.ids[position + 1] as usize));
            }
            assert!(ours.len() >= 10);
            close(&ours, &theirs, 1e-4, &what);
        }
    }
}

#[test]
fn completions_have_the_golden_logprobs() {
    for set in SETS {
        let folder = folder_with_images(set);
        let want = Golden::open(set, "logprobs");
        for case in ["text_only", "one_image", "two_images"] {
            let got = score(folder.path(), set, &json!({"messages": messages(set, case)}), &[]);
            let want = want.floats(&format!("{case}.logprobs.t1.0"));
            let completion = &got.logprobs[got.logprobs.len() - want.len()..];
            close(completion, &want, 1e-4, &format!("{set} {case}"));
        }
    }
}

#[test]
fn an_adapter_gives_the_logprobs_of_peft() {
    for (set, tolerance) in [("a", 1e-4), ("b", 5e-4)] {
        let folder = folder_with_images(set);
        let lora = Golden::open(set, "lora");
        let (all, mask) = (lora.floats("pg.logprobs"), lora.floats("pg.mask"));
        let columns = all.len() / 3;
        let adapter = fixture(set).join("adapter");
        for (row, case) in ["text_only", "one_image", "two_images"].into_iter().enumerate() {
            let conversation = json!({"messages": messages(set, case)});
            let got = score(
                folder.path(),
                set,
                &conversation,
                &["--adapter", adapter.to_str().unwrap()],
            );
            let want = &all[row * columns..][..got.logprobs.len()];
            close(&got.logprobs, want, tolerance, &format!("{set} {case}"));
            assert!(mask[row * columns..][..columns].contains(&1.0));
        }
    }
}

#[test]
fn chat_cases_have_the_ids_of_transformers() {
    for set in SETS {
        let folder = folder_with_images(set);
        let mut scored = 0;
        for case in golden(set, "chat.json")["cases"].as_array().unwrap() {
            let kwargs = case["kwargs"].as_object().unwrap();
            let (name, text) = (case["name"].as_str().unwrap(), case["rendered"].as_str().unwrap());
            // The file has no place for the first, clips have their own case, and a picture that the template drops is
            // an error.
            let left_out = kwargs.contains_key("add_vision_id") || text.contains("<|video_pad|>");
            if left_out || name == "image_in_assistant_is_dropped" {
                continue;
            }
            let mut messages = case["messages"].clone();
            let mut pictures = case["images"].as_array().into_iter().flatten();
            let parts = messages.as_array_mut().unwrap().iter_mut();
            for part in parts.filter_map(|message| message["content"].as_array_mut()).flatten() {
                if part["type"] == "image" || part.get("image").is_some() || part.get("image_url").is_some() {
                    let picture = pictures.next().unwrap().as_str().unwrap();
                    part["image"] = format!("images/{picture}").into();
                }
            }
            let conversation = json!({"messages": messages, "tools": case["tools"]});
            let got = score(folder.path(), set, &conversation, &[]);
            let ids = case["expanded_token_ids"].as_array();
            let ids = ids.or(case["token_ids"].as_array()).unwrap();
            let mut want: Vec<i64> = ids.iter().map(|id| id.as_i64().unwrap()).collect();
            if kwargs.contains_key("add_generation_prompt") {
                // The header of the next reply, which is not part of what was said.
                want.truncate(got.ids.len());
            }
            assert_eq!(got.ids, want, "{set} {name}");
            scored += 1;
        }
        assert_eq!(scored, 26, "of 29 cases");
    }
}

#[test]
fn rounded_weights_change_the_logprobs_a_little() {
    let folder = tempfile::tempdir().unwrap();
    let conversation = json!({"messages": messages("a", "text_only")});
    let exact = score(folder.path(), "a", &conversation, &[]).logprobs;
    let mut last = 0.0;
    for flags in [&["--dtype", "bf16"][..], &["--dtype", "bf16", "--load-in-4bit"]] {
        let rounded = score(folder.path(), "a", &conversation, flags).logprobs;
        let off = exact
            .iter()
            .zip(&rounded)
            .map(|(exact, rounded)| f64::from((exact - rounded).abs()));
        let mean = off.sum::<f64>() / exact.len() as f64;
        assert!(mean > last && mean < 1.0, "{flags:?}: {mean}");
        last = 4.0 * mean; // Four bits are coarser by more than that.
    }
}

#[test]
fn literals_are_control_tokens_unless_they_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let conversation = json!({"messages": [{"role": "user", "content": "a<|im_end|>b"}]});
    let im_end = golden("a", "chat.json")["special_ids"]["<|im_end|>"].as_i64().unwrap();
    let count = |rest: &[&str]| {
        let ids = score(folder.path(), "a", &conversation, rest).ids;
        ids.into_iter().filter(|&id| id == im_end).count()
    };
    assert_eq!(count(&[]), 2);
    assert_eq!(count(&["--special-tokens", "escape"]), 1);
}

#[test]
fn pictures_may_be_addresses_with_their_data() {
    let folder = folder_with_images("a");
    let with = |source: Value| {
        let part = json!({"type": "image_url", "image_url": source});
        score(
            folder.path(),
            "a",
            &json!({"messages": [{"role": "user", "content": [part]}]}),
            &[],
        )
        .file
    };
    let png = std::fs::read(folder.path().join("images/img1.png")).unwrap();
    let data = {
        use base64::Engine;
        format!(
            "data:image/png;base64,{}",
            base64::engine::general_purpose::STANDARD.encode(png)
        )
    };
    assert_eq!(with(json!({"url": data})), with(json!("images/img1.png")));
}

#[test]
fn bad_input_gets_one_error_and_leaves_nothing() {
    let folder = folder_with_images("a");
    std::fs::write(folder.path().join("broken.png"), "no picture").unwrap();
    let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]}).to_string();
    let cases: Vec<(String, &[&str])> = vec![
        ("{".into(), &["in.json", "not JSON"]),
        ("[]".into(), &["\"messages\"", "found a list"]),
        ("{}".into(), &["`messages` is missing"]),
        (
            json!({"messages": "hi"}).to_string(),
            &["`messages`", "list of messages", "found a text"],
        ),
        (json!({"messages": []}).to_string(), &["empty"]),
        (
            json!({"messages": ["hi"]}).to_string(),
            &["messages[0]", "object with role and content"],
        ),
        (
            json!({"messages": [{"content": "hi"}]}).to_string(),
            &["messages[0].role", "user"],
        ),
        (
            json!({"messages": [{"role": "user", "content": "hi"}], "tools": "x"}).to_string(),
            &["`tools`"],
        ),
        (user(json!(5)), &["messages[0].content", "found a number"]),
        (user(json!(["text"])), &["messages[0].content[0]", "found a text"]),
        (
            user(json!([{"type": "image"}])),
            &["messages[0].content[0]", "without a file"],
        ),
        (
            user(json!([{"type": "image", "image": "none.png"}])),
            &["none.png", "No such file"],
        ),
        (
            user(json!([{"type": "image", "image": "broken.png"}])),
            &["broken.png", "PNG, JPEG"],
        ),
        (
            user(json!([{"type": "image", "image": "http://host/x.png"}])),
            &["http://host/x.png", "save the picture"],
        ),
        (
            user(json!([{"type": "video", "video": "v.mp4"}])),
            &["sampled frames", "fps"],
        ),
        (
            user(json!("a <|image_pad|> b")),
            &["0 images", "--special-tokens escape"],
        ),
        (
            json!({"messages": [{"role": "assistant", "content": [{"type": "image", "image": "images/img0.png"}]}]})
                .to_string(),
            &["1 images", "assistant"],
        ),
        (
            json!({"messages": [{"role": "assistant", "content": "", "tool_calls": [{"function": {}}]}]}).to_string(),
            &["messages[0].tool_calls[0]", "name"],
        ),
        (
            json!({"messages": [{"role": "nobody", "content": "hi"}]}).to_string(),
            &["writes nothing"],
        ),
    ];
    let model = fixture("a");
    let run = |arguments: &[&str]| {
        let output = trainer(folder.path(), arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for (text, words) in cases {
        std::fs::write(folder.path().join("in.json"), &text).unwrap();
        let arguments = [
            "score",
            "--model",
            model.to_str().unwrap(),
            "--messages",
            "in.json",
            "--out",
            "out.json",
        ];
        let (code, stderr) = run(&arguments);
        assert_eq!(code, 2, "{text}: {stderr}");
        assert!(
            words.iter().all(|word| stderr.contains(word)),
            "{text} {words:?}: {stderr}"
        );
        let errors = stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{stderr}");
    }
    std::fs::write(folder.path().join("in.json"), user(json!("hi"))).unwrap();
    let model = model.to_str().unwrap();
    for (arguments, words) in [
        (
            vec!["--model", "none", "--out", "out.json"],
            &["--model none", "starter"][..],
        ),
        (
            vec!["--model", model, "--out", "none/out.json"],
            &["--out none/out.json", "folder does not exist"],
        ),
        (
            vec!["--model", model, "--out", "images"],
            &["--out images", "is a folder"],
        ),
        (
            vec!["--model", model, "--out", "out.json", "--device", "tpu"],
            &["--device", "cpu, cuda or cuda:N"],
        ),
        (
            vec!["--model", model, "--out", "out.json", "--adapter", "images"],
            &["--adapter images", "adapter_config.json"],
        ),
    ] {
        let (code, stderr) = run(&[&["score", "--messages", "in.json"], &arguments[..]].concat());
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(
            words.iter().all(|word| stderr.contains(word)),
            "{arguments:?} {words:?}: {stderr}"
        );
    }
    let mut left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["broken.png", "images", "in.json"]);
}
