//! A model folder that appears whole or not at all.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// A folder that is filled beside its place; what is left of an unfinished one is removed.
pub(super) struct Unfinished {
    outer: tempfile::TempDir,
    path: PathBuf,
}

impl Unfinished {
    /// An empty folder on the same disk as `place`, whose parents are made.
    pub(super) fn beside(place: &Path) -> Result<Self> {
        let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let context = || format!("cannot make a folder in {}", parent.display());
        std::fs::create_dir_all(parent).with_context(context)?;
        let outer = tempfile::Builder::new().prefix(".unfinished-").tempdir_in(parent);
        let outer = outer.with_context(context)?;
        // The outer folder is only its owner's, the inner one has the rights that the user gives to new folders.
        let path = outer.path().join("model");
        std::fs::create_dir(&path).with_context(context)?;
        Ok(Self { outer, path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the folder in its place, which does not exist or is an empty folder.
    pub(super) fn finish(self, place: &Path) -> Result<()> {
        std::fs::rename(&self.path, place).with_context(|| format!("cannot write {}", place.display()))?;
        self.outer
            .close()
            .with_context(|| format!("cannot clean up beside {}", place.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("deep/model");
        let made = Unfinished::beside(&place).unwrap();
        std::fs::write(made.path().join("config.json"), "{}").unwrap();
        assert!(!place.exists());
        drop(made);
        assert_eq!(std::fs::read_dir(folder.path().join("deep")).unwrap().count(), 0);
        let made = Unfinished::beside(&place).unwrap();
        std::fs::write(made.path().join("config.json"), "{}").unwrap();
        made.finish(&place).unwrap();
        assert!(place.join("config.json").is_file());
        assert_eq!(std::fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
        let made = Unfinished::beside(&place).unwrap();
        assert!(made.finish(&place).is_err(), "files are not written over");
    }
}
