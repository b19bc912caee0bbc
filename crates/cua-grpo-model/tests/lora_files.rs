//! Adapter files and target modules: what is saved loads again, and names match as in PEFT.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::adapters::*;
use common::*;
use cua_grpo_model::lora::{LoraConfig, Targets, attach, load_adapter, matched_modules, save_adapter};
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn a_saved_adapter_loads_as_it_was() {
    for set in SETS {
        let (mut first, config) = adapted(set);
        let dir = tempfile::tempdir().unwrap();
        save_adapter(&mut first, &config, "base", dir.path()).unwrap();
        let mut second = model(set);
        let loaded = load_adapter(&mut second, dir.path()).unwrap();
        assert_eq!(factors(&mut first), factors(&mut second), "{set}");
        assert_eq!(
            (loaded.r, loaded.lora_alpha, loaded.use_rslora),
            (config.r, config.lora_alpha, config.use_rslora)
        );
        // The saved target list alone names the same modules again, and the files are those that PEFT writes.
        let mut named = matched_modules(&mut second, &loaded.target_modules).unwrap();
        named.sort();
        assert_eq!(named, modules(set));
        let names = |dir: &Path| {
            let bytes = std::fs::read(dir.join("adapter_model.safetensors")).unwrap();
            let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let mut all: Vec<_> = file
                .tensors()
                .into_iter()
                .map(|(name, t)| (name, t.shape().to_vec(), t.data().to_vec()))
                .collect();
            all.sort();
            all
        };
        assert_eq!(
            names(dir.path()),
            names(&folder(set).join("adapter")),
            "{set}: tensors in the file"
        );
    }
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let source = folder("a").join("adapter");
    let load = |change: &dyn Fn(&mut Value)| {
        let mut config: Value =
            serde_json::from_str(&std::fs::read_to_string(source.join("adapter_config.json")).unwrap()).unwrap();
        change(&mut config);
        std::fs::write(dir.path().join("adapter_config.json"), config.to_string()).unwrap();
        std::fs::copy(
            source.join("adapter_model.safetensors"),
            dir.path().join("adapter_model.safetensors"),
        )
        .unwrap();
        load_adapter(&mut model("a"), dir.path())
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    load(&|_| ()).unwrap();
    for (key, value, expected) in [
        ("use_dora", json!(true), "use_dora is not supported"),
        ("fan_in_fan_out", json!(true), "fan_in_fan_out is not supported"),
        ("peft_type", json!("IA3"), "peft_type: expected \"LORA\""),
        ("rank_pattern", json!({"q_proj": 8}), "rank_pattern: one rank"),
        ("r", json!(5), "expected shape [5, 64], found [4, 64]"),
    ] {
        let error = load(&|config| config[key] = value.clone()).unwrap_err();
        assert!(error.contains(expected), "{key}: {error}");
    }
    // The adapter of another model: tensors that belong nowhere are named.
    let error = load_adapter(&mut model("b"), &source).unwrap_err().to_string();
    assert!(
        error.contains("lora_A.weight: expected shape [4, 48], found [4, 64]"),
        "{error}"
    );
}

#[test]
fn targets_match_as_in_peft() {
    let mut model = model("a");
    let mut all = Vec::new();
    model.visit_linear(&mut |path, _| all.push(path.to_owned()));
    let count = |pattern: &dyn Fn(&str) -> bool| all.iter().filter(|path| pattern(path)).count();
    let names = |list: &[&str]| Targets::Names(list.iter().map(|&name| name.to_owned()).collect());
    let pattern = |text: &str| Targets::Pattern(text.to_owned());
    let q_proj = count(&|path| path.ends_with(".q_proj"));
    assert_eq!(q_proj, 4);
    let table: Vec<(Targets, usize)> = vec![
        (names(&["q_proj"]), q_proj),
        (names(&["q_proj", "v_proj", "self_attn.q_proj"]), 2 * q_proj),
        (
            names(&["attn.proj"]),
            count(&|path| path.contains("visual.blocks") && path.ends_with("attn.proj")),
        ),
        // A bare `proj` is the end of `attn.proj`, not of `q_proj`; the patch convolution takes no adapter here.
        (names(&["proj"]), count(&|path| path.ends_with(".proj"))),
        (names(&["linear_fc1"]), count(&|path| path.ends_with(".linear_fc1"))),
        (names(&["model.language_model.layers.0.mlp.up_proj"]), 1),
        (names(&["layers.1.self_attn.o_proj"]), 1),
        // A string is a pattern of the whole path.
        (pattern(r".*\.layers\.[01]\.self_attn\.[qk]_proj"), 4),
        (pattern("all-linear"), all.len()),
        (names(&["all-linear"]), all.len()),
        (pattern("language"), 4 * 7),
        (pattern("vision"), count(&|path| path.contains("visual.blocks"))),
        (pattern("merger"), count(&|path| path.contains("merger"))),
    ];
    for (targets, count) in table {
        assert_eq!(
            matched_modules(&mut model, &targets).unwrap().len(),
            count,
            "{targets:?}"
        );
    }
    for targets in [
        names(&["q_proj", "o_porj"]),
        names(&["_proj"]),
        pattern("q_proj"),
        pattern("("),
    ] {
        assert!(matched_modules(&mut model, &targets).is_err(), "{targets:?}");
    }
    for set in SETS {
        let config: LoraConfig =
            serde_json::from_str(&std::fs::read_to_string(folder(set).join("adapter/adapter_config.json")).unwrap())
                .unwrap();
        let mut matched = matched_modules(&mut common::model(set), &config.target_modules).unwrap();
        matched.sort();
        assert_eq!(matched, modules(set), "{set}: what PEFT adapted");
    }
}

#[test]
fn an_unknown_target_names_what_is_near() {
    let targets = Targets::Names(vec!["self_attn.q_prj".to_owned()]);
    let config = LoraConfig {
        r: 4,
        lora_alpha: 8.0,
        use_rslora: false,
        target_modules: targets,
    };
    let mut model = model("a");
    let error = attach(&mut model, &config, 0).unwrap_err().to_string();
    assert!(
        error.contains("`self_attn.q_prj` matches no linear module") && error.contains("self_attn.q_proj"),
        "{error}"
    );
    let config = LoraConfig { r: 0, ..config };
    assert!(
        attach(&mut model, &config, 0)
            .unwrap_err()
            .to_string()
            .contains("rank of at least 1")
    );
}
