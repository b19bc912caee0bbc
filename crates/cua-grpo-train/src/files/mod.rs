//! Files that a death of the process cannot spoil: written aside and renamed, with checksums, under a lock.

mod bounded;
mod checksums;
mod durable;
mod error;
mod lock;
pub(crate) mod ops;
mod own;
mod patient;
mod unfinished;

pub use bounded::{Limit, Lines, lines, read_bytes, read_start, read_text, read_within};
pub use checksums::{CHECKSUMS, Damage, seal, unlisted, verify};
pub use durable::{
    discard, is_mendable, link_file, link_folder, make_folder, make_folders, move_folder, replace, replace_folder,
    replace_own, sweep, sync_tree, write,
};
pub use error::{FileError, io};
pub use lock::{FolderLock, LOCK, LockError};
pub use own::{check_file, check_folder, open_end};
pub(crate) use patient::read_given;
pub use unfinished::Unfinished;

#[cfg(test)]
pub(crate) use durable::tests;
