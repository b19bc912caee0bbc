//! Keys of `config.json`: what is not neutral gives what transformers computes (`fixtures/keys/make.py`), or an error or a
//! warning that names it.
//!
//! Mutations tried: cosines and sines without the factor of attention, the ramp of YaRN between other ends, the new layout
//! before the old one, biases read and not added, every activation taken for silu: each fails a test here.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::edited::{Tensors, changed};
use common::*;
use cua_grpo_model::checkpoint::{LoadOptions, SaveOptions, load_model, save_model};
use cua_grpo_model::lora::load_adapter;
use cua_grpo_model::score::score_rows;
use cua_grpo_model::{ModelConfig, Qwen3Vl, Trainable};
use safetensors::Dtype;
use serde_json::{Value, json};

/// What make.py wrote.
fn golden() -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder("keys").join("golden.json")).unwrap()).unwrap()
}

/// As `merge` of make.py: maps are merged, the text `REMOVED` removes a key.
fn merge(into: &mut Value, changes: &Value) {
    for (key, value) in changes.as_object().unwrap() {
        if value.is_object() && into[key].is_object() {
            merge(&mut into[key], value);
        } else if value == "REMOVED" {
            into.as_object_mut().unwrap().remove(key);
        } else {
            into[key] = value.clone();
        }
    }
}

/// The biases of make.py.
fn add_biases(tensors: &mut Tensors) {
    let names: Vec<String> = tensors
        .keys()
        .filter(|name| name.contains(".self_attn.") && name.ends_with("_proj.weight"))
        .cloned()
        .collect();
    for name in names {
        let parts: Vec<&str> = name.split('.').collect();
        let layer: usize = parts[3].parse().unwrap();
        let kind = "qkvo".find(&parts[5][..1]).unwrap();
        let rows = tensors[&name].1[0];
        let values = (0..rows).map(|i| (((i * 37 + layer * 11 + kind * 5) % 19) as f32 - 9.0) / 20.0);
        let bytes = values.flat_map(f32::to_le_bytes).collect();
        tensors.insert(name.replace(".weight", ".bias"), (Dtype::F32, vec![rows], bytes));
    }
}

/// Fixture a with its configuration changed, and biases where it asks for them.
fn edited(changes: &Value) -> tempfile::TempDir {
    changed(&folder("a"), |tensors, config| {
        merge(config, changes);
        if config["text_config"]["attention_bias"] == true {
            add_biases(tensors);
        }
    })
}

fn load(dir: &tempfile::TempDir) -> Qwen3Vl {
    load_model(dir.path(), &LoadOptions::default(), &device()).unwrap()
}

/// Log-probs of the tokens of a case, from the second on.
fn token_scores(model: &Qwen3Vl, case: &str) -> Vec<f32> {
    let row = row("a", case);
    let logits = logits(model, std::slice::from_ref(&row)).remove(0);
    let scores = row.tokens.iter().skip(1).zip(&logits).map(|(&token, logits)| {
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit - top).exp()).sum();
        (f64::from(logits[token as usize] - top) - sum.ln()) as f32
    });
    scores.collect()
}

#[test]
fn values_are_those_of_transformers() {
    let plain = ["text_only", "one_image"].map(|case| token_scores(&model("a"), case));
    for (name, golden) in golden()["config"].as_object().unwrap() {
        let dir = edited(&golden["changes"]);
        let model = load(&dir);
        let mut moved = 0.0f32;
        for (case, plain) in ["text_only", "one_image"].into_iter().zip(&plain) {
            let want: Vec<f32> = serde_json::from_value(golden[case].clone()).unwrap();
            let got = token_scores(&model, case);
            close(&got, &want, 3e-4, &format!("{name}, {case}"));
            moved = moved.max(worst(&got, plain));
        }
        // The key counts: a loader that passes it over gives the plain values. Some activations are one, or nearly.
        let same = ["dynamic within", "keys without effect", "text swish"].contains(&name.as_str());
        assert_eq!(moved < 1e-5, same, "{name} moves log-probs by {moved}");
    }
}

#[test]
fn a_model_that_is_saved_says_what_it_computes() {
    for (name, golden) in golden()["config"].as_object().unwrap() {
        let model = load(&edited(&golden["changes"]));
        let want = token_scores(&model, "one_image");
        let dir = tempfile::tempdir().unwrap();
        save_model(&model, dir.path(), &SaveOptions::default(), 480, 482).unwrap();
        assert_eq!(token_scores(&load(&dir), "one_image"), want, "{name}");
    }
}

