//! `metrics.jsonl`: one JSON object a line, one line an event, readable while the run goes on.
//!
//! A line is written in one piece and flushed, so a killed run loses at most the line that it was writing; the reader
//! leaves out such a torn last line. Keys that end in `_s` are wall-clock seconds or rates by them; all others but `run`,
//! which names the timeline that wrote the line, are equal between a resumed run and one that was never interrupted.

mod agree;
mod conduct;
mod error;
mod event;
mod read;

pub use crate::layout::METRICS;
pub use conduct::{Behaviour, Conduct};
pub use error::MetricsError;
pub use event::{EvalEvent, Line, TemplateCount, TrainEvent, UpdateFigures};
pub use read::{Stretch, read_metrics, timelines};

use crate::files::{Limit, io, ops, read_start};
use crate::sink::{Event, Sink};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Appends events.
#[derive(Debug)]
pub struct MetricsWriter {
    path: PathBuf,
    file: File,
    /// The timeline that the lines tell.
    timeline: Option<String>,
}

/// Steps and evaluations become lines; whatever else happens is passed over.
impl Sink for MetricsWriter {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        match event {
            Event::Step(step) => self.write(&Line::Train((*step).clone()))?,
            Event::Eval(eval) => self.write(&Line::Eval((*eval).clone()))?,
            _ => {}
        }
        Ok(())
    }
}

impl MetricsWriter {
    /// Opens `metrics.jsonl` of a new run; the file is emptied.
    pub fn create(run_dir: &Path) -> Result<Self, MetricsError> {
        let path = run_dir.join(METRICS);
        let file = ops::create(&path).map_err(io("create", &path))?;
        // The name of the file, too.
        ops::sync_folder(run_dir).map_err(io("create", &path))?;
        Ok(Self {
            path,
            file,
            timeline: None,
        })
    }

    /// Lets every line tell that it was written on `timeline`.
    pub fn on(self, timeline: &str) -> Self {
        Self {
            timeline: Some(timeline.to_owned()),
            ..self
        }
    }

    /// Opens `metrics.jsonl` of a run that goes on after `step`: what was written later is cut off, so that the file
    /// becomes what it was when the checkpoint of `step` was saved.
    ///
    /// `evaluated` tells whether the evaluation at `step` itself belongs to what is kept (it was made before saving).
    pub fn resume(run_dir: &Path, step: usize, evaluated: bool) -> Result<Self, MetricsError> {
        let path = run_dir.join(METRICS);
        let (keep, closed) = kept(&path, step, evaluated)?;
        let mut file = ops::open_end(&path).map_err(io("open", &path))?;
        let length = file.metadata().map_err(io("open", &path))?.len();
        if length != keep as u64 {
            let cut = ops::cut(&file, &path, keep as u64).and_then(|()| ops::sync(&file, &path));
            cut.map_err(io("cut", &path))?;
        }
        if !closed {
            ops::put(&mut file, &path, b"\n").map_err(io("append to", &path))?;
        }
        ops::sync_folder(run_dir).map_err(io("open", &path))?;
        Ok(Self {
            path,
            file,
            timeline: None,
        })
    }

    /// Opens `metrics.jsonl` of a run in `run_dir` that goes on from a checkpoint of the run in `from`: it begins with
    /// what that run had written when the checkpoint of `step` was saved.
    pub fn resume_from(from: &Path, run_dir: &Path, step: usize, evaluated: bool) -> Result<Self, MetricsError> {
        let source = from.join(METRICS);
        let (keep, closed) = kept(&source, step, evaluated)?;
        let mut bytes = match keep {
            0 => Vec::new(),
            keep => read_start(&source, Limit::LOG, keep as u64).map_err(io("read", &source))?,
        };
        if !closed {
            bytes.push(b'\n');
        }
        let mut writer = Self::create(run_dir)?;
        let written = ops::put(&mut writer.file, &writer.path, &bytes);
        let written = written.and_then(|()| ops::sync(&writer.file, &writer.path));
        written.map_err(io("write", &writer.path))?;
        Ok(writer)
    }

