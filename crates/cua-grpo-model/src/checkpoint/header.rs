//! The head of a safetensors file and the index of shards, held against the format before anything is allocated for them.

use crate::plain_text::{LFS, LFS_ADVICE};
use crate::{ModelError, plain_text};
use safetensors::tensor::Metadata;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Most bytes of a header, as the format has it.
const MOST_HEADER: u64 = 100_000_000;

/// Most tensors of one checkpoint: several times what the largest public models have, expert by expert.
const MOST_TENSORS: usize = 400_000;

/// Most files of one checkpoint.
const MOST_SHARDS: usize = 10_000;

/// The header of a safetensors file, and where the values begin.
///
/// # Errors
/// When the file is no safetensors file or cut short: the header's length, places that overlap or leave holes, shapes that
/// do not fit their places, a name that stands there twice.
pub(super) fn read(file: &mut File, path: &Path) -> Result<(Metadata, u64), ModelError> {
    let size = file.metadata().map_err(ModelError::io("read", path))?.len();
    let mut length = [0; 8];
    let cut = |expected: u64| {
        ModelError::format(
            path,
            format!("expected {expected} bytes, found {size}: not a safetensors file, or cut short; fetch it again"),
        )
    };
    if size < 8 {
        return Err(cut(8));
    }
    file.read_exact(&mut length).map_err(ModelError::io("read", path))?;
    if LFS.starts_with(&length) {
        return Err(ModelError::format(path, LFS_ADVICE));
    }
    let start = u64::from_le_bytes(length).saturating_add(8);
    if start > size {
        return Err(cut(start));
    }
    if start - 8 > MOST_HEADER {
        return Err(ModelError::format(
            path,
            format!(
                "expected a header of at most {MOST_HEADER} bytes, found {}: not a safetensors file",
                start - 8
            ),
        ));
    }
    let mut header = vec![0; (start - 8) as usize];
    file.read_exact(&mut header).map_err(ModelError::io("read", path))?;
    let wrong = |message: String| ModelError::format(path, format!("the header: {message}; fetch the file again"));
    let Names = serde_json::from_slice(&header).map_err(|error| wrong(error.to_string()))?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| wrong(error.to_string()))?;
    let end = start.saturating_add(metadata.data_len() as u64);
    if end != size {
        return Err(cut(end));
    }
    Ok((metadata, start))
}

/// An object whose keys stand there once each.
struct Names;

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = BTreeSet::new();
                while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    if names.contains(&name) {
                        return Err(serde::de::Error::custom(format!("{name} stands there twice")));
                    }
                    if names.len() == MOST_TENSORS {
                        let message = format!("expected at most {MOST_TENSORS} tensors, found more");
                        return Err(serde::de::Error::custom(message));
                    }
                    names.insert(name);
                }
                Ok(Names)
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// The map from tensor name to shard.
///
/// # Errors
/// When the file is no index, or names what cannot be a shard beside it ([`check_shard`]).
pub(super) fn read_index(index: &Path) -> Result<BTreeMap<String, String>, ModelError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: Option<BTreeMap<String, String>>,
    }
    let text = plain_text::read(index).map_err(ModelError::io("read", index))?;
    let wrong = |message: String| ModelError::format(index, message);
    let Names = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let Index { weight_map } = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("weight_map: expected tensor names and files: {error}")))?;
    let weight_map = weight_map.ok_or_else(|| wrong("expected a key weight_map, found none".to_owned()))?;
    let shards: BTreeSet<&String> = weight_map.values().collect();
    if shards.len() > MOST_SHARDS {
        return Err(wrong(format!(
            "weight_map: expected at most {MOST_SHARDS} files, found {}",
            shards.len()
        )));
    }
    for shard in shards {
        check_shard(shard).map_err(|message| wrong(format!("weight_map: {message}")))?;
    }
    Ok(weight_map)
}

/// The shards that an index names.
///
/// # Errors
/// As [`read_index`].
#[cfg(feature = "hub")]
pub(crate) fn shards_of(index: &Path) -> Result<BTreeSet<String>, ModelError> {
    Ok(read_index(index)?.into_values().collect())
}

/// That `name`, which a file of others gives, is the name of a file with weights in the folder of that file: no path, nothing
/// hidden, nothing that an address reads otherwise.
///
/// # Errors
/// Names what was expected.
fn check_shard(name: &str) -> Result<(), String> {
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if plain && !name.starts_with('.') && name.ends_with(".safetensors") && name.len() <= 255 {
        return Ok(());
    }
    let found: String = name.chars().take(80).collect();
    Err(format!(
        "expected names of files (letters, digits, `-`, `_`, `.`) that end in .safetensors, found {found:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_plain_names() {
        for name in [
            "model-00001-of-00002.safetensors",
            "a.safetensors",
            "A_b.c-1.safetensors",
        ] {
            check_shard(name).unwrap();
        }
        for name in [
            "../model.safetensors",
            "/etc/model.safetensors",
            "a/b.safetensors",
            r"a\b.safetensors",
            ".safetensors",
            "..safetensors",
            "model.safetensors#1",
            "a?b.safetensors",
            "a%2e.safetensors",
            "a\n.safetensors",
            "model.bin",
            "",
        ] {
            assert!(check_shard(name).is_err(), "{name}");
        }
    }
}
