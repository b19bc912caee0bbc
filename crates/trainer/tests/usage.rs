//! Errors of usage, through the real binary: exit code 2, one clear line, nothing written.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::trainer_in as trainer;

/// Arguments, environment, and words that the message must have.
type Case = (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

#[test]
fn usage_errors_exit_with_2_say_what_to_do_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    std::fs::write(&file, "load_in_4bit: false\nlearnig_rate: 1e-3\n").unwrap();
    let cases: &[Case] = &[
        (
            &["--config", "bad.yaml"],
            &[],
            &["`learnig_rate`", "`learning_rate`", "bad.yaml"],
        ),
        (&["--config", "none.yaml"], &[], &["none.yaml", "--config"]),
        (
            &["--set", "max_steps=many"],
            &[],
            &["`max_steps`", "`many`", "whole number", "--set"],
        ),
        (&["--set", "nonsense"], &[], &["key=value"]),
        (
            &["train", "--temperature", "0"],
            &[],
            &["`temperature`", "0.001 to 100", "greedy", "--temperature"],
        ),
        (&[], &[("BATCH_SIZE", "two")], &["`batch_size`", "variable BATCH_SIZE"]),
        (&["--device", "tpu"], &[], &["`device`", "cpu, cuda or cuda:N"]),
        (&["--wandb"], &[], &["Weights & Biases", "later", "metrics.jsonl"]),
        (&["--wandb-project", "mine"], &[], &["Weights & Biases", "later"]),
        (&["--load-in-4bit", "--no-4bit"], &[], &["--load-in-4bit", "--no-4bit"]),
        (&["--no-lora"], &[], &["use_lora", "later", "--use-lora"]),
        (&["--resume", "none"], &[], &["--resume none", "no such folder"]),
        (&["plan", "--memory", "0"], &[], &["--memory", "above 0"]),
        (
            &["plan", "--model-name", "none"],
            &[],
            &["`none`", "starter", "30b-a3b"],
        ),
        (&["generate", "--prompt", "hello"], &[], &["--model"]),
        (&["score", "--model", "starter"], &[], &["--messages", "--out"]),
        (&["merge", "--out", "x"], &[], &["--adapter", "required"]),
        (&["--no-such-flag"], &[], &["--no-such-flag", "--help"]),
        (
            &["sft", "--set", "text_num_attention_heads=3"],
            &[],
            &["text_num_key_value_heads", "divisor"],
        ),
        (&["report", "none"], &[], &["none", "run folder"]),
        // Values outside of their bounds, however they are given.
        (&["--beta", "-1"], &[], &["`beta` is `-1` (--beta)", "0 to 1e38"]),
        (&["--learning-rate", "-1e-3"], &[], &["`learning_rate`", "`-1e-3`"]),
        (&["--max-steps", "-1"], &[], &["`max_steps`", "as the epochs say"]),
        (
            &["--set", "batch_size=18446744073709551615"],
            &[],
            &["`batch_size`", "1 to 16384"],
        ),
        (
            &["--batch-size=18446744073709551616"],
            &[],
            &["`batch_size`", "1 to 16384"],
        ),
        (
            &["--batch-size=10000", "--num-rollouts=4000"],
            &[],
            &["at most 65536 episodes in a step", "40000000"],
        ),
        (&["--lora-r=99999999999"], &[], &["`lora_r`", "1 to 8192"]),
        (&["--set", "learning_rate=.inf"], &[], &["`learning_rate`"]),
        (
            &["--set", "target_accuracy=80"],
            &[],
            &["`target_accuracy`", "not per cent"],
        ),
        (
            &["eval", "--episodes", "100000000"],
            &[],
            &["`eval_episodes`", "(--episodes)", "1 to 10000"],
        ),
        (
            &["sft", "--set", "demonstrations=100000000000"],
            &[],
            &["`demonstrations`", "1 to 1000000"],
        ),
        (
            &["generate", "--model", "starter", "--prompt", "x", "--temperature", "-1"],
            &[],
            &["--temperature", "0 or more"],
        ),
        (&["sim", "--fault-rate", "-1"], &[], &["--fault-rate", "0 to 1"]),
        (&["sim", "--refuse-rate", "2"], &[], &["--refuse-rate", "0 to 1"]),
        (
            &["generate", "--model=starter", "--prompt=x", "--max-new-tokens=0"],
            &[],
            &["--max-new-tokens", "a whole number, 1 or more"],
        ),
        // An address for documents, which no machine has.
        (
            &["sim", "--bind", "192.0.2.1:80"],
            &[],
            &["--bind", "192.0.2.1:80", "an address of this machine"],
        ),
        // Values of other trainers.
        (&["--set", "dtype=bf16"], &[], &["`dtype`", "write bfloat16"]),
        (&["--set", "top_k=-1"], &[], &["`top_k`", "write 0"]),
        // Keys of other trainers.
        (
            &["--set", "num_generations=8"],
            &[],
            &["`num_generations`", "TRL", "`num_rollouts`", "--set"],
        ),
        (
            &["--set", "actor_rollout_ref.actor.kl_loss_coef=0.1"],
            &[],
            &["verl", "`beta`"],
        ),
        (
            &["--set", "warmup_ratio=0.1"],
            &[],
            &["`warmup_steps`", "multiply by max_steps"],
        ),
        (
            &[],
            &[("CUA_LERNING_RATE", "1e-3")],
            &["variable CUA_LERNING_RATE", "`learning_rate`"],
        ),
        // What cannot be used.
        (&["--set=templates=[wify]"], &[], &["templates", "wify", "wifi"]),
        (&["sft", "--set=templates=[wify]"], &[], &["templates", "wify"]),
        (&["eval", "--set=templates=[wify]"], &[], &["templates", "wify"]),
        (
            &["--device", "cuda"],
            &[],
            &["cuda:0", "--features cuda", "--device cpu"],
        ),
        (&["sft", "--device", "cuda"], &[], &["cuda:0", "--features cuda"]),
        (&["--set=lora_target_modules=[q_prog]"], &[], &["q_prog", "q_proj"]),
        (&["eval", "--adapter", "none"], &[], &["--adapter none"]),
        (&["sft", "--set", "init_from=no-such"], &[], &["init_from", "no-such"]),
        (&["--model-name", "none"], &[], &["none", "starter", "org/name"]),
        (
            &["--output-dir", "/"],
            &[],
            &["output_dir (--output-dir)", "`/`", "choose a new folder"],
        ),
        (&["--output-dir", "."], &[], &["`.`", "choose a new folder"]),
        (&["--output-dir", ".."], &[], &["choose a new folder"]),
        (
            &[],
            &[("OUTPUT_DIR", "/usr")],
            &["variable OUTPUT_DIR", "`/usr`", "not empty"],
        ),
        (&["sft", "--output-dir", "/usr"], &[], &["`/usr`", "not empty"]),
        (&["--output-dir", "bad.yaml"], &[], &["bad.yaml", "choose a new folder"]),
        // A key without an address.
        (
            &[],
            &[("GBOX_API_KEY", "k3y")],
            &["variable GBOX_API_KEY", "gbox_base_url=https://", "gbox_base_url=sim"],
        ),
        (&["eval"], &[("GBOX_API_KEY", "k3y")], &["gbox_base_url=sim"]),
        (
            &["--set=gbox_base_url=http://127.0.0.1:9/api/v1"],
            &[],
            &["GBOX_API_KEY", "sim"],
        ),
    ];
    for (arguments, environment, words) in cases {
        let (code, _, stderr) = trainer(folder.path(), arguments, environment);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(
            !stderr.contains("k3y") && words.iter().all(|word| stderr.contains(word)),
            "{arguments:?} {words:?}: {stderr}"
        );
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left, [file]);
}

