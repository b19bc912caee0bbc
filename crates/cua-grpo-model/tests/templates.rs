//! The template environment against transformers 5.24 under Python, construct by construct, and the variables it has.
//!
//! `fixtures/templates.json` holds messages, templates, and what transformers rendered, or the kind of its error.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::folder;
use cua_grpo_model::processor::{ChatTemplate, copy_processor, parse_json};
use serde_json::{Map, Value, json};
use std::path::Path;

#[test]
fn every_construct_is_rendered_as_under_python() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/templates.json"));
    let file = parse_json(&text.unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 166);
    let variables: Map<String, Value> = json!({"bos_token": "<s>"}).as_object().unwrap().clone();
    for case in cases {
        let source = case["template"].as_str().unwrap();
        let messages = &file["messages"][case["messages"].as_u64().unwrap() as usize];
        let got = ChatTemplate::new(source).and_then(|template| template.render(messages, None, &variables));
        match case["rendered"].as_str() {
            Some(want) => assert_eq!(got.unwrap(), want, "{source}"),
            None => assert!(got.is_err(), "{source}: {} in Python, here {got:?}", case["error"]),
        }
    }
}

#[test]
fn whole_numbers_of_any_length_keep_their_digits() {
    let digits = "9".repeat(60);
    let json = format!(
        "[{{\"role\": \"user\", \"content\": \"x\", \"n\": {digits}, \"m\": -123456789012345678901234567890}}]"
    );
    let messages = parse_json(&json).unwrap();
    for (source, want) in [
        (
            "{{ messages[0].n }} {{ messages[0].n | tojson }}",
            format!("{digits} {digits}"),
        ),
        (
            "{{ messages[0].m }} {{ messages[0].m + 1 }}",
            "-123456789012345678901234567890 -123456789012345678901234567889".to_owned(),
        ),
        (
            "{{ messages[0].n is number }} {{ messages[0].n is integer }} {{ messages[0].n is mapping }}",
            "True True False".to_owned(),
        ),
        (
            "{{ messages[0].n ~ '' }} {{ [messages[0].n] }} {{ messages[0].n | string | length }}",
            format!("{digits} [{digits}] 60"),
        ),
    ] {
        let template = ChatTemplate::new(source).unwrap();
        assert_eq!(template.render(&messages, None, &Map::new()).unwrap(), want);
    }
}

