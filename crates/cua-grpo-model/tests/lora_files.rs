//! Adapter files: what is saved loads again, in PEFT too, and what is not understood is refused.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::adapters::*;
use common::*;
use cua_grpo_model::lora::{
    LoraConfig, OneOrMany, Targets, attach, load_adapter, matched_modules, read_config, resolve, save_adapter,
};
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn a_saved_adapter_loads_as_it_was() {
    for set in SETS {
        let (mut first, config) = adapted(set);
        let dir = tempfile::tempdir().unwrap();
        save_adapter(&first, &config, "base", dir.path()).unwrap();
        let mut second = model(set);
        let loaded = load_adapter(&mut second, dir.path()).unwrap();
        assert_eq!(factors(&mut first), factors(&mut second), "{set}");
        assert_eq!(
            (loaded.r, loaded.lora_alpha, loaded.use_rslora),
            (config.r, config.lora_alpha, config.use_rslora)
        );
        // The saved target list alone names the same modules again, and the files are those that PEFT writes.
        let mut named = matched_modules(&second, &loaded.target_modules).unwrap();
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
fn patterns_dropout_and_exclusions_survive_saving() {
    let names = |list: &[&str]| Targets::Names(list.iter().map(|&name| name.to_owned()).collect());
    let config = LoraConfig {
        use_rslora: true,
        lora_dropout: 0.25,
        exclude_modules: Some(names(&["layers.2.mlp.up_proj"])),
        layers_to_transform: Some(OneOrMany::Many(vec![1, 2])),
        layers_pattern: Some(OneOrMany::One("layers".to_owned())),
        // Not in alphabetical order: the first that matches holds.
        rank_pattern: [("q_proj".to_owned(), 2), ("mlp.down_proj".to_owned(), 9)]
            .into_iter()
            .collect(),
        alpha_pattern: [("q_proj".to_owned(), 1.5)].into_iter().collect(),
        ..LoraConfig::new(4, 8.0, names(&["q_proj", "up_proj", "down_proj"]))
    };
    let mut first = model("a");
    let paths = attach(&mut first, &config, 5).unwrap();
    assert_eq!(paths.len(), 5);
    let dir = tempfile::tempdir().unwrap();
    save_adapter(&first, &config, "base", dir.path()).unwrap();
    let mut second = model("a");
    let loaded = load_adapter(&mut second, dir.path()).unwrap();
    assert_eq!(loaded, read_config(dir.path()).unwrap());
    assert_eq!(factors(&mut first), factors(&mut second));
    assert_eq!(scales(&mut first), scales(&mut second));
    assert_eq!(loaded.rank_pattern, config.rank_pattern);
    assert_eq!(loaded.alpha_pattern, config.alpha_pattern);
    assert_eq!(
        (loaded.lora_dropout, loaded.exclude_modules),
        (0.25, config.exclude_modules)
    );
    // The file names the modules of the chosen layers in full; the layers are not chosen once more.
    assert_eq!(loaded.target_modules, Targets::Names(paths.clone()));
    assert_eq!((loaded.layers_to_transform, loaded.layers_pattern), (None, None));
    let again: Vec<String> = resolve(&second, &read_config(dir.path()).unwrap())
        .unwrap()
        .into_iter()
        .map(|one| one.path)
        .collect();
    assert_eq!(again, paths);
}

/// Factor of each adapted module's update.
fn scales(model: &mut cua_grpo_model::Qwen3Vl) -> Vec<(String, f64)> {
    let mut all = Vec::new();
    model.visit_linear_mut(&mut |path, linear| {
        all.extend(linear.lora.iter().map(|pair| (path.to_owned(), pair.scaling)))
    });
    all
}

#[test]
fn half_a_pair_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let source = folder("a").join("adapter");
    std::fs::copy(
        source.join("adapter_config.json"),
        dir.path().join("adapter_config.json"),
    )
    .unwrap();
    let bytes = std::fs::read(source.join("adapter_model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let gone = "base_model.model.model.language_model.layers.0.mlp.up_proj.lora_B.weight";
    let kept: Vec<_> = file.tensors().into_iter().filter(|(name, _)| name != gone).collect();
    assert_eq!(kept.len() + 1, file.len());
    let bytes = safetensors::serialize(kept, None).unwrap();
    std::fs::write(dir.path().join("adapter_model.safetensors"), bytes).unwrap();
    let error = load_adapter(&mut model("a"), dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("up_proj.lora_B.weight: expected beside lora_A"),
        "{error}"
    );
}

/// Mutations tried: only `default` taken for a name, the name of a module that is called as a factor cut off.
#[test]
fn keys_may_hold_the_name_of_the_adapter() {
    let row = [row("a", "one_image")];
    let scores = |dir: &std::path::Path| {
        let mut model = model("a");
        load_adapter(&mut model, dir).map(|_| logits(&model, &row))
    };
    let want = scores(&folder("a").join("adapter")).unwrap();
    let named = |name: &str| renamed(|_, key| Some(key.replace(".weight", &format!(".{name}.weight"))));
    assert_eq!(scores(named("default").path()).unwrap(), want);
    // PEFT 0.21 loads tensors of another name nowhere: its scores are those of the base.
    for name in ["policy", "my-adapter_2", "weight", "lora_A"] {
        let error = scores(named(name).path()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("the adapter's name `{name}`")) && error.contains("rename them"),
            "{error}"
        );
    }
    // Some keys with the name and some without are one adapter; two names are two.
    let mixed = renamed(|number, key| {
        let named = number % 2 == 0;
        Some(if named {
            key.replace(".weight", ".default.weight")
        } else {
            key.to_owned()
        })
    });
    assert_eq!(scores(mixed.path()).unwrap(), want);
    let two =
        renamed(|number, key| Some(key.replace(".weight", if number < 3 { ".one.weight" } else { ".two.weight" })));
    let error = scores(two.path()).unwrap_err().to_string();
    assert!(error.contains("expected one adapter, found one, two"), "{error}");
    // A tensor that is missing is named as it would stand without a name.
    let half = renamed(|number, key| (number > 0).then(|| key.replace(".weight", ".default.weight")));
    let error = scores(half.path()).unwrap_err().to_string();
    assert!(error.contains("expected beside lora_"), "{error}");
}

#[test]
fn keys_of_the_configuration_that_are_not_known_are_warned_about() {
    let source = folder("a").join("adapter");
    let (_, said) = common::logged::warnings(|| read_config(&source).unwrap());
    assert_eq!(said, Vec::<String>::new());
    let dir = renamed(|_, key| Some(key.to_owned()));
    let path = dir.path().join("adapter_config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config["lora_power"] = json!(2);
    config["use_something_new"] = json!(false);
    std::fs::write(&path, config.to_string()).unwrap();
    let (_, said) = common::logged::warnings(|| read_config(dir.path()).unwrap());
    assert!(said.len() == 1 && said[0].contains("lora_power 2"), "{said:?}");
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
    // Values that mean nothing are not refused; a key that matches nothing had no effect in PEFT either.
    load(&|config| {
        for (key, value) in [
            ("modules_to_save", json!([])),
            ("rank_pattern", json!(null)),
            ("task_type", json!(null)),
            ("init_lora_weights", json!("gaussian")),
            ("exclude_modules", json!(["no_such_module"])),
            ("alpha_pattern", json!({"no_such_module": 3})),
        ] {
            config[key] = value;
        }
    })
    .unwrap();
    for (key, value, expected) in [
        ("use_dora", json!(true), "use_dora is not supported; merge the adapter"),
        ("fan_in_fan_out", json!(true), "fan_in_fan_out is not supported"),
        ("task_type", json!("SEQ_CLS"), "task_type: expected \"CAUSAL_LM\""),
        ("task_type", json!("TOKEN_CLS"), "set it to \"CAUSAL_LM\""),
        ("peft_type", json!("IA3"), "peft_type: expected \"LORA\""),
        (
            "modules_to_save",
            json!(["lm_head"]),
            "modules_to_save is not supported; merge",
        ),
        ("trainable_token_indices", json!([1]), "trainable_token_indices is not"),
        ("target_parameters", json!(["gate_up_proj"]), "target_parameters is not"),
        (
            "bias",
            json!("lora_only"),
            "bias: expected \"none\", found \"lora_only\"",
        ),
        ("init_lora_weights", json!("pissa_niter_4"), "changes the base weights"),
        ("kasa_config", json!({"beta": 1}), "kasa_config is not supported"),
        ("lora_dropout", json!(1.5), "lora_dropout: expected a fraction"),
        (
            "target_modules",
            json!(null),
            "target_modules: expected names of modules",
        ),
        (
            "target_modules",
            json!(7),
            "target_modules: expected names of modules, a pattern of paths",
        ),
        ("target_modules", json!([7]), "target_modules: expected names"),
        ("r", json!("8"), "r: expected a whole number, found \"8\""),
        ("r", json!(-1), "r: expected a whole number"),
        ("r", json!(1_u64 << 62), "lora_r: expected a rank of at most 65536"),
        ("lora_alpha", json!(1e308), "lora_alpha: expected a number of at most"),
        ("lora_alpha", json!(null), "lora_alpha: expected a number, found null"),
        (
            "alpha_pattern",
            json!({"q_proj": -1e300}),
            "lora_alpha_pattern: `q_proj`: expected a number",
        ),
        (
            "rank_pattern",
            json!({"q_proj": 1_u64 << 40}),
            "lora_rank_pattern: `q_proj`",
        ),
        ("rank_pattern", json!([1]), "rank_pattern: expected a map"),
        (
            "layers_to_transform",
            json!("all"),
            "layers_to_transform: expected the number of a layer",
        ),
        ("use_rslora", json!("yes"), "use_rslora: expected true or false"),
        (
            "target_modules",
            json!("((a|[a-z_.0-9]+)+)+X"),
            "takes too many steps to match model.",
        ),
        ("exclude_modules", json!("(([a-z_.0-9]*)*)*X"), "takes too many steps"),
        ("rank_pattern", json!({"(([a-z_.0-9]*)*)*X": 4}), "takes too many steps"),
        (
            "target_modules",
            json!("x".repeat(5000)),
            "expected patterns of at most 4096 characters",
        ),
        (
            "rank_pattern",
            json!({"q_proj": 8}),
            "q_proj.lora_A.weight: expected shape [8, 64], found [4, 64]",
        ),
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

/// The adapter of a fixture with changes to its configuration and with the tensors whose names `keep` keeps.
fn changed(config: &Value, keep: impl Fn(&str) -> bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let source = folder("a").join("adapter");
    let text = std::fs::read_to_string(source.join("adapter_config.json")).unwrap();
    let mut json: Value = serde_json::from_str(&text).unwrap();
    for (key, value) in config.as_object().unwrap() {
        json[key] = value.clone();
    }
    std::fs::write(dir.path().join("adapter_config.json"), json.to_string()).unwrap();
    let bytes = std::fs::read(source.join("adapter_model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let kept = file.tensors().into_iter().filter(|(name, _)| keep(name));
    let path = dir.path().join("adapter_model.safetensors");
    safetensors::serialize_to_file(kept.collect::<Vec<_>>(), None, &path).unwrap();
    dir
}

/// Paths of the modules that have factors.
fn with_factors(model: &mut cua_grpo_model::Qwen3Vl) -> Vec<String> {
    let mut paths = Vec::new();
    model.visit_linear_mut(&mut |path, linear| paths.extend(linear.lora.iter().map(|_| path.to_owned())));
    paths
}

#[test]
fn tensors_of_modules_that_the_configuration_leaves_out_are_not_applied() {
    let mut model = model("a");
    let all = {
        load_adapter(&mut model, changed(&json!({}), |_| true).path()).unwrap();
        with_factors(&mut model)
    };
    let without = |part: &str| -> Vec<String> { all.iter().filter(|path| !path.contains(part)).cloned().collect() };
    let only = |part: &str| -> Vec<String> { all.iter().filter(|path| path.contains(part)).cloned().collect() };
    for (config, want) in [
        (json!({"exclude_modules": ["q_proj"]}), without("q_proj")),
        (json!({"exclude_modules": r".*\.q_proj"}), without("q_proj")),
        (json!({"target_modules": ["down_proj"]}), only("down_proj")),
        (
            json!({"target_modules": ["down_proj"], "layers_to_transform": [1]}),
            only("layers.1.mlp.down_proj"),
        ),
    ] {
        assert!(!want.is_empty() && want.len() < all.len(), "{config}");
        load_adapter(&mut model, changed(&config, |_| true).path()).unwrap();
        assert_eq!(with_factors(&mut model), want, "{config}");
    }
    // Words of our configuration mean nothing in a file of PEFT, but for `all-linear` in the place of the targets.
    for (config, want) in [
        (json!({"exclude_modules": ["merger", "vision"]}), all.clone()),
        (json!({"exclude_modules": "all-linear"}), all.clone()),
        (json!({"target_modules": ["language", "q_proj"]}), only("q_proj")),
        (
            json!({"target_modules": ["merger", "all-linear", "down_proj"]}),
            only("down_proj"),
        ),
        (json!({"target_modules": "All-linear"}), all.clone()),
    ] {
        load_adapter(&mut model, changed(&config, |_| true).path()).unwrap();
        assert_eq!(with_factors(&mut model), want, "{config}");
    }
    // A module without tensors stays as in the base.
    load_adapter(&mut model, changed(&json!({}), |name| !name.contains("q_proj")).path()).unwrap();
    assert_eq!(with_factors(&mut model), without("q_proj"));
}

#[test]
fn a_pattern_of_layers_that_is_none_is_refused() {
    let model = model("a");
    for layers in [None, Some(OneOrMany::Many(vec![0]))] {
        let names = Targets::Names(vec!["q_proj".to_owned()]);
        let config = LoraConfig {
            layers_to_transform: layers,
            layers_pattern: Some(OneOrMany::One("[".to_owned())),
            ..LoraConfig::new(4, 8.0, names)
        };
        let error = resolve(&model, &config).unwrap_err().to_string();
        assert!(error.contains("lora_layers_pattern: `[` is no pattern"), "{error}");
    }
}

#[test]
fn what_would_apply_nothing_and_starts_that_peft_does_not_know_are_refused() {
    for (config, expected) in [
        (json!({"target_modules": []}), "leave no module"),
        (
            json!({"target_modules": [], "layers_to_transform": [0], "layers_pattern": "blocks"}),
            "leave no module",
        ),
        (
            json!({"init_lora_weights": "zzz"}),
            "init_lora_weights: expected true, false or one of gaussian",
        ),
    ] {
        let error = load_adapter(&mut model("a"), changed(&config, |_| true).path())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{config}: {error}");
    }
    load_adapter(
        &mut model("a"),
        changed(&json!({"init_lora_weights": "Gaussian"}), |_| true).path(),
    )
    .unwrap();
}

#[test]
fn groups_of_a_pattern_count_as_in_peft() {
    // PEFT puts the pattern behind two groups of its own, so the first of the pattern is the third.
    let path = "model.language_model.layers.0.self_attn.q_proj";
    for (pattern, scaling) in [
        (r"(l)ayers\.0\.se\3f_attn\.q_proj", 8.0),
        (r"(?P<letter>l)ayers\.0\.se(?P=letter)f_attn\.q_proj", 8.0),
        (r"(l)ayers\.0\.se\1f_attn\.q_proj", 2.0),
    ] {
        let mut model = model("a");
        load_adapter(
            &mut model,
            changed(&json!({"alpha_pattern": {pattern: 32}}), |_| true).path(),
        )
        .unwrap();
        let mut found = None;
        model.visit_linear_mut(&mut |at, linear| {
            if at == path {
                found = linear.lora.as_ref().map(|pair| pair.scaling);
            }
        });
        assert_eq!(found, Some(scaling), "{pattern}");
    }
}
