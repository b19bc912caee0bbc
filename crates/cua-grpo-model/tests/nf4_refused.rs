//! Quantised checkpoints that are not understood or damaged: each is refused by name.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::edited::{Tensors, changed, tensors};
use common::*;
use cua_grpo_model::checkpoint::{LoadOptions, Nf4Options, WeightDtype, load_model};
use std::path::{Path, PathBuf};

fn checkpoint(name: &str) -> PathBuf {
    folder("nf4").join(name)
}

fn error(dir: &Path) -> String {
    let error = load_model(dir, &LoadOptions::default(), &device()).unwrap_err();
    error.to_string()
}

#[test]
fn other_quantisations_are_refused() {
    let fp4 = tensors(&checkpoint("fp4").join("model.safetensors"));
    let dir = changed(&folder("a"), |tensors, _| tensors.extend(fp4));
    let message = error(dir.path());
    assert!(
        message.contains("merger.linear_fc1.weight") && message.contains("expected quant_type nf4, found fp4"),
        "{message}"
    );
    for (config, found) in [
        (
            serde_json::json!({"quant_method": "bitsandbytes", "load_in_8bit": true}),
            "found load_in_8bit",
        ),
        (
            serde_json::json!({"quant_method": "gptq", "bits": 4}),
            "found quant_method \"gptq\"",
        ),
        (
            serde_json::json!({"load_in_4bit": true, "bnb_4bit_quant_type": "fp4"}),
            "found bnb_4bit_quant_type \"fp4\"",
        ),
    ] {
        // At the top of the file, and in `text_config` where the top says nothing.
        for (part, named) in [(None, ""), (Some("text_config"), "text_config.")] {
            let dir = changed(&folder("a"), |_, json| {
                let place = match part {
                    None => json,
                    Some(part) => {
                        json["quantization_config"] = serde_json::json!({});
                        &mut json[part]
                    }
                };
                place["quantization_config"] = config.clone();
            });
            let message = error(dir.path());
            let expected = format!("config.json: {named}quantization_config: ");
            assert!(message.contains(&expected) && message.contains(found), "{message}");
        }
    }
}

#[test]
fn damaged_weights_are_named() {
    let name = "model.visual.blocks.0.mlp.linear_fc1.weight";
    type Change = fn(&mut Tensors, &str);
    let cases: [(Change, &str); 6] = [
        (
            |tensors, name| drop(tensors.remove(&format!("{name}.absmax"))),
            ".absmax: found no such tensor",
        ),
        (
            |tensors, name| {
                let (_, shape, data) = tensors.get_mut(name).unwrap();
                data.pop();
                shape[0] -= 1;
            },
            "bytes of codes, got",
        ),
        (
            |tensors, name| {
                let (_, shape, data) = tensors.get_mut(&format!("{name}.nested_absmax")).unwrap();
                data.extend([0; 4]);
                shape[0] += 1;
            },
            "in nested_absmax, found 256 and 2",
        ),
        (
            |tensors, name| tensors.get_mut(&format!("{name}.quant_map")).unwrap().2[3] = 0,
            "expected the values of NF4 in quant_map",
        ),
        (
            |tensors, name| edit_state(tensors, name, "\"blocksize\": 64", "\"blocksize\": 32"),
            "expected a blocksize that 64 divides, found 32",
        ),
        (
            |tensors, name| edit_state(tensors, name, "\"shape\": [", "\"shape\": [1"),
            "expected shape",
        ),
    ];
    for (change, message) in cases {
        let dir = changed(&checkpoint("double"), |tensors, _| change(tensors, name));
        let got = error(dir.path());
        assert!(
            got.contains(name) && got.contains(message),
            "{got}, expected: {message}"
        );
    }
    let dir = changed(&folder("a"), |tensors, _| {
        let (_, _, data) = tensors.get_mut(name).unwrap();
        data[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    });
    let options = LoadOptions::quantised(WeightDtype::F32, Nf4Options::default());
    let got = load_model(dir.path(), &options, &device()).unwrap_err().to_string();
    assert!(got.contains(name) && got.contains("element 0 is not"), "{got}");
}

fn edit_state(tensors: &mut Tensors, name: &str, from: &str, to: &str) {
    let key = format!("{name}.quant_state.bitsandbytes__nf4");
    let (_, shape, data) = tensors.get_mut(&key).unwrap();
    *data = String::from_utf8(data.clone()).unwrap().replace(from, to).into_bytes();
    shape[0] = data.len();
}
