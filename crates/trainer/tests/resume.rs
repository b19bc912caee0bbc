//! Run folders do not lie: what may change on resume, forks, deaths, two processes.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod common;

use common::runs::{adapter, copy_folder, lines, log, order, refused, snapshot, succeed, text, with};
use common::{command, trainer};
use cua_grpo_train::checkpoint::step_of;
use cua_grpo_train::metrics::MetricsWriter;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn what_changes_the_meaning_of_a_run_is_refused_and_leaves_no_trace() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=1", "--output-dir=run"]));
    let run = home.path().join("run");
    let before = snapshot(&run);
    for (flag, words) in [
        ("--lora-alpha=64", "`lora_alpha` is 32.0 in the run, now 64.0"),
        ("--set=use_rslora=true", "`use_rslora` is false in the run, now true"),
        ("--lora-r=8", "`lora_r` is 16 in the run, now 8"),
        ("--load-in-4bit", "`load_in_4bit` is false in the run, now true"),
        (
            "--set=lora_target_modules=[language]",
            "`lora_target_modules` is [language, vision, merger] in the run",
        ),
        ("--set=lora_alpha_pattern={q_proj: 64}", "`lora_alpha_pattern`"),
    ] {
        refused(home.path(), &["--resume=run", flag, "--max-steps=2"], &[words]);
    }
    // By the file as well: the checkpoint remembers what it was trained with.
    let config = run.join("config.yaml");
    let saved = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, saved.replace("lora_alpha: 32", "lora_alpha: 64")).unwrap();
    refused(home.path(), &["--resume=run", "--max-steps=2"], &["now 64.0"]);
    // Emptied by whatever: never the defaults.
    std::fs::write(&config, "").unwrap();
    let said = succeed(
        home.path(),
        &[
            "--resume=run/checkpoints/checkpoint-1",
            "--output-dir=fork",
            "--max-steps=1",
        ],
    );
    assert!(said.contains("is lost"), "{said}");
    assert_eq!(
        std::fs::read_to_string(home.path().join("fork/config.yaml"))
            .unwrap()
            .replace("fork", "run"),
        saved
    );
    std::fs::write(&config, saved).unwrap();
    // A value that fails is not kept.
    let output = trainer(
        home.path(),
        &["--resume=run", "--set=templates=[wify]", "--max-steps=2"],
    );
    assert!(!output.status.success());
    assert!(before == snapshot(&run), "a failed resume changed the folder");
    let said = succeed(home.path(), &["--resume=run", "--max-steps=2", "--learning-rate=0.001"]);
    assert!(said.contains("`learning_rate` was 0.002 and is now 0.001"), "{said}");
    assert_eq!(order(&run), ["e0", "1", "e1", "2", "e2"]);
}

#[test]
fn a_fork_sets_the_later_part_aside_and_goes_on_alone() {
    let home = tempfile::tempdir().unwrap();
    succeed(
        home.path(),
        &with(&["--max-steps=4", "--output-dir=run", "--set=save_total_limit=3"]),
    );
    let run = home.path().join("run");
    let (first, final_before) = (lines(&run), adapter(&run.join("final")));
    // Into a folder of its own: the run stays as it is.
    let before = snapshot(&run);
    let fork = [
        "--resume=run/checkpoints/checkpoint-2",
        "--output-dir=fork",
        "--max-steps=3",
        "--set=eval_seed=3",
    ];
    let said = succeed(home.path(), &fork);
    assert!(said.contains("another task set"), "{said}");
    assert!(before == snapshot(&run), "a fork changed its origin");
    assert_eq!(
        order(&home.path().join("fork")),
        ["e0", "1", "e1", "2", "e2", "3", "e3"]
    );
    assert_eq!(lines(&home.path().join("fork"))[..5], first[..5]);
    // In place.
    let said = succeed(
        home.path(),
        &[
            "--resume=run/checkpoints/checkpoint-2",
            "--max-steps=3",
            "--learning-rate=0.01",
        ],
    );
    assert!(said.contains("abandoned/after-step-2"), "{said}");
    assert_eq!(order(&run), ["e0", "1", "e1", "2", "e2", "3", "e3"]);
    assert_eq!(lines(&run)[..5], first[..5]);
    assert_ne!(
        lines(&run)[5..],
        first[5..7],
        "another learning rate makes another step"
    );
    let mut kept: Vec<_> = std::fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort();
    assert_eq!(kept, ["checkpoint-2", "checkpoint-3"]);
    let abandoned = run.join("abandoned/after-step-2");
    assert_eq!(lines(&abandoned), first);
    assert!(adapter(&abandoned.join("final")) == final_before);
    assert!(abandoned.join("checkpoints/checkpoint-4").is_dir());
    // What was set aside is a run itself: it goes on as if nothing had been.
    succeed(home.path(), &with(&["--max-steps=5", "--output-dir=whole"]));
    succeed(home.path(), &["--resume=run/abandoned/after-step-2", "--max-steps=5"]);
    assert_eq!(lines(&abandoned), lines(&home.path().join("whole")));
    // The newest checkpoint of the fork is the next one to go on from.
    succeed(home.path(), &["--resume=run", "--max-steps=4"]);
    assert_eq!(order(&run), ["e0", "1", "e1", "2", "e2", "3", "e3", "4", "e4"]);
}

