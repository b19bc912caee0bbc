//! Deaths, torn writes, faults and losses of power at every file operation of a run of three steps and of its resume: what
//! follows equals the run that was never interrupted.
//!
//! The files are those of a real run, written by the same functions in the same order; weights are a few bytes that only
//! their step decides, so that thousands of runs take seconds.

use super::*;
use crate::checkpoint::{Checkpoints, read_state, step_of};
use crate::files::ops::play::{Disk, Fate, play};
use crate::files::{ops, verify};
use crate::layout::{FINAL, MOMENTS, STATE, list};
use crate::metrics::{EvalEvent, Line, TrainEvent, deterministic, read_metrics};
use crate::provenance::Base;
use crate::record::{Head, Recorder, StepRecord};
use cua_grpo_core::{ActionRecord, Ending, Facts, Image, Row, StopReason, Turn, derive_seed};
use std::collections::BTreeMap;
use std::sync::Arc;

const STEPS: usize = 3;
/// Success rates of the evaluations: the best is neither the first nor the last.
const RATES: [f64; STEPS + 1] = [0.25, 0.5, 0.75, 0.625];

fn weights(step: usize) -> impl Fn(&Path) -> Result<()> {
    move |folder| {
        for name in ["adapter_config.json", "adapter_model.safetensors", MOMENTS] {
            ops::write(&folder.join(name), format!("{name} of {step}").as_bytes())?;
        }
        Ok(())
    }
}

fn episode(step: usize) -> (Task, Episode) {
    let image = Image::new(vec![step as u8; 100]);
    let turn = Turn::new("tap", ActionRecord::new("tap"), 0..0, StopReason::Stop).with_screenshot(Some(image));
    let episode = Episode::new(0, Ending::Reported, Facts::default(), Row::new(1.0)).with_turns(vec![turn]);
    (Task::new(format!("task/{step}"), "do it"), episode)
}

/// A run as `Run` makes it.
struct Scripted {
    dir: RunDir,
    checkpoints: Checkpoints,
    recorder: Recorder,
    state: TrainingState,
}

impl Scripted {
    fn begin(&mut self) -> Result<()> {
        self.dir.begin()?;
        self.checkpoints.timeline.clone_from(&self.dir.identity().timeline);
        Ok(())
    }

    fn best(&mut self, step: usize) -> bool {
        let better = self.state.best_accuracy.is_none_or(|best| RATES[step] > best);
        if better {
            (self.state.best_accuracy, self.state.best_step) = (Some(RATES[step]), step);
        }
        self.state.evaluated = true;
        better
    }

