//! The calls by which files of a run change, each in one place: a test lets the process end at any of them, lets one fail,
//! cuts a write short, or notes them all to know what a disk has after a loss of power.

use super::own;
use std::fs::{File, OpenOptions};
use std::io::{Result, Write};
use std::path::Path;

#[cfg(test)]
pub(crate) mod play;

#[cfg(test)]
use play::{Op, at};

/// Does it; in a test, whoever plays may let it fail, and notes it when it was done.
macro_rules! act {
    ($op:expr, $deed:expr) => {{
        #[cfg(test)]
        let op = $op;
        #[cfg(test)]
        at(&op)?;
        let outcome = $deed;
        #[cfg(test)]
        if outcome.is_ok() {
            play::note(op);
        }
        outcome
    }};
}

/// Makes a folder.
pub(crate) fn make(folder: &Path) -> Result<()> {
    act!(Op::Make(folder.into()), std::fs::create_dir(folder))
}

/// Makes the file `path`, or empties it; what is no regular file is left as it is.
pub(crate) fn create(path: &Path) -> Result<File> {
    act!(
        Op::Create(path.into()),
        own::open(path, OpenOptions::new().write(true).create(true).truncate(true))
    )
}

/// Opens the regular file `path` to append to, or makes it.
pub(crate) fn open_end(path: &Path) -> Result<File> {
    if !path.exists() {
        return create(path);
    }
    own::open_end(path)
}

/// Writes on in `file`, which is that of `path`.
pub(crate) fn put(file: &mut File, path: &Path, bytes: &[u8]) -> Result<()> {
    #[cfg(test)]
    if let Some(part) = play::torn(path, bytes)? {
        file.write_all(&bytes[..part])?;
        return Err(play::dead());
    }
    let _ = path;
    file.write_all(bytes)?;
    #[cfg(test)]
    play::note(Op::Put(path.into(), bytes.to_vec()));
    Ok(())
}

/// Makes the file `path` with `bytes` in it. They are on the disk once it is synced.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    put(&mut create(path)?, path, bytes)
}

/// Cuts `file`, which is that of `path`, to `length` bytes.
pub(crate) fn cut(file: &File, path: &Path, length: u64) -> Result<()> {
    let _ = path;
    act!(Op::Cut(path.into(), length), file.set_len(length))
}

/// Has the system write the content of `file`, which is that of `path`, to the disk.
pub(crate) fn sync(file: &File, path: &Path) -> Result<()> {
    let _ = path;
    // A test does not wait for a real disk: what it would lose is played.
    act!(
        Op::Sync(path.into()),
        if cfg!(test) { Ok(()) } else { file.sync_data() }
    )
}

/// Has the system write the names in `folder` to the disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    // Only Unix opens folders as files; elsewhere renames are durable by themselves or not at all.
    let real = cfg!(unix) && !cfg!(test);
    act!(
        Op::SyncFolder(folder.into()),
        if real { File::open(folder)?.sync_all() } else { Ok(()) }
    )
}

/// Renames a file or folder; a file at `to` is replaced.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    act!(Op::Rename(from.into(), to.into()), std::fs::rename(from, to))
}

/// Exchanges two folders in one call; false where the file system cannot.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(crate) fn exchange(one: &Path, other: &Path) -> Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    #[cfg(test)]
    at(&Op::Exchange(one.into(), other.into()))?;
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => {
            #[cfg(test)]
            play::note(Op::Exchange(one.into(), other.into()));
            Ok(true)
        }
        Err(error) if [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP].contains(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(crate) fn exchange(_one: &Path, _other: &Path) -> Result<bool> {
    Ok(false)
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> Result<()> {
    act!(Op::Remove(path.into()), std::fs::remove_file(path))
}

/// Removes a folder and all in it.
pub(crate) fn remove_all(folder: &Path) -> Result<()> {
    act!(Op::Remove(folder.into()), std::fs::remove_dir_all(folder))
}

/// Gives the file `from` the name `to` besides.
pub(crate) fn link(from: &Path, to: &Path) -> Result<()> {
    act!(Op::Link(from.into(), to.into()), std::fs::hard_link(from, to))
}

/// Makes the file `to` with the content and the mode of `from`.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    #[cfg(test)]
    let put = {
        at(&Op::Create(to.into()))?;
        Op::Put(to.into(), std::fs::read(from)?)
    };
    std::fs::copy(from, to)?;
    #[cfg(test)]
    for op in [Op::Create(to.into()), put] {
        play::note(op);
    }
    Ok(())
}
