//! What a saved tokenizer brings along: truncation, padding, added tokens of both kinds, and missing files.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::folder;
use cua_grpo_model::processor::{ChatRenderer, ProcessorError, Tokenizer, Trust};
use serde_json::{Value, json};

/// The fixture's tokenizer with `change` made to `tokenizer.json`.
fn changed(change: impl FnOnce(&mut Value)) -> Tokenizer {
    load(change, None).unwrap()
}

/// The same beside a `tokenizer_config.json`.
fn load(change: impl FnOnce(&mut Value), config: Option<&Value>) -> Result<Tokenizer, ProcessorError> {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(folder("a").join("tokenizer.json")).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    change(&mut json);
    // As a Windows editor saves it.
    std::fs::write(dir.path().join("tokenizer.json"), format!("\u{FEFF}{json}")).unwrap();
    if let Some(config) = config {
        std::fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    }
    Tokenizer::load(dir.path())
}

fn add(json: &mut Value, id: u32, content: &str, normalized: bool) {
    let token = json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": normalized, "special": false});
    json["added_tokens"].as_array_mut().unwrap().push(token);
}

/// `fixtures/tokenizers.json` holds changes of the two files and the ids that transformers 5.24's AutoTokenizer gives.
///
/// Mutations tried: the file's normaliser obeyed; tokens of `tokenizer.json` read beside those of `added_tokens_decoder`.
#[test]
fn ids_are_those_of_transformers_or_the_file_is_refused_by_name() {
    let text = std::fs::read_to_string(folder("a").parent().unwrap().join("tokenizers.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let texts: Vec<String> = serde_json::from_value(golden["texts"].clone()).unwrap();
    let own: Value =
        serde_json::from_str(&std::fs::read_to_string(folder("a").join("tokenizer_config.json")).unwrap()).unwrap();
    // What transformers reads in a way that cannot be meant.
    let refused = [
        ("gap", "\"<gap>\" has the id 600, but transformers gives it 506"),
        (
            "other content",
            "\"<extra>\" has 506 here, got \"<only>\" under that id there",
        ),
        ("two contents in json", "the id 506 for \"<only>\" and for \"<extra>\""),
        ("twice", "\"<only>\" with the ids 506 and 507"),
        ("as saved nfkc", "normalizer: expected that of Qwen2Tokenizer"),
        ("unknown class", "tokenizer_class: expected one of Qwen2Tokenizer"),
    ];
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 24);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let change = |json: &mut Value| {
            for (key, value) in case["tokenizer"].as_object().unwrap() {
                match (key.as_str(), value) {
                    ("model", Value::Object(switches)) => {
                        switches
                            .iter()
                            .for_each(|(key, value)| json["model"][key] = value.clone());
                    }
                    _ => json[key] = value.clone(),
                }
            }
        };
        let config = case["config"].as_object().map(|changes| {
            let mut config = own.clone();
            let fields = config.as_object_mut().unwrap();
            fields.extend(changes.clone());
            let dropped: Vec<String> = serde_json::from_value(case["dropped"].clone()).unwrap();
            fields.retain(|key, _| !dropped.contains(key));
            config
        });
        let loaded = load(change, config.as_ref());
        if let Some((_, expected)) = refused.iter().find(|(refused, _)| *refused == name) {
            let error = loaded.unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
            continue;
        }
        let tokenizer = loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
        for (text, ids) in texts.iter().zip(case["ids"].as_array().unwrap()) {
            assert_eq!(tokenizer.encode(text).unwrap(), common::ids(ids), "{name}: {text:?}");
        }
    }
}

