//! Writing that is whole or not there: aside, synced to the disk, renamed.
//!
//! Every step that changes what a reader sees is one call of the system, so after a death at any point a path names its
//! old or its new content. What is left aside has a name that begins with a dot; [`sweep`] removes it.

use super::patient::open_given;
use super::{ops, own};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::Write;
use std::path::{Path, PathBuf};

/// End of the names of what is being written.
const PARTIAL: &str = ".partial";
/// End of the names of what is being removed.
const DISCARDED: &str = ".discarded";
/// End of the name of a folder's old version, where a file system cannot exchange two folders.
const REPLACED: &str = ".replaced";

/// Replaces the content of the file `path` of a run folder, or makes it. A link, a pipe or a device is none of a run's
/// files: it is neither written to nor replaced.
///
/// # Errors
/// When something else than a file is there, or the file system refuses; the old content stands then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_own(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// [`write()`], with what the file system said alone.
///
/// # Errors
/// As [`write()`].
pub fn replace_own(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    own::check_file(path)?;
    // What comes there after the look is replaced: a name is changed, whatever stands behind it.
    replace_file(path, bytes)
}

/// Replaces the content of `path`, which the user names, or makes the file: that behind a link, and a pipe or a device is
/// written to.
///
/// # Errors
/// When the file system refuses, and when nobody reads the pipe for ten seconds; the old content stands then.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        // A file in its place would be its end.
        return open_given(path)?.write_all(bytes);
    }
    // The file behind a link, not the link.
    let real = path.is_symlink().then(|| path.canonicalize()).transpose()?;
    replace_file(real.as_deref().unwrap_or(path), bytes)
}

fn replace_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let found = path.metadata().ok().filter(Metadata::is_file);
    let partial = beside(path, &format!(".{}{PARTIAL}", std::process::id()));
    let written = write_synced(&partial, bytes)
        .and_then(|()| found.map_or(Ok(()), |found| std::fs::set_permissions(&partial, found.permissions())))
        .and_then(|()| rename(&partial, path));
    if written.is_err() {
        // The first error is the one to tell; the name says what it is.
        let _ = ops::remove(&partial);
    }
    written
}

/// Whether the user can mend what the file system says: a path that leads nowhere, a name that cannot be, what may not be
/// written, or a file that is not what it should be.
pub fn is_mendable(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::*;
    matches!(
        error.kind(),
        NotFound
            | PermissionDenied
            | ReadOnlyFilesystem
            | IsADirectory
            | NotADirectory
            | DirectoryNotEmpty
            | InvalidFilename
            | InvalidData
            | InvalidInput
            | TimedOut
    )
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = ops::create(path)?;
    ops::put(&mut file, path, bytes)?;
    ops::sync(&file, path)
}

/// Replaces `folder` by one that `fill` writes, or makes it. There is no moment without either version.
///
/// # Errors
/// Those of `fill`, and when the file system refuses; the old version stands then.
pub fn replace_folder(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = beside(folder, PARTIAL);
    remove(&partial)?;
    let context = || format!("cannot write {}", folder.display());
    make_folder(&partial).with_context(context)?;
    let written = fill(&partial)
        .and_then(|()| sync_tree(&partial).with_context(context))
        .and_then(|()| swap(&partial, folder).with_context(context));
    if written.is_err() {
        let _ = ops::remove_all(&partial);
        return written;
    }
    remove(&partial)
}

/// Gives `folder` the content of `new`; afterwards the old version, where there was one, is at `new`.
fn swap(new: &Path, folder: &Path) -> std::io::Result<()> {
    if !folder.exists() {
        return rename(new, folder);
    }
    if exchanges() && ops::exchange(new, folder)? {
        return sync_parent(folder);
    }
    let replaced = beside(folder, REPLACED);
    match ops::remove_all(&replaced) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    rename(folder, &replaced)?;
    rename(new, folder)?;
    rename(&replaced, new)
}

/// False where a test plays a file system that cannot exchange two folders.
fn exchanges() -> bool {
    #[cfg(test)]
    return tests::exchanges();
    #[cfg(not(test))]
    true
}

