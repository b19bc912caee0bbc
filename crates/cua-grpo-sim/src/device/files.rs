//! The files of a box: a tree in memory that file requests, the shell, the albums and packages share.

use axum::body::Bytes;
use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Bound,
    time::SystemTime,
};

/// What all files of a box may have together, in bytes.
const LARGEST_STORAGE: usize = 128 * 1024 * 1024;
/// Files and folders of a box.
const MOST_ENTRIES: usize = 20_000;
/// Longest path, as on Linux, in bytes.
const LONGEST_PATH: usize = 4096;
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
pub(crate) enum FileError {
    Missing(String),
    Exists(String),
    IsFolder(String),
    NoFolder(String),
    NotEmpty(String),
    Refused(String),
    Path(String),
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

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Folder,
    File {
        bytes: Bytes,
        /// Equal contents have equal marks.
        mark: u64,
    },
}

/// A file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub content: Content,
    pub modified: SystemTime,
}

impl Entry {
    fn folder(modified: SystemTime) -> Self {
        let content = Content::Folder;
        Self { content, modified }
    }

    pub fn is_folder(&self) -> bool {
        self.content == Content::Folder
    }

    /// Bytes of a file; 0 for a folder.
    pub fn size(&self) -> usize {
        match &self.content {
            Content::Folder => 0,
            Content::File { bytes, .. } => bytes.len(),
        }
    }

    /// The mode as `ls -l` writes it.
    pub fn mode(&self) -> &'static str {
        if self.is_folder() { "drwxrwx--x" } else { "-rw-rw----" }
    }
}

/// The last part of a path.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

/// A path from the root, without `.` and `..`, with one name for the shared storage.
pub(crate) fn resolve(folder: &str, path: &str) -> Result<String, FileError> {
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

/// All files of a box, by their paths from the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    entries: BTreeMap<String, Entry>,
    used: usize,
}

impl Files {
    /// The folders of a fresh phone.
    pub fn new() -> Self {
        let mut files = Self {
            entries: BTreeMap::from([("/".to_owned(), Entry::folder(SystemTime::UNIX_EPOCH))]),
            used: 0,
        };
        let now = SystemTime::now();
        for folder in FOLDERS {
            files.add_folders(folder, now);
        }
        files
    }

