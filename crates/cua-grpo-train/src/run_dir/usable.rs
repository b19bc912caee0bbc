//! Where a new folder can be made, and which folders a run may take: nothing of others is written over.

use super::outputs::check_output;
use crate::TrainError;
use std::path::{Path, PathBuf};

/// Checks that a folder can be made at `path`, or is there and empty, or is one of `ours`.
///
/// # Errors
/// [`TrainError::Usage`] that says what the path is and what to choose; `what` names the key and its origin.
pub fn check_usable(path: &Path, what: &str, ours: fn(&Path) -> bool) -> Result<(), TrainError> {
    let refuse = |reason: &str| {
        Err(TrainError::Usage(format!(
            "{what}: `{}` {reason}; choose a new folder with --output-dir, e.g. --output-dir outputs/mine",
            path.display()
        )))
    };
    let full = path.canonicalize();
    let here = std::env::current_dir().and_then(|folder| folder.canonicalize());
    if let (Ok(full), Ok(here)) = (&full, &here)
        && here.starts_with(full)
    {
        return refuse("is the current folder or one above it");
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let home = home.and_then(|home| home.canonicalize().ok());
    if let (Ok(full), Some(home)) = (&full, &home)
        && home.starts_with(full)
    {
        return refuse("is the home folder or one above it");
    }
    if path.file_name().is_none() {
        return refuse("has no name of its own");
    }
    check_output(path, what)?;
    match std::fs::read_dir(path) {
        Ok(mut entries) => {
            if entries.next().is_some() && !ours(path) {
                return refuse("is not empty, and this program does not write over files that it does not know");
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidFilename => {
            refuse("has a name that is too long for a file system")
        }
        Err(_) if path.symlink_metadata().is_ok() => refuse("is no folder that can be read"),
        Err(_) => {
            let mut above = path.ancestors().skip(1);
            let nearest = above.find(|folder| folder.symlink_metadata().is_ok());
            match nearest.map(Path::metadata) {
                Some(Ok(data)) if data.is_dir() && !data.permissions().readonly() => Ok(()),
                None => Ok(()),
                Some(_) => refuse("cannot be made: what stands above it is no folder that can be written to"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_dir::is_run;

    #[test]
    fn folders_of_others_are_refused_and_those_of_runs_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["full", "run", "empty", "begun", "begun/episodes", "logs"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("full/photo.jpg"), "").unwrap();
        std::fs::write(at("run/metrics.jsonl"), "").unwrap();
        std::fs::write(at("begun/.lock"), "").unwrap();
        std::fs::write(at("begun/.config.yaml.17.partial"), "").unwrap();
        std::fs::write(at("logs/log.txt"), "").unwrap();
        std::fs::write(at("file"), "").unwrap();
        let check = |path: &Path| check_usable(path, "output_dir (--output-dir)", is_run);
        for good in ["run", "empty", "begun", "new", "new/deep"] {
            check(&at(good)).unwrap();
        }
        let bad = ["full", "logs", "file", "file/below", "full/.."].map(at);
        let fixed = ["/", ".", "..", "./"].map(PathBuf::from);
        for bad in bad.iter().chain(&fixed) {
            let error = check(bad).unwrap_err();
            assert!(error.to_string().contains("choose a new folder"), "{error}");
        }
    }
}
