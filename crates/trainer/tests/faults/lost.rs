//! Boxes that cannot be had, actions that are refused: what is a fault, what is the policy's own, and how much is too much.

use crate::live::*;
use cua_grpo_sim::Faults;
use cua_grpo_train::metrics::{Line, read_metrics};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_action_is_the_policys_own_and_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults {
        refused_actions: 0.7,
        ..Default::default()
    };
    let sim = faulty(faults, 4).await;
    let mut flags = at(&sim);
    flags.extend(["--max-steps=1", "--output-dir=run"].map(String::from));
    let output = finish(command(folder.path(), SMALL, &flags)).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let step = &steps(&folder.path().join("run"))[0];
    assert_eq!(
        (step.episodes, step.faults, step.losses.lost),
        (4, 0, 0),
        "no attempt was repeated"
    );
    assert_eq!((step.losses.boxes_created, step.losses.boxes_terminated), (4, 4));
    let text = std::fs::read_to_string(folder.path().join("run/episodes/eval-0/000/episode.json")).unwrap();
    let other = std::fs::read_to_string(folder.path().join("run/episodes/eval-0/001/episode.json")).unwrap();
    assert!((text + &other).contains("the phone refuses this action: refused on purpose"));
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_more_than_the_share_ends_the_run_after_saving_and_without_a_table() {
    let folder = tempfile::tempdir().unwrap();
    // One box for four episodes: three of four are lost, and two of an evaluation, which tries once more.
    let sim = faulty(Faults::default(), 1).await;
    let mut flags = at(&sim);
    flags.extend(
        [
            "--max-steps=1",
            "--output-dir=run",
            "--set=max_retries=0",
            "--set=outage_budget=0",
        ]
        .map(String::from),
    );
    let output = finish(command(folder.path(), SMALL, &flags)).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in ["3 of 4", "max_lost_share", "0.25", "concurrency", "quota", "--resume"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(!text.contains("tasks solved") && !text.contains("% of"), "{text}");
    // The evaluation before it failed too, and is made again.
    let lines = read_metrics(&folder.path().join("run")).unwrap();
    assert!(
        matches!(&lines[..], [Line::Eval(eval)] if eval.failed.is_some()),
        "{lines:?}"
    );
    // With what the quota allows it goes on.
    let mut again = command(folder.path(), &["--resume=run", "--set=concurrency=1"], &[]);
    again.env("GBOX_API_KEY", "any");
    let output = finish(again).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(steps(&folder.path().join("run"))[0].losses.lost, 0);
    let lines = read_metrics(&folder.path().join("run")).unwrap();
    assert!(
        matches!(&lines[0], Line::Eval(eval) if eval.step == 0 && eval.failed.is_none()),
        "{lines:?}"
    );

    let mut flags = at(&sim);
    flags.extend(["--set=max_retries=0", "--set=outage_budget=0"].map(String::from));
    let arguments = ["eval", "--episodes=4", "--set=concurrency=4", "--max-turns=2"];
    let output = finish(command(folder.path(), &arguments, &flags)).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("2 of 4") && output.stdout.is_empty() && !text.contains("solved"),
        "{text}"
    );
    assert_eq!(sim.stats().live_boxes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_within_the_share_is_counted_by_kind() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults {
        deaths: 0.3,
        death_after: 2,
        unavailable: 0.02,
        ..Default::default()
    };
    let sim = faulty(faults, 4).await;
    let mut flags = at(&sim);
    flags.extend(["--max-steps=2", "--output-dir=run", "--set=max_lost_share=1"].map(String::from));
    let output = finish(command(folder.path(), SMALL, &flags)).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let (mut faults, mut kinds, mut created, mut ended) = (0, 0, 0, 0);
    for event in read_metrics(&folder.path().join("run")).unwrap() {
        let (all, losses) = match &event {
            Line::Eval(eval) => (eval.faults, &eval.losses),
            Line::Train(train) => (train.faults, &train.losses),
        };
        faults += all;
        kinds += losses.faults_environment + losses.faults_setup + losses.faults_validator;
        created += losses.boxes_created;
        ended += losses.boxes_terminated;
    }
    assert!(faults > 0 && faults == kinds, "{faults} faults, {kinds} by kind");
    assert!(created > 16 && created == ended, "{created} created, {ended} ended");
    assert!(said(&output).contains("an attempt was lost"), "{}", said(&output));
    assert_eq!(sim.stats().live_boxes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_evaluation_says_so_and_chooses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // One box for four episodes: three of four are lost, and two of them once more, which the share allows here.
    let sim = faulty(Faults::default(), 1).await;
    let mut flags = at(&sim);
    let more = [
        "--max-steps=1",
        "--output-dir=run",
        "--set=max_retries=0",
        "--set=outage_budget=0",
        "--set=max_lost_share=1",
        "--set=eval_steps=1",
    ];
    flags.extend(more.map(String::from));
    let output = finish(command(folder.path(), SMALL, &flags)).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let run = folder.path().join("run");
    for event in read_metrics(&run).unwrap() {
        if let Line::Eval(eval) = event {
            assert_eq!((eval.episodes, eval.losses.lost), (2, 2));
            assert_eq!(eval.requested, Some(4));
            let solved = eval.instances.unwrap().solved;
            assert_eq!((solved.len(), solved.matches('-').count()), (4, 2), "{solved}");
        }
    }
    assert!(text.contains("incomplete: 2 of 4 lost to faults"), "{text}");
    assert!(text.contains("chooses no best model"), "{text}");
    assert!(
        !run.join("best_model").exists() && !text.contains("best model  "),
        "{text}"
    );
    // Complete again: now there is something to compare with, and a best model.
    let arguments = ["--resume=run", "--set=concurrency=1", "--max-steps=2"];
    let mut again = command(folder.path(), &arguments, &[]);
    again.env("GBOX_API_KEY", "any");
    let output = finish(again).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(run.join("best_model/adapter_model.safetensors").is_file());
}
