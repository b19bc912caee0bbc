//! Files of Qwen3.5: configuration, weights under their released names, tokenizer, chat template, conversations that grow.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use burn::tensor::DType;
use common::edited::{changed, tensors};
use common::logged::warnings;
use common::*;
use cua_grpo_core::{Message, Role, TokenId};
use cua_grpo_model::checkpoint::{LoadOptions, Nf4Options, SaveOptions, WeightDtype, load_model, save_model};
use cua_grpo_model::nn::Param;
use cua_grpo_model::processor::{ChatRenderer, ChatTemplate, Tokenizer};
use cua_grpo_model::{ModelConfig, Qwen3Vl};
use serde_json::{Value, json};
use std::path::Path;

const SET: &str = "qwen35";

fn load(dir: &Path) -> Qwen3Vl {
    load_model(dir, &LoadOptions::default(), &device()).unwrap()
}

fn config_json() -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder(SET).join("config.json")).unwrap()).unwrap()
}

#[test]
fn both_layouts_give_one_configuration_and_it_is_written_as_it_is_read() {
    let (config, told) = ModelConfig::read(&config_json()).unwrap();
    assert_eq!(told, Vec::<String>::new());
    let newer = std::fs::read_to_string(folder(SET).join("config.v5.json")).unwrap();
    let (newer, told) = ModelConfig::read(&serde_json::from_str(&newer).unwrap()).unwrap();
    assert_eq!((&newer, told), (&config, Vec::new()));
    let (again, told) = ModelConfig::read(&config.to_json(480, 482)).unwrap();
    assert_eq!((again, told), (config.clone(), Vec::new()));
    let hybrid = config.text.hybrid.unwrap();
    assert_eq!(hybrid.full_attention, [false, false, false, true]);
    assert_eq!((hybrid.rotary_dim, hybrid.channels(), hybrid.conv_kernel), (8, 112, 4));
}

#[test]
fn keys_are_obeyed_or_refused() {
    let with = |key: &str, value: Value| {
        let mut config = config_json();
        config["text_config"][key] = value;
        ModelConfig::read(&config)
    };
    // Without a list of layers every fourth has attention, or as the file says.
    let full = |key: &str, value: Value| {
        let mut config = config_json();
        config["text_config"].as_object_mut().unwrap().remove("layer_types");
        config["text_config"][key] = value;
        ModelConfig::from_json(&config)
            .unwrap()
            .text
            .hybrid
            .unwrap()
            .full_attention
    };
    assert_eq!(
        full("full_attention_interval", Value::Null),
        [false, false, false, true]
    );
    assert_eq!(full("full_attention_interval", json!(2)), [false, true, false, true]);
    // The part that is turned may stand beside the map, and is a quarter where it stands nowhere.
    let mut config = config_json();
    config["text_config"]["rope_parameters"]
        .as_object_mut()
        .unwrap()
        .remove("partial_rotary_factor");
    let of = |config: &Value| ModelConfig::from_json(config).unwrap().text.rotary_dim();
    assert_eq!(of(&config), 8);
    config["text_config"]["partial_rotary_factor"] = json!(0.5);
    assert_eq!(of(&config), 16);
    for (key, value, words) in [
        (
            "layer_types",
            json!(["linear_attention"]),
            "layer_types: expected a list of 4 names",
        ),
        (
            "layer_types",
            json!(["full_attention", "sliding", "full_attention", "x"]),
            "found \"sliding\"",
        ),
        (
            "linear_num_value_heads",
            json!(3),
            "linear_num_value_heads 3 is not a multiple",
        ),
        (
            "linear_conv_kernel_dim",
            json!(1),
            "linear_conv_kernel_dim: expected 2 to 64",
        ),
        (
            "linear_key_head_dim",
            json!(1 << 20),
            "linear_key_head_dim: expected 1 to 4096",
        ),
        ("attn_output_gate", json!(false), "attn_output_gate: expected true"),
        ("num_experts", json!(8), "is it qwen3_5_moe?"),
        ("mlp_only_layers", json!([1]), "mlp_only_layers: expected an empty list"),
        ("partial_rotary_factor", Value::Null, ""),
    ] {
        match with(key, value) {
            Ok(_) => assert!(words.is_empty(), "{key}"),
            Err(error) => assert!(!words.is_empty() && error.contains(words), "{key}: {error}"),
        }
    }
    let mut odd = config_json();
    odd["text_config"]["rope_parameters"]["partial_rotary_factor"] = json!(0.1);
    assert!(
        ModelConfig::from_json(&odd)
            .unwrap_err()
            .contains("partial_rotary_factor: expected a part of head_dim 32")
    );
    let mut odd = config_json();
    odd["text_config"]["rope_parameters"]["mrope_section"] = json!([1, 1, 5]);
    assert!(
        ModelConfig::from_json(&odd)
            .unwrap_err()
            .contains("mrope_section: expected at most 4 each")
    );
    let mut odd = config_json();
    odd["vision_config"]["deepstack_visual_indexes"] = json!([0]);
    assert!(
        ModelConfig::from_json(&odd)
            .unwrap_err()
            .contains("deepstack_visual_indexes: expected an empty list")
    );
    odd["vision_config"]
        .as_object_mut()
        .unwrap()
        .remove("deepstack_visual_indexes");
    ModelConfig::from_json(&odd).unwrap();
    let mut other = config_json();
    other["model_type"] = json!("qwen3_next");
    assert!(
        ModelConfig::from_json(&other)
            .unwrap_err()
            .contains("\"qwen3_5\" or \"qwen3_5_moe\", found \"qwen3_next\"")
    );
}

