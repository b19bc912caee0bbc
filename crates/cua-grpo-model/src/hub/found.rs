//! A file of the Hub, and who watches while it is fetched.

use ureq::http::Uri;

/// Sees the download of one file.
pub trait Transfer {
    /// `file` of `bytes` bytes is fetched; again, from its start or from where it stopped, when an attempt failed.
    fn start(&mut self, file: &str, bytes: u64);
    /// So many more bytes are here.
    fn advance(&mut self, bytes: u64);
    /// The file is whole.
    fn finish(&mut self);
}

/// Nobody looks.
impl Transfer for () {
    fn start(&mut self, _: &str, _: u64) {}
    fn advance(&mut self, _: u64) {}
    fn finish(&mut self) {}
}

/// A file of the Hub.
pub(super) struct Found {
    /// Where it is asked for.
    pub(super) address: Uri,
    /// The commit that it belongs to; the name of a folder.
    pub(super) commit: String,
    /// The tag of its content; the name of a file.
    pub(super) tag: String,
    /// Its length in bytes.
    pub(super) size: u64,
    /// Its name in the repository.
    pub(super) name: String,
}
