//! The run folder: where a run's files go, who may write there, and that an earlier run is never written over.
//!
//! A run that goes on changes nothing in its folder before it has something to add: [`RunDir::begin`] then sets aside
//! what belongs to another timeline and writes the configuration. A death before leaves the folder as it was, a death in
//! it leaves one that is resumed at the same place.

mod aside;
mod claim;
mod identity;
mod outputs;
mod places;
mod usable;

#[cfg(test)]
mod deaths;
#[cfg(all(test, unix))]
mod linked;

pub use identity::{Earlier, Identity, check_folder, check_metrics, check_name, copied_from, run_id};
pub use outputs::check_output;
pub use places::is_run;
pub use usable::check_usable;

use crate::checkpoint::TrainingState;
use crate::config::{TrainConfig, to_yaml};
use crate::episodes::{Mark, Saved, save_episode};
use crate::error::TrainError;
use crate::eval::EvalResult;
use crate::files::{FolderLock, link_folder, ops, replace_folder, sweep, write};
use crate::layout::{BEST, CHECKPOINTS, CONFIG, EPISODES, TRAIN_LOG, best_of};
use crate::metrics::MetricsWriter;
use crate::resume::ResumePoint;
use crate::sink::{Event, Sink};
use crate::tolerate::Tolerated;
use anyhow::{Context, Result};
use aside::Kept;
use cua_grpo_core::{Episode, Group, Task};
use places::check_places;
use std::path::{Path, PathBuf};

/// Records that could not be written.
static UNWRITTEN: Tolerated = Tolerated::new();

/// An open run folder.
pub struct RunDir {
    path: PathBuf,
    /// The configuration to save.
    config: TrainConfig,
    /// `metrics.jsonl`, once the run has begun.
    metrics: Option<MetricsWriter>,
    /// What stays of an earlier part of the run; taken when it begins.
    kept: Option<Kept>,
    /// Which run it is.
    identity: Identity,
    lock: FolderLock,
}

