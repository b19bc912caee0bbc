//! `metrics.jsonl`: one JSON object a line, one line an event, readable while the run goes on.
//!
//! A line is written in one piece and flushed, so a killed run loses at most the line that it was writing; the reader
//! leaves out such a torn last line. Keys that end in `_s` are wall-clock seconds or rates by them; all others are
//! equal between a resumed run and one that was never interrupted.

use crate::faults::FaultFigures;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Name of the file in a run folder.
pub const METRICS: &str = "metrics.jsonl";

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// An evaluation.
    Eval(EvalEvent),
    /// A training step.
    Train(TrainEvent),
}

impl Event {
    /// The step: of an evaluation, the number of updates before it.
    pub fn step(&self) -> usize {
        match self {
            Self::Eval(event) => event.step,
            Self::Train(event) => event.step,
        }
    }
}

/// Greedy episodes on task instances that training never sees.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EvalEvent {
    /// Training steps done before.
    pub step: usize,
    /// Episodes that ended without a fault.
    pub episodes: usize,
    /// Fraction of them whose device state fulfils the task.
    #[serde(deserialize_with = "number")]
    pub success_rate: f64,
    /// Fraction of them that claimed success.
    #[serde(deserialize_with = "number")]
    pub claimed_success_rate: f64,
    /// Mean reward.
    #[serde(deserialize_with = "number")]
    pub reward_mean: f64,
    /// Mean number of turns.
    #[serde(default, deserialize_with = "number")]
    pub turns_mean: f64,
    /// Attempts lost to faults.
    #[serde(default)]
    pub faults: usize,
    /// What was lost, by kind.
    #[serde(flatten)]
    pub losses: FaultFigures,
    /// Wall-clock seconds.
    #[serde(default)]
    pub eval_s: f64,
    /// Further keys.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One training step. Rates are fractions of 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainEvent {
    /// Number of the step, from 1.
    pub step: usize,
    /// Loss of the first update.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
    /// Mean reward of all episodes.
    #[serde(deserialize_with = "number")]
    pub reward_mean: f64,
    /// Population standard deviation of the rewards of all episodes.
    #[serde(deserialize_with = "number")]
    pub reward_std: f64,
    /// Fraction of episodes whose device state fulfils the task.
    #[serde(deserialize_with = "number")]
    pub success_rate: f64,
    /// Mean k3 divergence from the reference, in nats a token.
    #[serde(deserialize_with = "number")]
    pub kl: f64,
    /// Mean ratio of the trainer's to the sampler's probability; 1 at staleness 0.
    #[serde(deserialize_with = "number")]
    pub ratio_mean: f64,
    /// Fraction of trained tokens whose ratio was clipped.
    #[serde(deserialize_with = "number")]
    pub clip_fraction: f64,
    /// Global norm of the gradients before clipping.
    #[serde(deserialize_with = "number")]
    pub grad_norm: f64,
    /// Learning rate of the step.
    #[serde(deserialize_with = "number")]
    pub learning_rate: f64,
    /// Tokens that the policy sampled.
    pub tokens_sampled: usize,
    /// Tokens that entered the loss.
    pub tokens_trained: usize,
    /// Episodes that ended without a fault.
    pub episodes: usize,
    /// Attempts lost to faults.
    pub faults: usize,
    /// What was lost, by kind.
    #[serde(flatten)]
    pub losses: FaultFigures,
    /// Updates left out because their gradient was not finite.
    #[serde(default)]
    pub updates_skipped: usize,
    /// Groups that were trained on.
    pub groups_kept: usize,
    /// Groups left out because their rewards hardly differ.
    pub groups_filtered: usize,
    /// Mean number of updates between sampling and training a token.
    #[serde(deserialize_with = "number")]
    pub staleness_mean: f64,
    /// Largest number of updates between sampling and training a token.
    pub staleness_max: u64,
    /// Wall-clock seconds of the rollouts.
    pub rollout_s: f64,
    /// Wall-clock seconds of scoring, loss and update.
    pub train_s: f64,
    /// Further keys.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl TrainEvent {
    /// Sampled tokens a second of rollout.
    pub fn tokens_per_s(&self) -> f64 {
        if self.rollout_s > 0.0 {
            self.tokens_sampled as f64 / self.rollout_s
        } else {
            0.0
        }
    }
}

/// JSON has no NaN: it is written as null and read back as NaN.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// What can go wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The file system refused.
    #[error("cannot {operation} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is neither an event nor a torn last line.
    #[error("`{}` line {line}: expected an event as JSON, got {message}. Mend or remove the line", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What the parser said.
        message: String,
    },
}

/// Appends events.
#[derive(Debug)]
pub struct MetricsWriter {
    path: PathBuf,
    file: File,
}

impl MetricsWriter {
    /// Opens `metrics.jsonl` of a new run; the file is emptied.
    pub fn create(run_dir: &Path) -> Result<Self, MetricsError> {
        let path = run_dir.join(METRICS);
        let file = File::create(&path).map_err(io("create", &path))?;
        Ok(Self { path, file })
    }