#[test]
fn the_head_that_guesses_ahead_is_left_out_with_one_line() {
    let (_, told) = warnings(|| load(&folder(SET)));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("5 tensors of mtp"), "{told:?}");
    let dir = changed(&folder(SET), |all, _| all.retain(|name, _| !name.starts_with("mtp.")));
    assert_eq!(warnings(|| load(dir.path())).1, Vec::<String>::new());
    // A tensor of a module that is read is not passed over, and none may be missing.
    let stray = "model.language_model.layers.0.linear_attn.conv1d.bias";
    let dir = changed(&folder(SET), |all, _| {
        let bias = all["model.language_model.layers.0.linear_attn.dt_bias"].clone();
        all.insert(stray.to_owned(), bias);
    });
    let error = load_model(dir.path(), &LoadOptions::default(), &device())
        .unwrap_err()
        .to_string();
    assert!(error.contains(stray), "{error}");
    let gone = "model.language_model.layers.1.linear_attn.A_log";
    let dir = changed(&folder(SET), |all, _| drop(all.remove(gone)));
    let error = load_model(dir.path(), &LoadOptions::default(), &device())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("{gone}: expected shape [2], found no such tensor")),
        "{error}"
    );
}

#[test]
fn text_only_names_load_the_same_model() {
    let rows = [row(SET, "text_only")];
    let dir = changed(&folder(SET), |all, _| {
        let renamed = std::mem::take(all).into_iter();
        all.extend(renamed.map(|(name, tensor)| (name.replacen("model.language_model.", "model.", 1), tensor)));
    });
    assert_eq!(logits(&load(dir.path()), &rows), logits(&model(SET), &rows));
}

