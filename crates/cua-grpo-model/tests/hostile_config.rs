//! `config.json` with every size at its ends: each is one error that names the key, at once and without memory.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::{device, folder};
use cua_grpo_model::ModelConfig;
use cua_grpo_model::checkpoint::{LoadOptions, load_model};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Sizes of the file, by part.
const SIZES: [(&str, &[&str]); 2] = [
    (
        "text_config",
        &[
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
            "max_position_embeddings",
        ],
    ),
    (
        "vision_config",
        &[
            "depth",
            "hidden_size",
            "intermediate_size",
            "num_heads",
            "in_channels",
            "patch_size",
            "temporal_patch_size",
            "spatial_merge_size",
            "num_position_embeddings",
            "out_hidden_size",
        ],
    ),
];

/// Keys of numbers that are no sizes.
const NUMBERS: [(&str, &str); 3] = [
    ("text_config", "rms_norm_eps"),
    ("text_config", "rope_theta"),
    ("vision_config", "rope_theta"),
];

fn released() -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder("a").join("config.json")).unwrap()).unwrap()
}

/// Every size at every end, then sizes that are large together, then what is no size.
fn cases() -> Vec<(String, Value)> {
    let mut cases = Vec::new();
    let mut case = |name: String, change: &dyn Fn(&mut Value)| {
        let mut config = released();
        change(&mut config);
        cases.push((name, config));
    };
    let ends = [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1_u64 << 31),
        json!(u64::MAX),
        json!("64"),
        json!([64]),
        json!({}),
    ];
    for (part, keys) in SIZES {
        for key in keys {
            for end in &ends {
                case(format!("{part}.{key} = {end}"), &|config| {
                    config[part][key] = end.clone()
                });
            }
            case(format!("{part} without {key}"), &|config| {
                config[part].as_object_mut().unwrap().remove(*key);
            });
        }
    }
    for (part, key) in NUMBERS {
        for end in [json!(1e300), json!(1e-300), json!(-1e300), json!("x")] {
            case(format!("{part}.{key} = {end}"), &|config| {
                config[part][key] = end.clone()
            });
        }
    }
    for key in [
        "image_token_id",
        "video_token_id",
        "vision_start_token_id",
        "vision_end_token_id",
    ] {
        for end in [json!(-1), json!(1_u64 << 20), json!(1_u64 << 32), json!(u64::MAX)] {
            case(format!("{key} = {end}"), &|config| config[key] = end.clone());
        }
    }
    // Each size in its range, the products beyond: outlines of gigabytes, sums that overflow.
    let large: [(&str, Value); 9] = [
        ("text_config", json!({"vocab_size": 1 << 24, "hidden_size": 1 << 16})),
        ("text_config", json!({"num_hidden_layers": 512, "hidden_size": 1 << 16})),
        ("text_config", json!({"num_attention_heads": 1024, "head_dim": 4096})),
        (
            "text_config",
            json!({"intermediate_size": 1 << 18, "num_hidden_layers": 512}),
        ),
        ("vision_config", json!({"depth": 512, "intermediate_size": 1 << 18})),
        (
            "vision_config",
            json!({"patch_size": 256, "temporal_patch_size": 64, "in_channels": 16}),
        ),
        (
            "vision_config",
            json!({"hidden_size": 1 << 16, "spatial_merge_size": 16}),
        ),
        ("vision_config", json!({"num_position_embeddings": 1 << 20})),
        ("text_config", json!({"head_dim": 7})),
    ];
    for (part, sizes) in large {
        case(format!("{part} {sizes}"), &|config| {
            let fields = config[part].as_object_mut().unwrap();
            fields.extend(sizes.as_object().unwrap().clone());
        });
    }
    for list in [
        json!([u64::MAX]),
        json!([-1]),
        json!(vec![1; 100_000]),
        json!("all"),
        json!([5, 1]),
    ] {
        case(
            format!("deepstack {}", list.to_string().chars().take(20).collect::<String>()),
            &|config| {
                config["vision_config"]["deepstack_visual_indexes"] = list.clone();
            },
        );
        case("mrope_section".to_owned(), &|config| {
            config["text_config"]["rope_scaling"]["mrope_section"] = list.clone();
        });
    }
    for (name, config) in [
        ("null", json!(null)),
        ("a list", json!([released()])),
        ("a text", json!("qwen3_vl")),
    ] {
        case(name.to_owned(), &|whole| *whole = config.clone());
    }
    for part in ["text_config", "vision_config"] {
        for end in [json!(null), json!([]), json!("x"), json!(1)] {
            case(format!("{part} = {end}"), &|config| config[part] = end.clone());
        }
    }
    cases
}

/// A mixture of experts, whose sizes have ends of their own.
fn mixtures() -> Vec<(String, Value)> {
    let path = folder("moe").join("config.json");
    let released: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut cases = Vec::new();
    for key in [
        "num_experts",
        "num_experts_per_tok",
        "moe_intermediate_size",
        "decoder_sparse_step",
    ] {
        for end in [json!(0), json!(-1), json!(1_u64 << 31), json!(u64::MAX)] {
            let mut config = released.clone();
            config["text_config"][key] = end.clone();
            cases.push((format!("{key} = {end}"), config));
        }
    }
    let mut many = released;
    many["text_config"]["num_experts"] = json!(4096);
    many["text_config"]["num_hidden_layers"] = json!(512);
    cases.push(("layers of experts".to_owned(), many));
    cases
}

#[test]
fn every_end_is_an_error_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(
        folder("a").join("model.safetensors"),
        dir.path().join("model.safetensors"),
    )
    .unwrap();
    let all = cases();
    assert!(all.len() > 200, "{}", all.len());
    for (name, config) in all.into_iter().chain(mixtures()) {
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let start = Instant::now();
        let error = load_model(dir.path(), &LoadOptions::default(), &device()).map(|_| ());
        let error = error.expect_err(&name).to_string();
        assert!(
            !error.is_empty() && error.len() < 40_000,
            "{name}: {} characters",
            error.len()
        );
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{name}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn ranges_hold_what_is_released() {
    for name in cua_grpo_model::PRESETS {
        let config = ModelConfig::preset(name).unwrap();
        let again = ModelConfig::from_json(&config.to_json(151_643, 151_645)).unwrap();
        assert_eq!(again, config, "{name}");
    }
}

#[test]
fn a_range_is_told_with_its_key() {
    let mut config = released();
    config["text_config"]["vocab_size"] = json!(1_u64 << 40);
    let error = ModelConfig::from_json(&config).unwrap_err();
    assert_eq!(error, "vocab_size: expected 1 to 16777216, found 1099511627776");
    let mut config = released();
    config["image_token_id"] = json!((1_u64 << 32) + 492);
    let error = ModelConfig::from_json(&config).unwrap_err();
    assert!(error.starts_with("image_token_id: expected 0 to 16777215"), "{error}");
}
