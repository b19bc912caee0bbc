//! `trainer plan` through the real binary: the table, the JSON, and machines other than this one.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::{fixture, succeed};
use serde_json::Value;
use std::path::Path;

fn json(arguments: &[&str]) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (stdout, _) = succeed(&folder, &[&["plan", "--json"], arguments].concat());
    assert_eq!(stdout.lines().count(), 1);
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn without_a_config_the_quickstart_is_planned() {
    let folder = tempfile::tempdir().unwrap();
    let (table, stderr) = succeed(folder.path(), &["plan"]);
    assert_eq!(stderr, "");
    for words in [
        "starter (by its config.json) on cpu",
        "trainable (adapter)",
        "KV cache",
        "this machine",
        "fits",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    let plan = json(&[]);
    assert_eq!(plan["load"]["batch"], 64, "concurrency of the quickstart");
    assert_eq!(plan["load"]["context"], 2048);
    assert_eq!(plan["fit"]["fits"], true);
    assert!(
        std::fs::read_dir(folder.path()).unwrap().next().is_none(),
        "nothing is written"
    );
}

#[test]
fn released_models_are_planned_by_name_for_a_given_memory() {
    let flags = ["--model-name", "Qwen/Qwen3-VL-8B-Instruct", "--set", "dtype=bfloat16"];
    let small = json(&[&flags[..], &["--memory", "16"]].concat());
    assert_eq!(small["parameters"]["total"], 8_767_123_696_u64);
    assert_eq!(small["sizes_from"], "the released sizes of 8b");
    assert_eq!(small["fit"]["fits"], false, "the weights alone take 17.5 GB");
    assert_eq!(small["fit"]["context"], 0);
    let large = json(&[&flags[..], &["--memory", "4000"]].concat());
    assert_eq!(large["fit"]["fits"], true);
    assert!(large["fit"]["max_conversations"].as_u64() > Some(64));
    // 36 layers and the one that is joined, 8 heads of 128, keys and values in bf16.
    let context = large["load"]["context"].as_u64().unwrap();
    assert_eq!(large["fit"]["conversation"], 37 * 8 * 128 * 2 * 2 * context);
    let weights = &large["components"][0];
    assert_eq!(weights["name"], "weights");
    assert!((weights["bytes"].as_f64().unwrap() / 17.53e9 - 1.0).abs() < 0.01);
}

#[test]
fn a_folder_is_planned_by_its_own_sizes() {
    let model = fixture("b");
    let plan = json(&[
        "--model-name",
        model.to_str().unwrap(),
        "--device",
        "cuda",
        "--memory",
        "1",
    ]);
    let weights = std::fs::read_dir(&model).unwrap().map(|entry| entry.unwrap());
    let files = weights.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "safetensors"));
    let stored: u64 = files.map(|entry| entry.metadata().unwrap().len()).sum();
    let total = plan["parameters"]["total"].as_u64().unwrap();
    // The files hold four bytes a weight and three headers.
    assert!(stored > 4 * total && stored < 4 * total + 100_000, "{stored} {total}");
}

#[test]
fn the_readmes_line_answers_with_what_one_would_run_on_such_a_card() {
    let arguments = ["--model-name", "Qwen/Qwen3-VL-8B-Instruct", "--memory"];
    let plan = json(&[&arguments[..], &["80"]].concat());
    assert_eq!(plan["fit"]["fits"], true, "{plan}");
    assert_eq!(
        (&plan["device"], &plan["weights_in"]),
        (&"cuda:0".into(), &"bfloat16".into())
    );
    assert_eq!(plan["keys_from"], "built-in configs/grpo_single_gpu.yaml");
    assert_eq!(
        (&plan["load"]["context"], &plan["load"]["batch"]),
        (&7680.into(), &2.into())
    );
    let same = json(&["--config", "configs/grpo_single_gpu.yaml", "--memory", "80"]);
    assert_eq!(
        plan["peak_bytes"], same["peak_bytes"],
        "what is planned is what the file runs"
    );
    // A card with 16 GiB holds the weights in four bits only, and is told so.
    let small = json(&[&arguments[..], &["16"]].concat());
    assert_eq!(small["fit"]["fits"], false);
    let four = small["four_bits_bytes"].as_u64().unwrap();
    assert!(four < 16 << 30, "{four}");
    let asked = json(&[&arguments[..], &["16", "--load-in-4bit"]].concat());
    assert_eq!(
        (&asked["fit"]["fits"], &asked["peak_bytes"]),
        (&true.into(), &four.into())
    );
    // Flags and the quickstart's own model are not touched.
    assert_eq!(
        json(&[&arguments[..], &["80", "--device", "cpu"]].concat())["device"],
        "cpu"
    );
    assert_eq!(json(&[])["keys_from"], "built-in configs/quickstart.yaml");
}

