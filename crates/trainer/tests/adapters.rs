//! Whatever takes an adapter takes the run that it came from, with its configuration and its base.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::runs::{copy_folder, refused, snapshot, succeed, text, with};
use common::trainer;
use cua_grpo_train::checkpoint::step_of;
use cua_grpo_train::metrics::{Line, deterministic, read_metrics};
use std::path::Path;

#[test]
fn an_adapter_is_evaluated_as_its_run_did_it() {
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("my run");
    // Nothing of this is the quickstart's: other tasks, turns and seeds.
    let flags = [
        "--max-steps=2",
        "--output-dir=my run",
        "--set=eval_seed=77",
        "--set=lora_r=4",
        "--set=lora_alpha=8",
    ];
    let said = succeed(home.path(), &with(&flags));
    let last = read_metrics(&run)
        .unwrap()
        .into_iter()
        .rev()
        .find_map(|event| match event {
            Line::Eval(eval) => Some(eval),
            Line::Train(_) => None,
        });
    let last = last.unwrap();
    // The command that the program prints, read by a shell.
    let hint = said.lines().find(|line| line.contains("eval --adapter")).unwrap();
    let words: Vec<String> = shlex::Shlex::new(hint).collect();
    assert_eq!(words[0], env!("CARGO_BIN_EXE_trainer"));
    assert_eq!(words[1..], ["eval", "--adapter", "my run", "--episodes", "100"]);
    for path in [
        "my run",
        "my run/final",
        "my run/best_model",
        "my run/checkpoints/checkpoint-2",
    ] {
        let output = trainer(home.path(), &["eval", "--adapter", path]);
        assert!(output.status.success(), "{path}: {}", text(&output));
        let event: Line = serde_json::from_slice(&output.stdout).unwrap();
        let Line::Eval(eval) = event else {
            panic!("no evaluation: {event:?}")
        };
        let adapter = if path == "my run" { "my run/final" } else { path };
        assert_eq!(Some(eval.step), step_of(&home.path().join(adapter)), "{path}");
        let mut expected = last.clone();
        (expected.step, expected.eval_s) = (eval.step, eval.eval_s);
        if !path.ends_with("best_model") {
            let (found, expected) = (deterministic(&Line::Eval(eval)), deterministic(&Line::Eval(expected)));
            for key in [
                "success_rate",
                "reward_mean",
                "turns_mean",
                "episodes",
                "task_set",
                "instances",
            ] {
                assert_eq!(found[key], expected[key], "{path}: {key}");
            }
        }
        let said = text(&output);
        assert!(said.contains(&format!("configuration {adapter}/config.yaml")), "{said}");
        assert!(!said.contains("not verified"), "{said}");
    }
    let output = trainer(
        home.path(),
        &["eval", "--adapter=my run", "--episodes=2", "--set=eval_seed=5"],
    );
    let said = text(&output);
    for note in [
        "`eval_episodes` is 2 (--",
        "in place of the run's 3",
        "`eval_seed` is 5 (--set) in place of the run's 77",
    ] {
        assert!(said.contains(note), "{said}");
    }
    // Moved away, from another place, the folder still knows what it is.
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::rename(run.join("final"), elsewhere.path().join("policy")).unwrap();
    let output = trainer(elsewhere.path(), &["eval", "--adapter=policy"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["success_rate"], last.success_rate, "{}", text(&output));
    assert_eq!(found["task_set"], deterministic(&Line::Eval(last))["task_set"]);
    // A run whose metrics are lost is a run by its checkpoints.
    std::fs::rename(run.join("metrics.jsonl"), home.path().join("aside")).unwrap();
    succeed(home.path(), &["eval", "--adapter=my run", "--episodes=1"]);
    std::fs::rename(home.path().join("aside"), run.join("metrics.jsonl")).unwrap();
    // Every other command takes the run too, base and all.
    for arguments in [
        &["generate", "--adapter=my run", "--prompt=hello", "--max-new-tokens=2"][..],
        &["merge", "--adapter=my run/best_model", "--out=merged"],
        &["report", "my run/checkpoints/checkpoint-1"],
    ] {
        succeed(home.path(), arguments);
    }
}

#[test]
fn another_base_is_refused_everywhere() {
    let home = tempfile::tempdir().unwrap();
    succeed(
        home.path(),
        &with(&["--max-steps=1", "--output-dir=run", "--set=save_total_limit=1"]),
    );
    // The same weights under another name, and the same shapes with one value changed.
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("starter");
    for name in ["same", "other"] {
        copy_folder(&starter, &home.path().join(name));
    }
    let weights = home.path().join("other/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 0x80;
    std::fs::write(&weights, bytes).unwrap();
    let words = ["trained on the base `starter`", "`other`"];
    refused(
        home.path(),
        &["eval", "--adapter=run/final", "--model-name=other"],
        &words,
    );
    refused(
        home.path(),
        &["generate", "--adapter=run", "--model=other", "--prompt=a"],
        &words,
    );
    refused(
        home.path(),
        &["merge", "--adapter=run", "--model=other", "--out=new"],
        &words,
    );
    assert!(!home.path().join("new").exists());
    let before = snapshot(&home.path().join("run"));
    refused(
        home.path(),
        &["--resume=run", "--model-name=other", "--max-steps=2"],
        &["`model_name` is starter in the run, now other"],
    );
    assert!(
        before == snapshot(&home.path().join("run")),
        "a refused resume changed the folder"
    );
    let said = succeed(
        home.path(),
        &["eval", "--adapter=run/final", "--model-name=same", "--episodes=1"],
    );
    assert!(
        said.contains("`model_name` is same (--model-name) in place of the run's starter"),
        "{said}"
    );
    let said = succeed(home.path(), &["--resume=run", "--model-name=same", "--max-steps=2"]);
    assert!(said.contains("the weights are the same"), "{said}");
}

#[test]
fn a_base_whose_configuration_or_template_was_changed_is_refused_by_the_name_of_the_file() {
    let home = tempfile::tempdir().unwrap();
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("starter");
    let base = home.path().join("base");
    copy_folder(&starter, &base);
    succeed(
        home.path(),
        &with(&["--max-steps=1", "--output-dir=run", "--model-name=base"]),
    );
    let before = snapshot(&home.path().join("run"));
    for (name, from, to) in [
        ("config.json", "\"rope_theta\"", "\"rope_theta\": 99.0, \"was\""),
        ("chat_template.jinja", "user", "User"),
        ("tokenizer.json", "NFC", "NFKC"),
        ("preprocessor_config.json", "18432", "16384"),
    ] {
        let path = base.join(name);
        let whole = std::fs::read_to_string(&path).unwrap();
        assert!(whole.contains(from), "{name} lacks {from}");
        std::fs::write(&path, whole.replacen(from, to, 1)).unwrap();
        for command in [
            ["eval", "--adapter=run", "--episodes=1"].as_slice(),
            &["generate", "--adapter=run/final", "--prompt=a"],
            &["merge", "--adapter=run/best_model", "--out=merged"],
            &["--resume=run", "--max-steps=2"],
        ] {
            refused(home.path(), command, &[name, "restore"]);
        }
        std::fs::write(&path, whole).unwrap();
    }
    assert!(!home.path().join("merged").exists());
    assert!(before == snapshot(&home.path().join("run")));
    // Other spaces are no other model.
    let path = base.join("config.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, whole.replace("\n", "\n ")).unwrap();
    succeed(home.path(), &["eval", "--adapter=run", "--episodes=1"]);
}

#[test]
fn an_adapter_and_its_configuration_must_agree() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=1", "--output-dir=run"]));
    let run = home.path().join("run");
    let edit = |name: &str, from: &str, to: &str| {
        let path = run.join(name);
        let whole = std::fs::read_to_string(&path).unwrap();
        assert!(whole.contains(from), "{name} lacks {from}");
        std::fs::write(&path, whole.replace(from, to)).unwrap();
        (path, whole)
    };
    for (from, to, words) in [
        ("lora_alpha: 32.0", "lora_alpha: 64.0", ["`lora_alpha` is 32", "64"]),
        ("lora_r: 16", "lora_r: 8", ["`lora_r` is 16", "but 8"]),
        (
            "use_rslora: false",
            "use_rslora: true",
            ["`use_rslora` is false", "true"],
        ),
        (
            "load_in_4bit: false",
            "load_in_4bit: true",
            ["`load_in_4bit` is false", "true"],
        ),
        (
            "lora_alpha_pattern: {}",
            "lora_alpha_pattern: {q_proj: 4.0}",
            ["`lora_alpha_pattern`", "q_proj"],
        ),
    ] {
        let (path, whole) = edit("config.yaml", from, to);
        for command in [
            ["eval", "--adapter=run", "--episodes=1"].as_slice(),
            &["eval", "--adapter=run/checkpoints/checkpoint-1", "--episodes=1"],
            &["generate", "--adapter=run/final", "--prompt=a"],
            &["merge", "--adapter=run/best_model", "--out=merged"],
        ] {
            let mut words = words.to_vec();
            words.extend(["run/config.yaml", "restore"]);
            refused(home.path(), command, &words);
        }
        std::fs::write(path, whole).unwrap();
    }
    // The other file of the two; its checksums are taken away, as the message about them says.
    std::fs::remove_file(run.join("final/checksums.json")).unwrap();
    let (path, whole) = edit(
        "final/adapter_config.json",
        "\"lora_alpha\": 32.0",
        "\"lora_alpha\": 64.0",
    );
    refused(home.path(), &["eval", "--adapter=run"], &["`lora_alpha` is 64", "32"]);
    // On its own it is an adapter like any other, of no known step.
    let own = home.path().join("own");
    std::fs::create_dir(&own).unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(run.join("final").join(name), own.join(name)).unwrap();
    }
    let flags = ["eval", "--adapter=own", "--model-name=starter", "--episodes=1"];
    let output = trainer(home.path(), &flags);
    assert!(output.status.success(), "{}", text(&output));
    let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(figures["step"].is_null() && figures["episodes"] == 1, "{figures}");
    std::fs::write(path, whole).unwrap();
    succeed(home.path(), &["eval", "--adapter=run", "--episodes=1"]);
}

#[test]
fn an_adapter_that_names_another_base_than_its_run_asks_which() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=1", "--output-dir=run"]));
    let last = home.path().join("run/final");
    // As an adapter without provenance: nothing tells which of the two names is right.
    for name in ["provenance.json", "checksums.json"] {
        std::fs::remove_file(last.join(name)).unwrap();
    }
    succeed(home.path(), &["eval", "--adapter=run/final", "--episodes=1"]);
    let path = last.join("adapter_config.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    let (from, to) = (
        "\"base_model_name_or_path\": \"starter\"",
        "\"base_model_name_or_path\": \"other\"",
    );
    assert!(whole.contains(from), "{whole}");
    std::fs::write(&path, whole.replace(from, to)).unwrap();
    for (arguments, flag) in [
        (
            ["eval", "--adapter=run/final", "--episodes=1"].as_slice(),
            "--model-name",
        ),
        (&["generate", "--adapter=run/final", "--prompt=a"], "--model"),
        (&["merge", "--adapter=run/final", "--out=merged"], "--model"),
    ] {
        refused(home.path(), arguments, &["`other`", "`starter`", flag]);
    }
    // A flag decides, and only then the note says so.
    let said = succeed(
        home.path(),
        &["eval", "--adapter=run/final", "--episodes=1", "--model-name=starter"],
    );
    assert!(said.contains("`starter` is used, as --model-name says"), "{said}");
}
