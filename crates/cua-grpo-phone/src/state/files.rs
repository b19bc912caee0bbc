//! Files and folders: one tree in memory, in which apps, the shell and whoever serves the phone read and write.

use super::file::{Blob, File};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fmt,
    ops::{Bound, Deref, DerefMut},
};

/// What all files of a box may have together, in bytes.
const LARGEST_STORAGE: usize = 128 * 1024 * 1024;
/// Files and folders of a box.
const MOST_ENTRIES: usize = 20_000;
/// Longest path, as on Linux, in bytes.
const LONGEST_PATH: usize = 4096;
/// Endings of pictures.
const PICTURES: [&str; 7] = [".jpg", ".jpeg", ".png", ".gif", ".webp", ".heic", ".heif"];
/// Where the shared storage is; the other names lead there.
const SHARED: &str = "/sdcard";
const SHARED_NAMES: [&str; 3] = ["/storage/emulated/0", "/storage/self/primary", "/mnt/sdcard"];
/// Folders that a fresh phone has.
const FOLDERS: [&str; 16] = [
    "/data/app",
    "/data/data",
    "/data/local/tmp",
    "/product/app",
    "/system/app",
    "/system/bin",
    "/sdcard/Alarms",
    "/sdcard/Android/data",
    "/sdcard/DCIM",
    "/sdcard/Documents",
    "/sdcard/Download",
    "/sdcard/Movies",
    "/sdcard/Music",
    "/sdcard/Notifications",
    "/sdcard/Pictures",
    "/sdcard/Ringtones",
];

/// Why something cannot be done with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileError {
    /// Nothing is there.
    Missing(String),
    /// Something is there already.
    Exists(String),
    /// A folder is there.
    IsFolder(String),
    /// What is there is no folder.
    NoFolder(String),
    /// The folder has something in it.
    NotEmpty(String),
    /// The system needs it.
    Refused(String),
    /// The text is no path.
    Path(String),
    /// There is no room.
    Full,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{path}: No such file or directory"),
            Self::Exists(path) => write!(f, "{path}: File exists"),
            Self::IsFolder(path) => write!(f, "{path}: Is a directory"),
            Self::NoFolder(path) => write!(f, "{path}: Not a directory"),
            Self::NotEmpty(path) => write!(f, "{path}: Directory not empty"),
            Self::Refused(path) => write!(f, "{path}: Permission denied"),
            Self::Path(path) => write!(
                f,
                "{path:?}: expected a path of at most {LONGEST_PATH} bytes without NUL"
            ),
            Self::Full => f.write_str("No space left on device"),
        }
    }
}

/// The last part of a path.
pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

/// A path from the root, without `.` and `..`, with one name for the shared storage.
pub fn resolve(folder: &str, path: &str) -> Result<String, FileError> {
    if path.is_empty() || path.contains('\0') || path.len() > LONGEST_PATH {
        return Err(FileError::Path(path.chars().take(80).collect()));
    }
    let whole = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{folder}/{path}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    let path = format!("/{}", parts.join("/"));
    let shared = SHARED_NAMES.iter().find_map(|name| {
        let rest = path.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{SHARED}{rest}"))
    });
    Ok(shared.unwrap_or(path))
}

/// All files, by their paths from the root. The map behind it is open to apps, which make what is theirs; what comes from
/// outside goes through the methods, which keep the tree whole and within its bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, File>);

