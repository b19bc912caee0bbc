//! What stands where a run writes: its files and folders are its own, and no way out of its folder.

use crate::error::TrainError;
use crate::files::{LOCK, check_file, check_folder};
use crate::layout::{
    ABANDONED, BEST, CHECKPOINTS, CONFIG, EPISODES, FINAL, INVOCATIONS, LOG, METRICS, REPORT, RUN, TRAIN_LOG,
};
use std::path::Path;

/// The folders that a run makes in its own; one that holds another comes before it.
pub(super) const FOLDERS: &[&str] = &[CHECKPOINTS, EPISODES, BEST, FINAL, ABANDONED];
/// The files that a run appends to, or replaces.
pub(super) const FILES: &[&str] = &[LOCK, CONFIG, RUN, METRICS, LOG, INVOCATIONS, REPORT, TRAIN_LOG];

/// Refuses a folder in which a name that a run writes to leads elsewhere (a link), has no end (a pipe, a device), or is
/// a folder in place of a file.
///
/// # Errors
/// [`TrainError::Usage`] that names the first such path and says what is there.
pub fn check_places(run_dir: &Path) -> Result<(), TrainError> {
    let check = |name: &str, check: fn(&Path) -> std::io::Result<()>| {
        let path = run_dir.join(name);
        check(&path).map_err(|reason| TrainError::Usage(format!("{}: {reason}", path.display())))
    };
    FOLDERS.iter().try_for_each(|name| check(name, check_folder))?;
    FILES.iter().try_for_each(|name| check(name, check_file))
}

/// Whether the folder is that of a run, maybe of one that begins at this moment; a new run then takes another name
/// beside it.
pub fn is_run(path: &Path) -> bool {
    let begun = || {
        let entries = std::fs::read_dir(path).into_iter().flatten();
        let names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        let partials = [format!(".{CONFIG}."), format!(".{RUN}.")];
        let ours = |name: &String| {
            [LOCK, LOG, RUN, "episodes"].contains(&name.as_str())
                || partials.iter().any(|partial| name.starts_with(partial))
        };
        names.iter().any(|name| name != LOG) && names.iter().all(ours)
    };
    path.join(METRICS).is_file() || (path.join(CONFIG).is_file() && path.join("episodes").is_dir()) || begun()
}

/// The number of a folder in the file system, which it keeps when it is moved and a copy does not have.
pub(super) fn number(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        folder.metadata().ok().map(|data| data.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// When a folder was made, which stays when it is moved and is another moment for a copy; none where the file system does
/// not tell.
pub(super) fn made(folder: &Path) -> Option<u64> {
    let made = folder.metadata().ok()?.created().ok()?;
    let since = made.duration_since(std::time::UNIX_EPOCH).ok()?;
    since.as_nanos().try_into().ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::files::tests::strange;

    #[test]
    fn every_name_that_a_run_writes_to_is_looked_at_before_anything_is_written() {
        let mut tried = 0;
        for name in FOLDERS.iter().chain(FILES) {
            let home = tempfile::tempdir().unwrap();
            for (what, path) in strange(home.path()) {
                if FOLDERS.contains(name) && what == "a folder" {
                    continue;
                }
                let run = home.path().join("run");
                std::fs::create_dir_all(run.join(EPISODES)).unwrap();
                if FOLDERS.contains(name) {
                    let _ = std::fs::remove_dir(run.join(name));
                }
                std::fs::rename(&path, run.join(name)).unwrap();
                let text = check_places(&run).unwrap_err().to_string();
                assert!(text.contains(&format!("found {what}")), "{name}: {text}");
                assert!(
                    text.contains(&run.join(name).display().to_string()) && text.contains("move it away"),
                    "{name}: {text}"
                );
                let left = std::fs::read_dir(&run).unwrap().count();
                assert!(left <= 2, "{name}: something was written");
                let _ = std::fs::remove_dir_all(&run);
                tried += 1;
            }
        }
        assert!(tried > 70, "{tried}");
    }

    #[test]
    fn a_folder_that_a_run_left_is_in_order() {
        let run = tempfile::tempdir().unwrap();
        for name in FOLDERS {
            std::fs::create_dir(run.path().join(name)).unwrap();
        }
        for name in FILES {
            std::fs::write(run.path().join(name), "").unwrap();
        }
        // Behind a link to the whole folder it is one like any other.
        let home = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(run.path(), home.path().join("link")).unwrap();
        for path in [run.path(), &home.path().join("link")] {
            check_places(path).unwrap();
        }
    }
}
