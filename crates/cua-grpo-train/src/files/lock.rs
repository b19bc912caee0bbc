//! One process at a time in a folder: a lock that the system takes back when the process ends, however it ends.

use super::own;
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
    /// The folder is not the one that was locked, or its lock is not.
    #[error(
        "{}: {what} while this process was at work there. Nothing is written there any more; what was saved before is in \
         the folder, wherever it is now: go on with --resume and its path, once no other process works there",
        path.display()
    )]
    Lost {
        /// Where the folder was.
        path: PathBuf,
        /// What happened.
        what: &'static str,
    },
}

/// The right to write to a folder, until this is dropped or the process ends.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    /// The folder, by its numbers in the file system.
    folder: Option<Numbers>,
}

/// The numbers of a file or folder in the file system, where it has such: device and inode. They stay when it is moved.
type Numbers = (u64, u64);

fn numbers(data: &std::fs::Metadata) -> Option<Numbers> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some((data.dev(), data.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = data;
        None
    }
}

impl FolderLock {
    /// Takes the lock of `folder`, which exists. Where the file system has no locks, a warning is all there is.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        loop {
            let lock = Self::once(folder)?;
            // Someone may have removed the file after it was opened; then the lock keeps nobody out.
            if lock.is_in(folder) {
                return Ok(lock);
            }
        }
    }

    fn once(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(LOCK);
        let io = |reason| LockError::Io {
            path: path.clone(),
            reason,
        };
        let file = own::open(
            &path,
            OpenOptions::new().read(true).write(true).create(true).truncate(false),
        );
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
                // A number of a process is short, whatever else stands in the file.
                let read = (&mut file).take(32).read_to_string(&mut text);
                let known = read.is_ok() && text.parse::<u32>().is_ok();
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
        let folder = folder.metadata().map_err(io)?;
        Ok(Self {
            file,
            folder: numbers(&folder),
        })
    }

    /// Checks that the path `folder` still leads to the folder that was locked, and that its lock is still this one.
    ///
    /// # Errors
    /// [`LockError::Lost`] that says what is the matter: nothing may be written to the path any more.
    pub fn check(&self, folder: &Path) -> Result<(), LockError> {
        let lost = |what| {
            Err(LockError::Lost {
                path: folder.into(),
                what,
            })
        };
        match folder.metadata() {
            Err(_) => lost("the folder was moved or removed"),
            Ok(data) if numbers(&data) != self.folder => lost("the folder was replaced by another one"),
            Ok(_) if !self.is_in(folder) => lost("its file .lock was removed or replaced"),
            Ok(_) => Ok(()),
        }
    }

    /// Whether the lock file of `folder` is the one that is held.
    fn is_in(&self, folder: &Path) -> bool {
        let (own, there) = (self.file.metadata(), folder.join(LOCK).metadata());
        own.is_ok_and(|own| there.is_ok_and(|there| numbers(&own) == numbers(&there)))
    }
}

impl Drop for FolderLock {
    /// Gives the lock back in so many words. Closing the file is not enough: a child that another thread just forked has
    /// a copy of it until it executes its program, and the lock is held as long as any copy is.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::debug!("the lock is left to the system: {error}");
        }
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

    #[test]
    fn a_lock_is_given_back_though_a_forked_child_still_has_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::acquire(folder.path()).unwrap();
        let childs = held.file.try_clone().unwrap();
        drop(held);
        FolderLock::acquire(folder.path()).unwrap();
        drop(childs);
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_is_no_file_is_refused() {
        let home = tempfile::tempdir().unwrap();
        for (what, path) in crate::files::tests::strange(home.path()) {
            let folder = tempfile::tempdir().unwrap();
            std::fs::rename(&path, folder.path().join(LOCK)).unwrap();
            let text = FolderLock::acquire(folder.path()).unwrap_err().to_string();
            assert!(text.contains(".lock") && text.contains(what), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_moved_or_replaced_and_a_lock_that_is_removed_are_noticed() {
        let home = tempfile::tempdir().unwrap();
        let (here, there) = (home.path().join("here"), home.path().join("there"));
        std::fs::create_dir(&here).unwrap();
        let held = FolderLock::acquire(&here).unwrap();
        held.check(&here).unwrap();
        let lost = |words: &str| {
            let text = held.check(&here).unwrap_err().to_string();
            assert!(text.contains(words) && text.contains("--resume"), "{text}");
        };
        std::fs::rename(&here, &there).unwrap();
        lost("moved or removed");
        std::fs::create_dir(&here).unwrap();
        lost("replaced by another one");
        let other = FolderLock::acquire(&here).unwrap();
        lost("replaced by another one");
        other.check(&here).unwrap();
        std::fs::remove_dir_all(&here).unwrap();
        std::fs::rename(&there, &here).unwrap();
        held.check(&here).unwrap();
        // The way by which a second process comes in.
        std::fs::remove_file(here.join(LOCK)).unwrap();
        lost(".lock was removed");
        let second = FolderLock::acquire(&here).unwrap();
        lost(".lock was removed or replaced");
        second.check(&here).unwrap();
    }
}