/// A folder with `files` and the tokenizer configuration of a fixture, changed by `config`.
fn with(files: &[(&str, &str)], config: Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(folder("a").join("tokenizer_config.json")).unwrap();
    let mut tokenizer: Value = serde_json::from_str(&text).unwrap();
    tokenizer.as_object_mut().unwrap().remove("chat_template");
    for (key, value) in config.as_object().unwrap() {
        tokenizer[key] = value.clone();
    }
    std::fs::write(dir.path().join("tokenizer_config.json"), tokenizer.to_string()).unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

#[test]
fn special_tokens_of_the_tokenizer_are_variables() {
    let source = "{{ bos_token }}|{{ eos_token }}|{{ pad_token }}|{{ unk_token }}|{{ bos_token is defined }}";
    let render = |files: &[(&str, &str)], config: Value| {
        let template = ChatTemplate::load(with(&[files, &[("chat_template.jinja", source)]].concat(), config).path());
        template.unwrap().render(&json!([]), None, &Map::new()).unwrap()
    };
    assert_eq!(render(&[], json!({})), "|<|im_end|>|<|endoftext|>||False");
    let flags = json!({"__type": "AddedToken", "content": "<s>", "lstrip": false, "normalized": false});
    assert_eq!(
        render(&[], json!({"bos_token": flags})),
        "<s>|<|im_end|>|<|endoftext|>||True"
    );
    // The older file counts where the configuration has no list of added tokens.
    let map = [(
        "special_tokens_map.json",
        "{\"eos_token\": {\"content\": \"E\"}, \"unk_token\": \"U\"}",
    )];
    assert_eq!(render(&map, json!({})), "|<|im_end|>|<|endoftext|>||False");
    let dir = with(&[("chat_template.jinja", source), map[0]], json!({}));
    std::fs::write(
        dir.path().join("tokenizer_config.json"),
        "\u{FEFF}{\"bos_token\": \"B\"}",
    )
    .unwrap();
    let template = ChatTemplate::load(dir.path()).unwrap();
    assert_eq!(
        template.render(&json!([]), None, &Map::new()).unwrap(),
        "B|E|<|endoftext|>|U|True"
    );
}

#[test]
fn special_tokens_of_the_models_own_are_variables_too() {
    let source = "{{ image_token }}|{{ foo_token }}|{{ image_token is defined }}";
    let render = |config: Value| {
        let template = ChatTemplate::load(with(&[("chat_template.jinja", source)], config).path());
        template.unwrap().render(&json!([]), None, &Map::new()).unwrap()
    };
    let pad = "<|image_pad|>";
    let own = json!({"image_token": pad, "foo_token": {"content": "<|box_start|>"}});
    for key in ["extra_special_tokens", "model_specific_special_tokens"] {
        assert_eq!(render(json!({key: own})), "<|image_pad|>|<|box_start|>|True");
    }
    assert_eq!(render(json!({"image_token": pad})), "<|image_pad|>||True");
    assert_eq!(render(json!({"extra_special_tokens": [pad]})), "||False");
}

#[test]
fn of_several_templates_that_of_transformers_processor_counts() {
    let json = |text: &str| json!({"chat_template": text}).to_string();
    let (legacy, nested) = (json("json"), json("nested"));
    let named = "additional_chat_templates/tool_use.jinja";
    let default = "additional_chat_templates/default.jinja";
    let jinja = ("chat_template.jinja", "jinja");
    let tokenizer = json!({"chat_template": "tokenizer"});
    let list = json!({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]});
    for (files, config, want) in [
        (vec![jinja], &tokenizer, "jinja"),
        (vec![jinja, ("chat_template.json", &legacy)], &tokenizer, "json"),
        (
            vec![
                jinja,
                ("processor_config.json", &nested),
                ("chat_template.json", &legacy),
            ],
            &tokenizer,
            "nested",
        ),
        (vec![jinja, (named, "tools")], &tokenizer, "jinja"),
        (vec![(default, "default"), (named, "tools")], &tokenizer, "default"),
        (vec![jinja, (default, "default")], &tokenizer, "jinja"),
        (
            vec![("chat_template.json", "{\"chat_template\": {\"default\": \"dict\"}}")],
            &tokenizer,
            "dict",
        ),
        (
            vec![("processor_config.json", "{\"processor_class\": \"Qwen3VLProcessor\"}")],
            &tokenizer,
            "tokenizer",
        ),
        (vec![("chat_template.jinja", "")], &list, "d"),
    ] {
        assert_eq!(
            ChatTemplate::load(with(&files, config.clone()).path())
                .unwrap()
                .source(),
            want,
            "{files:?}"
        );
    }
    for (files, config, hint) in [
        (vec![(named, "tools")], json!({}), "copy the one to use"),
        (
            vec![("chat_template.json", &*legacy), (named, "tools")],
            json!({}),
            "transformers refuses",
        ),
        (
            vec![],
            json!({"chat_template": [{"name": "tool_use", "template": "t"}]}),
            "default",
        ),
        (
            vec![("chat_template.json", "{\"chat_template\": 3}")],
            json!({}),
            "`chat_template`",
        ),
        (vec![], json!({}), "none of them"),
    ] {
        let error = ChatTemplate::load(with(&files, config).path()).unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    }
}

#[test]
fn a_copied_processor_has_every_file_that_is_read() {
    let named = ("additional_chat_templates/default.jinja", "named");
    let nested = ("processor_config.json", "{\"processor_class\": \"Qwen3VLProcessor\"}");
    let from = with(&[named, nested, ("notes.txt", "no part of it")], json!({}));
    let to = tempfile::tempdir().unwrap();
    copy_processor(from.path(), &to.path().join("new")).unwrap();
    assert_eq!(ChatTemplate::load(&to.path().join("new")).unwrap().source(), "named");
    let exists = |name: &str| to.path().join("new").join(name).exists();
    assert!(exists("processor_config.json") && exists("tokenizer_config.json") && !exists("notes.txt"));
}

#[test]
fn what_the_engine_does_not_survive_is_rendered() {
    let template = ChatTemplate::new("{{ [1, 2][0:2:-1] }}").unwrap();
    let rendered = template.render(&json!([]), None, &Map::new());
    assert_eq!(rendered.unwrap(), "[]");
}
