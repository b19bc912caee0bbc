//! Checksums of the files of a folder, so that damage is told and not trained on. The list has a checksum of itself, under
//! its own name: that of its other entries.

use super::bounded::{Limit, open, read_bytes};
use super::ops;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Name of the list within the folder.
pub const CHECKSUMS: &str = "checksums.json";

/// What is wrong with a folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The list is no JSON.
    #[error("{CHECKSUMS} is broken")]
    List,
    /// A file of the list is not there or cannot be read.
    #[error("{name}: {reason}")]
    Unreadable {
        /// The file.
        name: String,
        /// Why.
        reason: String,
    },
    /// This process may not read a file, or cannot for now. That tells nothing of what is in it.
    #[error("{name}: {reason}")]
    Closed {
        /// The file.
        name: String,
        /// Why.
        reason: String,
    },
    /// A file is not what was written.
    #[error("{name} is not what was written")]
    Changed {
        /// The file.
        name: String,
    },
}

/// Writes [`CHECKSUMS`] over all files of `folder`; folders in it have lists of their own.
///
/// # Errors
/// When a file cannot be read or the list not written.
pub fn seal(folder: &Path) -> Result<()> {
    let context = || format!("cannot write {}", folder.join(CHECKSUMS).display());
    let mut sums = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && name != CHECKSUMS {
            let sum = sum(&path).with_context(|| format!("cannot read {}", path.display()))?;
            sums.insert(name, sum);
        }
    }
    sums.insert(CHECKSUMS.to_owned(), sum_of(&sums));
    let text = serde_json::to_string_pretty(&sums).with_context(context)?;
    ops::write(&folder.join(CHECKSUMS), format!("{text}\n").as_bytes()).with_context(context)
}

/// Checks the files of `folder` against its list, and those of the folders in it against theirs. A folder without a
/// list is taken as it is.
///
/// # Errors
/// The first file that is not what was written.
pub fn verify(folder: &Path) -> Result<(), Damage> {
    let first = verify_once(folder);
    // Whoever writes there may have exchanged the folder between two reads.
    if first.is_err() { verify_once(folder) } else { first }
}

/// The folders of `folder` and its folders `inner` that are there and have no list, so that [`verify`] finds no damage in
/// them: someone removed it, or an older version wrote none.
pub fn unlisted(folder: &Path, inner: &[&str]) -> Vec<PathBuf> {
    let inner = inner.iter().map(|name| folder.join(name));
    let mut found: Vec<PathBuf> = std::iter::once(folder.to_path_buf()).chain(inner).collect();
    found.retain(|folder| folder.is_dir() && !folder.join(CHECKSUMS).exists());
    found
}

fn verify_once(folder: &Path) -> Result<(), Damage> {
    let list = folder.join(CHECKSUMS);
    if list.try_exists().map_err(|error| Damage::of(CHECKSUMS, &error))? {
        let text = read_bytes(&list, Limit::SMALL).map_err(|error| match Damage::of(CHECKSUMS, &error) {
            closed @ Damage::Closed { .. } => closed,
            _ => Damage::List,
        })?;
        let mut sums: BTreeMap<String, String> = serde_json::from_slice(&text).map_err(|_| Damage::List)?;
        // Lists of older versions have none.
        if sums.remove(CHECKSUMS).is_some_and(|own| own != sum_of(&sums)) {
            return Err(Damage::List);
        }
        for (name, expected) in sums {
            // A name that leads elsewhere is none that was written.
            if Path::new(&name).file_name() != Some(name.as_ref()) {
                return Err(Damage::List);
            }
            match sum(&folder.join(&name)) {
                Ok(found) if found == expected => {}
                Ok(_) => return Err(Damage::Changed { name }),
                Err(error) => return Err(Damage::of(&name, &error)),
            }
        }
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_closed(&error) => return Err(Damage::of(CHECKSUMS, &error)),
        Err(_) => return Ok(()),
    };
    let folders = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.symlink_metadata().is_ok_and(|data| data.is_dir()));
    for inner in folders {
        verify_once(&inner).map_err(|damage| damage.within(&inner))?;
    }
    Ok(())
}

/// Whether a file could not be read for what this process is and has: its rights, its open files, the memory.
fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        Interrupted, OutOfMemory, PermissionDenied, ResourceBusy, StaleNetworkFileHandle, TimedOut,
    };
    let passing = [
        PermissionDenied,
        OutOfMemory,
        ResourceBusy,
        StaleNetworkFileHandle,
        TimedOut,
        Interrupted,
    ];
    passing.contains(&error.kind()) || is_at_limit(error)
}

