//! A model folder that appears whole or not at all, made by one process at a time.

use super::{FolderLock, LOCK, check_folder, sync_tree};
use crate::error::{Mendable, TrainError};
use anyhow::{Context, Result};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What a rename says where something else is in the place.
const TAKEN: [ErrorKind; 3] = [
    ErrorKind::AlreadyExists,
    ErrorKind::DirectoryNotEmpty,
    ErrorKind::NotADirectory,
];
/// Most places that are tried.
const MOST_TRIES: usize = 100;

/// A folder that is filled beside its place under a lock; what is left of an unfinished one is removed, that of a killed
/// process by the next one.
pub struct Unfinished {
    path: PathBuf,
    finished: bool,
    _lock: FolderLock,
}

impl Unfinished {
    /// An empty folder on the same disk as `place`, whose parents are made.
    ///
    /// # Errors
    /// When another process makes the same model, or the file system refuses.
    pub fn beside(place: &Path) -> Result<Self> {
        let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty());
        let name = place.file_name().context("expected the name of a folder to make")?;
        let name = format!(".{}.unfinished", name.to_string_lossy());
        let path = parent.unwrap_or(Path::new(".")).join(name);
        let context = || format!("cannot make the folder {}", path.display());
        // What lies behind a link is not what a killed process left.
        check_folder(&path).mendable(context())?;
        std::fs::create_dir_all(&path).with_context(context)?;
        let lock = FolderLock::acquire(&path).map_err(TrainError::from)?;
        for entry in std::fs::read_dir(&path).with_context(context)? {
            let left = entry.with_context(context)?.path();
            if left.is_dir() {
                std::fs::remove_dir_all(&left).with_context(context)?;
            } else if left.file_name().is_some_and(|name| name != LOCK) {
                std::fs::remove_file(&left).with_context(context)?;
            }
        }
        Ok(Self {
            path,
            finished: false,
            _lock: lock,
        })
    }

    /// Where to write until [`Unfinished::finish`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the folder in its place, which does not exist or is an empty folder, and gives the place. Where files came
    /// there meanwhile, nothing is written over and nothing is lost: the place is beside it then, with a number.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn finish(mut self, place: &Path) -> Result<PathBuf> {
        let context = || format!("cannot write {}", place.display());
        sync_tree(&self.path).with_context(context)?;
        // With the lock in it: nobody else can take the folder for a new one in between.
        let mut found = place.to_path_buf();
        for number in 1..=MOST_TRIES {
            match std::fs::rename(&self.path, &found) {
                Err(error) if TAKEN.contains(&error.kind()) && number < MOST_TRIES => {
                    let name = place.file_name().unwrap_or_default().to_string_lossy();
                    found = place.with_file_name(format!("{name}-{number}"));
                }
                done => {
                    done.with_context(context)?;
                    break;
                }
            }
        }
        self.finished = true;
        if found != place {
            tracing::warn!("{} was filled meanwhile; wrote {}", place.display(), found.display());
        }
        std::fs::remove_file(found.join(LOCK)).with_context(context)?;
        Ok(found)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!("{} is left behind: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("deep/model");
        let made = Unfinished::beside(&place).unwrap();
        std::fs::write(made.path().join("config.json"), "{}").unwrap();
        assert!(!place.exists());
        drop(made);
        assert!(names(&folder.path().join("deep")).is_empty());
        let made = Unfinished::beside(&place).unwrap();
        std::fs::write(made.path().join("config.json"), "{}").unwrap();
        made.finish(&place).unwrap();
        assert_eq!(names(&place), ["config.json"]);
        assert_eq!(names(&folder.path().join("deep")), ["model"]);
        for other in ["model-1", "model-2"] {
            let made = Unfinished::beside(&place).unwrap();
            std::fs::write(made.path().join("other.json"), "{}").unwrap();
            let found = made.finish(&place).unwrap();
            assert_eq!(found, place.with_file_name(other), "files are not written over");
            assert_eq!(names(&found), ["other.json"]);
        }
        assert_eq!(names(&place), ["config.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_its_place_is_not_followed_and_nothing_behind_it_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let mine = home.path().join("mine");
        std::fs::create_dir(&mine).unwrap();
        std::fs::write(mine.join("letter"), "dear").unwrap();
        std::os::unix::fs::symlink(&mine, home.path().join(".model.unfinished")).unwrap();
        let error = Unfinished::beside(&home.path().join("model")).err().unwrap();
        let error = TrainError::from(error);
        assert!(
            error.is_mendable() && error.to_string().contains("found a link"),
            "{error}"
        );
        assert_eq!(names(&mine), ["letter"]);
    }

    #[test]
    fn one_process_at_a_time_and_what_a_killed_one_left_is_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("model");
        let made = Unfinished::beside(&place).unwrap();
        let text = Unfinished::beside(&place).err().unwrap().to_string();
        assert!(text.contains("is at work in this folder"), "{text}");
        // A killed process leaves files, and its lock is gone.
        let path = made.path().to_path_buf();
        drop(made);
        std::fs::create_dir_all(path.join("inner")).unwrap();
        std::fs::write(path.join("model.safetensors"), "half").unwrap();
        let made = Unfinished::beside(&place).unwrap();
        assert_eq!(names(made.path()), [LOCK]);
        std::fs::write(made.path().join("config.json"), "{}").unwrap();
        made.finish(&place).unwrap();
        assert_eq!(names(&place), ["config.json"]);
    }
}