impl RunDir {
    /// Makes the folder of the new run `identity`. Where a run stands already, or another process makes one, a number is
    /// put behind the name.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn create(config: &TrainConfig, mut identity: Identity) -> Result<Self> {
        let (path, lock) = claim::new_folder(&config.output_dir)?;
        identity.write(&path)?;
        let mut dir = Self::at(path, config, None, identity, lock);
        dir.save_config()?;
        dir.metrics = Some(MetricsWriter::create(&dir.path)?.on(&dir.identity.timeline));
        Ok(dir)
    }

    /// Opens the folder of the run `identity` that goes on at `point`, in whose checkpoint `state` is. Nothing is changed
    /// yet.
    pub fn resume(
        config: &TrainConfig,
        point: &ResumePoint,
        state: &TrainingState,
        identity: Identity,
        lock: FolderLock,
    ) -> Self {
        let kept = Kept::of(point, state);
        Self::at(point.run_dir.clone(), config, Some(kept), identity, lock)
    }

    /// Makes a folder of its own for the run `identity`, which goes on at `point`, with what belongs to it; the run that it
    /// comes from stays as it is.
    ///
    /// # Errors
    /// When the folder cannot be made, or a file not copied.
    pub fn fork(
        config: &TrainConfig,
        point: &ResumePoint,
        state: &TrainingState,
        mut identity: Identity,
    ) -> Result<Self> {
        let (path, lock) = claim::new_folder(&config.output_dir)?;
        identity.write(&path)?;
        let kept = Kept::of(point, state);
        if let Some(checkpoint) = &point.checkpoint {
            let target = path.join(CHECKPOINTS).join(checkpoint.file_name().unwrap_or_default());
            replace_folder(&target, |partial| link_folder(checkpoint, partial))?;
            if let Some(best) = best_of(checkpoint) {
                replace_folder(&path.join(BEST), |partial| link_folder(&best, partial))?;
            }
        }
        for saved in Saved::ALL {
            for (step, folder) in saved.folders(&point.run_dir) {
                if kept.has_episodes(saved, step) {
                    replace_folder(&saved.folder(&path, step), |partial| link_folder(&folder, partial))?;
                }
            }
        }
        let lines = kept.train_lines(&point.run_dir.join(TRAIN_LOG), &identity)?;
        write(&path.join(TRAIN_LOG), &lines)?;
        let metrics = MetricsWriter::resume_from(&point.run_dir, &path, point.step, state.evaluated)?;
        let mut dir = Self::at(path, config, None, identity, lock);
        dir.save_config()?;
        dir.metrics = Some(metrics.on(&dir.identity.timeline));
        Ok(dir)
    }

    fn at(path: PathBuf, config: &TrainConfig, kept: Option<Kept>, identity: Identity, lock: FolderLock) -> Self {
        let mut config = config.clone();
        config.output_dir = path.display().to_string();
        Self {
            path,
            config,
            metrics: None,
            kept,
            identity,
            lock,
        }
    }

    /// The run's id: 16 hexadecimal digits that stay with the folder.
    pub fn id(&self) -> &str {
        &self.identity.id
    }

    /// Which run it is, and on which timeline it writes.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Checks that the folder is still the one that was opened, that no other process can have come in, and that no name
    /// in it leads elsewhere by now.
    ///
    /// # Errors
    /// [`TrainError::Lock`] or [`TrainError::Usage`] that says what is the matter: nothing may be written there any more.
    pub fn check(&self) -> Result<(), TrainError> {
        self.lock.check(&self.path)?;
        check_places(&self.path)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder this run's: what was written after the checkpoint is set aside, the configuration is saved.
    /// Called before whatever is written there; after the first time it only checks the folder. A line for the user comes
    /// back when something was set aside.
    ///
    /// # Errors
    /// [`RunDir::check`]; when the file system refuses, where the folder can be resumed then as before.
    pub fn begin(&mut self) -> Result<Option<String>> {
        self.check()?;
        let Some(kept) = &self.kept else {
            return Ok(None);
        };
        let aside = kept.set_the_rest_aside(&self.path, &self.identity)?;
        self.save_config()?;
        let step = kept.step;
        let metrics = MetricsWriter::resume(&self.path, step, kept.evaluated)?;
        // Last: until here the folder is that of the timeline before, whose lines and checkpoints may be left in it.
        if aside.is_some() {
            self.identity.turn(step);
        }
        if Identity::read(&self.path)?.as_ref() != Some(&self.identity) {
            self.identity.write(&self.path)?;
        }
        self.metrics = Some(metrics.on(&self.identity.timeline));
        self.kept = None;
        Ok(aside.map(|folder| {
            format!(
                "what was done after step {step} before is kept in {}",
                crate::shell::path(&folder)
            )
        }))
    }

    /// Whether the folder is this run's by now, so that something may be written there.
    pub fn has_begun(&self) -> bool {
        self.kept.is_none()
    }

    fn save_config(&self) -> Result<()> {
        write(&self.path.join(CONFIG), to_yaml(&self.config)?.as_bytes())
    }

    /// Saves the first `count` episodes of an evaluation with their screenshots, replacing those of an earlier one. What
    /// cannot be written is told and left out: the figures of the run do not depend on it.
    pub fn save_episodes(&self, step: usize, result: &EvalResult, count: usize) {
        let episodes = result.episodes.iter().take(count);
        let episodes = episodes.map(|(task, episode)| (task, episode, None));
        self.save(Saved::Eval, step, episodes);
    }

    /// Saves training episodes of a step with their advantages and screenshots, replacing those of an earlier try. What
    /// cannot be written is told and left out.
    pub fn save_training<'a>(
        &self,
        step: usize,
        episodes: impl IntoIterator<Item = (&'a Task, &'a Episode, Option<f32>)>,
    ) {
        self.save(Saved::Train, step, episodes);
    }

    fn save<'a>(
        &self,
        kind: Saved,
        step: usize,
        episodes: impl IntoIterator<Item = (&'a Task, &'a Episode, Option<f32>)>,
    ) {
        if self.check().is_err() {
            return; // Whoever writes what a run cannot do without says so.
        }
        let folder = kind.folder(&self.path, step);
        let mark = Some(Mark {
            run: &self.identity.timeline,
            step,
        });
        let mut episodes = episodes.into_iter().enumerate().peekable();
        if episodes.peek().is_none() {
            let removed = crate::files::discard(&folder);
            return tell("episodes of an earlier try could not be removed", removed);
        }
        let replaced = replace_folder(&folder, |partial| {
            for (index, (task, episode, advantage)) in episodes {
                let saved = save_episode(partial, index, (task, episode, advantage), mark);
                if saved.is_err() {
                    // Half an episode would be no record of it.
                    let _ = ops::remove_all(&partial.join(format!("{index:03}")));
                }
                tell("an episode was not saved; the run goes on", saved);
            }
            Ok(())
        });
        tell("the episodes of a step were not saved; the run goes on", replaced);
    }

    /// Appends a line for every training episode of a step. What cannot be written is told and left out.
    pub fn log_episodes(&self, step: usize, groups: &[Group], enabled: bool) {
        if !enabled || self.check().is_err() {
            return;
        }
        let path = self.path.join(TRAIN_LOG);
        let mut lines = String::new();
        for group in groups {
            for episode in &group.episodes {
                let actions: Vec<&str> = episode.turns.iter().map(|turn| turn.action.summary.as_str()).collect();
                let line = serde_json::json!({
                    "run": self.identity.timeline,
                    "step": step,
                    "task": group.task.id,
                    "attempt": episode.attempt,
                    "reward": episode.reward,
                    "verified": episode.facts.verified,
                    "claimed": episode.facts.claimed,
                    "side_effects": episode.facts.side_effects,
                    "ending": episode.ending,
                    "tokens": episode.trained_tokens(),
                    "actions": actions,
                });
                lines.push_str(&format!("{line}\n"));
            }
        }
        let written = append(&path, lines.as_bytes());
        let written = written.with_context(|| format!("cannot append to {}", path.display()));
        tell("episodes of a step were not logged; the run goes on", written);
    }
}

