//! A folder for a new run that no other run has, also not one that begins at the same moment.

use crate::error::TrainError;
use crate::files::{FolderLock, LockError};
use crate::layout::{CHECKPOINTS, CONFIG};
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
        std::fs::create_dir_all(path.join("episodes")).with_context(|| context(&path))?;
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