    fn evaluate(&mut self) -> Result<()> {
        let step = self.state.global_step;
        self.begin()?;
        let event = EvalEvent {
            step,
            success_rate: RATES[step],
            ..Default::default()
        };
        let episodes = vec![episode(step)];
        let result = EvalResult { event, episodes };
        self.dir.save_episodes(step, &result, 1);
        self.dir.event(&Event::Eval(&result.event))?;
        if self.best(step) {
            self.checkpoints.save_adapter_with(weights(step), step, BEST)?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        self.begin()?;
        self.checkpoints
            .save_with(weights(self.state.global_step), &self.state, 2)?;
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        self.dir.check()?;
        let step = self.state.global_step + 1;
        (self.state.global_step, self.state.evaluated) = (step, false);
        self.begin()?;
        let (task, episode) = episode(10 + step);
        let group = Group::new(task.clone()).with_episodes(vec![episode.clone()]);
        let record = || StepRecord {
            head: Head::new(step, 0, self.checkpoints.base.clone()),
            cursors: vec![step as u64],
            groups: Arc::new(vec![group.clone()]),
        };
        self.recorder.keep(step, record)?;
        self.dir.log_episodes(step, &[group], true);
        self.dir.save_training(step, [(&task, &episode, Some(1.0))]);
        let event = TrainEvent {
            step,
            ..Default::default()
        };
        self.dir.event(&Event::Step(&event))
    }
}

/// Starts the run in `run`, or goes on with it, to its end.
fn go_on(run: &Path, every: usize) -> Result<()> {
    let config = TrainConfig {
        output_dir: run.display().to_string(),
        ..Default::default()
    };
    let (mut state, mut closing) = (TrainingState::default(), false);
    let dir = if run.join(CONFIG).is_file() {
        let held = lock(run)?;
        let (point, _) = ResumePoint::find(run)?.verified()?;
        check_metrics(run)?;
        if let Some(checkpoint) = &point.checkpoint {
            check_folder(run, checkpoint).map_err(TrainError::Usage)?;
            state = read_state(checkpoint)?;
            let made = |event: &Line| matches!(event, Line::Eval(eval) if eval.step == point.step);
            closing = !state.evaluated && read_metrics(run)?.iter().any(made);
        }
        let mut kept = state.clone();
        kept.evaluated |= closing;
        RunDir::resume(&config, &point, &kept, Identity::of(run)?, held)
    } else {
        RunDir::create(&config, Identity::new())?
    };
    let base = Base {
        name: "starter".into(),
        path: None,
        fingerprint: "f".into(),
        files: Default::default(),
    };
    let checkpoints = Checkpoints {
        run_dir: dir.path().to_path_buf(),
        lora: config.lora(),
        base,
        timeline: dir.identity().timeline.clone(),
        config,
    };
    let mut run = Scripted {
        recorder: Recorder::new(dir.path(), 1.0),
        dir,
        checkpoints,
        state,
    };
    let mut resumed = run.state.clone();
    if closing {
        let step = run.state.global_step;
        if run.best(step) {
            run.begin()?;
            run.checkpoints.take_best(step)?;
        }
        resumed = run.state.clone();
    }
    if run.dir.has_begun() {
        run.begin()?;
    }
    let due = |step: usize| step.is_multiple_of(every);
    if !run.state.evaluated && due(run.state.global_step) {
        run.evaluate()?;
        if run.state.global_step > 0 {
            run.save()?;
        }
    }
    while run.state.global_step < STEPS {
        run.step()?;
        if due(run.state.global_step) {
            run.evaluate()?;
        }
        run.save()?;
    }
    if !run.state.evaluated {
        run.evaluate()?;
    }
    let last = run.dir.path().join(FINAL);
    if run.state == resumed && step_of(&last) == Some(STEPS) && verify(&last).is_ok() {
        return Ok(());
    }
    run.begin()?;
    run.checkpoints.prune(2)?;
    run.checkpoints.save_adapter_with(weights(STEPS), STEPS, FINAL)?;
    Ok(())
}

/// The lines of a run, and its files by name.
type Outcome = (Vec<serde_json::Value>, BTreeMap<PathBuf, Vec<u8>>);

/// What a run comes to: its lines, and all files that another run would write the same.
fn outcome(run: &Path) -> Outcome {
    for folder in list(run)
        .unwrap()
        .into_iter()
        .map(|(_, folder)| folder)
        .chain([run.join(BEST), run.join(FINAL)])
    {
        verify(&folder).unwrap();
    }
    let mut files = BTreeMap::new();
    let mut folders = vec![run.to_path_buf()];
    let identity = Identity::read(run).unwrap().unwrap();
    let timelines: Vec<&String> = identity.earlier.iter().map(|earlier| &earlier.timeline).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            // The place of the folder is no part of what is compared, and files that are about timelines alone.
            let other = [
                "abandoned",
                ".lock",
                "run.json",
                "metrics.jsonl",
                "config.yaml",
                "provenance.json",
                "checksums.json",
            ];
            if other.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let mut bytes = std::fs::read(&path).unwrap();
                if name == "episode.json" || name == "train.jsonl" {
                    // Names of timelines are drawn; that each is one of the run's is compared.
                    let mut text = String::from_utf8(bytes).unwrap();
                    for timeline in timelines.iter().chain([&&identity.timeline]) {
                        text = text.replace(timeline.as_str(), "one of its own");
                    }
                    bytes = text.into_bytes();
                }
                files.insert(path.strip_prefix(run).unwrap().into(), bytes);
            }
        }
    }
    let lines = read_metrics(run).unwrap();
    (lines.iter().map(deterministic).collect(), files)
}

/// The outcome of the run that nothing happened to, and how many file operations it has.
fn whole(every: usize) -> (Outcome, usize) {
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("run");
    let (done, played) = play(Fate::Death, usize::MAX, || go_on(&run, every));
    done.unwrap();
    let (lines, files) = outcome(&run);
    let evaluations = 1 + STEPS.div_ceil(every);
    assert_eq!(lines.len(), STEPS + evaluations);
    assert_eq!(
        files[&PathBuf::from("best_model/adapter_model.safetensors")],
        b"adapter_model.safetensors of 2"
    );
    assert!(files.contains_key(&PathBuf::from("checkpoints/checkpoint-3").join(STATE)));
    // A resume of it changes nothing.
    go_on(&run, every).unwrap();
    assert!(outcome(&run) == (lines.clone(), files.clone()));
    ((lines, files), played.done.len())
}

