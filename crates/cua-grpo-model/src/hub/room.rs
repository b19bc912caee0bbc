//! Room on the disk of the cache.

use std::path::Path;

/// Bytes that stay free beside what is fetched: of notes and links of the cache, and of others that write meanwhile.
const SPARE: u64 = 16 << 20;

/// Checks that `lacking` bytes have room on the disk of `folder`, which exists or will. A system that does not tell is taken
/// to have it.
///
/// # Errors
/// Both sizes, in words, when they have not.
pub(super) fn check(folder: &Path, lacking: u64) -> Result<(), String> {
    match free(folder) {
        Some(free) if lacking > 0 && free < lacking.saturating_add(SPARE) => Err(format!(
            "{} are to be fetched and {} are free",
            size(lacking),
            size(free)
        )),
        _ => Ok(()),
    }
}

/// Bytes that this user may still write on the disk of `folder`, or of the nearest folder above it that exists.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.exists());
    let there = there.filter(|there| !there.as_os_str().is_empty());
    let disk = rustix::fs::statvfs(there.unwrap_or(Path::new("."))).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn free(_: &Path) -> Option<u64> {
    None
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000_000 => format!("{bytes} bytes"),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_told_with_both_sizes() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("not/yet/there");
        for (lacking, fits) in [(0, true), (1, true), (u64::MAX, false), (u64::MAX - SPARE, false)] {
            assert_eq!(check(&below, lacking).is_ok(), fits, "{lacking}");
        }
        let told = check(Path::new("not-there"), 1 << 60).unwrap_err();
        assert!(told.contains("1152921504 GB are to be fetched"), "{told}");
    }
}