impl Deref for Files {
    type Target = BTreeMap<String, File>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Files {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Files {
    /// The folders of a fresh phone.
    pub fn fresh(now: i64) -> Self {
        let mut files = Self::default();
        files.add_system(now);
        files
    }

    /// Adds the folders that a phone has around the shared storage.
    pub fn add_system(&mut self, now: i64) {
        for folder in FOLDERS {
            self.add_folders(folder, now);
        }
    }

    /// Bytes that all files have together. Pictures that are drawn have none.
    fn used(&self) -> usize {
        self.0
            .values()
            .filter_map(|file| file.content.as_deref())
            .map(<[u8]>::len)
            .sum()
    }

    /// A number of all paths and contents; when they were changed does not count.
    pub fn mark(&self) -> u64 {
        let mut hash = Sha256::new();
        for (path, file) in &self.0 {
            hash.update(path.as_bytes());
            hash.update([0, u8::from(file.is_folder())]);
            hash.update(file.content.as_ref().map_or(0, Blob::mark).to_le_bytes());
        }
        let digest = hash.finalize();
        digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    fn existing(&self, path: &str) -> Result<&File, FileError> {
        self.0.get(path).ok_or_else(|| FileError::Missing(path.to_owned()))
    }

    /// Everything below a path.
    fn below<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a str, &'a File)> + use<'a> {
        let start = if path == "/" {
            path.to_owned()
        } else {
            format!("{path}/")
        };
        let range = (Bound::Excluded(start.clone()), Bound::Unbounded);
        let entries = self.0.range::<String, _>(range);
        entries
            .take_while(move |(path, _)| path.starts_with(&start))
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// What is in a folder, down to `depth` levels, by path.
    pub fn list(&self, path: &str, depth: usize) -> Result<Vec<(&str, &File)>, FileError> {
        if !self.existing(path)?.is_folder() {
            return Err(FileError::NoFolder(path.to_owned()));
        }
        let base = path.trim_end_matches('/').len();
        let level = |inner: &str| inner[base..].matches('/').count();
        Ok(self.below(path).filter(|(inner, _)| level(inner) <= depth).collect())
    }

    /// The bytes of a file.
    pub fn read(&self, path: &str) -> Result<Blob, FileError> {
        let content = self.existing(path)?.content.clone();
        content.ok_or_else(|| FileError::IsFolder(path.to_owned()))
    }

    /// Makes a folder and those above it that are missing.
    fn add_folders(&mut self, path: &str, now: i64) {
        if !self.0.contains_key(path) {
            if path != "/" {
                self.add_folders(parent(path), now);
            }
            self.0.insert(path.to_owned(), File::folder(now));
        }
    }

    /// Whether a path can stand below the folders that are there.
    fn check_above(&self, path: &str) -> Result<(), FileError> {
        let mut above = parent(path);
        loop {
            match self.0.get(above) {
                Some(entry) if entry.is_folder() => return Ok(()),
                Some(_) => return Err(FileError::NoFolder(above.to_owned())),
                None if above == "/" => return Ok(()),
                None => above = parent(above),
            }
        }
    }

    /// Writes a file with the folders above it; one that is there is replaced.
    pub fn write(&mut self, path: &str, bytes: impl Into<Blob>, now: i64) -> Result<(), FileError> {
        let old = match self.0.get(path) {
            Some(file) if file.is_folder() => return Err(FileError::IsFolder(path.to_owned())),
            Some(file) => file.content.as_deref().map_or(0, <[u8]>::len),
            None => 0,
        };
        self.check_above(path)?;
        let mut file = File::new(bytes, now);
        if (self.used() - old).saturating_add(file.size as usize) > LARGEST_STORAGE || self.0.len() >= MOST_ENTRIES {
            return Err(FileError::Full);
        }
        self.add_folders(parent(path), now);
        // A picture from outside is drawn as one of the phone's own, which one follows from its bytes.
        let picture = PICTURES.iter().any(|end| path.to_lowercase().ends_with(end));
        file.picture = file
            .content
            .as_ref()
            .filter(|_| picture)
            .map(|content| content.mark() as u32);
        self.0.insert(path.to_owned(), file);
        Ok(())
    }

    /// Adds to the end of a file, which is begun when it is not there.
    pub fn append(&mut self, path: &str, more: &[u8], now: i64) -> Result<(), FileError> {
        if more.is_empty()
            && let Some(file) = self.0.get_mut(path).filter(|file| !file.is_folder())
        {
            file.changed = now;
            return Ok(());
        }
        let mut bytes = match self.0.get(path) {
            Some(_) => self.read(path)?.to_vec(),
            None => Vec::new(),
        };
        bytes.extend_from_slice(more);
        self.write(path, bytes, now)
    }

    /// Makes a folder; with `parents` also those above it, and one that is there is no error.
    pub fn make_folder(&mut self, path: &str, parents: bool, now: i64) -> Result<(), FileError> {
        match self.0.get(path) {
            Some(entry) if parents && entry.is_folder() => return Ok(()),
            Some(_) => return Err(FileError::Exists(path.to_owned())),
            None => self.check_above(path)?,
        }
        if !parents {
            self.existing(parent(path))?;
        }
        if self.0.len() >= MOST_ENTRIES {
            return Err(FileError::Full);
        }
        self.add_folders(path, now);
        Ok(())
    }

    /// Removes a file, or a folder with all that is in it; the root and what the system needs stay.
    pub fn delete(&mut self, path: &str) -> Result<(), FileError> {
        self.existing(path)?;
        let kept = FOLDERS.iter().any(|folder| {
            let below = folder.strip_prefix(path.trim_end_matches('/'));
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && !path.starts_with("/sdcard/")
        });
        if kept {
            return Err(FileError::Refused(path.to_owned()));
        }
        let inner: Vec<String> = self.below(path).map(|(inner, _)| inner.to_owned()).collect();
        for path in inner.iter().map(String::as_str).chain([path]) {
            self.0.remove(path);
        }
        Ok(())
    }

    /// Removes a folder that is empty.
    pub fn delete_empty(&mut self, path: &str) -> Result<(), FileError> {
        if !self.list(path, 1)?.is_empty() {
            return Err(FileError::NotEmpty(path.to_owned()));
        }
        self.delete(path)
    }

    /// Moves a file or a folder to a path where nothing is.
    pub fn rename(&mut self, old: &str, new: &str, now: i64) -> Result<(), FileError> {
        self.copy(old, new, now)?;
        self.delete(old).inspect_err(|_| {
            // What must stay is not moved: the copy goes again, which nothing keeps.
            let _ = self.delete(new);
        })
    }

    /// Copies a file or a folder to a path where nothing is.
    pub fn copy(&mut self, old: &str, new: &str, now: i64) -> Result<(), FileError> {
        let top = self.existing(old)?.clone();
        if self.0.contains_key(new) {
            return Err(FileError::Exists(new.to_owned()));
        }
        self.check_above(new)?;
        if new.starts_with(&format!("{old}/")) {
            return Err(FileError::Refused(new.to_owned()));
        }
        let inner = self.below(old).map(|(path, entry)| {
            let moved = format!("{new}{}", &path[old.len()..]);
            (moved, entry.clone())
        });
        let copies: Vec<(String, File)> = inner.chain([(new.to_owned(), top)]).collect();
        let sizes = copies
            .iter()
            .filter_map(|(_, file)| file.content.as_deref())
            .map(<[u8]>::len);
        if self.used().saturating_add(sizes.sum()) > LARGEST_STORAGE || self.0.len() + copies.len() > MOST_ENTRIES {
            return Err(FileError::Full);
        }
        self.add_folders(parent(new), now);
        self.0.extend(copies);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_brought_to_one_form() {
        let table = [
            ("a.txt", "/data/local/tmp/a.txt"),
            ("./x/../a.txt", "/data/local/tmp/a.txt"),
            ("/../..", "/"),
            ("/storage/emulated/0/DCIM/", "/sdcard/DCIM"),
            ("/storage/emulated/01", "/storage/emulated/01"),
        ];
        for (path, wanted) in table {
            assert_eq!(resolve("/data/local/tmp", path).unwrap(), wanted, "{path}");
        }
        assert!(resolve("/", "").is_err() && resolve("/", "a\0b").is_err());
    }

    #[test]
    fn a_tree_is_written_moved_and_removed() {
        let mut files = Files::fresh(0);
        let fresh = files.mark();
        files.write("/sdcard/a/b/c.txt", b"one".to_vec(), 1).unwrap();
        files.append("/sdcard/a/b/c.txt", b"two", 1).unwrap();
        assert_eq!(&files.read("/sdcard/a/b/c.txt").unwrap()[..], b"onetwo");
        let paths = |files: &Files, path, depth| -> Vec<String> {
            let list = files.list(path, depth).unwrap();
            list.into_iter().map(|(path, _)| path.to_owned()).collect()
        };
        assert_eq!(paths(&files, "/sdcard/a", 1), ["/sdcard/a/b"]);
        assert_eq!(paths(&files, "/sdcard/a", 2), ["/sdcard/a/b", "/sdcard/a/b/c.txt"]);
        assert!(paths(&files, "/", 1).contains(&"/sdcard".to_owned()));

        files.rename("/sdcard/a", "/sdcard/z", 1).unwrap();
        assert!(files.get("/sdcard/a/b/c.txt").is_none() && files.get("/sdcard/z/b/c.txt").is_some());
        let wrong = [
            files.rename("/sdcard/z", "/sdcard/z/inner", 1),
            files.rename("/sdcard/none", "/sdcard/y", 1),
            files.rename("/sdcard/z", "/sdcard/DCIM", 1),
            files.rename("/data/local", "/sdcard/local", 1),
            files.delete("/"),
            files.delete("/data"),
            files.write("/sdcard", Vec::new(), 1),
            files.write("/sdcard/z/b/c.txt/d", Vec::new(), 1),
            files.delete_empty("/sdcard/z"),
            files.make_folder("/sdcard/q/r", false, 1),
            files.make_folder("/sdcard/z/b/c.txt", true, 1),
        ];
        for (number, outcome) in wrong.into_iter().enumerate() {
            assert!(outcome.is_err(), "{number}");
        }
        files.delete("/sdcard/z").unwrap();
        assert_eq!((files.mark(), files.used()), (fresh, 0));
    }

    #[test]
    fn a_full_storage_takes_no_more() {
        let mut files = Files::fresh(0);
        let half = vec![0; LARGEST_STORAGE / 2 + 1];
        files.write("/sdcard/a", half.clone(), 1).unwrap();
        assert_eq!(files.write("/sdcard/b", half.clone(), 1), Err(FileError::Full));
        assert_eq!(files.copy("/sdcard/a", "/sdcard/b", 1), Err(FileError::Full));
        files.write("/sdcard/a", half, 1).unwrap();
    }
}