#[test]
fn a_damaged_newest_checkpoint_falls_back_and_the_figures_stay() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=3", "--output-dir=run"]));
    let run = home.path().join("run");
    let (before, last) = (lines(&run), adapter(&run.join("final")));
    let weights = run.join("checkpoints/checkpoint-3/optimizer.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&weights, &bytes).unwrap();
    refused(
        home.path(),
        &["--resume=run/checkpoints/checkpoint-3"],
        &["checkpoint-3 is damaged", "optimizer.safetensors", "checkpoint-2"],
    );
    let said = succeed(home.path(), &["--resume=run"]);
    assert!(said.contains("checkpoint-3 is damaged"), "{said}");
    assert_eq!(lines(&run), before);
    assert!(adapter(&run.join("final")) == last);
}

/// Whoever makes the files can make the list of their checksums.
#[test]
fn moments_that_cannot_be_reach_no_weight() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=1", "--output-dir=run"]));
    let checkpoint = home.path().join("run/checkpoints/checkpoint-1");
    std::fs::remove_file(checkpoint.join("checksums.json")).unwrap();
    let file = checkpoint.join("optimizer.safetensors");
    let whole = std::fs::read(&file).unwrap();
    let (kept, _) = whole.split_at(whole.len() - 4);
    // The last value is a mean of squares.
    for value in [f32::NAN, f32::INFINITY, -1.0] {
        std::fs::write(&file, [kept, &value.to_le_bytes()].concat()).unwrap();
        let output = command(home.path(), &["--resume=run", "--max-steps=2"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains(&format!("holds {value}")),
            "{said}"
        );
        assert_eq!(order(&home.path().join("run")), ["e0", "1", "e1"]);
    }
}