#[test]
fn broken_vocabularies_are_refused_by_name() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 12] = [
        (|json| json["model"] = json!(null), "model.type"),
        (
            |json| json["model"]["type"] = json!("Unigram"),
            "model.type: expected \"BPE\"",
        ),
        (
            |json| json["model"]["vocab"] = json!(["a"]),
            "model.vocab: expected a map",
        ),
        (
            |json| json["model"]["vocab"]["t"] = json!(-1),
            "model.vocab: expected ids below",
        ),
        (
            |json| json["model"]["vocab"]["t"] = json!(1_u64 << 40),
            "model.vocab: expected ids below",
        ),
        (|json| json["model"]["vocab"]["new"] = json!(3), "have one id, 3"),
        (
            |json| json["model"]["merges"] = json!(null),
            "model.merges: expected a list",
        ),
        (
            |json| json["model"]["merges"][0] = json!("a b c"),
            "model.merges: expected pairs",
        ),
        (
            |json| json["model"]["merges"][0] = json!(["zz", "yy"]),
            "tokenizer.json",
        ),
        (|json| json["added_tokens"] = json!(7), "no added_tokens"),
        (
            |json| json["added_tokens"][0]["id"] = json!(1_u64 << 40),
            "added tokens with id and content",
        ),
        (|json| *json = json!([1]), "no added_tokens"),
    ];
    for (change, expected) in cases {
        let error = load(change, None).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let load = |key: &str, value: Value| {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.jinja",
            "preprocessor_config.json",
        ] {
            std::fs::copy(folder("a").join(name), dir.path().join(name)).unwrap();
        }
        let text = std::fs::read_to_string(folder("a").join("config.json")).unwrap();
        let mut config: Value = serde_json::from_str(&text).unwrap();
        *config.pointer_mut(key).unwrap() = value;
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        ChatRenderer::load(dir.path())
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    load("/text_config/vocab_size", json!(506)).unwrap();
    let error = load("/text_config/vocab_size", json!(505)).unwrap_err();
    assert!(
        error.contains("text_config.vocab_size: expected at least 506"),
        "{error}"
    );
    for key in [
        "image_token_id",
        "video_token_id",
        "vision_start_token_id",
        "vision_end_token_id",
    ] {
        let error = load(&format!("/{key}"), json!(7)).unwrap_err();
        assert!(error.contains(&format!("config.json: {key}: expected ")), "{error}");
    }
}

#[test]
fn truncation_and_padding_of_a_training_run_are_left_out() {
    let plain = changed(|_| {});
    let saved = changed(|json| {
        json["truncation"] = json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
        json["padding"] = json!({"strategy": {"Fixed": 64}, "direction": "Left", "pad_to_multiple_of": 8, "pad_id": 480,
            "pad_type_id": 0, "pad_token": "<|endoftext|>"});
    });
    let text = "Open the settings and then turn on the dark theme<|im_end|>, please";
    let ids = saved.encode(text).unwrap();
    assert_eq!(ids, plain.encode(text).unwrap());
    assert!(ids.len() > 12);
    assert_eq!(saved.decode(&ids), text);
}

#[test]
fn the_dropout_of_a_training_run_is_left_out() {
    let text = "Open the settings and then turn on the dark theme, please";
    let want = changed(|_| {}).encode(text).unwrap();
    for dropout in [0.5, 1.0] {
        let saved = changed(|json| json["model"]["dropout"] = json!(dropout));
        for _ in 0..3 {
            assert_eq!(saved.encode(text).unwrap(), want, "{dropout}");
        }
    }
}

#[test]
fn what_transformers_builds_anew_of_the_pieces_is_not_read_from_the_file() {
    let text = "Open: the settings";
    let want = changed(|_| {}).encode(text).unwrap();
    for (key, value) in [
        ("continuing_subword_prefix", json!("##")),
        ("end_of_word_suffix", json!("</w>")),
        ("fuse_unk", json!(true)),
        ("byte_fallback", json!(true)),
    ] {
        let saved = changed(|json| json["model"][key] = value.clone());
        assert_eq!(saved.encode(text).unwrap(), want, "{key}");
    }
}