/// Whether this process or the system has as many open files as it may.
fn is_at_limit(error: &std::io::Error) -> bool {
    // ENFILE and EMFILE of every Unix.
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

impl Damage {
    /// What an error of reading the file `name` tells of it.
    pub(crate) fn of(name: &str, error: &std::io::Error) -> Self {
        let (name, reason) = (name.to_owned(), error.to_string());
        match is_closed(error) {
            true => Self::Closed { name, reason },
            false => Self::Unreadable { name, reason },
        }
    }

    fn within(self, folder: &Path) -> Self {
        let inner = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = match &self {
            Self::List => {
                return Self::Changed {
                    name: format!("{inner}/{CHECKSUMS}"),
                };
            }
            Self::Unreadable { name, .. } | Self::Closed { name, .. } | Self::Changed { name } => {
                format!("{inner}/{name}")
            }
        };
        match self {
            Self::Unreadable { reason, .. } => Self::Unreadable { name, reason },
            Self::Closed { reason, .. } => Self::Closed { name, reason },
            _ => Self::Changed { name },
        }
    }
}

/// The checksum of a list's entries without its own.
fn sum_of(sums: &BTreeMap<String, String>) -> String {
    let lines: String = sums.iter().map(|(name, sum)| format!("{name}\n{sum}\n")).collect();
    format!("sha256:{:x}", Sha256::digest(lines))
}

fn sum(path: &Path) -> std::io::Result<String> {
    // A hole of a terabyte takes no place on a disk, and hours to read.
    let text = path.extension().is_some_and(|kind| kind == "json" || kind == "yaml");
    let mut file = open(path, if text { Limit::RECORD } else { Limit::TENSORS })?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
    }
    Ok(format!("sha256:{:x}", hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("best_model");
        std::fs::create_dir(&inner).unwrap();
        for path in [folder.path(), &inner] {
            std::fs::write(path.join("weights"), vec![7; 3_000_000]).unwrap();
            std::fs::write(path.join("state.json"), "{}").unwrap();
            seal(path).unwrap();
        }
        folder
    }

    #[test]
    fn one_bit_a_cut_and_a_lost_file_are_told_by_name() {
        for name in ["weights", "state.json", "best_model/weights"] {
            let folder = folder();
            verify(folder.path()).unwrap();
            let path = folder.path().join(name);
            let bytes = std::fs::read(&path).unwrap();
            let mut other = bytes.clone();
            *other.last_mut().unwrap() ^= 1;
            for damaged in [&other[..], &bytes[..bytes.len() - 1], b""] {
                std::fs::write(&path, damaged).unwrap();
                let text = verify(folder.path()).unwrap_err().to_string();
                assert!(text.starts_with(name), "{text}");
            }
            std::fs::remove_file(&path).unwrap();
            let text = verify(folder.path()).unwrap_err().to_string();
            assert!(text.starts_with(name), "{text}");
        }
    }

    #[test]
    fn every_bit_of_every_file_counts_the_list_included() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["weights", "state.json"] {
            std::fs::write(folder.path().join(name), format!("{{\"what\": \"{name}\"}}\n")).unwrap();
        }
        seal(folder.path()).unwrap();
        let mut tried = 0;
        for name in ["weights", "state.json", CHECKSUMS] {
            let path = folder.path().join(name);
            let whole = std::fs::read(&path).unwrap();
            for bit in 0..8 * whole.len() {
                let mut other = whole.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                std::fs::write(&path, &other).unwrap();
                assert!(verify(folder.path()).is_err(), "bit {bit} of {name}");
                tried += 1;
            }
            std::fs::write(&path, &whole).unwrap();
        }
        verify(folder.path()).unwrap();
        assert!(tried > 2000, "{tried}");
        // An entry that is taken out of the list.
        let list = folder.path().join(CHECKSUMS);
        let mut sums: BTreeMap<String, String> = serde_json::from_slice(&std::fs::read(&list).unwrap()).unwrap();
        sums.remove("weights").unwrap();
        std::fs::write(&list, serde_json::to_string(&sums).unwrap()).unwrap();
        assert_eq!(verify(folder.path()), Err(Damage::List));
        // A list of an older version has no sum of its own.
        sums.remove(CHECKSUMS).unwrap();
        std::fs::write(&list, serde_json::to_string(&sums).unwrap()).unwrap();
        verify(folder.path()).unwrap();
    }

    /// A file with a hole of 1 TB would be read for hours.
    #[test]
    fn a_file_of_a_size_that_cannot_be_is_not_read() {
        for name in ["weights", "state.json", "best_model/weights"] {
            let folder = folder();
            let file = std::fs::OpenOptions::new().write(true).open(folder.path().join(name));
            file.unwrap().set_len(1 << 40).unwrap();
            let text = verify(folder.path()).unwrap_err().to_string();
            assert!(text.starts_with(name) && text.contains("expected at most"), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn lists_and_folders_that_lead_elsewhere_end() {
        let folder = folder();
        for name in ["/dev/zero", "../state.json", "best_model/weights", ".", ""] {
            let list = serde_json::json!({ name: "sha256:0" });
            std::fs::write(folder.path().join(CHECKSUMS), list.to_string()).unwrap();
            assert_eq!(verify(folder.path()), Err(Damage::List), "{name}");
        }
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("zero")).unwrap();
        std::fs::write(folder.path().join(CHECKSUMS), r#"{"zero": "sha256:0"}"#).unwrap();
        assert!(matches!(verify(folder.path()), Err(Damage::Unreadable { .. })));
        std::fs::remove_file(folder.path().join(CHECKSUMS)).unwrap();
        std::os::unix::fs::symlink(".", folder.path().join("again")).unwrap();
        verify(folder.path()).unwrap();
    }

    #[test]
    fn a_broken_list_is_damage_and_none_is_not() {
        let folder = folder();
        let list = folder.path().join(CHECKSUMS);
        std::fs::write(&list, "{\"weights\": ").unwrap();
        assert_eq!(verify(folder.path()), Err(Damage::List));
        let best = folder.path().join("best_model");
        let inner = ["best_model", "none"];
        assert_eq!(unlisted(folder.path(), &inner), Vec::<PathBuf>::new());
        std::fs::remove_file(&list).unwrap();
        verify(folder.path()).unwrap();
        assert_eq!(unlisted(folder.path(), &inner), [folder.path()]);
        std::fs::remove_file(best.join(CHECKSUMS)).unwrap();
        assert_eq!(unlisted(folder.path(), &inner), [folder.path(), &best]);
    }
}
