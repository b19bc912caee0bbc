//! Finds the checkpoint that a run goes on from, and refuses what would change the meaning of its weights.

use crate::adapter::CONFIG;
use crate::config::{Change, ConfigError, Resume, TrainConfig, changes};
use crate::files::{Damage, LOCK, verify};
use crate::metrics::METRICS;
use std::path::{Path, PathBuf};

/// Folder of the checkpoints within a run folder.
pub const CHECKPOINTS: &str = "checkpoints";

/// A checkpoint and the run that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// The run folder: the one that holds `config.yaml` and `metrics.jsonl`.
    pub run_dir: PathBuf,
    /// The folder `checkpoints/checkpoint-N`; `None` for a run that ended before its first one and begins anew.
    pub checkpoint: Option<PathBuf>,
    /// The step after which it was saved, `N`.
    pub step: usize,
    /// The checkpoint was named, so no other may take its place.
    pub named: bool,
}

/// Why a run cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Neither a checkpoint nor a run folder.
    #[error(
        "--resume {}: expected a folder RUN/checkpoints/checkpoint-N, or a run folder; {reason}",
        path.display()
    )]
    NotFound {
        /// What was given.
        path: PathBuf,
        /// What is the matter.
        reason: &'static str,
    },
    /// A checkpoint is not what was written, and there is no other.
    #[error("{} is damaged: {damage}. {advice}", path.display())]
    Damaged {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
        /// What to do.
        advice: String,
    },
    /// Keys whose other value would give the saved weights another meaning.
    #[error(
        "--resume {}: {}. The saved weights were trained with the first value and would mean something else with \
         another; leave it out, or start a new run",
        path.display(),
        shown(changes)
    )]
    Refused {
        /// The run.
        path: PathBuf,
        /// The keys.
        changes: Vec<Change>,
    },
    /// The files of the base are not those that the run began with.
    #[error(
        "--resume {}: the base `{name}` has other weights ({now}) than the base that the run was trained on \
         (`{trained}`, {before}); give the run its base back, or start a new run",
        path.display()
    )]
    OtherBase {
        /// The run.
        path: PathBuf,
        /// `model_name`.
        name: String,
        /// Its fingerprint.
        now: String,
        /// `model_name` of the checkpoint.
        trained: String,
        /// Its fingerprint.
        before: String,
    },
}

