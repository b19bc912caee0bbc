//! Names of what a run folder holds.

use crate::files::{FileError, io};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Name of the saved configuration, in a run folder and in the adapter folders that a run writes.
pub const CONFIG: &str = "config.yaml";

/// Name of the file of figures in a run folder.
pub const METRICS: &str = "metrics.jsonl";

/// Name of the file that tells which run a folder holds.
pub const RUN: &str = "run.json";

/// Folder of the checkpoints within a run folder.
pub const CHECKPOINTS: &str = "checkpoints";

/// Folder of the best model, in the run folder and in each checkpoint.
pub const BEST: &str = "best_model";
/// Folder of the policy after the last step.
pub const FINAL: &str = "final";
/// State of a run, in a checkpoint.
pub const STATE: &str = "training_state.json";
/// Moments of the optimiser, in a checkpoint.
pub const MOMENTS: &str = "optimizer.safetensors";

/// Folder of the successes that are kept for `positive_replay`, in a checkpoint.
pub const SUCCESSES: &str = "successes";

/// Files that a whole checkpoint has.
pub const FILES: &[&str] = &["adapter_config.json", "adapter_model.safetensors", MOMENTS, STATE];

/// Folder of the saved episodes.
pub const EPISODES: &str = "episodes";
/// Log of training episodes, one line for each.
pub const TRAIN_LOG: &str = "episodes/train.jsonl";

/// What was said during a run.
pub const LOG: &str = "log.txt";

/// When and how a run was started, one line for each time.
pub const INVOCATIONS: &str = "invocations.jsonl";

/// Folder of what a run set aside when it went on from an earlier step.
pub const ABANDONED: &str = "abandoned";

/// Steps that a run can have, as the bounds of `max_steps` say. Larger numbers in a file are damage.
pub const MOST_STEPS: usize = 1_000_000_000;

/// Name of the report in a run folder, which is made from the others.
pub const REPORT: &str = "report.html";

/// The best model that a checkpoint holds; one of its own step, saved by an older version without it, is the checkpoint.
pub fn best_of(checkpoint: &Path) -> Option<PathBuf> {
    let best = checkpoint.join(BEST);
    best.is_dir().then_some(best)
}

/// What of a run that failed is on the disk, and from where it goes on by `command`.
pub fn kept_words(run_dir: &Path, command: &str) -> String {
    match list(run_dir).ok().and_then(|mut found| found.pop()) {
        Some((step, _)) => {
            format!("The checkpoint of step {step} is saved; once the cause is mended, go on with: {command}")
        }
        None => format!("No checkpoint is saved yet; once the cause is mended, begin anew with: {command}"),
    }
}

/// The checkpoints of a run folder with their steps, oldest first.
///
/// # Errors
/// When it cannot be told which there are. A run whose checkpoints cannot be seen for now has some all the same: whoever
/// took it for one without would begin it anew.
pub fn list(run_dir: &Path) -> Result<Vec<(usize, PathBuf)>, FileError> {
    let folder = run_dir.join(CHECKPOINTS);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        // Another thing in its place is told before anything is written.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(io("read", &folder)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(io("read", &folder))?.path();
        let Some(step) = checkpoint_step(&path) else {
            continue;
        };
        match path.metadata() {
            Ok(data) if data.is_dir() => found.push((step, path)),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(io("read", &path)(error)),
        }
    }
    found.sort();
    Ok(found)
}

/// The step of a checkpoint, which its name tells.
pub fn checkpoint_step(path: &Path) -> Option<usize> {
    // `checkpoint-7/.` and a folder that the user stands in have no such name of their own.
    let name = path.file_name().map(ToOwned::to_owned);
    let name = name.or_else(|| Some(path.canonicalize().ok()?.file_name()?.to_owned()))?;
    let digits = name.to_str()?.strip_prefix("checkpoint-")?;
    // As a run writes it: `checkpoint-+7` and `checkpoint-007` are none of its own.
    let step: usize = digits.parse().ok()?;
    (step.to_string() == digits && step <= MOST_STEPS).then_some(step)
}
