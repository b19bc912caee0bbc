//! A folder for a new run that no other run has, also not one that begins at the same moment.

use super::identity::check_name;
use super::places::check_places;
use crate::error::TrainError;
use crate::files::{FolderLock, LockError, is_mendable, make_folders};
use crate::layout::{CHECKPOINTS, CONFIG, EPISODES};
use crate::metrics::METRICS;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Makes the folder `wanted`, or `wanted-2`, `wanted-3`, ... where a run has that one, and locks it.
pub fn new_folder(wanted: &str) -> Result<(PathBuf, FolderLock)> {
    let trimmed = match wanted.trim_end_matches('/') {
        "" => wanted,
        trimmed => trimmed,
    };
    let context = |path: &Path| {
        format!(
            "cannot create the run folder {}; choose another --output-dir",
            path.display()
        )
    };
    check_name(Path::new(wanted))
        .map_err(|why| TrainError::Usage(format!("--output-dir {wanted}: the folder {why}")))?;
    let mut number = 1;
    loop {
        let path = match number {
            1 => PathBuf::from(wanted),
            _ => PathBuf::from(format!("{trimmed}-{number}")),
        };
        number += 1;
        if used(&path) {
            continue;
        }
        if path.is_dir() {
            check_places(&path)?;
        }
        match make_folders(&path.join(EPISODES)) {
            Err(error) if is_mendable(&error) => {
                return Err(TrainError::Usage(format!("{}: {error}", context(&path))).into());
            }
            made => made.with_context(|| context(&path))?,
        }
        match FolderLock::acquire(&path) {
            // It may have been filled and left between the two looks.
            Ok(lock) if !used(&path) => return Ok((path, lock)),
            Ok(_) | Err(LockError::Held { .. }) => {}
            Err(error) => return Err(TrainError::from(error)).with_context(|| context(&path)),
        }
    }
}

/// Whether a run has this folder.
fn used(path: &Path) -> bool {
    [METRICS, CONFIG, CHECKPOINTS]
        .iter()
        .any(|name| path.join(name).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_begin_at_the_same_moment_get_folders_of_their_own() {
        let home = tempfile::tempdir().unwrap();
        let wanted = home.path().join("run").display().to_string();
        let claimed: Vec<(PathBuf, FolderLock)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| new_folder(&wanted).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut paths: Vec<&PathBuf> = claimed.iter().map(|(path, _)| path).collect();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 16);
    }

    #[test]
    fn names_that_a_run_could_not_go_on_under_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let long = "x".repeat(300);
        for (name, why) in [
            ("checkpoint-3", "taken for a checkpoint"),
            ("checkpoint", "taken for a checkpoint"),
            ("checkpoint-3/", "taken for a checkpoint"),
            ("checkpoints", "keeps its checkpoints"),
            ("run/checkpoints/other", "keeps its checkpoints"),
            (long.as_str(), "choose another --output-dir"),
        ] {
            let error = new_folder(&home.path().join(name).display().to_string()).unwrap_err();
            let error = TrainError::from(error);
            assert!(
                error.is_mendable() && error.to_string().contains(why),
                "{name}: {error}"
            );
        }
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
        new_folder(&home.path().join("checkpoint-of-mine").display().to_string()).unwrap();
    }

    #[test]
    fn a_folder_that_is_there_but_no_run_is_used_and_a_run_is_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("run");
        std::fs::create_dir(&path).unwrap();
        let wanted = format!("{}/", path.display());
        let (first, lock) = new_folder(&wanted).unwrap();
        assert_eq!(first, path);
        drop(lock);
        for name in [METRICS, CONFIG] {
            std::fs::write(path.join(name), "").unwrap();
            assert_eq!(new_folder(&wanted).unwrap().0, home.path().join("run-2"));
            std::fs::remove_file(path.join(name)).unwrap();
        }
        assert_eq!(new_folder(&wanted).unwrap().0, path);
    }
}