fn shown(changes: &[Change]) -> String {
    let one = |change: &Change| format!("`{}` is {} in the run, now {}", change.key, change.before, change.now);
    changes.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl ResumePoint {
    /// Reads `path` as a checkpoint folder, or as a run folder whose newest checkpoint is taken.
    ///
    /// # Errors
    /// [`ResumeError::NotFound`].
    pub fn find(path: &Path) -> Result<Self, ResumeError> {
        let missing = |reason| ResumeError::NotFound {
            path: path.into(),
            reason,
        };
        if !path.is_dir() {
            return Err(missing("there is no such folder"));
        }
        if let Some(step) = step_of(path) {
            let run_dir = path
                .canonicalize()
                .ok()
                .and_then(|full| Some(full.parent()?.parent()?.to_path_buf()));
            let given = path
                .parent()
                .and_then(Path::parent)
                .filter(|given| given.join(CONFIG).is_file());
            let run_dir = given.map(Path::to_path_buf).or(run_dir).unwrap_or_default();
            if !run_dir.join(CONFIG).is_file() && !path.join(CONFIG).is_file() {
                return Err(missing("the run folder above it has no config.yaml"));
            }
            return Ok(Self {
                run_dir,
                checkpoint: Some(path.into()),
                step,
                named: true,
            });
        }
        if path.join("adapter_config.json").is_file() {
            return Err(missing(
                "it is an adapter without what the optimiser remembers; give the run folder above it",
            ));
        }
        let (step, checkpoint) = list(path)
            .pop()
            .map_or((0, None), |(step, checkpoint)| (step, Some(checkpoint)));
        let saved = checkpoint.iter().any(|checkpoint| checkpoint.join(CONFIG).is_file());
        match (path.join(CONFIG).is_file() || saved, &checkpoint) {
            (true, Some(_)) => {}
            // Without a checkpoint, what a run leaves besides its configuration tells that this is one.
            (true, None) if [LOCK, METRICS].iter().any(|name| path.join(name).is_file()) => {}
            (true, None) => return Err(missing("it has a config.yaml, but no run began in it")),
            (false, Some(_)) => return Err(missing("it has no config.yaml")),
            (false, None) => return Err(missing("it has no checkpoint and no config.yaml")),
        }
        Ok(Self {
            run_dir: path.into(),
            checkpoint,
            step,
            named: false,
        })
    }

    /// The saved configuration of the run: its own, or the copy of the checkpoint where that one is lost. A note for the
    /// user comes with the copy.
    pub fn config_file(&self) -> (PathBuf, Option<String>) {
        let own = self.run_dir.join(CONFIG);
        let whole = std::fs::read_to_string(&own).is_ok_and(|text| !text.trim().is_empty());
        let copy = self.checkpoint.as_ref().map(|checkpoint| checkpoint.join(CONFIG));
        match copy.filter(|copy| !whole && copy.is_file()) {
            Some(copy) => {
                let note = format!("{} is lost; taking {} in its place", own.display(), copy.display());
                (copy, Some(note))
            }
            None => (own, None),
        }
    }

    /// The point whose files are what was written: a damaged newest checkpoint gives way to the one before it, with a
    /// line for the user.
    ///
    /// # Errors
    /// [`ResumeError::Damaged`] when the checkpoint was named, or no other is whole.
    pub fn verified(self) -> Result<(Self, Vec<String>), ResumeError> {
        let mut notes = Vec::new();
        let Some(checkpoint) = &self.checkpoint else {
            return Ok((self, notes));
        };
        let Err(damage) = whole(checkpoint) else {
            return Ok((self, notes));
        };
        let older = list(&self.run_dir)
            .into_iter()
            .rev()
            .filter(|(step, _)| *step < self.step);
        let mut older = older.filter(|(_, path)| whole(path).is_ok());
        let found = older.next();
        if self.named || found.is_none() {
            let advice = match &found {
                Some((_, path)) => format!("Go on from the one before: --resume {}", crate::hint::path(path)),
                None => "No other checkpoint of the run is whole, so it cannot go on; start a new run".into(),
            };
            return Err(ResumeError::Damaged {
                path: checkpoint.clone(),
                damage,
                advice,
            });
        }
        let (step, path) = found.unwrap_or_default();
        notes.push(format!(
            "warning: {} is damaged ({damage}); going on from {}",
            checkpoint.display(),
            path.display()
        ));
        let point = Self {
            checkpoint: Some(path),
            step,
            ..self
        };
        Ok((point, notes))
    }

    /// Compares `before`, the configuration that the checkpoint was saved with, with the one to go on with.
    /// `same_base` tells that another name leads to the same weights. Lines for the user come back.
    ///
    /// # Errors
    /// [`ResumeError::Refused`] with every key that may not change.
    pub fn compare(
        &self,
        before: &TrainConfig,
        now: &TrainConfig,
        same_base: bool,
    ) -> Result<Vec<String>, CompareError> {
        let all = changes(before, now)?;
        let moved = |change: &Change| same_base && change.key == "model_name";
        let refused: Vec<Change> = all
            .iter()
            .filter(|change| change.kind == Resume::Refused && !moved(change))
            .cloned()
            .collect();
        if !refused.is_empty() {
            return Err(CompareError::Resume(ResumeError::Refused {
                path: self.run_dir.clone(),
                changes: refused,
            }));
        }
        let decays = now.lr_scheduler != crate::config::LrScheduler::Constant;
        let told =
            |change: &&Change| change.kind == Resume::Warned || moved(change) || (change.key == "max_steps" && decays);
        let line = |change: &Change| {
            let Change { key, before, now, .. } = change;
            if moved(change) {
                format!("note: `model_name` is {now}, in the run it is {before}; the weights are the same")
            } else if *key == "max_steps" {
                format!("warning: `max_steps` was {before} and is now {now}: the learning rate falls by another curve")
            } else {
                format!("warning: `{key}` was {before} and is now {now}: from here on this is another run")
            }
        };
        Ok(all.iter().filter(told).map(line).collect())
    }
}

/// Why two configurations of a run cannot follow each other.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A key may not change.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// A configuration cannot be written down.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Whether a checkpoint has all its files, as they were written.
fn whole(checkpoint: &Path) -> Result<(), Damage> {
    verify(checkpoint)?;
    for name in crate::checkpoint::FILES {
        if !checkpoint.join(name).is_file() {
            return Err(Damage::Unreadable {
                name: (*name).into(),
                reason: "it is not there".into(),
            });
        }
    }
    Ok(())
}

/// The checkpoints of a run folder with their steps, oldest first.
pub fn list(run_dir: &Path) -> Vec<(usize, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(run_dir.join(CHECKPOINTS)) else {
        return Vec::new();
    };
    let paths = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir());
    let mut found: Vec<_> = paths.filter_map(|path| Some((step_of(&path)?, path))).collect();
    found.sort();
    found
}

