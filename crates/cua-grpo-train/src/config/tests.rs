//! Tests of the configuration: precedence, errors, the files in `configs/`, and `docs/CONFIG.md` in step with the code.

#[cfg(unix)]
mod piped;
mod saved;

use super::*;
use cua_grpo_model::lora::Targets;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn with(yaml: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<TrainConfig, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.yaml");
    std::fs::write(&file, format!("load_in_4bit: false\n{yaml}")).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| Variable::new(name, value))
        .collect();
    let flags = flags
        .iter()
        .map(|text| Flag::assignment(text))
        .collect::<Result<_, _>>()?;
    load(&Sources {
        file: Some(file),
        environment,
        flags,
        ..Sources::default()
    })
}

fn message(result: Result<TrainConfig, ConfigError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn flag_beats_variable_beats_file_beats_default() {
    let batch = |yaml: &str, env: &[(&str, &str)], flags: &[&str]| with(yaml, env, flags).unwrap().batch_size;
    assert_eq!(batch("", &[], &[]), 2);
    assert_eq!(batch("batch_size: 3", &[], &[]), 3);
    assert_eq!(batch("batch_size: 3", &[("BATCH_SIZE", "4")], &[]), 4);
    assert_eq!(batch("batch_size: 3", &[("BATCH_SIZE", "4")], &["batch_size=5"]), 5);
    assert_eq!(batch("batch_size: 3", &[("BATCH_SIZE", "")], &[]), 3);
}

#[test]
fn own_tasks_take_the_place_of_templates_that_a_weaker_source_names() {
    let resolved = |file: Option<&str>, environment: &[(&str, &str)], flags: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.yaml");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        let resolved: Resolved<TrainConfig> = resolve(&Sources {
            file: file.map(|_| path),
            saved: false,
            environment: environment
                .iter()
                .map(|(name, value)| Variable::new(name, value))
                .collect(),
            given: Vec::new(),
            flags: flags.iter().map(|text| Flag::assignment(text).unwrap()).collect(),
        })
        .unwrap();
        (resolved.config.templates.clone(), resolved.origin("templates").kind)
    };
    let (quickstart, kind) = resolved(None, &[], &[]);
    assert!(quickstart.len() > 10 && kind == OriginKind::BuiltIn);
    let none = (Vec::new(), OriginKind::Default);
    assert_eq!(resolved(None, &[], &["tasks=a.yaml"]), none);
    assert_eq!(resolved(None, &[("CUA_TASKS", "a.yaml")], &[]), none);
    assert_eq!(resolved(Some("templates: [wifi]"), &[], &["tasks=a.yaml"]), none);
    // Of equal strength, or weaker, or empty: both hold.
    let wifi = vec!["wifi".to_owned()];
    assert_eq!(resolved(None, &[], &["tasks=a.yaml", "templates=wifi"]).0, wifi);
    assert_eq!(resolved(Some("tasks: [a.yaml]\ntemplates: [wifi]"), &[], &[]).0, wifi);
    assert_eq!(
        resolved(Some("tasks: [a.yaml]"), &[("CUA_TEMPLATES", "wifi")], &[]).0,
        wifi
    );
    assert_eq!(resolved(None, &[], &["tasks=[]"]).0, quickstart);
    assert!(resolve::<SftConfig>(&Sources::default()).is_ok());
}

#[test]
fn comments_in_variables_are_not_values() {
    let config = with(
        "",
        &[
            ("LEARNING_RATE", "3e-4 # high"),
            ("MODEL_NAME", "  # none"),
            ("CUA_VERBOSE", "True"),
        ],
        &[],
    );
    let config = config.unwrap();
    assert_eq!((config.learning_rate, config.verbose), (3e-4, true));
    assert_eq!(config.model_name, TrainConfig::default().model_name);
}

#[test]
fn an_unknown_key_names_the_nearest_and_the_file() {
    let text = message(with("learnig_rate: 1", &[], &[]));
    assert!(
        text.contains("`learnig_rate`") && text.contains("`learning_rate`") && text.contains("my.yaml"),
        "{text}"
    );
    let text = message(with("", &[], &["nothing_like_it=1"]));
    assert!(text.contains("--set") && !text.contains("Did you mean"), "{text}");
}

