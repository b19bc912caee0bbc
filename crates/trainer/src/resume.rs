//! Finds the checkpoint that a run goes on from.

use std::path::{Path, PathBuf};

/// Folder of the checkpoints within a run folder.
pub const CHECKPOINTS: &str = "checkpoints";

/// A checkpoint and the run that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePoint {
    /// The run folder: the one that holds `config.yaml` and `metrics.jsonl`.
    pub run_dir: PathBuf,
    /// The folder `checkpoints/checkpoint-N`.
    pub checkpoint: PathBuf,
    /// The step after which it was saved, `N`.
    pub step: usize,
}

/// Why there is nothing to resume from.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Neither a checkpoint nor a run folder.
    #[error(
        "--resume {}: expected a folder RUN/checkpoints/checkpoint-N, or a run folder that has one; {reason}",
        path.display()
    )]
    NotFound {
        /// What was given.
        path: PathBuf,
        /// What is the matter.
        reason: &'static str,
    },
}

impl ResumePoint {
    /// Reads `path` as a checkpoint folder, or as a run folder whose newest checkpoint is taken.
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
                .filter(|given| given.join("config.yaml").is_file());
            let run_dir = given.map(Path::to_path_buf).or(run_dir).unwrap_or_default();
            if !run_dir.join("config.yaml").is_file() {
                return Err(missing("the run folder above it has no config.yaml"));
            }
            return Ok(Self {
                run_dir,
                checkpoint: path.into(),
                step,
            });
        }
        let (step, checkpoint) = list(path).pop().ok_or_else(|| missing("it has no checkpoint"))?;
        if !path.join("config.yaml").is_file() {
            return Err(missing("it has no config.yaml"));
        }
        Ok(Self {
            run_dir: path.into(),
            checkpoint,
            step,
        })
    }
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
    path.file_name()?.to_str()?.strip_prefix("checkpoint-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_checkpoint_of_a_run_is_found_and_a_named_one_is_kept() {
        let run = tempfile::tempdir().unwrap();
        for step in [2, 10, 9] {
            std::fs::create_dir_all(run.path().join(format!("checkpoints/checkpoint-{step}"))).unwrap();
        }
        assert!(
            ResumePoint::find(run.path())
                .unwrap_err()
                .to_string()
                .contains("config.yaml")
        );
        std::fs::write(run.path().join("config.yaml"), "").unwrap();
        assert_eq!(ResumePoint::find(run.path()).unwrap().step, 10);
        let named = ResumePoint::find(&run.path().join("checkpoints/checkpoint-2")).unwrap();
        assert_eq!((named.step, named.run_dir.as_path()), (2, run.path()));
    }

    #[test]
    fn a_folder_without_checkpoints_says_what_was_expected() {
        let run = tempfile::tempdir().unwrap();
        let message = ResumePoint::find(run.path()).unwrap_err().to_string();
        assert!(
            message.contains("checkpoint-N") && message.contains("has no checkpoint"),
            "{message}"
        );
        assert!(
            ResumePoint::find(&run.path().join("none"))
                .unwrap_err()
                .to_string()
                .contains("no such folder")
        );
    }
}
