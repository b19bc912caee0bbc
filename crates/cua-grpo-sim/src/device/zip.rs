//! The entries of a ZIP archive, as far as packages need them: stored or deflated, without encryption.

use flate2::read::DeflateDecoder;
use std::io::Read;

/// Largest entry that is unpacked, in bytes.
const LARGEST_ENTRY: u64 = 64 * 1024 * 1024;
const END: &[u8] = b"PK\x05\x06";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// An entry of the archive's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub name: String,
    method: u16,
    packed: usize,
    /// Where its own header stands.
    at: usize,
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let end = at.checked_add(length)?;
    let digits = bytes.get(at..end)?.iter().rev();
    Some(digits.fold(0_usize, |value, byte| value << 8 | usize::from(*byte)))
}

/// Lists an archive by the directory at its end; `None` when it is damaged or none.
pub(super) fn list(bytes: &[u8]) -> Option<Vec<Entry>> {
    // The end record is followed by a remark of at most 64 KiB.
    let first = bytes.len().saturating_sub(22 + 65_535);
    let end = (first..=bytes.len().checked_sub(22)?)
        .rev()
        .find(|at| bytes[*at..].starts_with(END))?;
    let (count, mut at) = (number(bytes, end + 10, 2)?, number(bytes, end + 16, 4)?);
    let mut entries = Vec::new();
    for _ in 0..count {
        if !bytes.get(at..)?.starts_with(CENTRAL) {
            return None;
        }
        let length = |offset| number(bytes, at + offset, 2);
        let (name, extra, remark) = (length(28)?, length(30)?, length(32)?);
        entries.push(Entry {
            name: String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name)?).into_owned(),
            method: u16::try_from(length(10)?).ok()?,
            packed: number(bytes, at + 20, 4)?,
            at: number(bytes, at + 42, 4)?,
        });
        at += 46 + name + extra + remark;
    }
    Some(entries)
}

/// The contents of an entry; `None` when it is damaged, too large or packed in another way.
pub(super) fn unpack(bytes: &[u8], entry: &Entry) -> Option<Vec<u8>> {
    if !bytes.get(entry.at..)?.starts_with(LOCAL) {
        return None;
    }
    let length = |offset| number(bytes, entry.at + offset, 2);
    let start = entry.at + 30 + length(26)? + length(28)?;
    let packed = bytes.get(start..start.checked_add(entry.packed)?)?;
    match entry.method {
        0 => Some(packed.to_vec()),
        8 => {
            let mut unpacked = Vec::new();
            let mut reader = DeflateDecoder::new(packed).take(LARGEST_ENTRY + 1);
            reader.read_to_end(&mut unpacked).ok()?;
            (unpacked.len() as u64 <= LARGEST_ENTRY).then_some(unpacked)
        }
        _ => None,
    }
}
