//! `trainer merge`: the weights that PEFT merges, in a folder that loads again, and nothing half-written.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::*;
use cua_grpo_model::checkpoint::TensorFiles;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::path::Path;

fn adapter(set: &str) -> String {
    fixture(set).join("adapter").display().to_string()
}

fn merge_into(folder: &Path, set: &str, out: &str, more: &[&str]) -> std::process::Output {
    let (model, adapter) = (fixture(set).display().to_string(), adapter(set));
    let arguments = ["merge", "--model", &model, "--adapter", &adapter, "--out", out];
    trainer(folder, &[&arguments[..], more].concat())
}

/// Shape and values of every tensor of a folder, and of the fixture that it was made from.
fn tensors(folder: &Path) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let files = TensorFiles::open(folder).unwrap();
    let mut names: Vec<String> = files.names().map(str::to_owned).collect();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let (shape, values) = files.get(&name).unwrap().unwrap();
            (name, shape, values)
        })
        .collect()
}

#[test]
fn weights_are_those_that_peft_merges_and_nothing_else_changes() {
    for set in SETS {
        let folder = tempfile::tempdir().unwrap();
        let output = merge_into(folder.path(), set, "merged", &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let out = folder.path().join("merged");
        let bytes = std::fs::read(fixture(set).join("golden/lora_merged.safetensors")).unwrap();
        let golden = SafeTensors::deserialize(&bytes).unwrap();
        let modules: Vec<String> = serde_json::from_value(common::golden(set, "lora.json")["modules"].clone()).unwrap();
        let (before, after) = (tensors(&fixture(set)), tensors(&out));
        let names = |all: &[(String, Vec<usize>, Vec<f32>)]| -> Vec<_> {
            all.iter()
                .map(|(name, shape, _)| (name.clone(), shape.clone()))
                .collect()
        };
        assert_eq!(names(&before), names(&after), "{set}: names and shapes");
        let (mut changed, mut compared) = (0, 0);
        for ((name, _, old), (_, _, new)) in before.iter().zip(&after) {
            let adapted = modules.iter().any(|module| *name == format!("{module}.weight"));
            assert_eq!(old != new, adapted, "{set}: {name}");
            changed += usize::from(adapted);
            if let Ok(want) = golden.tensor(name) {
                let want = want
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes(b.try_into().unwrap()));
                let worst = new.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst <= 1e-5, "{set}: {name}: {worst}");
                compared += 1;
            }
        }
        assert_eq!((changed, compared), (modules.len(), golden.len()), "{set}");
        // Every other file is the base's.
        for name in [
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.jinja",
            "preprocessor_config.json",
            "generation_config.json",
        ] {
            assert_eq!(
                std::fs::read(fixture(set).join(name)).unwrap(),
                std::fs::read(out.join(name)).unwrap(),
                "{name}"
            );
        }
        assert_eq!(
            read_json(&fixture(set).join("config.json")),
            read_json(&out.join("config.json")),
            "{set}"
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "{set}: only the folder"
        );
    }
}

#[test]
fn the_merged_model_scores_as_the_adapted_one() {
    let folder = tempfile::tempdir().unwrap();
    let messages = json!({"messages": [
        {"role": "user", "content": "Open the settings."},
        {"role": "assistant", "content": "Tap the gear."}
    ]});
    std::fs::write(folder.path().join("in.json"), messages.to_string()).unwrap();
    for (set, tolerance) in [("a", 1e-4), ("b", 5e-4)] {
        assert!(merge_into(folder.path(), set, set, &[]).status.success());
        let score = |model: &str, adapter: &[&str], out: &str| -> Vec<f64> {
            let arguments = ["score", "--model", model, "--messages", "in.json", "--out", out];
            succeed(folder.path(), &[&arguments[..], adapter].concat());
            let scores = read_json(&folder.path().join(out));
            scores["logprobs"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_f64)
                .collect()
        };
        let base = fixture(set).display().to_string();
        let adapted = score(&base, &["--adapter", &adapter(set)], "adapted.json");
        let merged = score(set, &[], "merged.json");
        let plain = score(&base, &[], "plain.json");
        let worst = |other: &[f64]| {
            adapted
                .iter()
                .zip(other)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max)
        };
        assert!(
            adapted.len() > 10 && worst(&merged) < tolerance,
            "{set}: {}",
            worst(&merged)
        );
        assert!(worst(&plain) > 0.1, "{set}: the adapter does something");
    }
}