    /// Appends one line and has it written to the disk.
    pub fn write(&mut self, event: &Line) -> Result<(), MetricsError> {
        let told = self.timeline.as_ref().map(|timeline| event.clone().on(timeline));
        let line = serde_json::to_vec(told.as_ref().unwrap_or(event));
        let mut line = line.map_err(|error| io("encode an event for", &self.path)(error.into()))?;
        line.push(b'\n');
        ops::put(&mut self.file, &self.path, &line)
            .and_then(|()| ops::sync(&self.file, &self.path))
            .map_err(io("append to", &self.path))?;
        Ok(())
    }
}

/// Whether an event belongs to a run at the time when the checkpoint of `step` was saved.
pub fn belongs(event: &Line, step: usize, evaluated: bool) -> bool {
    match event {
        Line::Eval(eval) => eval.step < step || (eval.step == step && evaluated),
        Line::Train(train) => train.step <= step,
    }
}

/// Bytes of the file up to the first event that does not belong to the checkpoint of `step`, and whether they end with
/// a line break.
fn kept(path: &Path, step: usize, evaluated: bool) -> Result<(usize, bool), MetricsError> {
    let lines = read::parse(path)?;
    let kept = lines.iter().take_while(|line| belongs(&line.event, step, evaluated));
    Ok(kept.last().map_or((0, true), |line| (line.end, line.closed)))
}