    /// A number of all paths and contents; when they were changed does not count.
    pub fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (path, entry) in &self.entries {
            path.hash(&mut hasher);
            match &entry.content {
                Content::Folder => 0_u64.hash(&mut hasher),
                Content::File { mark, .. } => (1_u64, mark).hash(&mut hasher),
            }
        }
        hasher.finish()
    }

    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    fn existing(&self, path: &str) -> Result<&Entry, FileError> {
        self.get(path).ok_or_else(|| FileError::Missing(path.to_owned()))
    }

    /// Everything below a path.
    fn below<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a str, &'a Entry)> + use<'a> {
        let start = if path == "/" {
            path.to_owned()
        } else {
            format!("{path}/")
        };
        let range = (Bound::Excluded(start.clone()), Bound::Unbounded);
        let entries = self.entries.range::<String, _>(range);
        entries
            .take_while(move |(path, _)| path.starts_with(&start))
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// What is in a folder, down to `depth` levels, by path.
    pub fn list(&self, path: &str, depth: usize) -> Result<Vec<(&str, &Entry)>, FileError> {
        if !self.existing(path)?.is_folder() {
            return Err(FileError::NoFolder(path.to_owned()));
        }
        let base = path.trim_end_matches('/').len();
        let level = |inner: &str| inner[base..].matches('/').count();
        Ok(self.below(path).filter(|(inner, _)| level(inner) <= depth).collect())
    }

    pub fn read(&self, path: &str) -> Result<Bytes, FileError> {
        match &self.existing(path)?.content {
            Content::Folder => Err(FileError::IsFolder(path.to_owned())),
            Content::File { bytes, .. } => Ok(bytes.clone()),
        }
    }

    /// Makes a folder and those above it that are missing.
    fn add_folders(&mut self, path: &str, now: SystemTime) {
        if !self.entries.contains_key(path) {
            self.add_folders(parent(path), now);
            self.entries.insert(path.to_owned(), Entry::folder(now));
        }
    }

    /// Whether a path can stand below the folders that are there.
    fn check_above(&self, path: &str) -> Result<(), FileError> {
        let mut above = parent(path);
        loop {
            match self.get(above) {
                Some(entry) if entry.is_folder() => return Ok(()),
                Some(_) => return Err(FileError::NoFolder(above.to_owned())),
                None => above = parent(above),
            }
        }
    }

    /// Writes a file with the folders above it; one that is there is replaced.
    pub fn write(&mut self, path: &str, bytes: Bytes) -> Result<(), FileError> {
        let old = match self.get(path) {
            Some(entry) if entry.is_folder() => return Err(FileError::IsFolder(path.to_owned())),
            Some(entry) => entry.size(),
            None => 0,
        };
        self.check_above(path)?;
        let used = (self.used - old).saturating_add(bytes.len());
        if used > LARGEST_STORAGE || self.entries.len() >= MOST_ENTRIES {
            return Err(FileError::Full);
        }
        self.used = used;
        let now = SystemTime::now();
        self.add_folders(parent(path), now);
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let mark = hasher.finish();
        let content = Content::File { bytes, mark };
        let entry = Entry { content, modified: now };
        self.entries.insert(path.to_owned(), entry);
        Ok(())
    }

    /// Adds to the end of a file, which is begun when it is not there.
    pub fn append(&mut self, path: &str, more: &[u8]) -> Result<(), FileError> {
        let mut bytes = match self.get(path) {
            Some(_) => self.read(path)?.to_vec(),
            None => Vec::new(),
        };
        bytes.extend_from_slice(more);
        self.write(path, bytes.into())
    }

    /// Makes a folder; with `parents` also those above it, and one that is there is no error.
    pub fn make_folder(&mut self, path: &str, parents: bool) -> Result<(), FileError> {
        match self.get(path) {
            Some(entry) if parents && entry.is_folder() => return Ok(()),
            Some(_) => return Err(FileError::Exists(path.to_owned())),
            None => self.check_above(path)?,
        }
        if !parents {
            self.existing(parent(path))?;
        }
        if self.entries.len() >= MOST_ENTRIES {
            return Err(FileError::Full);
        }
        self.add_folders(path, SystemTime::now());
        Ok(())
    }

    /// Removes a file, or a folder with all that is in it; the root and what the system needs stay.
    pub fn remove(&mut self, path: &str) -> Result<(), FileError> {
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
            if let Some(entry) = self.entries.remove(path) {
                self.used -= entry.size();
            }
        }
        Ok(())
    }

    /// Removes a folder that is empty.
    pub fn remove_empty(&mut self, path: &str) -> Result<(), FileError> {
        if !self.list(path, 1)?.is_empty() {
            return Err(FileError::NotEmpty(path.to_owned()));
        }
        self.remove(path)
    }

    /// Moves a file or a folder to a path where nothing is.
    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), FileError> {
        self.copy(old, new)?;
        self.remove(old).inspect_err(|_| {
            // What must stay is not moved: the copy goes again, which nothing keeps.
            let _ = self.remove(new);
        })
    }

    /// Copies a file or a folder to a path where nothing is.
    pub fn copy(&mut self, old: &str, new: &str) -> Result<(), FileError> {
        let top = self.existing(old)?.clone();
        if self.get(new).is_some() {
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
        let copies: Vec<(String, Entry)> = inner.chain([(new.to_owned(), top)]).collect();
        let size: usize = copies.iter().map(|(_, entry)| entry.size()).sum();
        let used = self.used.saturating_add(size);
        if used > LARGEST_STORAGE || self.entries.len() + copies.len() > MOST_ENTRIES {
            return Err(FileError::Full);
        }
        self.used = used;
        self.add_folders(parent(new), SystemTime::now());
        self.entries.extend(copies);
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
        let mut files = Files::new();
        let fresh = files.mark();
        files.write("/sdcard/a/b/c.txt", Bytes::from_static(b"one")).unwrap();
        files.append("/sdcard/a/b/c.txt", b"two").unwrap();
        assert_eq!(&files.read("/sdcard/a/b/c.txt").unwrap()[..], b"onetwo");
        let paths = |files: &Files, path, depth| -> Vec<String> {
            let list = files.list(path, depth).unwrap();
            list.into_iter().map(|(path, _)| path.to_owned()).collect()
        };
        assert_eq!(paths(&files, "/sdcard/a", 1), ["/sdcard/a/b"]);
        assert_eq!(paths(&files, "/sdcard/a", 2), ["/sdcard/a/b", "/sdcard/a/b/c.txt"]);
        assert!(paths(&files, "/", 1).contains(&"/sdcard".to_owned()));

        files.rename("/sdcard/a", "/sdcard/z").unwrap();
        assert!(files.get("/sdcard/a/b/c.txt").is_none() && files.get("/sdcard/z/b/c.txt").is_some());
        let wrong = [
            files.rename("/sdcard/z", "/sdcard/z/inner"),
            files.rename("/sdcard/none", "/sdcard/y"),
            files.rename("/sdcard/z", "/sdcard/DCIM"),
            files.rename("/data/local", "/sdcard/local"),
            files.remove("/"),
            files.remove("/data"),
            files.write("/sdcard", Bytes::new()),
            files.write("/sdcard/z/b/c.txt/d", Bytes::new()),
            files.remove_empty("/sdcard/z"),
            files.make_folder("/sdcard/q/r", false),
            files.make_folder("/sdcard/z/b/c.txt", true),
        ];
        for (number, outcome) in wrong.into_iter().enumerate() {
            assert!(outcome.is_err(), "{number}");
        }
        files.remove("/sdcard/z").unwrap();
        assert_eq!((files.mark(), files.used), (fresh, 0));
    }

    #[test]
    fn a_full_storage_takes_no_more() {
        let mut files = Files::new();
        let half = Bytes::from(vec![0; LARGEST_STORAGE / 2 + 1]);
        files.write("/sdcard/a", half.clone()).unwrap();
        assert_eq!(files.write("/sdcard/b", half.clone()), Err(FileError::Full));
        assert_eq!(files.copy("/sdcard/a", "/sdcard/b"), Err(FileError::Full));
        files.write("/sdcard/a", half).unwrap();
    }
}