/// The GPU files finish their turns on a real phone; a plan says how many fit, and with which settings.
#[test]
fn the_turns_of_a_real_screen_are_told_and_settings_that_fit() {
    for (file, turns) in [("configs/grpo.yaml", 15), ("configs/grpo_single_gpu.yaml", 10)] {
        let plan = json(&["--config", file, "--memory", "80"]);
        assert_eq!(plan["fit"]["fits"], true, "{file}");
        assert_eq!(plan["turns"]["screen"], serde_json::json!([1080, 2400]));
        assert!(
            plan["turns"]["fit"].as_u64() >= Some(turns),
            "{file}: {}",
            plan["turns"]
        );
        assert_eq!(plan["turns"]["asked"], turns);
        // At full size they do not, and the plan says what would.
        let full = json(&["--config", file, "--memory", "80", "--max-pixels", "0"]);
        assert_eq!(full["turns"]["screenshot"], 2550);
        assert!(full["turns"]["fit"].as_u64() < Some(turns), "{file}");
        assert!(full["fitted"]["turns"]["fit"].as_u64() >= Some(turns), "{file}");
    }
    // A card of 24 GiB: phones, turns and a context that fit, in four bits only where bf16 does not.
    let arguments = ["--model-name", "Qwen/Qwen3-VL-8B-Instruct", "--memory"];
    for (memory, four_bits) in [("24", None), ("16", Some("true")), ("80", Some("false"))] {
        let plan = json(&[&arguments[..], &[memory]].concat());
        let fitted = &plan["fitted"];
        assert_eq!(fitted["fit"]["fits"], true, "{memory}: {plan}");
        assert!(fitted["turns"]["fit"].as_u64() >= Some(10));
        let settings = plan["settings"].as_array().unwrap();
        let value = |key: &str| settings.iter().find(|setting| setting["key"] == key).unwrap()["value"].clone();
        assert!(
            four_bits.is_none_or(|four_bits| value("load_in_4bit") == four_bits),
            "{memory}"
        );
        // Pasted, they are what was planned.
        let pasted: Vec<String> = settings
            .iter()
            .map(|setting| {
                format!(
                    "--set={}={}",
                    setting["key"].as_str().unwrap(),
                    setting["value"].as_str().unwrap()
                )
            })
            .collect();
        let mut again = vec!["--config", "configs/grpo_single_gpu.yaml", "--memory", memory];
        again.extend(pasted.iter().map(String::as_str));
        assert_eq!(json(&again)["peak_bytes"], fitted["peak_bytes"], "{memory}");
    }
    let (table, _) = succeed(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        &[&["plan"], &arguments[..], &["16"]].concat(),
    );
    for words in [
        "turns: 10 of 10 fit in 7,680 tokens",
        "settings to paste",
        "load_in_4bit: true   # in place of false",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    // Nothing fits in a gigabyte.
    let none = json(&[&arguments[..], &["1"]].concat());
    assert_eq!(
        (&none["fitted"], &none["settings"]),
        (&Value::Null, &serde_json::json!([]))
    );
}