/// The line without wall-clock keys (those that end in `_s`) and without the name of its timeline: equal in equal runs.
pub fn deterministic(event: &Line) -> Value {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.retain(|key, _| !key.ends_with("_s") && key != "run");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn train(step: usize) -> Line {
        Line::Train(TrainEvent {
            step,
            updates: Some(1),
            loss: Some(0.1 * step as f64),
            rollout_s: 1.5,
            ..Default::default()
        })
    }

    fn eval(step: usize) -> Line {
        Line::Eval(EvalEvent {
            step,
            episodes: 64,
            success_rate: 1.0 / 3.0,
            ..Default::default()
        })
    }

    fn write(run: &Path, events: &[Line]) {
        let mut writer = MetricsWriter::create(run).unwrap();
        events.iter().for_each(|event| writer.write(event).unwrap());
    }

    #[test]
    fn keys_are_those_of_the_design() {
        let line = serde_json::to_string(&train(1)).unwrap();
        for key in "kind step loss reward_mean reward_std success_rate kl ratio_mean clip_fraction grad_norm learning_rate tokens_sampled tokens_trained episodes faults groups_kept groups_filtered staleness_mean staleness_max rollout_s train_s".split(' ') {
            assert!(line.contains(&format!("\"{key}\":")), "{key} in {line}");
        }
        assert!(line.starts_with("{\"kind\":\"train\",\"step\":1,"), "{line}");
        let line = serde_json::to_string(&eval(0)).unwrap();
        let head = "{\"kind\":\"eval\",\"step\":0,\"episodes\":64,\"success_rate\":0.3333333333333333,\"claimed_success_rate\":0.0,\"reward_mean\":0.0";
        assert!(line.starts_with(head), "{line}");
    }

    #[test]
    fn every_key_is_explained() {
        let page = include_str!("../../../docs/METRICS.md");
        let mut train = TrainEvent {
            behaviour: Some(Behaviour::default()),
            conduct: Some(Conduct {
                judged: Some(4),
                judge_agreement: Some(0.75),
                judge_false_successes: Some(1),
                ..Default::default()
            }),
            action_errors: Some(0),
            kept_mass_mean: Some(1.0),
            ..Default::default()
        };
        train.set_updates(&[UpdateFigures::default(); 2]);
        let mut eval = EvalEvent {
            run: Some(String::new()),
            failed: Some("no box".into()),
            ..Default::default()
        };
        let held_out = crate::instances::Instances {
            solved: "1".into(),
            claimed: "1".into(),
            reward: vec![Some(1.0)],
            turns: vec![Some(2)],
            held_out: Some("0".into()),
            attempts: Some(crate::instances::Attempts {
                each: 2,
                counts: vec![[1, 1, 2]],
            }),
        };
        crate::compare::describe(&mut eval, "set", held_out);
        for event in [Line::Train(train), Line::Eval(eval)] {
            let line = serde_json::to_value(event).unwrap();
            for key in line.as_object().unwrap().keys().filter(|key| *key != "kind") {
                assert!(
                    page.contains(&format!("`{key}`")),
                    "docs/METRICS.md does not explain `{key}`"
                );
            }
        }
    }

    #[test]
    fn lines_of_older_versions_are_read_without_what_they_made_up() {
        let run = tempfile::tempdir().unwrap();
        let old = [
            r#"{"kind":"eval","step":0,"episodes":90,"success_rate":0.3,"claimed_success_rate":0.4,"reward_mean":0.3,"turns_mean":3.5,"faults":0,"eval_s":9.1}"#,
            r#"{"kind":"train","step":1,"loss":0.0,"reward_mean":0.0,"reward_std":0.0,"success_rate":0.0,"kl":0.0,"ratio_mean":1.0,"clip_fraction":0.0,"grad_norm":0.0,"learning_rate":0.001,"tokens_sampled":4,"tokens_trained":0,"episodes":4,"faults":0,"groups_kept":0,"groups_filtered":2,"staleness_mean":0.0,"staleness_max":0,"rollout_s":1.0,"train_s":0.0,"turns_mean":3.0,"action_errors":1,"kept_mass_mean":1.0,"entropy":0.0,"sampler_gap":0.0}"#,
            r#"{"kind":"train","step":2,"loss":0.5,"reward_mean":0.5,"reward_std":0.5,"success_rate":0.5,"kl":0.25,"ratio_mean":1.0,"clip_fraction":0.0,"grad_norm":2.0,"learning_rate":0.001,"tokens_sampled":4,"tokens_trained":4,"episodes":4,"faults":0,"groups_kept":1,"groups_filtered":1,"staleness_mean":0.0,"staleness_max":0,"rollout_s":1.0,"train_s":1.0,"turns_mean":3.0,"action_errors":1,"kept_mass_mean":1.0,"entropy":0.75,"sampler_gap":0.0}"#,
        ];
        std::fs::write(run.path().join(METRICS), old.map(|line| format!("{line}\n")).concat()).unwrap();
        let [Line::Eval(eval), Line::Train(first), Line::Train(second)] = &read_metrics(run.path()).unwrap()[..] else {
            panic!("an evaluation and two steps");
        };
        assert!(eval.behaviour.is_none() && eval.templates.is_empty() && eval.turns_mean == 3.5);
        let figures = |event: &TrainEvent| [event.loss, event.kl, event.ratio_mean, event.grad_norm, event.entropy];
        assert_eq!(figures(first), [None; 5], "no group was kept");
        assert_eq!(figures(second), [0.5, 0.25, 1.0, 2.0, 0.75].map(Some));
        assert_eq!(
            (second.turns_mean, second.behaviour, second.groups_lost),
            (Some(3.0), None, None)
        );
        assert_eq!((second.action_errors, second.kept_mass_mean), (Some(1), Some(1.0)));
    }

    #[test]
    fn a_step_without_an_update_has_nulls_and_several_updates_have_means_and_the_last() {
        let mut event = TrainEvent::default();
        event.set_updates(&[]);
        let line = serde_json::to_value(Line::Train(event.clone())).unwrap();
        for key in "loss kl ratio_mean clip_fraction grad_norm entropy sampler_gap loss_last ratio_mean_last".split(' ')
        {
            assert!(line[key].is_null() && line.get(key).is_some(), "{key} in {line}");
        }
        assert_eq!(line["updates"], 0);
        let update = |loss: f64, kl| UpdateFigures {
            loss: Some(loss),
            kl,
            ratio_mean: Some(1.0 + loss),
            ..Default::default()
        };
        event.set_updates(&[update(0.5, None), update(0.25, None), update(-0.25, Some(2.0))]);
        let line = serde_json::to_value(Line::Train(event.clone())).unwrap();
        assert_eq!(
            (&line["updates"], &line["each_update"][1]["loss"]),
            (&3.into(), &0.25.into())
        );
        assert_eq!((event.loss, event.loss_last), (Some(0.5 / 3.0), Some(-0.25)));
        assert_eq!(
            (event.kl, event.kl_last),
            (Some(2.0), Some(2.0)),
            "what was not measured is not averaged in"
        );
        assert_eq!(event.ratio_mean_last, Some(0.75));
        event.set_updates(&[update(0.5, None)]);
        let line = serde_json::to_value(Line::Train(event)).unwrap();
        assert_eq!((&line["loss"], &line["loss_last"]), (&0.5.into(), &0.5.into()));
        assert!(line.get("each_update").is_none(), "one update is the step");
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_a_bad_line_is_an_error() {
        let run = tempfile::tempdir().unwrap();
        write(run.path(), &[eval(0), train(1)]);
        let path = run.path().join(METRICS);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"kind\":\"train\",\"st").unwrap();
        assert_eq!(read_metrics(run.path()).unwrap(), [eval(0), train(1)]);
        file.write_all(b"\n").unwrap();
        let text = read_metrics(run.path()).unwrap_err().to_string();
        assert!(text.contains("line 3"), "{text}");
    }

    #[test]
    fn a_resumed_file_equals_an_uninterrupted_one() {
        let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let all = [eval(0), train(1), train(2), eval(2), train(3), train(4), eval(4)];
        write(whole.path(), &all);
        // Killed in step 4 after the checkpoint of step 2, which was saved before the evaluation.
        write(cut.path(), &all[..5]);
        let mut writer = MetricsWriter::resume(cut.path(), 2, false).unwrap();
        all[3..].iter().for_each(|event| writer.write(event).unwrap());
        let bytes = |run: &Path| std::fs::read(run.join(METRICS)).unwrap();
        assert_eq!(bytes(whole.path()), bytes(cut.path()));
        drop(MetricsWriter::resume(cut.path(), 2, true).unwrap());
        assert_eq!(read_metrics(cut.path()).unwrap(), all[..4]);
    }

    #[test]
    fn a_resumed_run_cuts_a_torn_line_too() {
        let run = tempfile::tempdir().unwrap();
        write(run.path(), &[eval(0), train(1)]);
        OpenOptions::new()
            .append(true)
            .open(run.path().join(METRICS))
            .unwrap()
            .write_all(b"{\"ki")
            .unwrap();
        let mut writer = MetricsWriter::resume(run.path(), 1, false).unwrap();
        writer.write(&train(2)).unwrap();
        assert_eq!(read_metrics(run.path()).unwrap(), [eval(0), train(1), train(2)]);
    }

    #[test]
    fn a_last_line_that_lacks_its_line_break_alone_counts() {
        let run = tempfile::tempdir().unwrap();
        write(run.path(), &[eval(0), train(1)]);
        let path = run.path().join(METRICS);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        assert_eq!(read_metrics(run.path()).unwrap(), [eval(0), train(1)]);
        let other = tempfile::tempdir().unwrap();
        for (folder, mut writer) in [
            (
                other.path(),
                MetricsWriter::resume_from(run.path(), other.path(), 1, false).unwrap(),
            ),
            (run.path(), MetricsWriter::resume(run.path(), 1, false).unwrap()),
        ] {
            writer.write(&train(2)).unwrap();
            assert_eq!(read_metrics(folder).unwrap(), [eval(0), train(1), train(2)]);
        }
    }

    #[test]
    fn nan_survives_and_wall_clock_keys_can_be_dropped() {
        let event = Line::Train(TrainEvent {
            learning_rate: f64::NAN,
            kl: Some(f64::NAN),
            train_s: 3.0,
            ..Default::default()
        });
        let back: Line = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
        assert!(matches!(back, Line::Train(train) if train.learning_rate.is_nan() && train.kl.is_none()));
        let keys = deterministic(&train(3));
        assert!(keys.get("rollout_s").is_none() && keys.get("tokens_per_s").is_none() && keys.get("loss").is_some());
    }
}