#[test]
fn saved_models_have_the_tensors_of_the_original() {
    let dir = tempfile::tempdir().unwrap();
    save_model(&model(SET), dir.path(), &SaveOptions::new(WeightDtype::F32), 480, 482).unwrap();
    let mut original = tensors(&folder(SET).join("model.safetensors"));
    original.retain(|name, _| !name.starts_with("mtp."));
    assert!(
        tensors(&dir.path().join("model.safetensors")) == original,
        "tensors differ"
    );
    let rows = [row(SET, "one_image")];
    assert_eq!(logits(&load(dir.path()), &rows), logits(&model(SET), &rows));
    // In bf16 all but what decides how long is remembered, as the released files are.
    save_model(&model(SET), dir.path(), &SaveOptions::new(WeightDtype::Bf16), 480, 482).unwrap();
    for (name, (dtype, ..)) in tensors(&dir.path().join("model.safetensors")) {
        let exact = name.ends_with("A_log") || name.ends_with("linear_attn.norm.weight");
        let want = if exact {
            safetensors::Dtype::F32
        } else {
            safetensors::Dtype::BF16
        };
        assert_eq!(dtype, want, "{name}");
    }
    let narrow = load_model(dir.path(), &LoadOptions::new(WeightDtype::Bf16), &device()).unwrap();
    narrow.visit(&mut |name, param| {
        let small = match param {
            Param::Vector(tensor) => tensor.dtype() == DType::F32,
            Param::Matrix(tensor) => {
                tensor.dtype() == DType::BF16 || name.contains("conv1d") || name.contains("pos_embed")
            }
        };
        assert!(small, "{name}");
    });
    assert!(logits(&narrow, &rows)[0].concat().iter().all(|value| value.is_finite()));
    let four = LoadOptions::quantised(WeightDtype::F32, Nf4Options::default());
    let four = load_model(&folder(SET), &four, &device()).unwrap();
    assert!(logits(&four, &rows)[0].concat().iter().all(|value| value.is_finite()));
}

/// Other shapes than the fixture's: more values than keys, another order of layers, a tied head, a longer convolution,
/// experts. Each is written, read, padded, packed and fed in pieces the same.
#[test]
fn other_shapes_are_legal() {
    let base = ModelConfig::load(&folder(SET)).unwrap();
    let mut heads = base.clone();
    heads.tie_word_embeddings = true;
    let hybrid = heads.text.hybrid.as_mut().unwrap();
    (hybrid.value_heads, hybrid.conv_kernel, hybrid.rotary_dim) = (6, 5, 16);
    hybrid.full_attention = vec![true, false, true, false];
    let mut mixture = base.clone();
    mixture.text.moe = Some(cua_grpo_model::MoeConfig {
        num_experts: 5,
        num_experts_per_tok: 2,
        // Square matrices of experts: their shapes do not tell how they lie.
        moe_intermediate_size: 64,
        decoder_sparse_step: 1,
        mlp_only_layers: Vec::new(),
        shared_expert_intermediate_size: Some(24),
    });
    mixture.text.intermediate_size = 64;
    let mut twice: Value = mixture.to_json(480, 482);
    twice["text_config"]["num_local_experts"] = json!(7);
    let error = ModelConfig::from_json(&twice).unwrap_err();
    assert!(
        error.contains("num_experts 5 and num_local_experts 7 differ"),
        "{error}"
    );
    for (name, config) in [("heads", heads), ("mixture", mixture)] {
        let model = Qwen3Vl::init(&config, 11, &device());
        assert_eq!(config.parameter_count().total(), model.num_params() as u64, "{name}");
        let dir = tempfile::tempdir().unwrap();
        save_model(&model, dir.path(), &SaveOptions::new(WeightDtype::F32), 480, 482).unwrap();
        let again = load(dir.path());
        assert_eq!(again.config, config, "{name}");
        let rows = BATCH.map(|case| row(SET, case));
        let padded = logits(&model, &rows);
        assert_eq!(logits(&again, &rows), padded, "{name}");
        for ((row, padded), packed) in rows.iter().zip(&padded).zip(packed_logits(&model, &rows)) {
            let alone = logits(&model, std::slice::from_ref(row)).remove(0).concat();
            close(&padded.concat(), &alone, 1e-5, &format!("{name}, padded"));
            close(&packed.concat(), &alone, 1e-4, &format!("{name}, packed"));
        }
    }
}