/// Appends the lines of `metrics.jsonl`.
impl Sink for RunDir {
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        if !matches!(event, Event::Step(_) | Event::Eval(_)) {
            return Ok(());
        }
        self.check()?;
        let metrics = self.metrics.as_mut();
        metrics
            .context("the run folder is not open for writing: this is a bug")?
            .event(event)
    }
}

/// Appends all bytes or none.
fn append(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = ops::open_end(path)?;
    let before = file.metadata()?.len();
    let written = ops::put(&mut file, path, bytes).and_then(|()| ops::sync(&file, path));
    written.inspect_err(|_| {
        // The piece that was written would spoil the line that comes next.
        let _ = ops::cut(&file, path, before);
    })?;
    // The name of a file that was made.
    match path.parent() {
        Some(parent) if before == 0 => ops::sync_folder(parent),
        _ => Ok(()),
    }
}

/// Warns of what was not written, once in a while.
fn tell<T>(what: &str, outcome: std::result::Result<T, impl std::fmt::Display>) {
    if let Some(text) = outcome
        .err()
        .and_then(|error| UNWRITTEN.note(what, &format!("{error:#}")))
    {
        tracing::warn!("{text}");
    }
}

/// Takes the lock of a run folder and puts in order what a death left there.
///
/// # Errors
/// When another process is at work there, a name that a run writes to is no file of its own, or the file system refuses.
pub fn lock(run_dir: &Path) -> Result<FolderLock> {
    check_places(run_dir)?;
    let lock = FolderLock::acquire(run_dir).map_err(TrainError::from)?;
    for folder in [run_dir.to_path_buf(), run_dir.join(CHECKPOINTS), run_dir.join(EPISODES)] {
        sweep(&folder)?;
    }
    Ok(lock)
}
