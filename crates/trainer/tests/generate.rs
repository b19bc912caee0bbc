//! `trainer generate` through the real binary, against the golden replies of transformers.
//!
//! Mutations tried, each fails a test: no header of the reply, no stop tokens, the stop token printed, another seed, top-k
//! of the checkpoint ignored, the adapter left out, pictures in reverse order.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::{SETS, fixture, folder_with_images, golden, messages, read_json, succeed, trainer};
use serde_json::{Value, json};
use std::path::Path;

/// Standard output, standard error and the file of `--json`.
fn generate(folder: &Path, set: &str, rest: &[&str]) -> (String, String, Value) {
    let model = fixture(set);
    let mut arguments = vec!["generate", "--model", model.to_str().unwrap(), "--json", "out.json"];
    arguments.extend(rest);
    let (stdout, stderr) = succeed(folder, &arguments);
    (stdout, stderr, read_json(&folder.join("out.json")))
}

/// Writes the conversation of a golden case up to its last reply.
fn prompt_file(folder: &Path, set: &str, case: &str) {
    let mut messages = messages(set, case);
    messages.as_array_mut().unwrap().pop();
    std::fs::write(folder.join("in.json"), json!({"messages": messages}).to_string()).unwrap();
}

#[test]
fn greedy_replies_are_those_of_transformers() {
    for set in SETS {
        let folder = folder_with_images(set);
        let cases = golden(set, "generate.json");
        for case in ["text_only", "one_image", "two_images"] {
            let what = format!("{set} {case}");
            let want = &cases["cases"][case];
            prompt_file(folder.path(), set, case);
            let greedy = ["--messages", "in.json", "--temperature", "0", "--max-new-tokens", "16"];
            let (stdout, stderr, file) = generate(folder.path(), set, &[&greedy[..], &["--ignore-eos"]].concat());
            assert_eq!(file["ids"], want["generated"][0], "{what}");
            let text = file["text"].as_str().unwrap();
            // An id without a token reads as U+FFFD here and as nothing there.
            let known = |text: &str| text.replace('\u{FFFD}', "");
            assert_eq!(known(text), known(want["text"][0].as_str().unwrap()), "{what}");
            assert_eq!(stdout, format!("{text}\n"), "{what}: printed piece by piece");
            assert_eq!(file["stop"], "max_tokens");
            assert!(stderr.contains("16 tokens"), "{stderr}");
            let (_, _, stopping) = generate(folder.path(), set, &greedy);
            assert_eq!(stopping["ids"], want["generated_with_eos_stop"][0], "{what}");
            assert_eq!(
                stopping["stop_tokens"],
                read_json(&fixture(set).join("generation_config.json"))["eos_token_id"]
            );
        }
    }
}

#[test]
fn a_stop_token_ends_the_reply_and_is_not_printed() {
    let folder = folder_with_images("a");
    prompt_file(folder.path(), "a", "text_only");
    let ids = golden("a", "generate.json")["cases"]["text_only"]["generated"][0].clone();
    // A token with a text of its own, which would show.
    let stop = ids[6].to_string();
    let flags = ["--messages", "in.json", "--temperature=0", "--stop-token", &stop, "511"];
    let (stdout, stderr, file) = generate(folder.path(), "a", &flags);
    assert_eq!(file["ids"].as_array().unwrap()[..], ids.as_array().unwrap()[..7]);
    assert_eq!(file["stop"], "stop");
    assert_eq!(stdout, format!("{}\n", file["text"].as_str().unwrap()));
    assert!(stderr.contains("a stop token"), "{stderr}");
}

#[test]
fn a_prompt_with_a_picture_is_the_same_as_the_conversation() {
    let folder = folder_with_images("a");
    prompt_file(folder.path(), "a", "one_image");
    let (_, _, from_file) = generate(
        folder.path(),
        "a",
        &["--messages=in.json", "--max-new-tokens=4", "--seed=3"],
    );
    let flags = [
        "--prompt=Describe it.",
        "--image=images/img0.png",
        "--max-new-tokens=4",
        "--seed=3",
    ];
    let (_, _, from_flags) = generate(folder.path(), "a", &flags);
    assert_eq!(from_file, from_flags);
    let sampling = &from_file["sampling"];
    assert_eq!(sampling["top_k"], 20);
    assert!((sampling["temperature"].as_f64().unwrap() - 0.7).abs() < 1e-6);
    assert!((sampling["top_p"].as_f64().unwrap() - 0.8).abs() < 1e-6);
    assert!(
        from_file["kept_mass"]
            .as_array()
            .unwrap()
            .iter()
            .all(|mass| mass.as_f64().unwrap() < 1.0)
    );
    let (_, _, other) = generate(folder.path(), "a", &[&flags[..3], &["--seed=4"]].concat());
    assert_ne!(other["ids"], from_file["ids"], "another seed");
}

