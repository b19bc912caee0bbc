//! Reading files that others may have written: regular ones alone, and of a size that can be.

use super::own::{name, unwaiting};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Take};
use std::path::Path;

/// Most bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u64);

impl Limit {
    /// Of a file that says a few things: a state, a configuration, a list.
    pub const SMALL: Self = Self(1 << 20);
    /// Of a record with texts in it, or a picture.
    pub const RECORD: Self = Self(32 << 20);
    /// Of a file that grows with a run.
    pub const LOG: Self = Self(4 << 30);

    /// Of weights and of the optimiser's moments, as of a record: several times the largest adapter.
    pub const TENSORS: Self = Self(64 << 30);

    /// So many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number.
    pub(super) fn bytes(self) -> u64 {
        self.0
    }

    /// Whether so many bytes may be.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] when they are too many.
    pub(super) fn check(self, bytes: u64) -> Result<()> {
        if bytes <= self.0 {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidData,
            format!("expected at most {} bytes, found more", self.0),
        ))
    }
}

/// Opens a regular file, also behind a link, whose size is within `limit`. What is none is not opened. It has so many
/// bytes as it says: what the kernel makes up (`/proc/kmsg`) says that it has none, and may have no end.
pub(super) fn open(path: &Path, limit: Limit) -> Result<Take<File>> {
    let regular = |data: &std::fs::Metadata| {
        if data.is_dir() {
            return Err(Error::from(ErrorKind::IsADirectory));
        }
        if data.is_file() {
            return limit.check(data.len());
        }
        let found = name(data.file_type());
        Err(Error::new(
            ErrorKind::InvalidData,
            format!("expected a file, found {found}; put a file in its place, or move it away"),
        ))
    };
    regular(&path.metadata()?)?;
    let file = unwaiting(OpenOptions::new().read(true), false).open(path)?;
    // It may be exchanged after the look.
    let data = file.metadata()?;
    regular(&data)?;
    // It may grow while it is read, which is told by whoever reads up to a limit.
    let most = if data.len() == 0 { 0 } else { limit.0 + 1 };
    Ok(file.take(most))
}

/// The bytes of a regular file; a pipe, a device or a folder is none and would have no end.
///
/// # Errors
/// [`ErrorKind::InvalidData`] when it is no regular file or larger than `limit`; those of reading.
pub fn read_bytes(path: &Path, limit: Limit) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, limit)?.read_to_end(&mut bytes)?;
    limit.check(bytes.len() as u64)?;
    Ok(bytes)
}

/// The first `most` bytes of a regular file, or all where it has fewer.
///
/// # Errors
/// As [`read_bytes`].
pub fn read_start(path: &Path, limit: Limit, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, limit)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The lines of a regular file, one after the other: what they come to need not fit into the memory.
///
/// # Errors
/// As [`read_bytes`].
pub fn lines(path: &Path, limit: Limit) -> Result<Lines> {
    let file = open(path, limit)?;
    Ok(Lines(BufReader::new(file), limit))
}

/// Made by [`lines()`]. A line comes with its line break; the last one may have none.
#[derive(Debug)]
pub struct Lines(BufReader<Take<File>>, Limit);

impl Lines {
    /// Most bytes of a line: several times what one of the largest evaluation or step has.
    const LINE: u64 = 16 << 20;
}

impl Iterator for Lines {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        let read = (&mut self.0).take(Self::LINE + 1).read_until(b'\n', &mut line);
        let checked = read.and_then(|count| {
            Limit(Self::LINE).check(count as u64)?;
            // The file has grown beyond its limit since it was opened.
            let over = count > 0 && self.0.get_ref().limit() == 0;
            self.1.check(self.1.0 + u64::from(over))?;
            Ok(count)
        });
        match checked {
            Ok(0) => None,
            Ok(_) => Some(Ok(line)),
            Err(error) => Some(Err(error)),
        }
    }
}