#[test]
fn keys_that_would_change_ids_are_named() {
    for (config, key) in [
        (json!({"add_prefix_space": true}), "add_prefix_space"),
        (json!({"split_special_tokens": true}), "split_special_tokens"),
        (
            json!({"add_bos_token": true, "bos_token": "<|endoftext|>"}),
            "add_bos_token",
        ),
        (json!({"add_eos_token": true}), "add_eos_token"),
        (
            json!({"extra_special_tokens": {"foo_token": "now"}}),
            "extra_special_tokens",
        ),
        (
            json!({"extra_special_tokens": ["<|im_end|>", "now"]}),
            "extra_special_tokens",
        ),
        (
            json!({"additional_special_tokens": [{"content": "<new>", "lstrip": false}]}),
            "additional_special_tokens",
        ),
        (json!({"pad_token": "[PAD]"}), "pad_token"),
        (
            json!({"fast_tokenizer_files": ["tokenizer.4.0.0.json"]}),
            "fast_tokenizer_files",
        ),
        (json!({"image_token": "<|vision_pad|>"}), "image_token"),
    ] {
        let error = load(|_| {}, Some(&config)).unwrap_err().to_string();
        assert!(
            error.contains(&format!("tokenizer_config.json: {key}: expected ")),
            "{error}"
        );
    }
    let template = |pieces: Value| {
        json!({"type": "TemplateProcessing", "single": pieces, "pair": [],
            "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [480], "tokens": ["<|endoftext|>"]}}})
    };
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let token = json!({"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}});
    let adding = template(json!([token, text]));
    let inside = json!({"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": false,
        "trim_offsets": false, "use_regex": false}, adding]});
    for processor in [adding, inside] {
        let error = load(|json| json["post_processor"] = processor, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("tokenizer.json: post_processor: expected "), "{error}");
        assert!(error.contains("<|endoftext|>"), "{error}");
    }
}

#[test]
fn keys_without_effect_and_tokens_that_are_there_pass() {
    let text = "Open it<|im_end|> now";
    let want = changed(|_| {}).encode(text).unwrap();
    let config = json!({
        "add_prefix_space": false, "split_special_tokens": null, "extra_special_tokens": {}, "model_max_length": 4,
        "additional_special_tokens": ["<|im_start|>", {"content": "<|image_pad|>"}], "bos_token": null,
        "eos_token": {"content": "<|im_end|>", "special": true}, "image_token": "<|image_pad|>", "backend": "tokenizers",
        "pad_token": "<new>",
    });
    let new = |json: &mut Value| add(json, 506, "<new>", false);
    assert_eq!(load(new, Some(&config)).unwrap().encode(text).unwrap(), want);
    let plain = json!({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
        "special_tokens": {}});
    let tokenizer = changed(|json| json["post_processor"] = plain);
    assert_eq!(tokenizer.encode(text).unwrap(), want);
}

#[test]
fn normalised_tokens_match_in_normalised_text_and_others_as_they_stand() {
    let (composed, apart) = ("a\u{e7}\u{e3}o", "ac\u{327}a\u{303}o");
    let tokenizer = changed(|json| {
        add(json, 506, apart, true);
        add(json, 507, "e\u{301}!", false);
    });
    let plain = |text: &str| tokenizer.encode_data(text).unwrap();
    let encode = |text: &str| tokenizer.encode(text).unwrap();
    for text in [composed, apart] {
        let ids = [plain("x "), vec![506], plain(" y")].concat();
        assert_eq!(
            encode(&format!("x {text} y")),
            ids,
            "either spelling, whichever the file has"
        );
    }
    assert_eq!(encode("e\u{301}!"), [507]);
    assert_eq!(encode("\u{e9}!"), plain("\u{e9}!"), "this one is matched as it stands");
    // Tokens as they stand are cut out first, so normalisation does not reach across them.
    let cut = [plain("ac"), vec![tokenizer.special().im_end], plain("\u{327}a\u{303}o")].concat();
    assert_eq!(encode("ac<|im_end|>\u{327}a\u{303}o"), cut);
    // Data cannot forge one by another spelling.
    for text in [composed, apart] {
        let guard = tokenizer.guard(&[text]).unwrap();
        let ids = tokenizer
            .encode_guarded(&guard.protect(text, Trust::Data), &guard)
            .unwrap();
        assert_eq!(ids, plain(text));
        assert!(!ids.contains(&506));
    }
}

#[test]
fn without_tokenizer_json_the_error_says_what_to_do() {
    for (files, hints) in [
        (
            &["vocab.json", "merges.txt"][..],
            &["vocab.json and merges.txt", "save_pretrained"][..],
        ),
        (&["vocab.json"], &["only one"]),
        (&["tokenizer.model"], &["tokenizer.model", "another kind"]),
        (
            &["tokenizer.json.part1", "tokenizer.json.part2"],
            &["tokenizer.json.part1", "cat"],
        ),
        (&["tokenizer-00001-of-00002.json"], &["tokenizer-00001-of-00002.json"]),
        (&["config.json", "tokenizer_config.json"], &["no file of a tokenizer"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for name in files {
            std::fs::write(dir.path().join(name), "{}").unwrap();
        }
        let error = Tokenizer::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("expected tokenizer.json"), "{error}");
        for hint in hints {
            assert!(error.contains(hint), "{files:?}: {error}");
        }
    }
}
