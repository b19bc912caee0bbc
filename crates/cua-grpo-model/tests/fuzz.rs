//! Every file of a model folder, changed at random: no reader panics, hangs or takes all memory.
//!
//! A second each in CI. A longer search: `FUZZ_SECONDS=3600 cargo test -p cua-grpo-model --test fuzz -- --nocapture NAME`.
//! `fixtures/corpus` keeps what was found, by target.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers are not seen as tests; figures are shown with --nocapture"
)]

mod common;

use common::{device, folder, model};
use cua_grpo_core::testing::fuzz::{Mutator, run, survives};
use cua_grpo_model::ModelConfig;
use cua_grpo_model::checkpoint::{LoadOptions, TensorFiles, load_model};
use cua_grpo_model::generate::GenerationConfig;
use cua_grpo_model::lora::load_adapter;
use cua_grpo_model::processor::{
    ChatTemplate, Conversation, ImageProcessorConfig, Tokenizer, VideoProcessorConfig, decode_rgb, image_size,
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    folder("a").parent().unwrap().to_owned()
}

/// Runs a target: first what was found before, then new inputs.
fn target(name: &str, make: impl Fn(&mut Mutator) -> Vec<u8>, mut read: impl FnMut(&[u8])) {
    for entry in std::fs::read_dir(fixtures().join("corpus").join(name))
        .into_iter()
        .flatten()
    {
        let path = entry.unwrap().path();
        let kept = std::fs::read(&path).unwrap();
        survives(&kept, &mut read).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    }
    let inputs = run(name, make, read);
    println!("{name}: {inputs} inputs");
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Half of the inputs change values, half bytes.
fn changed(mutator: &mut Mutator, value: &Value, text: &str, words: &[&str]) -> Vec<u8> {
    match mutator.below(2) {
        0 => mutator.json(value).to_string().into_bytes(),
        _ => mutator.bytes(text.as_bytes(), words),
    }
}

/// A target that is one JSON file of a folder, beside copies of the files `beside`.
fn json_file(name: &str, file: &str, from: &Path, beside: &[&str], read: impl Fn(&Path)) {
    let value = json_of(&from.join(file));
    let text = value.to_string();
    let dir = tempfile::tempdir().unwrap();
    for other in beside {
        std::fs::copy(from.join(other), dir.path().join(other)).unwrap();
    }
    let make = |mutator: &mut Mutator| changed(mutator, &value, &text, &["\"", "{", "[", ":", ",", "null"]);
    target(name, make, |bytes| {
        std::fs::write(dir.path().join(file), bytes).unwrap();
        read(dir.path());
    });
}

#[test]
fn configurations() {
    let read = |dir: &Path| {
        if ModelConfig::load(dir).is_ok() {
            let _ = load_model(dir, &LoadOptions::default(), &device());
        }
    };
    json_file("config", "config.json", &folder("a"), &["model.safetensors"], read);
    json_file("config_moe", "config.json", &folder("moe"), &[], |dir| {
        let _ = ModelConfig::load(dir).map(|config| config.parameter_count());
    });
    json_file("generation", "generation_config.json", &folder("a"), &[], |dir| {
        let _ = GenerationConfig::load(dir);
    });
}

#[test]
fn headers_of_weights() {
    let adapter = std::fs::read(folder("a").join("adapter/adapter_model.safetensors")).unwrap();
    let length = u64::from_le_bytes(adapter[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&adapter[8..8 + length]).unwrap();
    let text = header.to_string();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let make = |mutator: &mut Mutator| {
        let header = changed(mutator, &header, &text, &["F64", "U8", "[0]"]);
        let wrong = mutator.below(8) == 0;
        let length = header.len() as u64 + if wrong { mutator.below(1 << 20) as u64 } else { 0 };
        let values = if mutator.below(4) == 0 {
            mutator.below(100)
        } else {
            adapter.len() - 8
        };
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(&adapter[8..8 + values]);
        bytes
    };
    target("safetensors", make, |bytes| {
        std::fs::write(&path, bytes).unwrap();
        if let Ok(files) = TensorFiles::open(dir.path()) {
            for name in files.names() {
                let _ = files.get(name);
            }
        }
    });
}

#[test]
fn adapters() {
    let mut model = model("a");
    let from = folder("a").join("adapter");
    let file = "adapter_config.json";
    let mut value = json_of(&from.join(file));
    for (key, more) in [
        ("exclude_modules", json!(["lm_head", ".*visual.*"])),
        ("rank_pattern", json!({"q_proj": 4})),
        ("alpha_pattern", json!({"layers.0.*": 8})),
        ("layers_to_transform", json!([0, 1])),
        ("layers_pattern", json!("layers")),
    ] {
        value[key] = more;
    }
    let text = value.to_string();
    let dir = tempfile::tempdir().unwrap();
    let tensors = "adapter_model.safetensors";
    std::fs::copy(from.join(tensors), dir.path().join(tensors)).unwrap();
    let words = ["(", ")*", "+", "[a-z]", "\\\\1", "(?=", "{1,9999}", ".*", "|"];
    target(
        "adapter",
        |mutator| changed(mutator, &value, &text, &words),
        |bytes| {
            std::fs::write(dir.path().join(file), bytes).unwrap();
            let _ = load_adapter(&mut model, dir.path());
        },
    );
}

#[test]
fn tokenizers() {
    let read = |dir: &Path| {
        if let Ok(tokenizer) = Tokenizer::load(dir) {
            let text = "Open <tool_call> the e\u{301} settings\n\n12<|im_end|>";
            let ids = tokenizer.encode(text).unwrap_or_default();
            let _ = tokenizer.decode(&ids);
            let _ = tokenizer.guard(&[text]);
        }
    };
    json_file(
        "tokenizer",
        "tokenizer.json",
        &folder("a"),
        &["tokenizer_config.json"],
        read,
    );
    json_file(
        "tokenizer_config",
        "tokenizer_config.json",
        &folder("a"),
        &["tokenizer.json"],
        |dir| {
            read(dir);
            let _ = ChatTemplate::load(dir);
        },
    );
}

#[test]
fn processors() {
    json_file("processor", "preprocessor_config.json", &folder("a"), &[], |dir| {
        let _ = VideoProcessorConfig::load(dir);
        // What a budget of pixels asks for is made, so a small one.
        if let Ok(config) = ImageProcessorConfig::load(dir)
            && config.size.shortest_edge < 1 << 20
        {
            let _ = config.process(&std::fs::read(folder("a").join("images/gray.png")).unwrap());
        }
    });
}

#[test]
fn templates() {
    let cases = json_of(&fixtures().join("templates.json"));
    let cases = cases["cases"].as_array().unwrap();
    let own = std::fs::read_to_string(folder("a").join("chat_template.jinja")).unwrap();
    let words = [
        "{{ ",
        " }}",
        "{% for x in ",
        "range(99999)",
        "{% endfor %}",
        "{% if ",
        "{% set x = ",
        " %}",
        "x + x",
        " ~ ",
        "* 999",
        "|join",
        "|tojson",
        "[::-1]",
        "[1:]",
        ".split('')",
        "messages",
        "loop",
        "'",
        "(",
        "[",
        "{#",
        "-%}",
        "namespace(a=1)",
        "**",
        "// 0",
        "% 0",
    ];
    let make = |mutator: &mut Mutator| {
        let source = match mutator.below(4) {
            0 => own.as_str(),
            _ => cases[mutator.below(cases.len())]["template"]
                .as_str()
                .unwrap_or_default(),
        };
        mutator.bytes(source.as_bytes(), &words)
    };
    let messages = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": [{"type": "image"}, {"type": "text",
        "text": "hello"}]}, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}]);
    target("template", make, |bytes| {
        if let Ok(template) = ChatTemplate::new(&String::from_utf8_lossy(bytes)) {
            let _ = template.render(&messages, Some(&json!([{"type": "function"}])), &Map::new());
        }
    });
}

#[test]
fn pictures() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(fixtures().join("pictures"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end != "json"))
        .collect();
    files.sort();
    let files: Vec<Vec<u8>> = files.into_iter().map(|path| std::fs::read(path).unwrap()).collect();
    let make = |mutator: &mut Mutator| {
        let file = &files[mutator.below(files.len())];
        mutator.bytes(file, &["IHDR", "IEND", "\u{0}\u{0}\u{7f}"])
    };
    target("picture", make, |bytes| {
        let _ = image_size(bytes);
        let _ = decode_rgb(bytes);
    });
}

#[test]
fn conversations() {
    let value = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]},
        {"role": "assistant", "content": "x", "tool_calls": [{"function": {"name": "f", "arguments": {"a": [1, 2.5, null]}}}]}],
        "tools": [{"type": "function", "function": {"name": "f"}}]});
    let text = value.to_string();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("messages.json");
    target(
        "conversation",
        |mutator| changed(mutator, &value, &text, &["\\u0000", "1e999", "[["]),
        |bytes| {
            std::fs::write(&path, bytes).unwrap();
            let _ = Conversation::read(&path);
        },
    );
}
