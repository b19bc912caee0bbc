//! That an adapter folder is the one that was looked at, also after the minutes in which its base was read.

use crate::files::{CHECKSUMS, Limit, read_bytes};
use crate::layout::CONFIG;
use crate::provenance::PROVENANCE;
use std::path::Path;
use std::time::SystemTime;

/// What an adapter folder was when it was looked at. Two versions differ in the list of checksums; where none is, in the
/// files themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    list: Option<Vec<u8>>,
    files: Vec<Option<(u64, u64, Option<SystemTime>)>>,
}

impl Seen {
    pub(super) fn of(folder: &Path) -> Self {
        let names = ["adapter_config.json", "adapter_model.safetensors", PROVENANCE, CONFIG];
        Self {
            list: read_bytes(&folder.join(CHECKSUMS), Limit::SMALL).ok(),
            files: names.map(|name| mark(&folder.join(name))).into(),
        }
    }
}

/// Number, length and time of a file; none where there is no such file.
fn mark(path: &Path) -> Option<(u64, u64, Option<SystemTime>)> {
    let data = path.metadata().ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&data);
    #[cfg(not(unix))]
    let number = 0;
    Some((number, data.len(), data.modified().ok()))
}