/// Renames a folder to a place where none is; folders above it are made.
///
/// # Errors
/// When the file system refuses.
pub fn move_folder(from: &Path, to: &Path) -> Result<()> {
    let moved = || -> std::io::Result<()> {
        if let Some(parent) = to.parent() {
            make_folders(parent)?;
        }
        rename(from, to)?;
        sync_parent(from)
    };
    moved().with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
}

/// Removes a folder: it loses its name first, so a death leaves no half of it under that name.
///
/// # Errors
/// When the file system refuses.
pub fn discard(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let discarded = beside(folder, DISCARDED);
    remove(&discarded)?;
    let renamed = rename(folder, &discarded);
    renamed.with_context(|| format!("cannot remove {}", folder.display()))?;
    remove(&discarded)
}

/// Puts in order what a death left in `folder`: old versions get their names back where the new one has none yet, and
/// what is left aside is removed.
///
/// # Errors
/// When the file system refuses.
pub fn sweep(folder: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with('.') || ![PARTIAL, DISCARDED, REPLACED].iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let owner = name.strip_prefix('.').and_then(|name| name.strip_suffix(REPLACED));
        if let Some(owner) = owner.map(|owner| folder.join(owner)).filter(|owner| !owner.exists()) {
            rename(&path, &owner).with_context(|| format!("cannot write {}", owner.display()))?;
        } else if path.is_dir() {
            remove(&path)?;
        } else {
            ops::remove(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Gives `to` the files of the folder `from`, folders in it too, without a second copy of the large ones on the disk where
/// the file system can: weights are never changed in place, so both names may share one file. What is neither file nor
/// folder (a link, a pipe, a device) was not written by a run and is left out, with a warning.
///
/// # Errors
/// When the file system refuses.
pub fn link_folder(from: &Path, to: &Path) -> Result<()> {
    let context = |path: &Path| format!("cannot copy {} to {}", path.display(), to.display());
    make_folders(to).with_context(|| context(from))?;
    for entry in std::fs::read_dir(from).with_context(|| context(from))? {
        let entry = entry.with_context(|| context(from))?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(|| context(from))?);
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            link_folder(&path, &target)?;
        } else if kind.is_file() {
            link_file(&path, &target)?;
        } else {
            tracing::warn!(
                "{} is {} and is left out: a run has none",
                path.display(),
                own::name(kind)
            );
        }
    }
    Ok(())
}

/// Bytes of files that are copied rather than linked.
const SMALL: u64 = 1 << 16;

/// Gives the new file `to` the content of `from`, as [`link_folder`] does.
///
/// # Errors
/// When the file system refuses.
pub fn link_file(from: &Path, to: &Path) -> Result<()> {
    // Whoever edits a text in place should not change all folders that have it.
    let small = from.metadata().is_ok_and(|data| data.len() <= SMALL);
    if small || ops::link(from, to).is_err() {
        ops::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// Makes `folder`, and the one above it where that lacks too. More are not made: where a whole path is gone, someone has
/// moved it.
///
/// # Errors
/// When the file system refuses, or `folder` is there.
pub fn make_folder(folder: &Path) -> std::io::Result<()> {
    match ops::make(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = folder.parent().ok_or(error)?;
            ops::make(parent)?;
            sync_parent(parent)?;
            ops::make(folder)
        }
        made => made,
    }
}

/// Makes `folder` and all above it that lack, each with its name on the disk.
///
/// # Errors
/// When the file system refuses.
pub fn make_folders(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_folders(parent)?;
    }
    match ops::make(folder) {
        // Someone was faster.
        Err(_) if folder.is_dir() => Ok(()),
        made => made.and_then(|()| sync_parent(folder)),
    }
}

/// Has the system write all files in `folder` and below to the disk.
///
/// # Errors
/// When the file system refuses.
pub fn sync_tree(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            ops::sync(&File::open(&path)?, &path)?;
        }
    }
    ops::sync_folder(folder)
}

fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
    ops::rename(from, to)?;
    sync_parent(to)
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => ops::sync_folder(parent),
        _ => ops::sync_folder(Path::new(".")),
    }
}

fn remove(folder: &Path) -> Result<()> {
    match ops::remove_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// `.NAME` and `end`, in the folder of `path`.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(end);
    path.with_file_name(name)
}

#[cfg(test)]
pub mod tests;