fn step_of(path: &Path) -> Option<usize> {
    // `checkpoint-7/.` and a folder that the user stands in have no such name of their own.
    let name = path.file_name().map(ToOwned::to_owned);
    let name = name.or_else(|| Some(path.canonicalize().ok()?.file_name()?.to_owned()))?;
    name.to_str()?.strip_prefix("checkpoint-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::seal;

    fn run(steps: &[usize]) -> tempfile::TempDir {
        let run = tempfile::tempdir().unwrap();
        for step in steps {
            let folder = run.path().join(format!("checkpoints/checkpoint-{step}"));
            std::fs::create_dir_all(&folder).unwrap();
            for name in crate::checkpoint::FILES {
                std::fs::write(folder.join(name), format!("{name} of {step}")).unwrap();
            }
            seal(&folder).unwrap();
        }
        run
    }

    #[test]
    fn newest_checkpoint_of_a_run_is_found_and_a_named_one_is_kept() {
        let run = run(&[2, 10, 9]);
        let text = ResumePoint::find(run.path()).unwrap_err().to_string();
        assert!(text.contains("config.yaml"), "{text}");
        std::fs::write(run.path().join(CONFIG), "seed: 1").unwrap();
        assert_eq!(ResumePoint::find(run.path()).unwrap().step, 10);
        let named = ResumePoint::find(&run.path().join("checkpoints/checkpoint-2")).unwrap();
        assert_eq!(
            (named.step, named.run_dir.as_path(), named.named),
            (2, run.path(), true)
        );
    }

    #[test]
    fn a_folder_without_checkpoints_begins_anew_when_it_has_a_configuration() {
        let run = run(&[]);
        let message = ResumePoint::find(run.path()).unwrap_err().to_string();
        assert!(
            message.contains("checkpoint-N") && message.contains("has no checkpoint"),
            "{message}"
        );
        let message = ResumePoint::find(&run.path().join("none")).unwrap_err().to_string();
        assert!(message.contains("no such folder"), "{message}");
        std::fs::write(run.path().join(CONFIG), "seed: 1").unwrap();
        let message = ResumePoint::find(run.path()).unwrap_err().to_string();
        assert!(message.contains("no run began in it"), "{message}");
        std::fs::write(run.path().join(METRICS), "").unwrap();
        let point = ResumePoint::find(run.path()).unwrap();
        assert_eq!((point.step, &point.checkpoint), (0, &None));
        assert_eq!(point.clone().verified().unwrap(), (point, Vec::new()));
    }

    #[test]
    fn an_adapter_folder_is_no_run_although_it_has_a_configuration() {
        let run = run(&[2]);
        let best = run.path().join("best_model");
        std::fs::create_dir(&best).unwrap();
        for name in [CONFIG, "adapter_config.json", METRICS] {
            std::fs::write(best.join(name), "seed: 1").unwrap();
        }
        let message = ResumePoint::find(&best).unwrap_err().to_string();
        assert!(message.contains("give the run folder above it"), "{message}");
    }

    #[test]
    fn a_damaged_newest_checkpoint_gives_way_to_the_one_before() {
        let damages: [&dyn Fn(&Path); 4] = [
            &|folder| std::fs::write(folder.join("optimizer.safetensors"), "cut").unwrap(),
            &|folder| std::fs::write(folder.join("training_state.json"), "").unwrap(),
            &|folder| std::fs::remove_file(folder.join("adapter_model.safetensors")).unwrap(),
            &|folder| std::fs::write(folder.join(crate::files::CHECKSUMS), "{").unwrap(),
        ];
        for damage in damages {
            let run = run(&[2, 4, 6]);
            std::fs::write(run.path().join(CONFIG), "seed: 1").unwrap();
            damage(&run.path().join("checkpoints/checkpoint-6"));
            let (point, notes) = ResumePoint::find(run.path()).unwrap().verified().unwrap();
            assert_eq!(point.step, 4);
            assert!(
                notes.len() == 1 && notes[0].contains("checkpoint-6 is damaged"),
                "{notes:?}"
            );
            let named = ResumePoint::find(&run.path().join("checkpoints/checkpoint-6")).unwrap();
            let text = named.verified().unwrap_err().to_string();
            assert!(
                text.contains("checkpoint-6 is damaged") && text.contains("checkpoint-4"),
                "{text}"
            );
            damage(&run.path().join("checkpoints/checkpoint-4"));
            damage(&run.path().join("checkpoints/checkpoint-2"));
            let text = ResumePoint::find(run.path())
                .unwrap()
                .verified()
                .unwrap_err()
                .to_string();
            assert!(text.contains("start a new run"), "{text}");
        }
    }

    #[test]
    fn a_lost_configuration_is_taken_from_the_checkpoint_and_never_from_defaults() {
        let run = run(&[2]);
        std::fs::write(run.path().join(CONFIG), "\n").unwrap();
        let copy = run.path().join("checkpoints/checkpoint-2").join(CONFIG);
        let (file, note) = ResumePoint::find(run.path()).unwrap().config_file();
        assert_eq!((file, note), (run.path().join(CONFIG), None), "there is no copy");
        std::fs::write(&copy, "seed: 1").unwrap();
        let (file, note) = ResumePoint::find(run.path()).unwrap().config_file();
        assert_eq!(file, copy);
        assert!(note.unwrap().contains("is lost"));
    }

    #[test]
    fn keys_that_change_the_meaning_are_refused_with_both_values_and_others_are_told() {
        let run = run(&[2]);
        std::fs::write(run.path().join(CONFIG), "seed: 1").unwrap();
        let point = ResumePoint::find(run.path()).unwrap();
        let before = TrainConfig::default();
        let with = |change: &dyn Fn(&mut TrainConfig)| {
            let mut now = before.clone();
            change(&mut now);
            point.compare(&before, &now, false)
        };
        let text = with(&|now| {
            now.lora_alpha = 64.0;
            now.use_rslora = true;
            now.learning_rate = 1.0;
        });
        let text = text.unwrap_err().to_string();
        for words in [
            "`lora_alpha` is 32.0 in the run, now 64.0",
            "`use_rslora` is false in the run, now true",
        ] {
            assert!(text.contains(words), "{text}");
        }
        assert!(!text.contains("learning_rate"), "{text}");
        let lines = with(&|now| {
            now.learning_rate = 1e-4;
            now.eval_seed = 7;
            now.max_steps = 900;
            now.verbose = true;
        })
        .unwrap();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].contains("`learning_rate` was 0.00001 and is now 0.0001"),
            "{lines:?}"
        );
        assert!(lines[1].contains("`eval_seed` was 1000 and is now 7"), "{lines:?}");
        let lines = with(&|now| {
            now.max_steps = 900;
            now.lr_scheduler = crate::config::LrScheduler::Cosine;
        })
        .unwrap();
        assert!(lines.iter().any(|line| line.contains("max_steps")), "{lines:?}");
        let mut moved = before.clone();
        moved.model_name = "elsewhere".into();
        assert!(point.compare(&before, &moved, false).is_err());
        let lines = point.compare(&before, &moved, true).unwrap();
        assert!(
            lines.len() == 1 && lines[0].contains("the weights are the same"),
            "{lines:?}"
        );
    }
}