#[test]
fn two_processes_never_share_a_folder() {
    let home = tempfile::tempdir().unwrap();
    let arguments = with(&["--max-steps=1", "--output-dir=run"]);
    let running: Vec<_> = (0..3)
        .map(|_| command(home.path(), &arguments).stderr(Stdio::null()).spawn().unwrap())
        .collect();
    for mut process in running {
        assert!(process.wait().unwrap().success());
    }
    for name in ["run", "run-2", "run-3"] {
        assert_eq!(order(&home.path().join(name)), ["e0", "1", "e1"], "{name}");
    }
    // A second process that would go on in a folder where one is at work.
    let mut first = command(home.path(), &["--resume=run", "--max-steps=300"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let run = home.path().join("run");
    while order(&run).len() < 4 {
        std::thread::sleep(Duration::from_millis(20));
    }
    refused(
        home.path(),
        &["--resume=run", "--max-steps=9"],
        &["is at work in this folder", &first.id().to_string()],
    );
    first.kill().unwrap();
    first.wait().unwrap();
    // The lock died with its process.
    let done = order(&run).iter().filter(|line| !line.starts_with('e')).count();
    succeed(home.path(), &["--resume=run", &format!("--max-steps={}", done + 1)]);
}

#[test]
fn a_kill_at_any_moment_leaves_a_folder_that_comes_to_the_same_figures() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=5", "--output-dir=whole"]));
    let whole = home.path().join("whole");
    let run = home.path().join("run");
    let mut delay = Duration::from_millis(40);
    let mut kills = 0;
    loop {
        let arguments = if run.join("config.yaml").exists() {
            vec!["--resume=run"]
        } else {
            with(&["--max-steps=5", "--output-dir=run"])
        };
        let mut process = command(home.path(), &arguments).stderr(Stdio::piped()).spawn().unwrap();
        // A little later each time, so that all parts of a step and of a start are hit, and the run comes to its end.
        delay = delay.mul_f64(1.2);
        std::thread::sleep(delay);
        let ended = process.try_wait().unwrap();
        if ended.is_none() {
            process.kill().unwrap();
            kills += 1;
        }
        let output = process.wait_with_output().unwrap();
        if ended.is_some() {
            assert!(output.status.success(), "after {kills} kills: {}", text(&output));
            break;
        }
    }
    assert!(kills > 3, "{kills}");
    assert_eq!(lines(&run), lines(&whole), "after {kills} kills");
    for name in ["final", "best_model"] {
        assert!(
            adapter(&run.join(name)) == adapter(&whole.join(name)),
            "{name} after {kills} kills"
        );
    }
    assert_eq!(log(&run), log(&whole));
    assert!(!home.path().join("run-2").exists());
}

#[test]
fn an_evaluation_that_was_due_at_the_checkpoint_is_run_first() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=2", "--output-dir=whole"]));
    // The checkpoint of step 1 is saved without its evaluation, as by an interruption in the middle of it.
    succeed(
        home.path(),
        &with(&["--max-steps=1", "--output-dir=run", "--set=eval_steps=0"]),
    );
    let run = home.path().join("run");
    let state = std::fs::read_to_string(run.join("checkpoints/checkpoint-1/training_state.json")).unwrap();
    assert!(state.contains("\"evaluated\": false"), "{state}");
    drop(MetricsWriter::resume(&run, 1, false).unwrap());
    assert_eq!(order(&run), ["e0", "1"]);
    succeed(home.path(), &["--resume=run", "--max-steps=2", "--set=eval_steps=1"]);
    assert_eq!(order(&run), ["e0", "1", "e1", "2", "e2"]);
    assert_eq!(lines(&run), lines(&home.path().join("whole")));
    let state =
        |run: &std::path::Path| std::fs::read(run.join("checkpoints/checkpoint-2/training_state.json")).unwrap();
    assert_eq!(
        state(&run),
        state(&home.path().join("whole")),
        "patience and best model too"
    );
    // The checkpoint knows its evaluation now: it is not run again.
    succeed(home.path(), &["--resume=run/checkpoints/checkpoint-1", "--max-steps=2"]);
    assert_eq!(order(&run), ["e0", "1", "e1", "2", "e2"]);
}

#[test]
fn a_run_that_had_enough_stays_ended_until_a_key_says_otherwise() {
    let home = tempfile::tempdir().unwrap();
    let flags = [
        "--max-steps=3",
        "--output-dir=run",
        "--set=patience=1",
        "--learning-rate=0",
    ];
    let said = succeed(home.path(), &with(&flags));
    assert!(said.contains("(patience)"), "{said}");
    let run = home.path().join("run");
    assert_eq!(order(&run), ["e0", "1", "e1"]);
    let said = succeed(home.path(), &["--resume=run"]);
    assert!(said.contains("(patience); another value on resume goes on"), "{said}");
    assert_eq!(order(&run), ["e0", "1", "e1"]);
    succeed(home.path(), &["--resume=run", "--set=patience=0"]);
    assert_eq!(order(&run), ["e0", "1", "e1", "2", "e2", "3", "e3"]);
}

#[test]
fn a_resume_without_a_step_to_do_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=2", "--output-dir=run"]));
    let run = home.path().join("run");
    let before = snapshot(&run);
    for flag in [
        "--set=batch_size=3",
        "--set=eval_seed=5",
        "--max-steps=1",
        "--set=dtype=bfloat16",
    ] {
        let said = succeed(home.path(), &["--resume=run", flag]);
        assert!(said.contains("nothing to do: step 2 is reached"), "{flag}: {said}");
        assert!(before == snapshot(&run), "{flag} changed the folder of a finished run");
    }
    // Also where the last evaluation was due at the end only.
    succeed(
        home.path(),
        &with(&["--max-steps=1", "--output-dir=end", "--set=eval_steps=0"]),
    );
    let end = home.path().join("end");
    let before = snapshot(&end);
    for _ in 0..2 {
        let said = succeed(home.path(), &["--resume=end"]);
        assert!(said.contains("nothing to do: step 1 is reached"), "{said}");
        assert!(before == snapshot(&end));
    }
    // What a death before the last artefact left out is made, or what was damaged since, and nothing else is touched.
    std::fs::write(end.join("final/adapter_model.safetensors"), "cut").unwrap();
    succeed(home.path(), &["--resume=end"]);
    assert!(adapter(&end.join("final")) == adapter(&end.join("checkpoints/checkpoint-1")));
    std::fs::remove_dir_all(end.join("final")).unwrap();
    let said = succeed(home.path(), &["--resume=end"]);
    assert!(!said.contains("nothing to do") && !said.contains("kept in"), "{said}");
    assert!(adapter(&end.join("final")) == adapter(&end.join("checkpoints/checkpoint-1")));
    assert_eq!(order(&end), ["e0", "1", "e1"]);
    assert!(!end.join("abandoned").exists());
}