    /// Opens `metrics.jsonl` of a run that goes on after `step`: what was written later is cut off, so that the file
    /// becomes what it was when the checkpoint of `step` was saved.
    ///
    /// `evaluated` tells whether the evaluation at `step` itself belongs to what is kept (it was made before saving).
    pub fn resume(run_dir: &Path, step: usize, evaluated: bool) -> Result<Self, MetricsError> {
        let path = run_dir.join(METRICS);
        let keep = kept(&path, step, evaluated)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io("open", &path))?;
        file.set_len(keep as u64).map_err(io("cut", &path))?;
        file.seek(SeekFrom::End(0)).map_err(io("open", &path))?;
        Ok(Self { path, file })
    }

    /// Opens `metrics.jsonl` of a run in `run_dir` that goes on from a checkpoint of the run in `from`: it begins with
    /// what that run had written when the checkpoint of `step` was saved.
    pub fn resume_from(from: &Path, run_dir: &Path, step: usize, evaluated: bool) -> Result<Self, MetricsError> {
        let source = from.join(METRICS);
        let keep = kept(&source, step, evaluated)?;
        let mut bytes = match std::fs::read(&source) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes.map_err(io("read", &source))?,
        };
        bytes.truncate(keep);
        let mut writer = Self::create(run_dir)?;
        let written = writer.file.write_all(&bytes).and_then(|()| writer.file.sync_data());
        written.map_err(io("write", &writer.path))?;
        Ok(writer)
    }

    /// Appends one line and has it written to the disk.
    pub fn write(&mut self, event: &Event) -> Result<(), MetricsError> {
        let mut line = serde_json::to_vec(event).map_err(|error| MetricsError::Io {
            operation: "encode an event for",
            path: self.path.clone(),
            source: error.into(),
        })?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(io("append to", &self.path))
    }
}

/// Whether an event belongs to a run at the time when the checkpoint of `step` was saved.
pub fn belongs(event: &Event, step: usize, evaluated: bool) -> bool {
    match event {
        Event::Eval(eval) => eval.step < step || (eval.step == step && evaluated),
        Event::Train(train) => train.step <= step,
    }
}

/// Bytes of the file up to the first event that does not belong to the checkpoint of `step`.
fn kept(path: &Path, step: usize, evaluated: bool) -> Result<usize, MetricsError> {
    let events = parse(path)?;
    let kept = events.iter().take_while(|(event, _)| belongs(event, step, evaluated));
    Ok(kept.last().map_or(0, |(_, end)| *end))
}

/// All events of a run folder, in order. A torn last line is left out; no file means no events.
pub fn read_metrics(run_dir: &Path) -> Result<Vec<Event>, MetricsError> {
    Ok(parse(&run_dir.join(METRICS))?
        .into_iter()
        .map(|(event, _)| event)
        .collect())
}

/// The line without wall-clock keys (those that end in `_s`): equal in equal runs.
pub fn deterministic(event: &Event) -> Value {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.retain(|key, _| !key.ends_with("_s"));
    }
    value
}

/// Events with the byte offset after their line.
fn parse(path: &Path) -> Result<Vec<(Event, usize)>, MetricsError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("read", path)(error)),
    };
    let mut events = Vec::new();
    let mut end = 0;
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        end += line.len();
        if !line.ends_with(b"\n") {
            break; // torn: the run was killed while writing it
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let event = serde_json::from_slice(line);
        let event = event.map_err(|error| MetricsError::Line {
            path: path.into(),
            line: index + 1,
            message: error.to_string(),
        })?;
        events.push((event, end));
    }
    Ok(events)
}

fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> MetricsError {
    let path = path.to_path_buf();
    move |source| MetricsError::Io {
        operation,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(step: usize) -> Event {
        let extra = Map::from_iter([("tokens_per_s".into(), Value::from(9.5))]);
        Event::Train(TrainEvent {
            step,
            loss: 0.1 * step as f64,
            rollout_s: 1.5,
            extra,
            ..Default::default()
        })
    }

    fn eval(step: usize) -> Event {
        Event::Eval(EvalEvent {
            step,
            episodes: 64,
            success_rate: 1.0 / 3.0,
            ..Default::default()
        })
    }

    fn write(run: &Path, events: &[Event]) {
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
    fn nan_survives_and_wall_clock_keys_can_be_dropped() {
        let event = Event::Train(TrainEvent {
            kl: f64::NAN,
            train_s: 3.0,
            ..Default::default()
        });
        let back: Event = serde_json::from_str(&serde_json::to_string(&event).unwrap()).unwrap();
        assert!(matches!(back, Event::Train(train) if train.kl.is_nan()));
        let keys = deterministic(&train(3));
        assert!(keys.get("rollout_s").is_none() && keys.get("tokens_per_s").is_none() && keys.get("loss").is_some());
    }
}
