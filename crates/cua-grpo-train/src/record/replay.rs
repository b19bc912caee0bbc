//! Learning from the record of a run.

use super::lines::{Head, StepRecord};
use super::read::{read_head, read_step};
use crate::adapter::short;
use crate::config::{Environment, TrainConfig, changes, read_yaml};
use crate::episodes::Saved;
use crate::error::TrainError;
use crate::layout::CONFIG;
use crate::provenance::Base;
use crate::sink::Note;
use std::path::PathBuf;

/// Keys that would give the numbers of a record another meaning.
const MEANING: &[&str] = &["temperature", "reward", "rewards", "max_pixels", "min_pixels"];
/// Keys that say how episodes are played, which a replay does not do.
const PLAYING: &[&str] = &[
    "batch_size",
    "num_rollouts",
    "gradient_accumulation_steps",
    "max_turns",
    "keep_screenshots",
    "top_p",
    "top_k",
    "target",
    "prompt_style",
    "templates",
    "phone",
    "gbox_base_url",
    "lockstep",
    "on_update",
    "max_refills",
    "oversample",
    "episode_timeout",
    "curriculum_failures",
    "curriculum_solved",
    "eval_episodes",
    "eval_seed",
    "eval_steps",
];
/// Keys of the arithmetic.
const ARITHMETIC: &[&str] = &["device", "dtype", "load_in_4bit"];

/// The record of a run, step by step.
#[derive(Debug, Clone)]
pub struct Replay {
    run: PathBuf,
    /// The last step that is recorded.
    last: usize,
    base: Base,
    temperature: f32,
}

impl Replay {
    /// The record that `config` names, for a run on `base`; `None` where episodes are played.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when there is none, or when it is of another model.
    pub fn of(config: &TrainConfig, base: &Base) -> Result<Option<Self>, TrainError> {
        let Environment::Replay(run) = &config.environment else {
            return Ok(None);
        };
        let refuse = |words: String| TrainError::Usage(format!("environment `replay:{}`: {words}", run.display()));
        let steps = Saved::Record.folders(run);
        let Some((last, newest)) = steps.last() else {
            return Err(refuse(
                "expected the folder of a run that was recorded, found none there; record a run with --set record=GIB"
                    .to_owned(),
            ));
        };
        let replay = Self {
            run: run.clone(),
            last: *last,
            base: base.clone(),
            temperature: config.temperature as f32,
        };
        replay.check(&read_head(newest)?).map_err(refuse)?;
        Ok(Some(replay))
    }

    /// The last step that is recorded.
    pub fn last(&self) -> usize {
        self.last
    }

    /// Says what `config` changes against the run that was recorded.
    ///
    /// # Errors
    /// [`TrainError::Usage`] with the keys that may not change; when the run's configuration cannot be read.
    pub fn notes(&self, config: &TrainConfig) -> Result<Vec<Note>, TrainError> {
        let before: TrainConfig = read_yaml(&self.run.join(CONFIG))?;
        let changes = changes(&before, config)?;
        let of = |keys: &[&str]| {
            let found = changes.iter().filter(|change| keys.contains(&change.key));
            let found: Vec<String> = found
                .map(|change| format!("`{}` is {} there, here {}", change.key, change.before, change.now))
                .collect();
            (!found.is_empty()).then(|| found.join("; "))
        };
        if let Some(found) = of(MEANING) {
            return Err(TrainError::Usage(format!(
                "environment `replay:{}`: {found}. The numbers of the record would mean something else; leave it as it was",
                self.run.display()
            )));
        }
        let mut notes = vec![Note::Plain(format!(
            "learning from the record of {}, steps 1 to {}: nothing is sampled, no phone is used, evaluations are left out \
             (`trainer eval` makes one)",
            self.run.display(),
            self.last
        ))];
        if let Some(found) = of(PLAYING) {
            notes.push(Note::Warning(format!(
                "{found}: without effect, the episodes are those of the record"
            )));
        }
        if config.max_staleness < before.max_staleness {
            notes.push(Note::Warning(format!(
                "`max_staleness` is {} there, here {}: episodes of the record with older tokens are left out \
                 (`episodes_dropped`), and groups of which fewer than two remain count as lost",
                before.max_staleness, config.max_staleness
            )));
        }
        if let Some(found) = of(ARITHMETIC) {
            notes.push(Note::Warning(format!(
                "{found}: the log-probs of the record are those of the other arithmetic, which sampler_gap shows"
            )));
        }
        Ok(notes)
    }

    /// The record of a step; `None` where the record ends before it.
    ///
    /// # Errors
    /// [`TrainError::Usage`] when it is not there or damaged, or is of another model or temperature.
    pub fn step(&self, step: usize) -> Result<Option<StepRecord>, TrainError> {
        if step > self.last {
            return Ok(None);
        }
        let refuse = |words: String| {
            TrainError::Usage(format!(
                "environment `replay:{}`, step {step}: {words}",
                self.run.display()
            ))
        };
        let folder = Saved::Record.folder(&self.run, step);
        if !folder.is_dir() {
            return Err(refuse(format!(
                "the record has no {}; a replay cannot leave a step out",
                folder.display()
            )));
        }
        let record = read_step(&folder)?;
        self.check(&record.head).map_err(refuse)?;
        if record.head.step != step {
            return Err(refuse(format!(
                "the record says that it is of step {}",
                record.head.step
            )));
        }
        let rows = record.groups.iter().flat_map(|group| &group.episodes);
        match rows
            .map(|episode| episode.row.temperature())
            .find(|found| *found != self.temperature)
        {
            None => Ok(Some(record)),
            Some(found) => Err(refuse(format!(
                "its log-probs are those at temperature {found}, and `temperature` is {}; set it to that",
                self.temperature
            ))),
        }
    }

    /// That the rows are of the base.
    fn check(&self, head: &Head) -> Result<(), String> {
        let (theirs, ours) = (&head.base, &self.base);
        if theirs.fingerprint != ours.fingerprint {
            return Err(format!(
                "its base is `{}` ({}), and `model_name` is `{}` ({}): its tokens and log-probs are of the other; give \
                 model_name that one",
                theirs.name,
                short(&theirs.fingerprint),
                ours.name,
                short(&ours.fingerprint)
            ));
        }
        match theirs.other_files(ours)[..] {
            [] => Ok(()),
            ref files => Err(format!(
                "its base has the same weights, but another {}; restore what it had",
                files.join(", ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::to_yaml;

    #[test]
    fn a_smaller_bound_of_staleness_is_told_before_it_leaves_episodes_out() {
        let run = tempfile::tempdir().unwrap();
        let with = |max_staleness| TrainConfig {
            max_staleness,
            lockstep: false,
            ..Default::default()
        };
        std::fs::write(run.path().join(CONFIG), to_yaml(&with(2)).unwrap()).unwrap();
        let replay = Replay {
            run: run.path().into(),
            last: 1,
            base: Base {
                name: "model".to_owned(),
                path: None,
                fingerprint: String::new(),
                files: Default::default(),
            },
            temperature: 1.0,
        };
        let told = |max_staleness| {
            let notes = replay.notes(&with(max_staleness)).unwrap();
            notes.iter().any(|note| {
                matches!(note, Note::Warning(text) if text.contains("`max_staleness` is 2 there, here 1: episodes"))
            })
        };
        assert!(told(1));
        assert!(!told(2) && !told(3));
    }
}