/// Gradients of the paths that only other keys reach, against differences of the loss.
#[test]
fn gradients_follow_keys_that_are_not_neutral() {
    let golden = golden();
    for name in [
        "yarn",
        "attention_bias",
        "text relu2",
        "text mish",
        "text laplace",
        "vision relu2",
    ] {
        let mut model = load(&edited(&golden["config"][name]["changes"]));
        load_adapter(&mut model, &folder("a").join("adapter")).unwrap();
        let row = completion_row("a", "one_image");
        let loss = |model: &Qwen3Vl| {
            let scores = score_rows(model, &images("a"), &[&row], 1.0).unwrap();
            scores.logprobs.sum()
        };
        let mut leaf = model.trainable(Trainable::Adapter);
        let grads = loss(&leaf).backward();
        let mut checked = 0;
        let mut wanted = Vec::new();
        leaf.visit_trainable_mut(Trainable::Adapter, &mut |path, slot| {
            if let cua_grpo_model::nn::ParamMut::Matrix(tensor) = slot {
                wanted.push((path.to_owned(), tensor.grad(&grads).map(|grad| values(grad.inner())[0])));
            }
        });
        for (path, grad) in wanted.iter().step_by(5) {
            let grad = grad.unwrap();
            let step = 2e-2;
            let shifted = |by: f32| {
                let mut moved = model.clone();
                moved.visit_trainable_mut(Trainable::Adapter, &mut |other, slot| {
                    if let cua_grpo_model::nn::ParamMut::Matrix(tensor) = slot
                        && other == path
                    {
                        let mut data = values(tensor.clone());
                        data[0] += by;
                        let shape = tensor.dims();
                        *tensor =
                            burn::tensor::Tensor::from_data(burn::tensor::TensorData::new(data, shape), &device());
                    }
                });
                f64::from(values(loss(&moved))[0])
            };
            let slope = ((shifted(step) - shifted(-step)) / f64::from(2.0 * step)) as f32;
            assert!(
                (grad - slope).abs() < 0.02 + 0.05 * slope.abs(),
                "{name}: {path}: {grad}, by differences {slope}"
            );
            checked += 1;
        }
        assert!(checked > 3, "{name}");
    }
}

fn read(changes: &Value) -> Result<Vec<String>, String> {
    let path = folder("a").join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    merge(&mut config, changes);
    ModelConfig::read(&config).map(|(_, warnings)| warnings)
}