#[test]
fn text_is_split_as_the_family_splits_it() {
    let tokenizer = Tokenizer::load(&folder(SET)).unwrap();
    for case in json(SET, "tokenizer_cases.json").as_array().unwrap() {
        let (text, want) = (case["text"].as_str().unwrap(), ids(&case["ids"]));
        assert_eq!(tokenizer.encode(text).unwrap(), want, "{text:?}");
        assert_eq!(tokenizer.decode(&want), case["decoded"].as_str().unwrap(), "{text:?}");
    }
    for (literal, id) in json(SET, "chat.json")["special_ids"].as_object().unwrap() {
        assert_eq!(tokenizer.token_to_id(literal).map(u64::from), id.as_u64(), "{literal}");
    }
}

#[test]
fn chat_cases_match() {
    let golden = json(SET, "chat.json");
    let (template, tokenizer) = (
        ChatTemplate::load(&folder(SET)).unwrap(),
        Tokenizer::load(&folder(SET)).unwrap(),
    );
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 32);
    for case in cases {
        let name = &case["name"];
        let got = template.render(
            &case["messages"],
            Some(&case["tools"]),
            case["kwargs"].as_object().unwrap(),
        );
        match case["rendered"].as_str() {
            Some(rendered) => {
                assert_eq!(got.unwrap(), rendered, "{name}");
                assert_eq!(tokenizer.encode(rendered).unwrap(), ids(&case["token_ids"]), "{name}");
            }
            None => assert!(got.is_err(), "{name}: {got:?}"),
        }
    }
}

fn said(role: Role, text: &str) -> Message {
    Message::text(role, text)
}

/// The template drops the thoughts of earlier replies once a new question follows. What was sampled stands all the same.
#[test]
fn a_conversation_grows_although_thoughts_are_dropped() {
    let renderer = ChatRenderer::load(&folder(SET)).unwrap();
    let tokenizer = renderer.tokenizer();
    let text = |tokens: &[TokenId]| tokenizer.decode(tokens);
    let opening = [said(Role::System, "A GUI agent."), said(Role::User, "Go.")];
    let first = renderer.extend(&[], &opening, true).unwrap();
    assert!(text(&first.tokens).ends_with("<|im_start|>assistant\n<think>\n\n</think>\n\n"));
    let mut history = opening.to_vec();
    history.push(said(Role::Assistant, "a thought\n</think>\n\nclick"));
    let second = renderer
        .extend(&history, &[said(Role::User, "It opened.")], true)
        .unwrap();
    assert_eq!(
        text(&second.tokens),
        "\n<|im_start|>user\nIt opened.<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    );
    // A reply that was cut off is closed first.
    let closed = renderer
        .extend(&history, &[said(Role::User, "It opened.")], false)
        .unwrap();
    assert_eq!(closed.tokens[1..], second.tokens);
    history.extend([said(Role::User, "It opened."), said(Role::Assistant, "done")]);
    let third = renderer.extend(&history, &[said(Role::User, "And?")], true).unwrap();
    assert!(text(&third.tokens).starts_with("\n<|im_start|>user\nAnd?<|im_end|>"));
    // As results of a tool nothing is dropped, and the same is added.
    let tool = renderer.extend(&history, &[said(Role::Tool, "ok")], true).unwrap();
    assert!(text(&tool.tokens).starts_with("\n<|im_start|>user\n<tool_response>\nok\n</tool_response><|im_end|>"));
    // A template that changes what was asked is still refused.
    let counting = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ messages | length }}{{ message.content }}\
                    <|im_end|>\n{% endfor %}";
    let other = ChatRenderer::new(
        tokenizer.clone(),
        ChatTemplate::new(counting).unwrap(),
        renderer.images().clone(),
    );
    assert!(other.extend(&history, &[said(Role::User, "And?")], true).is_err());
}
