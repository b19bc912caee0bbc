//! Reading files that others may have written: regular ones alone, and of a size that can be.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
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

    /// So many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(bytes)
    }
}

/// The bytes of a regular file; a pipe, a device or a folder is none and would have no end.
///
/// # Errors
/// [`ErrorKind::InvalidData`] when it is no regular file or larger than `limit`; those of reading.
pub fn read_bytes(path: &Path, limit: Limit) -> Result<Vec<u8>> {
    let data = path.metadata()?;
    let wrong = |message: String| Error::new(ErrorKind::InvalidData, message);
    if data.is_dir() {
        return Err(Error::from(ErrorKind::IsADirectory));
    }
    if !data.is_file() {
        return Err(wrong("expected a file, found a pipe or a device".into()));
    }
    let large = || wrong(format!("expected at most {} bytes, found more", limit.0));
    if data.len() > limit.0 {
        return Err(large());
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    File::open(path)?.take(limit.0 + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit.0 {
        return Err(large());
    }
    Ok(bytes)
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