#[test]
fn a_run_that_is_made_longer_keeps_what_was_measured_at_its_end() {
    let home = tempfile::tempdir().unwrap();
    // Two steps that learn, then one that destroys the policy; evaluations at the ends alone.
    let flags = with(&["--max-steps=2", "--output-dir=run", "--set=eval_steps=0"]);
    succeed(home.path(), &flags);
    let run = home.path().join("run");
    assert_eq!(order(&run), ["e0", "1", "2", "e2"]);
    // The evaluation at the end chose the best model, whatever these few steps are worth.
    let path = run.join("metrics.jsonl");
    let measured = std::fs::read_to_string(&path).unwrap();
    let better: String = measured
        .lines()
        .map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            if line["kind"] == "eval" && line["step"] == 2 {
                // All of them solved: a line whose figures contradict each other is not read.
                line["success_rate"] = 1.0.into();
                line["unseen_instances"]["solved"] = line["unseen_instances"]["episodes"].clone();
                line["unseen_instances"]["high"] = 1.0.into();
                line["false_completes"] = 0.into();
                let solved = line["instances"]["solved"].as_str().unwrap().replace('0', "1");
                line["instances"]["solved"] = solved.into();
                for template in line["templates"].as_object_mut().unwrap().values_mut() {
                    template["solved"] = template["episodes"].clone();
                }
            }
            format!("{line}\n")
        })
        .collect();
    std::fs::write(&path, better).unwrap();
    let first = lines(&run);
    let (before, policy) = (snapshot(&run), adapter(&run.join("checkpoints/checkpoint-2")));
    // A fork knows it, and leaves the run alone.
    succeed(
        home.path(),
        &[
            "--resume=run",
            "--output-dir=fork",
            "--max-steps=3",
            "--learning-rate=5",
        ],
    );
    assert!(before == snapshot(&run));
    succeed(home.path(), &["--resume=run", "--max-steps=3", "--learning-rate=5"]);
    for name in ["run", "fork"] {
        let run = home.path().join(name);
        assert_eq!(order(&run), ["e0", "1", "2", "e2", "3", "e3"], "{name}");
        assert_eq!(lines(&run)[..4], first, "{name}");
        assert!(!run.join("abandoned").exists(), "{name}");
        let best = run.join("best_model");
        assert_eq!(step_of(&best), Some(2), "{name}");
        assert!(
            adapter(&best) == policy && adapter(&run.join("final")) != policy,
            "{name}"
        );
        assert!(
            adapter(&run.join("checkpoints/checkpoint-3/best_model")) == policy,
            "{name}"
        );
        let output = trainer(
            home.path(),
            &["eval", &format!("--adapter={name}/best_model"), "--episodes=1"],
        );
        assert!(output.status.success(), "{}", text(&output));
    }
}

#[test]
fn metrics_that_are_lost_are_told_and_nothing_is_compared_with_itself() {
    let home = tempfile::tempdir().unwrap();
    succeed(home.path(), &with(&["--max-steps=2", "--output-dir=run"]));
    let run = home.path().join("run");
    let metrics = run.join("metrics.jsonl");
    let whole = std::fs::read_to_string(&metrics).unwrap();
    let begun: Vec<&str> = whole.split_inclusive('\n').take(2).collect();
    for (rest, lacks, steps) in [
        (String::new(), "no line of steps 1 to 2", vec!["3", "e3"]),
        (begun.concat(), "no line of step 2", vec!["e0", "1", "3", "e3"]),
    ] {
        let lost = tempfile::tempdir_in(home.path()).unwrap();
        let name = lost.path().join("run").display().to_string();
        copy_folder(&run, std::path::Path::new(&name));
        std::fs::write(lost.path().join("run/metrics.jsonl"), rest).unwrap();
        let said = succeed(home.path(), &[&format!("--resume={name}"), "--max-steps=3"]);
        assert!(said.contains("was lost or cut") && said.contains(lacks), "{said}");
        assert_eq!(order(std::path::Path::new(&name)), steps);
        assert_eq!(said.contains("points"), steps[0] == "e0", "{said}");
        assert_eq!(
            said.contains("no earlier evaluation to compare it with"),
            steps[0] == "3",
            "{said}"
        );
    }
}