#[test]
fn what_may_not_be_read_or_written_is_told_once_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    // Folders in the place of files: they cannot be read or written, whoever asks.
    for name in [
        "written/report.html",
        "unread/metrics.jsonl",
        "folder.yaml",
        "model/tokenizer.json",
    ] {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("written/config.yaml"), "seed: 1\n").unwrap();
    std::fs::copy(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("starter/config.json"),
        folder.path().join("model/config.json"),
    )
    .unwrap();
    let cases: [(&[&str], &[&str]); 5] = [
        (
            &["report", "written"],
            &["written/report.html", "report written --output"],
        ),
        (&["report", "unread"], &["unread/metrics.jsonl"]),
        (&["--config", "folder.yaml"], &["folder.yaml", "--config"]),
        (&["generate", "--model=model", "--prompt=x"], &["tokenizer.json"]),
        (&["sim", "--bind=192.0.2.1:80"], &["192.0.2.1:80"]),
    ];
    for (arguments, words) in cases {
        let (code, _, stderr) = trainer(folder.path(), arguments, &[]);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(
            words.iter().all(|word| stderr.contains(word)),
            "{arguments:?} {words:?}: {stderr}"
        );
        let causes = |word: &str| stderr.to_lowercase().matches(word).count();
        assert!(
            causes("(os error") <= 1 && causes("is a directory") <= 1,
            "{arguments:?}: {stderr}"
        );
    }
    let (code, _, stderr) = trainer(folder.path(), &["report", "written", "--output=mine.html"], &[]);
    assert!(code == 0 && stderr.contains("mine.html"), "{stderr}");
    assert!(
        std::fs::read_to_string(folder.path().join("mine.html"))
            .unwrap()
            .contains("seed: 1")
    );
}