#[test]
fn an_adapter_changes_the_reply() {
    let folder = folder_with_images("b");
    prompt_file(folder.path(), "b", "one_image");
    let flags = ["--messages=in.json", "--max-new-tokens=8", "--temperature=0"];
    let adapter = fixture("b").join("adapter");
    let (_, _, plain) = generate(folder.path(), "b", &flags);
    let (_, _, adapted) = generate(
        folder.path(),
        "b",
        &[&flags[..], &["--adapter", adapter.to_str().unwrap()]].concat(),
    );
    assert_eq!(plain["prompt_ids"], adapted["prompt_ids"]);
    assert_ne!(plain["ids"], adapted["ids"]);
}

#[test]
fn the_starter_model_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (_, stderr) = succeed(
        folder.path(),
        &["generate", "--model=starter", "--prompt=Hi", "--max-new-tokens=3"],
    );
    assert!(stderr.contains("no generation_config.json: greedy"), "{stderr}");
}

#[test]
fn a_file_that_names_no_stop_token_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(fixture("a")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
        }
    }
    let said = |text: &str| {
        std::fs::write(model.join("generation_config.json"), text).unwrap();
        let flags = ["generate", "--model=model", "--prompt=Hi", "--max-new-tokens=2"];
        succeed(folder.path(), &flags).1
    };
    let words = "names no eos_token_id";
    assert!(said(r#"{"do_sample": false}"#).contains(words));
    assert!(!said(r#"{"do_sample": false, "eos_token_id": 482}"#).contains(words));
}

#[test]
fn wrong_flags_exit_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, words) in [
        (&["--model=starter"][..], &["--prompt", "--messages"][..]),
        (
            &["--model=starter", "--prompt=a", "--messages=b"],
            &["cannot be used with"],
        ),
        (
            &["--model=starter", "--prompt=a", "--temperature=-1"],
            &["--temperature", "0 or more"],
        ),
        (
            &["--model=starter", "--prompt=a", "--top-p=0"],
            &["--top-p", "more than 0"],
        ),
        (
            &["--model=starter", "--prompt=a", "--max-new-tokens=0"],
            &["--max-new-tokens"],
        ),
        (
            &["--model=starter", "--prompt=a", "--image=none.png"],
            &["none.png", "No such file"],
        ),
        (
            &["--model=starter", "--prompt=a", "--stop-token=4000000"],
            &["--stop-token", "4000000"],
        ),
        (&["--model=none", "--prompt=a"], &["--model none"]),
    ] {
        let output = trainer(folder.path(), &[&["generate"], flags].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {stderr}");
        assert!(
            words.iter().all(|word| stderr.contains(word)),
            "{flags:?} {words:?}: {stderr}"
        );
        assert!(output.stdout.is_empty());
    }
}

/// Keys of `generation_config.json` are applied, or named.
#[test]
fn keys_of_the_generation_config_are_applied_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(fixture("a")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::write(model.join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
    let reply = |keys: Value, rest: &[&str]| {
        std::fs::write(model.join("generation_config.json"), keys.to_string()).unwrap();
        let arguments = [
            "generate", "--model", "model", "--prompt", "Open it", "--json", "out.json",
        ];
        let output = trainer(folder.path(), &[&arguments[..], rest].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => Ok((read_json(&folder.path().join("out.json"))["ids"].clone(), said)),
            code => Err((code, said)),
        }
    };
    let eight = ["--max-new-tokens", "8"];
    let (plain, said) = reply(json!({"do_sample": false}), &eight).unwrap();
    assert!(!said.contains("not applied"), "{said}");
    let first = plain[0].as_u64().unwrap();
    let (other, said) = reply(json!({"suppress_tokens": [first]}), &eight).unwrap();
    assert!(
        !other.as_array().unwrap().contains(&json!(first)) && !said.contains("not applied"),
        "{said}"
    );
    let (forced, _) = reply(json!({"forced_eos_token_id": 7}), &eight).unwrap();
    assert_eq!((&forced[0], &forced[7]), (&plain[0], &json!(7)));
    let (same, said) = reply(json!({"num_beams": 4, "suppres_tokens": [first]}), &eight).unwrap();
    assert_eq!(same, plain);
    assert!(said.contains("num_beams 4 is not applied"), "{said}");
    assert!(said.contains("is `suppress_tokens` meant?"), "{said}");
    // Prompt and reply together; a flag counts more.
    let (_, said) = reply(json!({"max_length": 500}), &eight).unwrap();
    assert!(said.contains("reply: 8 tokens"), "{said}");
    for (keys, named) in [
        (json!({"max_length": 3}), "max_length 3 leaves no room"),
        (
            json!({"suppress_tokens": [99_999]}),
            "suppress_tokens: expected ids below 512",
        ),
        (json!({"bad_words_ids": 5}), "bad_words_ids"),
        (
            json!({"eos_token_id": [7, 4_000_000]}),
            "error: generation_config.json: eos_token_id: ",
        ),
    ] {
        let (code, said) = reply(keys, &[]).unwrap_err();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(named), "{said}");
    }
}
