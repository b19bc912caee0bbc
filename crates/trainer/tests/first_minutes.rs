//! What a newcomer meets first, through the real binary: the first lines, the environment, `.env`, folders of others.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::trainer_in as trainer;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// One step of one small group.
const TINY: &[&str] = &[
    "--max-steps=1",
    "--batch-size=1",
    "--num-rollouts=2",
    "--max-turns=1",
    "--set=eval_episodes=1",
    "--set=concurrency=2",
    "--set=max_new_tokens=4",
    "--set=save_episodes=0",
];

/// The plan of a run, which shows what its configuration is.
#[track_caller]
fn plan(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Value {
    let known = ["plan", "--json", "--memory=20"];
    let (code, stdout, stderr) = trainer(folder, &[&known, arguments].concat(), environment);
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_first_lines_name_model_device_phone_tasks_and_who_chose_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("my.yaml"),
        "model_name: starter\ndtype: float32\nload_in_4bit: false\n",
    )
    .unwrap();
    let arguments = [TINY, &["--config=my.yaml", "--device=cpu", "--output-dir=run"]].concat();
    let (code, _, stderr) = trainer(folder.path(), &arguments, &[("CUA_TEMPLATES", "wifi,go_home")]);
    assert_eq!(code, 0, "{stderr}");
    let lines: Vec<&str> = stderr.lines().take(6).collect();
    assert_eq!(lines[0], "model    starter in float32 (file my.yaml)");
    assert_eq!(lines[1], "device   cpu (flag --device)");
    assert_eq!(lines[2], "phone    simulated, inside this process (default)");
    assert!(
        lines[3].ends_with("templates: wifi, go_home (environment variable CUA_TEMPLATES)"),
        "{}",
        lines[3]
    );
    assert!(lines[4].starts_with("note: at 2 of 2 templates an expert takes more than max_turns=1, "));
    assert!(
        lines[5].starts_with("memory   needs ") && lines[5].contains("this machine"),
        "{}",
        lines[5]
    );
    assert!(
        stderr.lines().any(|line| line.starts_with("step 1/1  reward ")),
        "{stderr}"
    );
}

#[test]
fn a_model_that_cannot_fit_is_refused_before_anything_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    // No hub answers at this address; the plan comes before.
    let environment = [("HF_ENDPOINT", "http://127.0.0.1:9"), ("HF_HOME", "cache")];
    let name = "Qwen/Qwen3-VL-32B-Instruct";
    let free =
        plan(folder.path(), &["--model-name", name, "--device", "cpu"], &environment)["available"]["free"].as_u64();
    // In f32 its weights take 124 GiB.
    if free.unwrap() < 124 << 30 {
        let (code, _, stderr) = trainer(folder.path(), &["--model-name", name], &environment);
        assert_eq!(code, 2, "{stderr}");
        for words in ["weights alone take 12", "--load-in-4bit", "trainer plan"] {
            assert!(stderr.contains(words), "{words}: {stderr}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn words_of_a_normal_shell_have_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let shell = [
        ("TARGET", "x86_64-unknown-linux-gnu"),
        ("DEVICE", "/dev/sda"),
        ("VERBOSE", "2"),
        ("MAX_TOKENS", "1000000"),
        ("TEMPLATES", "/usr/share"),
        ("REWARD", "lots"),
        ("CONCURRENCY", "many"),
        ("DTYPE", "half"),
        ("LOCKSTEP", "?"),
        ("CUA_GRPO_KERNEL_CACHE", "/tmp/kernels"),
    ];
    assert_eq!(plan(folder.path(), &[], &shell), plan(folder.path(), &[], &[]));
    // The original's names and ours do; ours win.
    let batch = |environment: &[(&str, &str)]| plan(folder.path(), &[], environment)["load"]["batch"].clone();
    assert_eq!(batch(&[("ROLLOUT_CONCURRENCY", "3")]), 3);
    assert_eq!(batch(&[("ROLLOUT_CONCURRENCY", "3"), ("CUA_CONCURRENCY", "5")]), 5);
    assert_eq!(batch(&[("CUA_CONCURRENCY", "# none")]), 64);
    // A key of `sft` is no mistake for `plan`.
    assert_eq!(batch(&[("CUA_DEMONSTRATIONS", "7")]), 64);
}

#[test]
fn dot_env_is_read_as_by_the_original() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(
        folder.path().join(".env"),
        "export LORA_R=4 # small\nCUA_CONCURRENCY = \"3\"\nBROKEN='\nVERBOSE=true\nOUTPUT_DIR=${HERE:-runs}/one\n",
    )
    .unwrap();
    let found = plan(&deep, &[], &[]);
    assert_eq!(found["load"]["batch"], 3);
    let without = tempfile::tempdir().unwrap();
    let expected = plan(without.path(), &["--lora-r=4"], &[]);
    assert_eq!(found["parameters"], expected["parameters"]);
    // The environment wins over the file, and a flag over both.
    assert_eq!(plan(&deep, &[], &[("CUA_CONCURRENCY", "6")])["load"]["batch"], 6);
    assert_eq!(
        plan(&deep, &["--set=concurrency=9"], &[("CUA_CONCURRENCY", "6")])["load"]["batch"],
        9
    );
    let (code, _, stderr) = trainer(&deep, TINY, &[("HERE", "there")]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains(".env: line 3"), "{stderr}");
    let saved = std::fs::read_to_string(deep.join("there/one/config.yaml")).unwrap();
    assert!(
        saved.contains("lora_r: 4\n") && saved.contains("verbose: true\n"),
        "{saved}"
    );
    // An error says which file it was.
    std::fs::write(folder.path().join(".env"), "BATCH_SIZE=two\n").unwrap();
    let (code, _, stderr) = trainer(&deep, &[], &[]);
    assert!(
        code == 2 && stderr.contains("variable BATCH_SIZE of ") && stderr.contains("/.env"),
        "{stderr}"
    );
}

