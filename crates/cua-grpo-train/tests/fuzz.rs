//! Configurations, lines of metrics and states of checkpoints changed at random: each is read or is an error.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers are not seen as tests; figures are shown with --nocapture"
)]

use cua_grpo_core::testing::fuzz::run;
use cua_grpo_train::checkpoint::read_state;
use cua_grpo_train::config::{TrainConfig, read_yaml, to_yaml};
use cua_grpo_train::metrics::read_metrics;
use std::path::Path;

fn configs(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn configurations() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    let texts = ["grpo.yaml", "quickstart.yaml", "grpo_single_gpu.yaml"].map(configs);
    let words = [
        "- ",
        ": ",
        "&a ",
        "*a",
        "!!binary ",
        "[",
        "{",
        "\n  ",
        "|",
        "null",
        ".inf",
        "0x7f",
        "<<: *a",
        "\"",
        "1e999",
        "- - - ",
    ];
    let mut read = 0;
    let inputs = run(
        "yaml",
        |mutator| {
            let text = &texts[mutator.below(texts.len())];
            mutator.bytes(text.as_bytes(), &words)
        },
        |bytes| {
            std::fs::write(&path, bytes).unwrap();
            let Ok(config) = read_yaml::<TrainConfig>(&path) else {
                return;
            };
            read += 1;
            // What is read can be written, and means the same then.
            std::fs::write(&path, to_yaml(&config).unwrap()).unwrap();
            let again = read_yaml::<TrainConfig>(&path).unwrap();
            assert_eq!(to_yaml(&again).unwrap(), to_yaml(&config).unwrap());
        },
    );
    println!("yaml: {inputs} inputs, {read} of them read");
}

#[test]
fn metrics_and_states() {
    let dir = tempfile::tempdir().unwrap();
    let lines = "{\"event\":\"step\",\"step\":1,\"loss\":0.5}\n{\"event\":\"eval\",\"step\":1,\"success_rate\":0.25,\"episodes\":4}\n";
    let state = "{\"step\": 3, \"version\": 3, \"best\": {\"step\": 2, \"success_rate\": 0.5}, \"seed\": 42}";
    let words = ["\n", "{", "}", "null", "\"step\":", "18446744073709551615"];
    let inputs = run(
        "metrics",
        |mutator| {
            let text = [lines, state][mutator.below(2)];
            mutator.bytes(text.as_bytes(), &words)
        },
        |bytes| {
            std::fs::write(dir.path().join("metrics.jsonl"), bytes).unwrap();
            let _ = read_metrics(dir.path());
            for name in ["training_state.json", "state.json", "trainer_state.json"] {
                std::fs::write(dir.path().join(name), bytes).unwrap();
            }
            let _ = read_state(dir.path());
        },
    );
    println!("metrics: {inputs} inputs");
}