/// [`read_bytes`] as UTF-8 text.
///
/// # Errors
/// As [`read_bytes`]; [`ErrorKind::InvalidData`] when it is no text.
pub fn read_text(path: &Path, limit: Limit) -> Result<String> {
    let bytes = read_bytes(path, limit)?;
    String::from_utf8(bytes).map_err(|error| Error::new(ErrorKind::InvalidData, format!("expected text ({error})")))
}

/// [`read_bytes`] of a file that has to lie in the folder `root`, also behind links.
///
/// # Errors
/// As [`read_bytes`]; [`ErrorKind::InvalidInput`] when it lies elsewhere.
pub fn read_within(root: &Path, path: &Path, limit: Limit) -> Result<Vec<u8>> {
    let (full, root) = (path.canonicalize()?, root.canonicalize()?);
    if !full.starts_with(&root) {
        let message = format!("expected a file within {}, found one elsewhere", root.display());
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    read_bytes(&full, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_bytes(&path, Limit::new(5)).unwrap(), b"12345");
        let text = read_bytes(&path, Limit::new(4)).unwrap_err().to_string();
        assert!(text.contains("at most 4 bytes"), "{text}");
        // A file of the kernel's that says it has no bytes has no end, or makes its reader wait.
        let endless = Path::new("/proc/self/pagemap");
        if endless.exists() {
            assert_eq!(read_bytes(endless, Limit::TENSORS).unwrap(), b"");
            assert_eq!(lines(endless, Limit::TENSORS).unwrap().count(), 0);
        }
        // No byte of a file with a hole of 1 TB is read.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(read_bytes(&path, Limit::LOG).is_err());
        assert_eq!(
            read_bytes(home.path(), Limit::SMALL).unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
        std::fs::write(&path, b"\xFF").unwrap();
        assert_eq!(
            read_text(&path, Limit::SMALL).unwrap_err().kind(),
            ErrorKind::InvalidData
        );
    }

    #[test]
    fn lines_come_one_by_one_and_one_without_an_end_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        std::fs::write(&path, "a\n\nbc").unwrap();
        let read = |limit| lines(&path, limit).map(|lines| lines.map(Result::unwrap).collect::<Vec<_>>());
        assert_eq!(read(Limit::new(5)).unwrap(), [&b"a\n"[..], b"\n", b"bc"]);
        assert!(read(Limit::new(4)).is_err());
        // A hole of 3 GB is one line: no more of it is read than a line may have.
        let file = File::options().append(true).open(&path).unwrap();
        file.set_len(3 << 30).unwrap();
        let mut found = lines(&path, Limit::LOG).unwrap().skip(2);
        let error = found.next().unwrap().unwrap_err();
        assert!(error.to_string().contains("at most 16777216 bytes"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn pipes_are_not_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let path = crate::files::tests::pipe(&home.path().join("pipe"));
        let error = read_bytes(&path, Limit::SMALL).unwrap_err();
        assert!(error.to_string().contains("found a pipe"), "{error}");
        assert!(lines(&path, Limit::SMALL).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_files_of_others_are_not_read() {
        let home = tempfile::tempdir().unwrap();
        let (root, other) = (home.path().join("root"), home.path().join("other"));
        std::fs::create_dir(&root).unwrap();
        for path in [&other, &root.join("own")] {
            std::fs::write(path, "secret").unwrap();
        }
        let link = |name: &str, to: &Path| std::os::unix::fs::symlink(to, root.join(name)).unwrap();
        link("out", &other);
        link("in", &root.join("own"));
        link("zero", Path::new("/dev/zero"));
        let read = |name: &str| read_within(&root, &root.join(name), Limit::SMALL);
        assert!(read("own").is_ok() && read("in").is_ok());
        for name in ["out", "../other", "zero", other.to_str().unwrap()] {
            let error = read(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {error}");
        }
        let error = read_bytes(&root.join("zero"), Limit::SMALL).unwrap_err();
        assert!(error.to_string().contains("device"), "{error}");
    }
}