fn check(run: &Path, every: usize, expected: &Outcome, what: &str) {
    if let Err(error) = go_on(run, every) {
        panic!("{what}: it cannot go on: {error:#}");
    }
    let found = outcome(run);
    assert_eq!(found.0, expected.0, "{what}");
    // Records that could not be written are left out, and the run goes on.
    let counts = |name: &&PathBuf| !what.contains("Fault") || !name.starts_with("episodes");
    let names = |outcome: &Outcome| outcome.1.keys().filter(counts).cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(expected), "{what}");
    for name in names(expected) {
        assert!(found.1[&name] == expected.1[&name], "{what}: {}", name.display());
    }
}

/// Every `stride`-th operation of a run has each of the fates; the number of runs that were tried.
fn deaths(stride: usize) -> usize {
    let mut tried = 0;
    for every in [1, 2] {
        let (expected, count) = whole(every);
        assert!(count > 200, "{count}");
        for fate in [Fate::Death, Fate::Tear, Fate::Fault] {
            for number in (tried % stride..=count).step_by(stride) {
                let home = tempfile::tempdir().unwrap();
                let run = home.path().join("run");
                let (done, played) = play(fate, number, || go_on(&run, every));
                let what = format!("{fate:?} at {number} of {count}, evaluations every {every}");
                assert!(played.reached || done.is_ok(), "{what}");
                check(&run, every, &expected, &what);
                tried += 1;
            }
        }
    }
    tried
}

#[test]
fn a_death_a_torn_write_or_a_fault_at_any_operation_of_a_run_leaves_one_that_comes_to_the_same() {
    assert!(deaths(13) > 100);
}

#[test]
#[ignore = "all operations: a minute"]
fn all_deaths() {
    let tried = deaths(1);
    assert!(tried > 1200, "{tried}");
}

/// Lets a run have one fate at `first`, its resume the other at `second`, and looks at what the next one comes to. False
/// where the resume came to its end before.
fn twice(every: usize, fates: (Fate, Fate), first: usize, second: usize, expected: &Outcome) -> bool {
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("run");
    let _ = play(fates.0, first, || go_on(&run, every));
    let (_, played) = play(fates.1, second, || go_on(&run, every));
    let what = format!(
        "{:?} at {first}, then {:?} at {second}, evaluations every {every}",
        fates.0, fates.1
    );
    check(&run, every, expected, &what);
    played.reached
}

#[test]
fn a_second_death_in_the_resume_changes_nothing() {
    let fates = [Fate::Death, Fate::Tear, Fate::Fault];
    for every in [1, 2] {
        let (expected, count) = whole(every);
        for number in 0..40_u64 {
            let draw = |what: u64, below: usize| (derive_seed(&[number, what, every as u64]) % below as u64) as usize;
            let chosen = (fates[draw(1, 3)], fates[draw(2, 3)]);
            twice(every, chosen, draw(3, count), draw(4, count), &expected);
        }
    }
}

#[test]
#[ignore = "every second operation of the resume of every ninth: minutes"]
fn many_second_deaths() {
    let mut tried = 0;
    for every in [1, 2] {
        let (expected, count) = whole(every);
        for first in (0..count).step_by(9) {
            for second in (first % 2..).step_by(2) {
                tried += 1;
                if !twice(every, (Fate::Death, Fate::Tear), first, second, &expected) {
                    break;
                }
            }
        }
    }
    assert!(tried > 3_000, "{tried}");
}

/// The power is lost at every `stride`-th operation; the number of disks that were tried.
fn losses_of_power(stride: usize) -> usize {
    let mut tried = 0;
    for every in [1, 2] {
        let (expected, count) = whole(every);
        for number in (every..=count).step_by(stride) {
            let home = tempfile::tempdir().unwrap();
            let run = home.path().join("run");
            let (_, played) = play(Fate::Tear, number, || go_on(&run, every));
            let disk = Disk::after(home.path(), &played.done);
            // Nothing that was not synced, all of it, and some of it.
            for luck in 0..4_u64 {
                let lucky = |node: usize| match luck {
                    0 => false,
                    1 => true,
                    _ => derive_seed(&[luck, number as u64, node as u64]).is_multiple_of(2),
                };
                let left = tempfile::tempdir().unwrap();
                disk.restore(left.path(), &lucky);
                let what = format!("power lost at {number} of {count}, luck {luck}, evaluations every {every}");
                check(&left.path().join("run"), every, &expected, &what);
                tried += 1;
            }
        }
    }
    tried
}

#[test]
fn a_loss_of_power_at_any_operation_leaves_a_run_that_comes_to_the_same() {
    assert!(losses_of_power(29) > 60);
}

#[test]
#[ignore = "all operations: a minute"]
fn all_losses_of_power() {
    let tried = losses_of_power(1);
    assert!(tried > 1600, "{tried}");
}
