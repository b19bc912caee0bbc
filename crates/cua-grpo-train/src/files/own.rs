//! Opening the files of a run folder to write to: regular files and nothing else, without waiting, and not behind links.
//!
//! What a run shares between folders it shares by hard links, so a symbolic link is never its own: it would write where
//! somebody else wants it to.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Checks that `path` is a regular file itself, or is not there.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] that says what is there and what to do.
pub fn check_file(path: &Path) -> Result<()> {
    match found(path)? {
        Some(data) if !data.is_file() => Err(wrong("a file", &data)),
        _ => Ok(()),
    }
}

/// Checks that `path` is a folder itself, or is not there.
///
/// # Errors
/// As [`check_file`].
pub fn check_folder(path: &Path) -> Result<()> {
    match found(path)? {
        Some(data) if !data.is_dir() => Err(wrong("a folder", &data)),
        _ => Ok(()),
    }
}

/// Opens the regular file `path`, or makes it where `options` say so. What is no such file is not opened.
///
/// # Errors
/// As [`check_file`]; those of opening.
pub fn open(path: &Path, options: &mut OpenOptions) -> Result<File> {
    check_file(path)?;
    // It may be exchanged after the look.
    let file = unwaiting(options, true).open(path)?;
    let data = file.metadata()?;
    if data.is_file() {
        Ok(file)
    } else {
        Err(wrong("a file", &data))
    }
}

/// Opens the file `path` to append to, or makes it.
///
/// # Errors
/// As [`open`].
pub fn open_end(path: &Path) -> Result<File> {
    open(path, OpenOptions::new().create(true).append(true))
}

/// What `kind` is, in words.
pub(super) fn name(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a link"
    } else {
        "a device"
    }
}

/// `options` that open a pipe at once, whoever is at its other end, and, with `own`, no link.
pub(super) fn unwaiting(options: &mut OpenOptions, own: bool) -> &mut OpenOptions {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let links = if own { OFlags::NOFOLLOW } else { OFlags::empty() };
        options.custom_flags((OFlags::NONBLOCK | links).bits() as i32)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        let _ = own;
        options
    }
}

fn found(path: &Path) -> Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        data => data.map(Some),
    }
}

fn wrong(expected: &str, data: &Metadata) -> Error {
    let found = name(data.file_type());
    let advice = "move it away: a run writes there itself, and nowhere else";
    Error::new(
        ErrorKind::InvalidInput,
        format!("expected {expected}, found {found}; {advice}"),
    )
}

#[cfg(all(test, unix))]
mod tests {

    use super::*;
    use crate::files::tests::strange;
    use std::io::Write;

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log.txt");
        open_end(&path).unwrap().write_all(b"a").unwrap();
        open_end(&path).unwrap().write_all(b"b").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"ab");
        for (what, path) in strange(home.path()) {
            for error in [check_file(&path).unwrap_err(), open_end(&path).unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
                let text = error.to_string();
                assert!(text.contains(&format!("found {what}; move it away")), "{what}: {text}");
            }
            assert_eq!(check_folder(&path).is_ok(), what == "a folder", "{what}");
        }
        // Where it is exchanged after the look, opening neither waits nor follows.
        for (what, path) in strange(home.path()) {
            let opened = unwaiting(OpenOptions::new().append(true), true).open(&path);
            let refused = opened.map_or(true, |file| !file.metadata().unwrap().is_file());
            assert!(refused, "{what}");
        }
        check_file(&home.path().join("none")).unwrap();
        check_folder(home.path()).unwrap();
    }
}