#[test]
fn a_bad_value_names_key_value_expectation_and_origin() {
    for (result, words) in [
        (
            with("max_steps: -3", &[], &[]),
            ["`max_steps`", "`-3`", "a whole number", "my.yaml"],
        ),
        (
            with("", &[("CUA_DEVICE", "gpu")], &[]),
            ["`device`", "`gpu`", "cuda:N", "environment variable CUA_DEVICE"],
        ),
        (
            with("", &[], &["loss_type=ppo"]),
            [
                "`loss_type`",
                "`ppo`",
                "grpo, bnpo, dr_grpo, dapo, gspo, luspo, cispo, sapo, vespo",
                "--set",
            ],
        ),
        (with("top_p: 1.5", &[], &[]), ["`top_p`", "1.5", "at most 1", "my.yaml"]),
        (
            with("", &[("TEMPERATURE", "0")], &[]),
            ["`temperature`", "0", "greedy", "variable TEMPERATURE"],
        ),
        (with("top_k: 1", &[], &[]), ["`top_k`", "1", "all alike", "my.yaml"]),
        (
            with(
                "importance_sampling_mode: token_mask\nimportance_sampling_clip_max: 0.5",
                &[],
                &[],
            ),
            ["`importance_sampling_clip_max`", "0.5", "1 or more", "my.yaml"],
        ),
        (
            with(
                "rejection_sampling_mode: token_k1\nrejection_sampling_max: -2",
                &[],
                &[],
            ),
            ["`rejection_sampling_max`", "-2", "0 or more", "everything is left out"],
        ),
        (
            with(
                "rejection_sampling_mode: sequence_max_k3\nrejection_sampling_min: 0.5",
                &[],
                &[],
            ),
            ["`rejection_sampling_min`", "0.5", "null", "nothing is below 0"],
        ),
        (
            with(
                "rewards: {verified: 1, efficiency: 0.5}\nmulti_objective_aggregation: normalize_then_sum\nshortest_path_alpha: 0.5",
                &[],
                &[],
            ),
            ["`shortest_path_alpha`", "0.5", "normalize_then_sum", "my.yaml"],
        ),
        (
            with("max_new_tokens: 9999", &[], &[]),
            ["`max_new_tokens`", "9999", "less than", "my.yaml"],
        ),
        (
            with("num_rollouts: 1", &[], &[]),
            ["`num_rollouts`", "1", "2 to 4096: a group compares", "my.yaml"],
        ),
        (
            with("enable_wandb: true", &[], &[]),
            ["`enable_wandb`", "Weights & Biases", "later", "my.yaml"],
        ),
        (
            with("", &[], &["use_lora=false"]),
            ["`use_lora`", "--use-lora", "later", "--set"],
        ),
        (
            with("- a list", &[], &[]),
            ["my.yaml", "YAML", "key: value", "not valid"],
        ),
    ] {
        let text = message(result);
        assert!(words.iter().all(|word| text.contains(word)), "{words:?} in: {text}");
    }
}

/// Seeds may be any number; every other number has bounds at both ends, which its default meets.
#[test]
fn every_number_has_bounds() {
    fn check<C: Configuration>() {
        let defaults = serde_yaml_ng::to_value(C::default()).unwrap();
        for key in C::keys() {
            let huge = serde_yaml_ng::Value::from(1e300);
            let numbers = |value: &serde_yaml_ng::Value| match value {
                serde_yaml_ng::Value::Sequence(items) => items.iter().all(serde_yaml_ng::Value::is_number),
                value => value.is_number(),
            };
            if (key.from_text)("3").is_some_and(|value| numbers(&value)) && !key.name.ends_with("seed") {
                assert!(!key.bounds.admit(&huge), "{} accepts {huge:?}", key.name);
            }
            assert!(key.bounds.admit(&defaults[key.name]), "{}: its default", key.name);
        }
    }
    check::<TrainConfig>();
    check::<SftConfig>();
}

#[test]
fn a_secret_is_neither_shown_nor_saved() {
    let config = with("", &[("GBOX_API_KEY", "s3cr3t")], &[]).unwrap();
    assert_eq!(config.gbox_api_key.as_ref().map(Secret::reveal), Some("s3cr3t"));
    assert!(!format!("{config:?}").contains("s3cr3t"));
    assert!(!to_yaml(&config).unwrap().contains("s3cr3t"));
}

