//! One process at a time in a folder: a lock that the system takes back when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Name of the file that is locked. It stays; only the lock on it counts.
pub const LOCK: &str = ".lock";

/// Why a folder cannot be written to.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process writes to it.
    #[error(
        "{}: {holder} is at work in this folder. Wait for it or end it; a new run needs another --output-dir",
        path.display()
    )]
    Held {
        /// The folder.
        path: PathBuf,
        /// The other process, in words.
        holder: String,
    },
    /// The file system refused.
    #[error("cannot lock {}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
}

/// The right to write to a folder, until this is dropped or the process ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of `folder`, which exists. Where the file system has no locks, a warning is all there is.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(LOCK);
        let io = |reason| LockError::Io {
            path: path.clone(),
            reason,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let mut file = file.map_err(io)?;
        match file.try_lock() {
            Ok(()) => {
                // For the message to whoever comes second; the lock holds without it.
                let noted = file
                    .set_len(0)
                    .and_then(|()| file.rewind())
                    .and_then(|()| write!(file, "{}", std::process::id()));
                noted.map_err(io)?;
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let known = file.read_to_string(&mut text).is_ok() && text.parse::<u32>().is_ok();
                let holder = if known {
                    format!("process {text}")
                } else {
                    "another process".into()
                };
                return Err(LockError::Held {
                    path: folder.into(),
                    holder,
                });
            }
            Err(TryLockError::Error(error)) => {
                tracing::warn!(
                    "{}: no lock ({error}); see that no other process writes there",
                    folder.display()
                );
            }
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_and_is_free_again_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::acquire(folder.path()).unwrap();
        let text = FolderLock::acquire(folder.path()).unwrap_err().to_string();
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        assert!(text.contains("--output-dir"), "{text}");
        drop(held);
        FolderLock::acquire(folder.path()).unwrap();
    }
}