#[test]
fn keys_of_other_trainers_in_a_file_lead_to_ours() {
    let folder = tempfile::tempdir().unwrap();
    for (yaml, words) in [
        (
            "num_generations: 8",
            vec!["`num_generations`", "TRL", "`num_rollouts`", "their.yaml"],
        ),
        ("max_completion_length: 512", vec!["`max_new_tokens`", "one reply"]),
        ("epsilon_high: 0.28", vec!["`clip_epsilon_high`"]),
        ("per_device_train_batch_size: 8", vec!["`batch_size`", "counts tasks"]),
        ("eps_clip: 0.2", vec!["AReaL", "`clip_epsilon`"]),
        ("gradient_checkpointing: true", vec!["transformers", "leave it out"]),
        ("max_lora_rank: 16", vec!["`lora_r`"]),
        (
            "rollout:\n  n: 4\n  temperature: 1.0\n  max_model_len: 4096\n",
            vec![
                "not grouped",
                "`n`",
                "`num_rollouts`",
                "`temperature` stays",
                "`max_seq_length`",
            ],
        ),
        (
            "actor:\n  optim:\n    lr: 1e-6\n",
            vec!["not grouped", "`lr`", "`learning_rate`"],
        ),
    ] {
        std::fs::write(folder.path().join("their.yaml"), yaml).unwrap();
        let (code, _, stderr) = trainer(folder.path(), &["--config", "their.yaml"], &[]);
        assert_eq!(code, 2, "{yaml}: {stderr}");
        assert!(
            words.iter().all(|word| stderr.contains(word)),
            "{yaml} {words:?}: {stderr}"
        );
    }
}

#[test]
fn imitation_writes_over_nothing_and_goes_on_from_the_starter() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "sft",
        "--output-dir=mine",
        "--max-steps=1",
        "--set=demonstrations=4",
        "--set=batch_size=2",
        "--set=eval_episodes=1",
        "--set=init_from=starter",
    ];
    let (code, _, stderr) = trainer(folder.path(), &arguments, &[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.starts_with("model    starter (flag --set)\ndevice   cpu (default)\n"),
        "{stderr}"
    );
    let model = folder.path().join("mine/model.safetensors");
    let before = std::fs::read(&model).unwrap();
    for name in [
        "config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "preprocessor_config.json",
    ] {
        assert!(folder.path().join("mine").join(name).is_file(), "{name}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
    let (code, _, stderr) = trainer(folder.path(), &arguments, &[]);
    assert!(
        code == 2 && stderr.contains("not empty") && stderr.contains("--output-dir"),
        "{stderr}"
    );
    assert!(before == std::fs::read(&model).unwrap());
}

/// The arguments of the README's line that begins with `command`, as a shell splits them.
fn readme_line(command: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let start = format!("cargo run -p trainer -- {command} ");
    let line = readme.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
    let line = line.split(" #").next().unwrap();
    let mut arguments = vec![command.to_owned()];
    for (number, part) in line.split('"').enumerate() {
        if number % 2 == 1 {
            arguments.push(part.to_owned());
        } else {
            arguments.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    arguments
}

#[test]
fn lines_of_the_readme_run_as_typed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("scores.json");
    for command in ["plan", "generate", "score"] {
        let mut arguments = readme_line(command);
        // Only what would be written into the checkout goes elsewhere.
        for argument in &mut arguments {
            if argument == "outputs/scores.json" {
                *argument = out.display().to_string();
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (code, stdout, stderr) = trainer(&root(), &arguments, &[]);
        assert_eq!(code, 0, "{arguments:?}: {stderr}");
        if command == "plan" {
            assert!(stdout.contains("\nfits; "), "{stdout}");
        }
    }
    let scores: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(
        scores["image_grid_thw"].as_array().unwrap().len(),
        1,
        "the picture was read"
    );
}

#[test]
fn imitation_whose_loss_diverges_says_so_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "sft",
        "--output-dir=mine",
        "--max-steps=6",
        "--set=demonstrations=4",
        "--set=batch_size=2",
        "--set=eval_episodes=0",
        "--set=init_from=starter",
        "--set=learning_rate=3",
        "--set=warmup_steps=0",
    ];
    let (code, _, stderr) = trainer(folder.path(), &arguments, &[]);
    assert_eq!(code, 1, "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(
        last.contains("wrote mine, but the loss diverged: it began at") && last.contains("learning_rate"),
        "{stderr}"
    );
}