#[test]
fn keys_of_the_adapter_take_lists_patterns_and_maps() {
    let yaml = "lora_target_modules: '.*(?<!k)_proj'\nlora_exclude_modules: [up_proj]\nuse_rslora: true\n\
        lora_rank_pattern: {q_proj: 8, mlp.down_proj: 4}\nlora_alpha_pattern: {'layers.0.*': 2.5}\nlora_dropout: 0.1";
    let flags = ["lora_layers_to_transform=1,2", "lora_layers_pattern=layers"];
    let config = with(yaml, &[("CUA_LORA_EXCLUDE_MODULES", "up_proj, attn.qkv")], &flags).unwrap();
    let lora = config.lora();
    let names = |list: &[&str]| Targets::Names(list.iter().map(|&name| name.to_owned()).collect());
    assert_eq!(lora.target_modules, Targets::Pattern(".*(?<!k)_proj".into()));
    assert_eq!(lora.exclude_modules, Some(names(&["up_proj", "attn.qkv"])));
    assert_eq!(lora.layers_to_transform.as_ref().unwrap().values(), [1, 2]);
    assert_eq!(lora.layers_pattern.as_ref().unwrap().values(), ["layers"]);
    assert_eq!((lora.use_rslora, lora.lora_dropout), (true, 0.1));
    // One bracket alone belongs to the pattern, which is none then.
    for (flag, want) in [
        ("[", vec!["["]),
        ("[layers, blocks]", vec!["layers", "blocks"]),
        ("[]", vec![]),
    ] {
        let config = with(yaml, &[], &[&format!("lora_layers_pattern={flag}")]).unwrap();
        assert_eq!(config.lora_layers_pattern, want, "{flag}");
    }
    assert_eq!(
        lora.ranks().unwrap().of("x.layers.0.self_attn.q_proj"),
        (8, 2.5 / 8f64.sqrt())
    );
    assert_eq!(lora.ranks().unwrap().of("x.layers.1.mlp.down_proj").0, 4);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, to_yaml(&config).unwrap()).unwrap();
    assert_eq!(read_yaml::<TrainConfig>(&path).unwrap(), config);

    let plain = with("", &[], &["lora_target_modules=q_proj"]).unwrap().lora();
    assert_eq!(plain.target_modules, names(&["q_proj"]));
    assert!(plain.exclude_modules.is_none() && plain.layers_to_transform.is_none() && plain.layers_pattern.is_none());
    let flag = with("", &[], &["lora_target_modules=.*\\.q_proj"]).unwrap();
    assert_eq!(flag.lora_target_modules, Targets::Pattern(".*\\.q_proj".into()));
    for (yaml, words) in [
        ("lora_dropout: 1", ["`lora_dropout`", "less than 1"]),
        ("lora_rank_pattern: {q_proj: 0}", ["`lora_rank_pattern`", "q_proj: 0"]),
        ("lora_rank_pattern: 8", ["`lora_rank_pattern`", "a map from names to"]),
        (
            "lora_alpha_pattern: {q_proj: -1.0}",
            ["`lora_alpha_pattern`", "more than 0"],
        ),
        ("lora_target_modules: []", ["`lora_target_modules`", "at least one"]),
    ] {
        let text = message(with(yaml, &[], &[]));
        assert!(words.iter().all(|word| text.contains(word)), "{words:?} in: {text}");
    }
}

#[test]
fn every_file_in_configs_is_valid() {
    for name in ["quickstart.yaml", "grpo.yaml", "grpo_single_gpu.yaml"] {
        let path = root().join("configs").join(name);
        read_yaml::<TrainConfig>(&path).unwrap();
        load::<TrainConfig>(&Sources {
            file: Some(path),
            ..Sources::default()
        })
        .unwrap();
    }
    read_yaml::<SftConfig>(&root().join("configs/starter.yaml")).unwrap();
    load::<TrainConfig>(&Sources::default()).unwrap();
    load::<SftConfig>(&Sources::default()).unwrap();
}

