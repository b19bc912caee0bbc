//! What an adapter folder tells about itself beside PEFT's files: after which step, and on which base.

use crate::files::{Limit, ops, read_bytes};
use crate::layout::MOST_STEPS;
use anyhow::{Context, Result, ensure};
use cua_grpo_model::checkpoint::deciding_files;
use cua_grpo_model::plain_text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Name of the file in an adapter folder.
pub const PROVENANCE: &str = "provenance.json";

/// The base model of an adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Its name, as `model_name` had it.
    pub name: String,
    /// The folder behind a name that is a path, in full, for whoever stands elsewhere.
    pub path: Option<PathBuf>,
    /// `fingerprint` of its weights.
    pub fingerprint: String,
    /// Digests of the other files that decide what it computes, by name; empty in adapters of older versions.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// Keys by which tools note where a file came from.
const NOTES: &[&str] = &["transformers_version", "_name_or_path", "_commit_hash"];

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Training steps done.
    pub step: usize,
    /// The timeline of the run that wrote it, see [`Identity`](crate::run_dir::Identity); `None` in adapters of older
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The base model.
    pub base: Base,
}

impl Base {
    /// The base `name`, whose files are in `folder`.
    ///
    /// # Errors
    /// When its weights cannot be read.
    pub fn of(name: &str, folder: &Path) -> Result<Self> {
        let given = Path::new(name);
        let path = (name != crate::config::STARTER && given.is_dir()).then(|| given.canonicalize().ok());
        Ok(Self {
            name: name.into(),
            path: path.flatten(),
            fingerprint: cua_grpo_model::checkpoint::fingerprint(folder)?,
            files: digests(folder)?,
        })
    }

    /// The files besides the weights that are others in `other`, by name; none where one of the two knows nothing of them.
    pub fn other_files<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        if self.files.is_empty() || other.files.is_empty() {
            return Vec::new();
        }
        let mut names: Vec<&str> = self
            .files
            .keys()
            .chain(other.files.keys())
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| self.files.get(*name) != other.files.get(*name));
        names
    }

    /// The name to open the base by: its own, or its folder in full where the name leads nowhere from here.
    pub fn found_as(&self) -> String {
        match &self.path {
            Some(path) if !Path::new(&self.name).is_dir() && path.is_dir() => path.display().to_string(),
            _ => self.name.clone(),
        }
    }
}

fn digests(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for name in deciding_files() {
        let path = folder.join(name);
        let bytes = match plain_text::bytes(&path, plain_text::MOST_TEXT) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            bytes => bytes.with_context(|| format!("cannot read {}", path.display()))?,
        };
        found.insert(name.to_owned(), format!("sha256:{:x}", Sha256::digest(meaning(bytes))));
    }
    Ok(found)
}

/// What a file says: of JSON its values, whatever their order and the spaces between them; of other files the bytes.
fn meaning(bytes: Vec<u8>) -> Vec<u8> {
    let json = plain_text::decode(&bytes);
    let json = json.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let Some(mut json) = json else { return bytes };
    if let Some(map) = json.as_object_mut() {
        map.retain(|key, _| !NOTES.contains(&key.as_str()));
    }
    json.sort_all_objects();
    json.to_string().into_bytes()
}

impl Provenance {
    /// Reads the file of an adapter folder; `None` where there is none, as in PEFT's own.
    ///
    /// # Errors
    /// When it is broken.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(PROVENANCE);
        let text = match read_bytes(&path, Limit::SMALL) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let broken = || {
            format!(
                "{} is broken; remove the file to use the adapter without it",
                path.display()
            )
        };
        let read: Self = serde_json::from_slice(&text).with_context(broken)?;
        ensure!(read.step <= MOST_STEPS, "{}: step {} cannot be", broken(), read.step);
        Ok(Some(read))
    }

    /// Writes the file into an adapter folder that is being made.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(PROVENANCE);
        let text = serde_json::to_string_pretty(self)?;
        ops::write(&path, format!("{text}\n").as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Base {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("additional_chat_templates")).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Base {
            name: "base".into(),
            path: None,
            fingerprint: String::new(),
            files: digests(folder.path()).unwrap(),
        }
    }

    #[test]
    fn every_file_that_counts_is_told_by_name_and_spaces_are_not() {
        let whole: Vec<(&str, &str)> = deciding_files()
            .map(|name| (name, r#"{"a": 1, "b": [1, 2]}"#))
            .collect();
        assert_eq!(whole.len(), 11);
        let base = of(&whole);
        for (index, name) in deciding_files().enumerate() {
            let mut other = whole.clone();
            other[index].1 = r#"{"a": 2, "b": [1, 2]}"#;
            assert_eq!(base.other_files(&of(&other)), [name]);
            other.remove(index);
            assert_eq!(base.other_files(&of(&other)), [name], "a file that is lost");
            assert_eq!(of(&other).other_files(&base), [name], "a file that is new");
            other.push((name, "\u{feff}{\"b\":[1,2],\n\"transformers_version\":\"5\", \"a\":1}"));
            assert_eq!(base.other_files(&of(&other)), Vec::<&str>::new());
        }
        let mut other = whole;
        other.push(("README.md", "words"));
        assert_eq!(base.other_files(&of(&other)), Vec::<&str>::new());
        // An adapter of an older version knows its weights alone.
        assert_eq!(base.other_files(&of(&[])), Vec::<&str>::new());
    }
}