#[test]
fn help_names_every_subcommand() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, _) = trainer(folder.path(), &["--help"], &[]);
    assert_eq!(code, 0);
    for name in "train eval sft sim report plan generate merge score --set --resume".split(' ') {
        assert!(stdout.contains(name), "{name}");
    }
}

#[test]
fn what_is_wrong_is_told_in_bounded_words_and_time() {
    let home = tempfile::tempdir().unwrap();
    let long = "x".repeat(100_000);
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    write("value.yaml", &format!("learning_rate: {long}{long}\n"));
    write("key.yaml", &format!("? {long}{long}\n: 1\n"));
    write("twice.yaml", &format!("? {long}\n: 1\n? {long}\n: 2\n"));
    write("line.yaml", &format!("templates: [{long}{long}]\n"));
    let flag = format!("--{long}");
    let set = format!("--set=learning_rate={long}");
    let unknown = format!("--set={long}=1");
    let steps = format!("--max-steps={long}");
    let nested = format!("--set=templates={}", "[".repeat(100_000));
    let cases: [(&[&str], &str); 12] = [
        (&["--config", "value.yaml"], "`learning_rate` is `xxx"),
        (&["--config", "key.yaml"], "unknown key `xxx"),
        (&["--config", "twice.yaml"], "duplicate entry with key"),
        (&["--config", "line.yaml"], "expected one of"),
        (&["--config", &long], "Check the path after --config"),
        (&[&set], "expected a number"),
        (&[&unknown], "All keys are in docs/CONFIG.md"),
        (&[&steps], "expected a whole number"),
        (&[&nested], "expected one of"),
        (&[&flag], "unexpected argument"),
        (&["--log-format", &long], "possible values: text, json"),
        (&[&long], "For more information"),
    ];
    for (arguments, wanted) in cases {
        let begun = std::time::Instant::now();
        let (code, _, error) = trainer(home.path(), arguments, &[]);
        let begin: String = error.chars().take(300).collect();
        assert_eq!(code, 2, "{begin}");
        assert!(error.contains(wanted), "{wanted}: {begin}");
        assert!(error.len() < 5000, "{}: {begin}", error.len());
        assert!(begun.elapsed().as_secs() < 20, "{:?}: {begin}", begun.elapsed());
    }
}