#[test]
fn what_is_not_computed_is_refused_by_name() {
    let text = |value: Value| json!({"text_config": value});
    let vision = |value: Value| json!({"vision_config": value});
    let rope = |value: Value| json!({"text_config": {"rope_scaling": value}});
    for (changes, named) in [
        (rope(json!({"rope_type": "mrope"})), "rope_type"),
        (rope(json!({"rope_type": "ntk"})), "rope_type"),
        (rope(json!({"rope_type": "yarn"})), "factor"),
        (rope(json!({"rope_type": "linear", "factor": 0})), "factor"),
        (rope(json!({"rope_type": "linear", "factor": "2"})), "factor"),
        (
            rope(json!({"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0]})),
            "short_factor",
        ),
        (
            rope(json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 1.0})),
            "high_freq_factor",
        ),
        (rope(json!({"mrope_interleaved": false})), "mrope_interleaved"),
        (rope(json!({"partial_rotary_factor": 0.5})), "partial_rotary_factor"),
        (text(json!({"partial_rotary_factor": 0.25})), "partial_rotary_factor"),
        (text(json!({"hidden_act": "prelu"})), "text_config.hidden_act"),
        (text(json!({"hidden_act": "xielu"})), "text_config.hidden_act"),
        (text(json!({"hidden_act": "gelu_"})), "text_config.hidden_act"),
        (text(json!({"hidden_act": 3})), "text_config.hidden_act"),
        (text(json!({"hidden_act": null})), "text_config.hidden_act"),
        (vision(json!({"hidden_act": null})), "vision_config.hidden_act"),
        (
            json!({"tie_word_embeddings": null}),
            "tie_word_embeddings: expected true or false, found null",
        ),
        (
            text(json!({"tie_word_embeddings": "no"})),
            "text_config.tie_word_embeddings: expected true or false",
        ),
        (text(json!({"attention_bias": "yes"})), "attention_bias"),
        (text(json!({"mlp_bias": true})), "mlp_bias"),
        (text(json!({"is_causal": false})), "text_config.is_causal"),
        (text(json!({"sliding_window": 4096})), "sliding_window"),
        (
            text(json!({"sliding_window": 4096, "use_sliding_window": true})),
            "use_sliding_window",
        ),
        (
            text(json!({"layer_types": ["full_attention", "sliding_attention"]})),
            "layer_types",
        ),
        (text(json!({"num_experts": 8})), "num_experts"),
        (text(json!({"attn_logit_softcapping": 50.0})), "attn_logit_softcapping"),
        (text(json!({"residual_multiplier": 0.2})), "residual_multiplier"),
        (json!({"per_layer_config": {"0": {}}}), "per_layer_config"),
        (json!({"is_encoder_decoder": true}), "is_encoder_decoder"),
        (
            json!({"transformers_weights": "other.safetensors"}),
            "transformers_weights",
        ),
        (vision(json!({"hidden_act": "prelu"})), "vision_config.hidden_act"),
        (
            vision(json!({"rope_parameters": {"rope_type": "yarn"}})),
            "vision_config.rope_parameters.rope_type",
        ),
        (vision(json!({"rope_parameters": {"factor": 2.0}})), "factor"),
        (vision(json!({"num_hidden_layers": 9})), "num_hidden_layers"),
        (vision(json!({"head_dim": 13})), "head_dim"),
        (vision(json!({"patch_size": [16, 14]})), "patch_size"),
        (vision(json!({"window_size": 112})), "window_size"),
        (vision(json!({"fullatt_block_indexes": [7]})), "fullatt_block_indexes"),
        (
            vision(json!({"deepstack_visual_indexes": [2, 1]})),
            "deepstack_visual_indexes",
        ),
        (
            vision(json!({"deepstack_visual_indexes": [1, 1]})),
            "deepstack_visual_indexes",
        ),
        (vision(json!({"layer_norm_eps": 1e-5})), "layer_norm_eps"),
    ] {
        match read(&changes) {
            Err(error) => assert!(error.contains(named), "{changes}: {error}"),
            Ok(warnings) => panic!("{changes} is accepted, with {warnings:?}"),
        }
    }
}

#[test]
fn keys_without_effect_are_warned_about_and_neutral_ones_are_not() {
    for set in SETS {
        for file in ["config.json", "config.v5.json"] {
            let config: Value =
                serde_json::from_str(&std::fs::read_to_string(folder(set).join(file)).unwrap()).unwrap();
            assert_eq!(
                ModelConfig::read(&config).unwrap().1,
                Vec::<String>::new(),
                "{set} {file}"
            );
        }
    }
    let config: Value =
        serde_json::from_str(&std::fs::read_to_string(folder("moe").join("config.json")).unwrap()).unwrap();
    assert_eq!(ModelConfig::read(&config).unwrap().1, Vec::<String>::new());
    for (changes, named) in [
        (
            json!({"text_config": {"attention_dropout": 0.1}}),
            "text_config.attention_dropout 0.1",
        ),
        (
            json!({"text_config": {"rms_norm_epsilon": 1e-5}}),
            "text_config.rms_norm_epsilon",
        ),
        (
            json!({"text_config": {"temperature": 0.5}}),
            "text_config.temperature 0.5",
        ),
        (
            json!({"text_config": {"rope_scaling": {"beta_fast": 16}}}),
            "text_config.rope_scaling.beta_fast 16",
        ),
        (
            json!({"vision_config": {"tokens_per_second": 2}}),
            "vision_config.tokens_per_second 2",
        ),
        (
            json!({"tie_word_embeddings": true, "text_config": {"tie_word_embeddings": false}}),
            "text_config.tie_word_embeddings false is not applied: tie_word_embeddings true",
        ),
        (
            json!({"quantization_config": {"load_in_4bit": true}, "text_config": {"quantization_config": {"bits": 4}}}),
            "text_config.quantization_config is not applied",
        ),
        (
            json!({"vision_config": {"quantization_config": {"bits": 4}}}),
            "vision_config.quantization_config {\"bits\":4} is not applied",
        ),
        (json!({"frobnicate": [1, 2]}), "frobnicate [1,2]"),
        (json!({"auto_map": {"AutoModel": "m.M"}}), "auto_map"),
    ] {
        let warnings = read(&changes).unwrap();
        assert!(
            warnings.len() == 1 && warnings[0].contains(named),
            "{changes}: {warnings:?}"
        );
    }
    // What old versions wrote by default says nothing.
    let defaults = json!({"text_config": {"temperature": 1.0, "top_k": 50, "repetition_penalty": 1.0, "num_beams": 1,
        "bad_words_ids": null, "max_length": 20, "do_sample": false, "chunk_size_feed_forward": 0}});
    assert_eq!(read(&defaults).unwrap(), Vec::<String>::new());
}

/// Every key that transformers' classes have or write is known: the list is that of 5.24.
#[test]
fn every_key_of_transformers_is_known() {
    let listed = std::fs::read_to_string(folder("keys").join("config_keys.txt")).unwrap();
    for line in listed.lines() {
        let [kind, place, key] = line.split_whitespace().collect::<Vec<_>>().try_into().unwrap();
        let set = if kind == "qwen3_vl" { "a" } else { "moe" };
        let path = folder(set).join("config.json");
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        if key == "model_type" && place == "top" || key == "text_config" || key == "vision_config" {
            continue;
        }
        let part = if place == "top" {
            &mut config
        } else {
            &mut config[place]
        };
        // A value that no key has: one that is read says so, and one that is not known is a warning.
        part[key] = json!(-12.5);
        if let Ok((_, warnings)) = ModelConfig::read(&config) {
            assert!(
                !warnings.iter().any(|warning| warning.contains("no such key")),
                "{line}: {warnings:?}"
            );
        }
    }
}
