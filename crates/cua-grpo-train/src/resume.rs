//! Finds the checkpoint that a run goes on from, and refuses what would change the meaning of its weights.

use crate::checkpoint::{not_verified, read_state};
use crate::config::{Change, ConfigError, Resume, TrainConfig, changes, is_cut};
use crate::files::{Damage, FileError, LOCK, Limit, read_text, verify};
use crate::layout::{CHECKPOINTS, CONFIG, RUN, STATE, checkpoint_step, list};
use crate::metrics::METRICS;
use crate::sink::Note;
use std::path::{Path, PathBuf};

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
    /// It cannot be told which checkpoints there are.
    #[error("--resume {}: {reason}. Its checkpoints cannot be seen, so the run would begin anew; mend that first", path.display())]
    Unseen {
        /// What was given.
        path: PathBuf,
        /// What the file system said.
        reason: FileError,
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
    /// A checkpoint cannot be read by this process, which tells nothing of what is in it.
    #[error("{} cannot be read: {damage}. Let this user read it (or mend what else is the matter), and resume again", path.display())]
    Closed {
        /// The checkpoint.
        path: PathBuf,
        /// What stands in the way.
        damage: Damage,
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
    /// The weights of the base are the same, but another file that decides what it computes is not.
    #[error(
        "--resume {}: the base `{name}` has the weights that the run was trained on, but another {files}; restore what it \
         had, or start a new run",
        path.display()
    )]
    OtherFiles {
        /// The run.
        path: PathBuf,
        /// `model_name`.
        name: String,
        /// The files, by name.
        files: String,
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
    /// [`ResumeError::NotFound`], [`ResumeError::Unseen`].
    pub fn find(path: &Path) -> Result<Self, ResumeError> {
        let missing = |reason| ResumeError::NotFound {
            path: path.into(),
            reason,
        };
        if !path.is_dir() {
            return Err(missing("there is no such folder"));
        }
        if let Some(step) = checkpoint_step(path) {
            let run_dir = path
                .canonicalize()
                .ok()
                .and_then(|full| Some(full.parent()?.parent()?.to_path_buf()));
            let given = path
                .parent()
                .and_then(Path::parent)
                .filter(|given| given.join(CONFIG).is_file());
            let run_dir = given.map(Path::to_path_buf).or(run_dir).unwrap_or_default();
            let within = path.canonicalize().ok();
            let within = within.as_deref().and_then(Path::parent).and_then(Path::file_name);
            if within.is_none_or(|name| name != CHECKPOINTS) {
                return Err(missing(
                    "this checkpoint lies in no run folder, to which a run could write; put it back, or into a folder \
                     `checkpoints` of a new one",
                ));
            }
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
        let (step, checkpoint) = seen(path)?
            .pop()
            .map_or((0, None), |(step, checkpoint)| (step, Some(checkpoint)));
        let saved = checkpoint.iter().any(|checkpoint| checkpoint.join(CONFIG).is_file());
        match (path.join(CONFIG).is_file() || saved, &checkpoint) {
            (true, Some(_)) => {}
            // Without a checkpoint, what a run leaves besides its configuration tells that this is one.
            (true, None) if [LOCK, METRICS, RUN].iter().any(|name| path.join(name).is_file()) => {}
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

    /// The saved configuration of the run: its own, or the copy of the checkpoint where that one is lost or damaged. A
    /// note for the user comes with the copy.
    pub fn config_file(&self) -> (PathBuf, Option<String>) {
        let own = self.run_dir.join(CONFIG);
        let copy = self.checkpoint.as_ref().map(|checkpoint| checkpoint.join(CONFIG));
        // What is no file is told where it is read.
        let strange = std::fs::metadata(&own).is_ok_and(|found| !found.is_file());
        // So is what this process may not read: it is not lost.
        let closed = || match read_text(&own, Limit::SMALL) {
            Ok(_) => false,
            Err(error) => matches!(Damage::of(CONFIG, &error), Damage::Closed { .. }),
        };
        let whole = strange || closed() || copy.as_ref().is_none_or(|copy| !is_cut::<TrainConfig>(&own, copy));
        match copy.filter(|copy| !whole && copy.is_file()) {
            Some(copy) => {
                let note = format!(
                    "{} is lost or damaged; taking {} in its place",
                    own.display(),
                    copy.display()
                );
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
    pub fn verified(self) -> Result<(Self, Vec<Note>), ResumeError> {
        let mut notes = Vec::new();
        let Some(checkpoint) = &self.checkpoint else {
            return Ok((self, notes));
        };
        let Err(damage) = whole(checkpoint) else {
            notes.extend(not_verified(checkpoint).into_iter().map(Note::Warning));
            return Ok((self, notes));
        };
        // Going on from an older one would set aside what is not damaged.
        if matches!(damage, Damage::Closed { .. }) {
            let path = checkpoint.clone();
            return Err(ResumeError::Closed { path, damage });
        }
        let older = seen(&self.run_dir)?
            .into_iter()
            .rev()
            .filter(|(step, _)| *step < self.step);
        let mut older = older.filter(|(_, path)| whole(path).is_ok());
        let found = older.next();
        if self.named || found.is_none() {
            let advice = match &found {
                Some((_, path)) => format!("Go on from the one before: --resume {}", crate::shell::argument(path)),
                None => "No other checkpoint of the run is whole, so it cannot go on; start a new run".into(),
            };
            return Err(ResumeError::Damaged {
                path: checkpoint.clone(),
                damage,
                advice,
            });
        }
        let (step, path) = found.unwrap_or_default();
        notes.push(Note::Warning(format!(
            "{} is damaged ({damage}); going on from {}",
            checkpoint.display(),
            path.display()
        )));
        notes.extend(not_verified(&path).into_iter().map(Note::Warning));
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
    pub fn compare(&self, before: &TrainConfig, now: &TrainConfig, same_base: bool) -> Result<Vec<Note>, CompareError> {
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
        let decays = now.lr_scheduler != crate::config::Decay::Constant;
        let told =
            |change: &&Change| change.kind == Resume::Warned || moved(change) || (change.key == "max_steps" && decays);
        let line = |change: &Change| {
            let Change { key, before, now, .. } = change;
            if moved(change) {
                Note::Plain(format!(
                    "note: `model_name` is {now}, in the run it is {before}; the weights are the same"
                ))
            } else if *key == "max_steps" {
                Note::Warning(format!(
                    "`max_steps` was {before} and is now {now}: the learning rate falls by another curve"
                ))
            } else {
                Note::Warning(format!(
                    "`{key}` was {before} and is now {now}: from here on this is another run"
                ))
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

/// The checkpoints of a run folder.
fn seen(run_dir: &Path) -> Result<Vec<(usize, PathBuf)>, ResumeError> {
    let path = run_dir.to_path_buf();
    list(run_dir).map_err(|reason| ResumeError::Unseen { path, reason })
}

/// Whether a checkpoint has all its files, as they were written.
fn whole(checkpoint: &Path) -> Result<(), Damage> {
    verify(checkpoint)?;
    for name in crate::layout::FILES {
        let there = checkpoint.join(name).metadata();
        if let Err(error) = &there
            && let closed @ Damage::Closed { .. } = Damage::of(name, error)
        {
            return Err(closed);
        }
        if !there.is_ok_and(|data| data.is_file()) {
            return Err(Damage::Unreadable {
                name: (*name).into(),
                reason: "it is not there".into(),
            });
        }
    }
    // The name is in no list of checksums; by another one the run would count on from a step that it never did.
    let state = read_state(checkpoint).map(|state| state.global_step);
    let reason = match state {
        Ok(step) if checkpoint_step(checkpoint).is_none_or(|named| named == step) => return Ok(()),
        Ok(step) => format!("it is of step {step}, so the folder was called checkpoint-{step}"),
        Err(error) => format!("{error:#}"),
    };
    Err(Damage::Unreadable {
        name: STATE.into(),
        reason,
    })
}

#[cfg(test)]
mod tests;
