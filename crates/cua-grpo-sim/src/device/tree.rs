//! The files of a box: those that the full phone keeps, or a tree beside the small one. File requests, the shell, the albums
//! and packages share it.

use super::{Device, FileError, Files};
use crate::handset::Handset;
use axum::body::Bytes;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 on this machine.
pub(super) fn machine_time() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// The files, to change them at the time that it is on the phone.
#[derive(Debug)]
pub(crate) struct FilesMut<'a> {
    files: &'a mut Files,
    now: i64,
}

impl FilesMut<'_> {
    /// Writes a file with the folders above it; one that is there is replaced.
    pub fn write(&mut self, path: &str, bytes: impl AsRef<[u8]>) -> Result<(), FileError> {
        self.files.write(path, bytes.as_ref(), self.now)
    }

    /// Adds to the end of a file, which is begun when it is not there.
    pub fn append(&mut self, path: &str, more: &[u8]) -> Result<(), FileError> {
        self.files.append(path, more, self.now)
    }

    /// Makes a folder; with `parents` also those above it, and one that is there is no error.
    pub fn make_folder(&mut self, path: &str, parents: bool) -> Result<(), FileError> {
        self.files.make_folder(path, parents, self.now)
    }

    /// Removes a file, or a folder with all that is in it.
    pub fn remove(&mut self, path: &str) -> Result<(), FileError> {
        self.files.delete(path)
    }

    /// Removes a folder that is empty.
    pub fn remove_empty(&mut self, path: &str) -> Result<(), FileError> {
        self.files.delete_empty(path)
    }

    /// Moves a file or a folder to a path where nothing is.
    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), FileError> {
        self.files.rename(old, new, self.now)
    }

    /// Copies a file or a folder to a path where nothing is.
    pub fn copy(&mut self, old: &str, new: &str) -> Result<(), FileError> {
        self.files.copy(old, new, self.now)
    }
}

impl Device {
    /// The files.
    pub fn files(&self) -> &Files {
        match &self.phone {
            Handset::Small(_) => &self.own_files,
            Handset::Pixel(phone) => &phone.phone().state().files,
        }
    }

    /// The files, to change them.
    pub fn files_mut(&mut self) -> FilesMut<'_> {
        match &mut self.phone {
            Handset::Small(_) => FilesMut {
                files: &mut self.own_files,
                now: machine_time(),
            },
            Handset::Pixel(phone) => {
                let state = phone.phone_mut().state_mut();
                FilesMut {
                    now: state.now,
                    files: &mut state.files,
                }
            }
        }
    }

    /// The bytes of a file.
    pub fn read_file(&self, path: &str) -> Result<Bytes, FileError> {
        Ok(Bytes::from_owner(self.files().read(path)?.bytes()))
    }
}
