//! What a run that goes on from a checkpoint keeps, and what it sets aside: nothing of another timeline stays in place,
//! nothing is deleted.

use super::TRAIN_LOG;
use crate::adapter::CONFIG;
use crate::checkpoint::{BEST, FINAL, TrainingState, best_of, step_of};
use crate::files::{CHECKSUMS, link_folder, move_folder, replace_folder, write};
use crate::metrics::{METRICS, belongs, read_metrics};
use crate::report::{REPORT, eval_folders};
use crate::resume::{CHECKPOINTS, ResumePoint, list};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Folder of what was set aside, within the run folder. Each folder in it is a run folder of its own.
const ABANDONED: &str = "abandoned";

/// What stays of a run that goes on from a checkpoint.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The step of the checkpoint.
    pub step: usize,
    /// Whether the evaluation at that step was made before.
    pub evaluated: bool,
    /// The checkpoint; `None` when the run begins anew.
    checkpoint: Option<PathBuf>,
}

impl Kept {
    /// What stays of the run of `point`.
    pub fn of(point: &ResumePoint, state: &TrainingState) -> Self {
        Self {
            step: point.step,
            evaluated: state.evaluated,
            checkpoint: point.checkpoint.clone(),
        }
    }

    /// Whether the evaluation after `step` stays.
    pub fn has_evaluation(&self, step: usize) -> bool {
        step < self.step || (step == self.step && self.evaluated)
    }

    /// The lines of the log of training episodes that stay.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn train_lines(&self, path: &Path) -> Result<Vec<u8>> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let stays = |line: &&str| {
            let value: Option<serde_json::Value> = serde_json::from_str(line).ok();
            let step = value.and_then(|value| value.get("step")?.as_u64());
            step.is_some_and(|step| step <= self.step as u64)
        };
        let kept: String = text.lines().filter(stays).map(|line| format!("{line}\n")).collect();
        Ok(kept.into_bytes())
    }

    /// Sets aside what is not kept, and puts the best model of the checkpoint's time in its place; the folder that
    /// received the rest comes back, `None` when there was none.
    ///
    /// The order makes a death harmless: later checkpoints go first, the newest of them first of all, so what is left is
    /// always a run with metrics up to its newest checkpoint or beyond it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn set_the_rest_aside(&self, run: &Path) -> Result<Option<PathBuf>> {
        let later: Vec<(usize, PathBuf)> = list(run).into_iter().filter(|(step, _)| *step > self.step).collect();
        let events = read_metrics(run)?;
        let cut = events.iter().any(|event| !belongs(event, self.step, self.evaluated));
        let log = run.join(TRAIN_LOG);
        let lines = self.train_lines(&log)?;
        let mut aside = None;
        if cut || !later.is_empty() {
            let folder = free_name(&run.join(ABANDONED), self.step);
            for name in [CONFIG, METRICS] {
                copy(&run.join(name), &folder.join(name))?;
            }
            if log.exists() {
                copy(&log, &folder.join(TRAIN_LOG))?;
            }
            let best = run.join(BEST);
            if best.is_dir() {
                replace_folder(&folder.join(BEST), |partial| link_folder(&best, partial))?;
            }
            for (_, checkpoint) in later.iter().rev() {
                let name = checkpoint.file_name().unwrap_or_default();
                move_folder(checkpoint, &folder.join(CHECKPOINTS).join(name))?;
            }
            for (step, episodes) in eval_folders(run) {
                if !self.has_evaluation(step) {
                    move_folder(&episodes, &folder.join(format!("episodes/eval-{step}")))?;
                }
            }
            let last = run.join(FINAL);
            if last.is_dir() && step_of(&last).is_none_or(|step| step > self.step) {
                move_folder(&last, &folder.join(FINAL))?;
            }
            let report = run.join(REPORT);
            if report.exists() {
                move_folder(&report, &folder.join(REPORT))?;
            }
            aside = Some(folder);
        }
        self.restore_best(run)?;
        if log.exists() {
            write(&log, &lines)?;
        }
        Ok(aside)
    }

    /// Gives the run the best model of the checkpoint's time.
    fn restore_best(&self, run: &Path) -> Result<()> {
        let best = run.join(BEST);
        match self.checkpoint.as_deref().map(best_of) {
            // The run begins anew, so it has no best model; the one that is there was linked aside.
            None if best.is_dir() => crate::files::discard(&best),
            Some(Some(saved)) if !same(&saved, &best) => replace_folder(&best, |partial| link_folder(&saved, partial)),
            _ => Ok(()),
        }
    }
}

/// Whether two adapter folders hold the same files, by their lists of checksums.
fn same(one: &Path, other: &Path) -> bool {
    let list = |folder: &Path| std::fs::read(folder.join(CHECKSUMS)).ok();
    list(one).is_some_and(|sums| list(other) == Some(sums))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = match std::fs::read(from) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        bytes => bytes.with_context(|| format!("cannot read {}", from.display()))?,
    };
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    write(to, &bytes)
}

/// `after-step-N`, or `after-step-N-2`, ... where that is taken.
fn free_name(parent: &Path, step: usize) -> PathBuf {
    let name = |number: usize| match number {
        1 => parent.join(format!("after-step-{step}")),
        _ => parent.join(format!("after-step-{step}-{number}")),
    };
    let mut number = 1;
    while name(number).exists() {
        number += 1;
    }
    name(number)
}
