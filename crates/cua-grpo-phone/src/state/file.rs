//! A file: its bytes, shared by copies of the phone.

use sha2::{Digest, Sha256};
use std::{fmt, ops::Deref, sync::Arc};

/// The bytes of a file. Copies share them, and equal bytes have equal marks.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    bytes: Arc<[u8]>,
    mark: u64,
}

impl Blob {
    /// The bytes, to be shared.
    pub fn bytes(&self) -> Arc<[u8]> {
        self.bytes.clone()
    }

    /// A number that follows from the bytes.
    pub fn mark(&self) -> u64 {
        self.mark
    }
}

impl<T: Into<Arc<[u8]>>> From<T> for Blob {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        let digest = Sha256::digest(&bytes);
        let mark = digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Self { bytes, mark }
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The mark stands for the bytes, so that the number of a state with large files is made as fast as that of any other.
impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes {:016x}", self.bytes.len(), self.mark)
    }
}

/// A file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its bytes; `None` for a folder. Pictures that the phone took are drawn from `picture` and have a size only.
    pub content: Option<Blob>,
    /// Size in bytes.
    pub size: u64,
    /// When it was changed last, in ms since 1970.
    pub changed: i64,
    /// For a picture, what it shows.
    pub picture: Option<u32>,
    /// Whether it is a favourite.
    pub favorite: bool,
}

impl File {
    /// A folder.
    pub fn folder(changed: i64) -> Self {
        Self {
            content: None,
            size: 4096,
            changed,
            picture: None,
            favorite: false,
        }
    }

    /// A file with bytes.
    pub fn new(content: impl Into<Blob>, changed: i64) -> Self {
        let content = content.into();
        Self {
            size: content.len() as u64,
            content: Some(content),
            changed,
            picture: None,
            favorite: false,
        }
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.content.is_none()
    }

    /// Bytes of a file; 0 for a folder.
    pub fn length(&self) -> u64 {
        if self.is_folder() { 0 } else { self.size }
    }

    /// The mode as `ls -l` writes it.
    pub fn mode(&self) -> &'static str {
        if self.is_folder() { "drwxrwx--x" } else { "-rw-rw----" }
    }
}
