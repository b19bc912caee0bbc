//! The cache that the Python tools use: `blobs` by their tags, `snapshots/COMMIT` with links to them, `refs/main`.

use super::found::Found;
use std::fs::File;
use std::io::Result;
use std::path::{Path, PathBuf};

/// The part of the cache that belongs to one model.
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// That of the model `name` (`org/name`) in the folder `cache`.
    pub(super) fn new(cache: &Path, name: &str) -> Self {
        Self {
            folder: cache.join(format!("models--{}", name.replace('/', "--"))),
        }
    }

    /// The commit that `main` was at when it was last fetched.
    fn commit(&self) -> Option<String> {
        let text = crate::plain_text::read(&self.folder.join("refs").join("main")).ok()?;
        Some(text.trim().to_owned()).filter(|commit| !commit.is_empty())
    }

    /// The file `name` of that commit, where it is whole.
    pub(super) fn get(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.join("snapshots").join(self.commit()?).join(name);
        path.exists().then_some(path)
    }

    /// The mark that the current commit has no file `name`, as the Python tools set it.
    fn absent(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.join(".no_exist").join(self.commit()?).join(name))
    }

    /// Whether it is known that the current commit has no file `name`.
    pub(super) fn is_absent(&self, name: &str) -> bool {
        self.absent(name).is_some_and(|mark| mark.exists())
    }

    /// Notes that the current commit has no file `name`.
    pub(super) fn remember_absent(&self, name: &str) {
        let Some(path) = self.absent(name) else { return };
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = made.and_then(|()| std::fs::write(&path, "")) {
            tracing::debug!(file = %path.display(), %error, "cannot remember that the model lacks a file");
        }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes of `found` that are not here yet.
    pub(super) fn lacking(&self, found: &Found) -> u64 {
        let blob = self.folder.join("blobs").join(&found.tag);
        let length = |path: PathBuf| std::fs::metadata(path).map_or(0, |data| data.len());
        match length(blob.clone()) == found.size {
            true => 0,
            false => found.size.saturating_sub(length(part_of(&blob))),
        }
    }

    /// The place of the content of `found`, which nobody else fills while it is held.
    pub(super) fn lock(&self, found: &Found) -> Result<Blob> {
        let blobs = self.folder.join("blobs");
        std::fs::create_dir_all(&blobs)?;
        let path = blobs.join(&found.tag);
        let lock = File::create(blobs.join(format!("{}.lock", found.tag)))?;
        lock.lock()?;
        Ok(Blob {
            folder: self.folder.clone(),
            commit: found.commit.clone(),
            size: found.size,
            path,
            _lock: lock,
        })
    }
}

/// Where the content at `blob` grows.
fn part_of(blob: &Path) -> PathBuf {
    let mut name = blob.to_owned().into_os_string();
    name.push(".part");
    name.into()
}

/// The content of one file.
pub(super) struct Blob {
    folder: PathBuf,
    commit: String,
    size: u64,
    path: PathBuf,
    _lock: File,
}

impl Blob {
    /// Whether all of it is there.
    pub(super) fn is_whole(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|found| found.is_file() && found.len() == self.size)
    }

    /// Where it grows.
    pub(super) fn part(&self) -> PathBuf {
        part_of(&self.path)
    }

    /// Gives the part that has grown to its end its name.
    pub(super) fn finish(&self) -> Result<()> {
        std::fs::rename(self.part(), &self.path)
    }

    /// The file `name` of its commit, which is this content from now on; the commit is the current one.
    pub(super) fn link(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join("snapshots").join(&self.commit).join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        if !path.exists() {
            // What is there leads nowhere.
            if path.symlink_metadata().is_ok() {
                std::fs::remove_file(&path)?;
            }
            // Up from the file's folder, over those of the snapshot, to the model's.
            let depth = name.matches('/').count() + 2;
            let mut target: PathBuf = std::iter::repeat_n("..", depth).collect();
            target.push("blobs");
            target.push(self.path.file_name().unwrap_or_default());
            link(&target, &self.path, &path)?;
        }
        let refs = self.folder.join("refs");
        std::fs::create_dir_all(&refs)?;
        let partial = refs.join("main.partial");
        std::fs::write(&partial, &self.commit)?;
        std::fs::rename(partial, refs.join("main"))?;
        Ok(path)
    }
}

#[cfg(unix)]
fn link(target: &Path, _content: &Path, path: &Path) -> Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn link(_target: &Path, content: &Path, path: &Path) -> Result<()> {
    std::fs::hard_link(content, path)
}