/// Defaults of the original trainer, as its documentation gives them.
#[test]
fn defaults_are_those_of_the_original() {
    let config = TrainConfig::default();
    assert_eq!(
        (
            config.max_seq_length,
            config.lora_r,
            config.lora_alpha,
            config.lora_dropout
        ),
        (8192, 16, 32.0, 0.0)
    );
    assert_eq!(
        (config.learning_rate, config.beta, config.clip_epsilon),
        (1e-5, 0.01, 0.2)
    );
    assert_eq!(
        (
            config.batch_size,
            config.num_rollouts,
            config.max_steps,
            config.warmup_steps
        ),
        (2, 4, 200, 10)
    );
    assert_eq!(
        (
            config.max_turns,
            config.max_new_tokens,
            config.temperature,
            config.top_p
        ),
        (15, 1024, 0.7, 0.9)
    );
    assert_eq!(
        (
            config.eval_steps,
            config.save_steps,
            config.save_total_limit,
            config.patience
        ),
        (10, 10, 5, 5)
    );
    assert_eq!(
        (config.target_accuracy, config.min_group_std, config.seed),
        (0.8, 0.05, 42)
    );
    assert!(config.load_in_4bit && config.use_lora && config.enable_detailed_logging && !config.enable_wandb);
}

/// The original's variables of a key, or ours.
fn variables<C: Configuration>(key: &str) -> String {
    let names = C::VARIABLES.iter().filter(|(_, of)| *of == key);
    let names: Vec<String> = names.map(|(name, _)| format!("`{name}`")).collect();
    if names.is_empty() {
        format!("`CUA_{}`", key.to_uppercase())
    } else {
        names.join(", ")
    }
}

fn table<C: Configuration>() -> String {
    let defaults = serde_yaml_ng::to_value(C::default()).unwrap();
    let resumes = C::keys().iter().any(|key| key.resume.is_some());
    let (head, line) = if resumes { (" on resume |", "---|") } else { ("", "") };
    let mut text = format!("| key | default | value |{head} variable | what it does |\n|---|---|---|{line}---|---|\n");
    for key in C::keys() {
        let default = &defaults[key.name];
        let default = match default.as_sequence() {
            Some(items) => {
                let items: Vec<_> = items
                    .iter()
                    .map(|item| serde_yaml_ng::to_string(item).unwrap())
                    .collect();
                format!(
                    "[{}]",
                    items.iter().map(|item| item.trim()).collect::<Vec<_>>().join(", ")
                )
            }
            None => serde_yaml_ng::to_string(default).unwrap().trim().to_owned(),
        };
        let resume = key.resume.map(|kind| format!(" {} |", kind.word())).unwrap_or_default();
        text += &format!(
            "| `{}` | `{default}` | {} |{resume} {} | {} |\n",
            key.name,
            key.expected(),
            variables::<C>(key.name),
            key.doc.trim()
        );
    }
    text
}

#[test]
fn every_key_of_a_run_says_what_it_means_on_resume() {
    for key in TrainConfig::keys() {
        assert!(key.resume.is_some(), "{} lacks #[resume = ...]", key.name);
    }
    let kind = |name: &str| TrainConfig::keys().iter().find(|key| key.name == name).unwrap().resume;
    for name in [
        "model_name",
        "load_in_4bit",
        "lora_r",
        "lora_alpha",
        "use_rslora",
        "lora_target_modules",
    ] {
        assert_eq!(kind(name), Some(Resume::Refused), "{name}");
    }
    for name in ["learning_rate", "beta", "eval_seed", "reward", "templates", "seed"] {
        assert_eq!(kind(name), Some(Resume::Warned), "{name}");
    }
    for name in ["max_steps", "output_dir", "verbose", "save_steps", "gbox_api_key"] {
        assert_eq!(kind(name), Some(Resume::Free), "{name}");
    }
    assert!(SftConfig::keys().iter().all(|key| key.resume.is_none()));
}

/// `UPDATE_DOCS=1 cargo test -p cua-grpo-train --lib config` rewrites the tables.
#[test]
fn the_documentation_lists_every_key() {
    let path = root().join("docs/CONFIG.md");
    let old = std::fs::read_to_string(&path).unwrap();
    let mut new = old.clone();
    for (name, table) in [("train", table::<TrainConfig>()), ("sft", table::<SftConfig>())] {
        let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
        let from = new.find(&begin).expect("the begin mark") + begin.len();
        let to = new.find(&end).expect("the end mark");
        new.replace_range(from..to, &table);
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &new).unwrap();
    } else {
        assert!(
            old == new,
            "docs/CONFIG.md is out of step: UPDATE_DOCS=1 cargo test -p cua-grpo-train --lib config"
        );
    }
}
