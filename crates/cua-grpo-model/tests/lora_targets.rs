//! Which modules an adapter gets, at which rank and scale: PEFT's answers, and errors where PEFT drops something.
//!
//! `golden/peft_modules.json` holds what PEFT 0.21.2 made of each configuration on the model of fixture a.
//!
//! Mistakes that were made on purpose to see these tests fail: the last of the patterns that match wins, a key matches
//! the end of a word, a pattern matches the start of a path, exclusions ignored, layers hold for whole paths too, a
//! layer's number looked for at the wrong place, the name before a layer ignored, `alpha / r` under rank stabilisation.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::adapters::*;
use common::*;
use cua_grpo_model::lora::{LoraConfig, OneOrMany, Patterns, Targets, attach, matched_modules, resolve};
use std::collections::BTreeMap;

/// Rank and scale by module, as PEFT made them.
type Modules = BTreeMap<String, (usize, f64)>;

#[test]
fn modules_ranks_and_scales_are_those_of_peft() {
    let golden = json("a", "peft_modules.json");
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() >= 29);
    let model = model("a");
    for case in cases {
        let config: LoraConfig = serde_json::from_value(case["config"].clone()).unwrap();
        let want: Modules = serde_json::from_value(case["modules"].clone()).unwrap();
        // Two keys for one module: PEFT takes the first, which is what an adapter of PEFT is loaded with.
        let ranks = config.ranks().unwrap();
        for (path, (rank, scaling)) in &want {
            let got = ranks.of(path);
            assert_eq!(got.0, *rank, "{path} of {}", case["config"]);
            assert!(
                (got.1 - scaling).abs() < 1e-12,
                "{path} of {}: {}",
                case["config"],
                got.1
            );
        }
        let overlap = ["q_proj", "layers.1.self_attn.q_proj"];
        let clash = config
            .rank_pattern
            .iter()
            .map(|(key, _)| key)
            .filter(|key| overlap.contains(key))
            .count()
            == 2
            || config
                .rank_pattern
                .iter()
                .any(|(key, _)| key.contains("up_proj|down_proj"));
        match resolve(&model, &config) {
            Ok(adapted) => {
                assert!(!clash, "{}", case["config"]);
                let got: Modules = adapted
                    .into_iter()
                    .map(|one| (one.path, (one.rank, one.scaling)))
                    .collect();
                let names: Vec<_> = got.keys().collect();
                assert_eq!(names, want.keys().collect::<Vec<_>>(), "{}", case["config"]);
            }
            // For a new adapter the order of keys decides nothing: that would be easy to get wrong.
            Err(error) => {
                let error = error.to_string();
                assert!(
                    clash && error.contains("make the keys match different modules"),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn a_key_matches_whole_parts_of_a_path() {
    let config = LoraConfig {
        rank_pattern: [("proj", 9), ("attn.q_proj", 8), (r"layers\.1", 7), ("v_proj", 6)]
            .map(|(key, rank)| (key.to_owned(), rank))
            .into_iter()
            .collect(),
        ..LoraConfig::new(4, 8.0, Targets::Pattern("all-linear".to_owned()))
    };
    let ranks = config.ranks().unwrap();
    let path = |end: &str| format!("model.language_model.layers.1.self_attn.{end}");
    assert_eq!(ranks.of(&path("q_proj")).0, 4);
    assert_eq!(ranks.of(&path("v_proj")).0, 6);
    assert_eq!(ranks.of("model.visual.blocks.0.attn.proj").0, 9);
    assert_eq!(ranks.of("v_proj").0, 6);
}

#[test]
fn attached_factors_have_the_ranks_of_their_modules() {
    let mut model = model("a");
    let config = LoraConfig {
        rank_pattern: [("q_proj".to_owned(), 7)].into_iter().collect(),
        alpha_pattern: [("q_proj".to_owned(), 3.5)].into_iter().collect(),
        exclude_modules: Some(Targets::Names(vec!["layers.0.self_attn.q_proj".to_owned()])),
        ..LoraConfig::new(4, 8.0, Targets::Names(vec!["q_proj".to_owned(), "v_proj".to_owned()]))
    };
    let paths = attach(&mut model, &config, 3).unwrap();
    assert_eq!(paths.len(), 7);
    let mut seen = 0;
    model.visit_linear_mut(&mut |path, linear| {
        let Some(pair) = &linear.lora else { return };
        let q = path.ends_with("q_proj");
        let [d_output, d_input] = linear.dims();
        let rank = if q { 7 } else { 4 };
        assert_eq!(
            (pair.a.dims(), pair.b.dims()),
            ([rank, d_input], [d_output, rank]),
            "{path}"
        );
        assert!((pair.scaling - if q { 0.5 } else { 2.0 }).abs() < 1e-12, "{path}");
        seen += 1;
    });
    assert_eq!(seen, 7);
}

#[test]
fn shorthands_select_what_patterns_of_peft_select() {
    // The patterns that a user of PEFT writes for the same modules; their answers are in the golden file.
    let golden = json("a", "peft_modules.json");
    let model = model("a");
    for (word, pattern) in [
        ("all-linear", "all-linear"),
        ("language", r"model\.language_model\..*(proj)"),
        ("vision", r"model\.visual\.blocks\..*\.(qkv|proj|linear_fc1|linear_fc2)"),
        (
            "merger",
            r"model\.visual\.(merger|deepstack_merger_list\.\d+)\.linear_fc[12]",
        ),
    ] {
        let cases = golden["cases"].as_array().unwrap().iter();
        let mut fitting = cases.filter(|case| {
            let config = case["config"].as_object().unwrap();
            config["target_modules"] == pattern && config.len() == 3
        });
        let want: Modules = serde_json::from_value(fitting.next().unwrap()["modules"].clone()).unwrap();
        for targets in [Targets::Pattern(word.to_owned()), Targets::Names(vec![word.to_owned()])] {
            let mut got: Vec<String> = resolve(&model, &LoraConfig::new(4, 8.0, targets))
                .unwrap()
                .into_iter()
                .map(|one| one.path)
                .collect();
            got.sort();
            assert_eq!(got, want.keys().cloned().collect::<Vec<_>>(), "{word}");
        }
    }
}

#[test]
fn what_peft_drops_in_silence_is_an_error() {
    let names = |list: &[&str]| Targets::Names(list.iter().map(|&name| name.to_owned()).collect());
    let plain = || LoraConfig::new(4, 8.0, names(&["q_proj", "v_proj"]));
    let pattern = |text: &str| Targets::Pattern(text.to_owned());
    let rank = |key: &str, rank| -> Patterns<usize> { [(key.to_owned(), rank)].into_iter().collect() };
    let alpha = |key: &str| -> Patterns<f64> { [(key.to_owned(), 2.0)].into_iter().collect() };
    let model = model("a");
    let table: Vec<(LoraConfig, &[&str])> = vec![
        (
            LoraConfig {
                rank_pattern: rank("q_porj", 8),
                ..plain()
            },
            &["lora_rank_pattern: `q_porj`", "q_proj"],
        ),
        // A module that gets no adapter is no match: PEFT would ignore the key.
        (
            LoraConfig {
                rank_pattern: rank("up_proj", 8),
                ..plain()
            },
            &["lora_rank_pattern: `up_proj`", "adapted module"],
        ),
        (
            LoraConfig {
                rank_pattern: rank("q_proj", 0),
                ..plain()
            },
            &["lora_rank_pattern", "at least 1, got 0"],
        ),
        (
            LoraConfig {
                rank_pattern: rank("(", 8),
                ..plain()
            },
            &["lora_rank_pattern: `(` is no pattern"],
        ),
        (
            LoraConfig {
                alpha_pattern: alpha("blocks"),
                ..plain()
            },
            &["lora_alpha_pattern: `blocks`"],
        ),
        (
            LoraConfig {
                exclude_modules: Some(names(&["k_prj"])),
                ..plain()
            },
            &["lora_exclude_modules: `k_prj`", "k_proj"],
        ),
        // The trap of PEFT: the name of a tower excludes nothing inside it.
        (
            LoraConfig {
                exclude_modules: Some(names(&["visual"])),
                ..plain()
            },
            &["lora_exclude_modules: `visual`", "a group of modules"],
        ),
        (
            LoraConfig {
                exclude_modules: Some(pattern(".*_proj")),
                ..plain()
            },
            &["no module is left"],
        ),
        (
            LoraConfig {
                layers_to_transform: Some(OneOrMany::Many(vec![1, 9])),
                ..plain()
            },
            &["lora_layers_to_transform", "layer 9", "0 to 3"],
        ),
        (
            LoraConfig {
                layers_to_transform: Some(OneOrMany::One(1)),
                layers_pattern: Some(OneOrMany::One("h".into())),
                ..plain()
            },
            &["lora_layers_pattern: `h`", "model.language_model.layers"],
        ),
        (
            LoraConfig {
                layers_pattern: Some(OneOrMany::One("layers".into())),
                ..plain()
            },
            &["lora_layers_pattern", "set the layers too"],
        ),
        (
            LoraConfig {
                layers_to_transform: Some(OneOrMany::One(1)),
                ..LoraConfig::new(4, 8.0, pattern(".*q_proj"))
            },
            &["lora_layers_to_transform", "into the pattern"],
        ),
        (
            LoraConfig {
                lora_dropout: 1.0,
                ..plain()
            },
            &["lora_dropout", "less than 1, got 1"],
        ),
        (
            LoraConfig::new(4, 8.0, names(&["q_proj", "lm_head"])),
            &["`lm_head` also names lm_head, the output head"],
        ),
        (LoraConfig::new(4, 8.0, names(&["embed_tokens"])), &["an embedding"]),
        (
            LoraConfig::new(4, 8.0, names(&["proj"])),
            &["model.visual.patch_embed.proj, a convolution", "lora_exclude_modules"],
        ),
        (
            LoraConfig::new(4, 8.0, pattern(".*")),
            &["also names", "lora_exclude_modules"],
        ),
        (
            LoraConfig::new(0, 8.0, names(&["q_proj"])),
            &["lora_r", "at least 1, got 0"],
        ),
    ];
    for (config, words) in table {
        let error = resolve(&model, &config).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?} in: {error}");
    }
    // What excludes something that is no target anyway is no mistake: a name of the head beside `all-linear`.
    let config = LoraConfig {
        exclude_modules: Some(names(&["lm_head"])),
        ..LoraConfig::new(4, 8.0, names(&["all-linear"]))
    };
    assert_eq!(resolve(&model, &config).unwrap().len(), 50);
}

#[test]
fn targets_match_as_in_peft() {
    let mut model = model("a");
    let mut all = Vec::new();
    model.visit_linear_mut(&mut |path, _| all.push(path.to_owned()));
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
        assert_eq!(matched_modules(&model, &targets).unwrap().len(), count, "{targets:?}");
    }
    for targets in [
        // `re.fullmatch`: the start of a path is no match.
        pattern(".*self_attn"),
        names(&["q_proj", "o_porj"]),
        names(&["_proj"]),
        pattern("q_proj"),
        pattern("("),
    ] {
        assert!(matched_modules(&model, &targets).is_err(), "{targets:?}");
    }
    for set in SETS {
        let config: LoraConfig =
            serde_json::from_str(&std::fs::read_to_string(folder(set).join("adapter/adapter_config.json")).unwrap())
                .unwrap();
        let mut matched = matched_modules(&common::model(set), &config.target_modules).unwrap();
        matched.sort();
        assert_eq!(matched, modules(set), "{set}: what PEFT adapted");
    }
}

#[test]
fn an_unknown_target_names_what_is_near() {
    let targets = Targets::Names(vec!["self_attn.q_prj".to_owned()]);
    let config = LoraConfig::new(4, 8.0, targets);
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
