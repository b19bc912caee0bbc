//! Keys of `tokenizer.json` that are not obeyed, and the older files beside it.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::folder;
use cua_grpo_model::processor::{ProcessorError, Tokenizer};
use serde_json::{Value, json};

/// The fixture's tokenizer with `change` made to `tokenizer.json`.
fn changed(change: impl FnOnce(&mut Value)) -> Tokenizer {
    load(change, None).unwrap()
}

/// The same beside a `tokenizer_config.json`.
fn load(change: impl FnOnce(&mut Value), config: Option<&Value>) -> Result<Tokenizer, ProcessorError> {
    load_beside(change, config, &[])
}

/// The same beside further files.
fn load_beside(
    change: impl FnOnce(&mut Value),
    config: Option<&Value>,
    files: &[(&str, &Value)],
) -> Result<Tokenizer, ProcessorError> {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(folder("a").join("tokenizer.json")).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    change(&mut json);
    std::fs::write(dir.path().join("tokenizer.json"), json.to_string()).unwrap();
    if let Some(config) = config {
        std::fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    }
    for (name, file) in files {
        std::fs::write(dir.path().join(name), file.to_string()).unwrap();
    }
    Tokenizer::load(dir.path())
}

#[test]
fn parts_that_are_not_applied_are_told() {
    let said = |change: &dyn Fn(&mut Value)| {
        let (loaded, said) = common::logged::warnings(|| load(|json| change(json), None));
        loaded.unwrap();
        said.join("\n")
    };
    assert_eq!(said(&|_| {}), "");
    let warning =
        said(&|json| json["normalizer"] = json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "x"}));
    assert!(
        warning.contains("normalizer is not that of Qwen2Tokenizer and is not applied"),
        "{warning}"
    );
    let warning = said(&|json| json["pre_tokenizer"] = json!({"type": "Whitespace"}));
    assert!(warning.contains("pre_tokenizer is not that"), "{warning}");
    let warning = said(&|json| json["decoder"] = json!(null));
    assert!(warning.contains("decoder is not that"), "{warning}");
    let warning = said(&|json| json["normaliser"] = json!({"type": "Lowercase"}));
    assert!(warning.contains("is `normalizer` meant?"), "{warning}");
    for (key, value) in switches() {
        let warning = said(&|json| json["model"][key] = value.clone());
        assert!(
            warning.contains(&format!("model.{key} {value} is not applied")),
            "{warning}"
        );
    }
    let config = json!({"tokenizer_class": "Qwen2Tokenizer", "max_length": 4});
    let (loaded, warning) = common::logged::warnings(|| load(|_| {}, Some(&config)));
    loaded.unwrap();
    let warning = warning.join("\n");
    assert!(warning.contains("max_length 4 is not applied"), "{warning}");
    let neutral = json!({"dropout": 0.0, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false});
    assert_eq!(
        said(&|json| json["model"]
            .as_object_mut()
            .unwrap()
            .extend(neutral.as_object().unwrap().clone())),
        ""
    );
}

/// Switches of the byte-pair model, each with a value that asks for something.
fn switches() -> [(&'static str, Value); 7] {
    [
        ("dropout", json!(0.5)),
        ("ignore_merges", json!(true)),
        ("continuing_subword_prefix", json!("##")),
        ("end_of_word_suffix", json!("</w>")),
        ("unk_token", json!("<|endoftext|>")),
        ("fuse_unk", json!(true)),
        ("byte_fallback", json!(true)),
    ]
}

/// With a class that takes `tokenizer.json` as it is, switches are obeyed by transformers. The last three change no ids there:
/// every byte has a token.
#[test]
fn switches_that_transformers_obeys_are_refused() {
    let text = "Open the settings";
    let want = changed(|_| {}).encode(text).unwrap();
    let config = json!({"tokenizer_class": "TokenizersBackend"});
    for (index, (key, value)) in switches().into_iter().enumerate() {
        let loaded = load(|json| json["model"][key] = value, Some(&config));
        if index < 4 {
            let error = loaded.unwrap_err().to_string();
            assert!(error.contains(&format!("model.{key}: expected ")), "{error}");
        } else {
            assert_eq!(loaded.unwrap().encode(text).unwrap(), want, "{key}");
        }
    }
}

/// The ids are those of transformers 5.24's AutoTokenizer.
///
/// Mutations tried: the file read beside `added_tokens_decoder` too; its tokens never special, or always.
#[test]
fn an_older_list_of_added_tokens_counts_where_the_configuration_has_none() {
    let older = json!({"<extra>": 506, "<plain>": 507, "<acao\u{301}>": 508, "<|im_end|>": 482});
    let load = |config: Value, map: Option<Value>| {
        let map = map.unwrap_or(json!({}));
        let files = [("added_tokens.json", &older), ("special_tokens_map.json", &map)];
        load_beside(|_| {}, Some(&config), &files)
    };
    let text = "Open <extra>the<plain> settings<|im_end|> now";
    let ids = [
        46, 79, 265, 220, 506, 83, 262, 507, 268, 68, 347, 337, 399, 482, 220, 77, 78, 86,
    ];
    let composed = "<aca\u{f3}>";
    let tokenizer = load(json!({}), None).unwrap();
    assert_eq!(tokenizer.encode(text).unwrap(), ids);
    assert_eq!(tokenizer.encode(composed).unwrap(), [508], "matched in normalised text");
    assert_eq!(tokenizer.vocab_size(), 509);
    // A token that a file names as special is matched as it stands.
    for (config, map) in [
        (json!({"additional_special_tokens": ["<acao\u{301}>"]}), None),
        (json!({}), Some(json!({"extra_special_tokens": ["<acao\u{301}>"]}))),
        (
            json!({"pad_token": "<gone>"}),
            Some(json!({"pad_token": {"content": "<acao\u{301}>"}})),
        ),
    ] {
        let tokenizer = load(config, map).unwrap();
        assert_eq!(tokenizer.encode(text).unwrap(), ids);
        assert_eq!(tokenizer.encode(composed).unwrap(), [27, 387, 64, 127, 111, 29]);
    }
    // Beside the configuration's list neither file is read.
    let own = std::fs::read_to_string(folder("a").join("tokenizer_config.json")).unwrap();
    let tokenizer = load(serde_json::from_str(&own).unwrap(), Some(json!({"pad_token": "[PAD]"}))).unwrap();
    assert_eq!(tokenizer.vocab_size(), 506);
    // What the lists contradict, and what would become a new token, is refused by name.
    let error = load(json!({}), Some(json!({"pad_token": "[PAD]"})))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("special_tokens_map.json: pad_token: expected added tokens"),
        "{error}"
    );
    for (older, expected) in [
        (
            json!({"<|im_end|>": 506}),
            "<|im_end|>\" has 506 here, got the id 482 there",
        ),
        (json!({"<new>": 482}), "\"<|im_end|>\" under that id there"),
        (json!({"<new>": 600}), "has the id 600, but transformers gives it 506"),
        (json!({"<new>": "506"}), "added tokens with id and content"),
        (json!(["<new>"]), "expected a map from added tokens to ids"),
    ] {
        let error = load_beside(|_| {}, None, &[("added_tokens.json", &older)]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