#[test]
fn bf16_rounds_once_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        merge_into(folder.path(), "a", "f32", &["--dtype", "f32"])
            .status
            .success()
    );
    assert!(
        merge_into(folder.path(), "a", "bf16", &["--dtype", "bf16"])
            .status
            .success()
    );
    let (wide, narrow) = (
        tensors(&folder.path().join("f32")),
        tensors(&folder.path().join("bf16")),
    );
    for ((name, _, wide), (_, _, narrow)) in wide.iter().zip(&narrow) {
        // To nearest, ties to even, of the upper half of the bits.
        let rounded = wide.iter().map(|value| {
            let bits = value.to_bits();
            f32::from_bits((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff_0000)
        });
        assert!(rounded.eq(narrow.iter().copied()), "{name}");
    }
    let config = read_json(&folder.path().join("bf16/config.json"));
    let named: Vec<&Value> = ["dtype", "torch_dtype"]
        .iter()
        .flat_map(|key| [&config[key], &config["text_config"][key], &config["vision_config"][key]])
        .filter(|value| !value.is_null())
        .collect();
    assert!(
        !named.is_empty() && named.iter().all(|value| **value == json!("bfloat16")),
        "{config}"
    );
}

#[test]
fn what_cannot_be_merged_exits_with_2_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("mine.txt"), "keep").unwrap();
    let (a, b) = (fixture("a").display().to_string(), fixture("b").display().to_string());
    let (adapter_a, none) = (adapter("a"), "none".to_owned());
    let table: [(&String, &String, &str, &[&str]); 5] = [
        (&a, &adapter_a, "full", &["--out full", "found one with files"]),
        (&a, &adapter_a, "no/such/place", &["--out", "no/such", "make it first"]),
        (&a, &none, "new", &["--adapter none", "adapter_config.json"]),
        (&none, &adapter_a, "new", &["--model none", "starter"]),
        (
            &b,
            &adapter_a,
            "new",
            &["--adapter", "expected shape [4, 48], found [4, 64]"],
        ),
    ];
    for (model, adapter, out, words) in table {
        let output = trainer(
            folder.path(),
            &["merge", "--model", model, "--adapter", adapter, "--out", out],
        );
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{words:?} in: {text}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left, std::slice::from_ref(&full));
    assert_eq!(std::fs::read_dir(full).unwrap().count(), 1);
    // An empty folder is as good as none.
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    assert!(merge_into(folder.path(), "a", "empty", &[]).status.success());
    assert!(folder.path().join("empty/model.safetensors").exists());
}

/// A head that was stored beside the embedding of a tied model is kept, and the merged folder says that it counts.
#[test]
fn a_stored_head_survives_merging() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    std::fs::create_dir(&base).unwrap();
    for entry in std::fs::read_dir(fixture("b")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::write(base.join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
    let embedding = TensorFiles::open(&base)
        .unwrap()
        .get("model.language_model.embed_tokens.weight")
        .unwrap();
    let (shape, values) = embedding.unwrap();
    let head: Vec<f32> = values.iter().map(|value| value * 0.5 + 0.25).collect();
    let bytes: Vec<u8> = head.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), &bytes).unwrap();
    let file = safetensors::serialize([("lm_head.weight", view)], None).unwrap();
    std::fs::write(base.join("model-head.safetensors"), file).unwrap();
    let path = base.join("model.safetensors.index.json");
    let mut index: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    index["weight_map"]["lm_head.weight"] = json!("model-head.safetensors");
    std::fs::write(&path, index.to_string()).unwrap();

    let (base, adapter) = (base.display().to_string(), adapter("b"));
    let output = trainer(
        folder.path(),
        &["merge", "--model", &base, "--adapter", &adapter, "--out", "merged"],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("tie_word_embeddings is true, but lm_head.weight differs"),
        "{said}"
    );
    let out = folder.path().join("merged");
    let merged = TensorFiles::open(&out).unwrap().get("lm_head.weight").unwrap();
    assert_eq!(merged, Some((shape, head)));
    let config = read_json(&out.join("config.json"));
    assert_eq!(config["tie_word_embeddings"], false);
    assert_eq!(config["text_config"]["tie_word_embeddings"], false);
}
