//! What an adapter folder tells about itself beside PEFT's files: after which step, and on which base.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
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
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Training steps done.
    pub step: usize,
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
        let path = (name != crate::assemble::STARTER && given.is_dir()).then(|| given.canonicalize().ok());
        Ok(Self {
            name: name.into(),
            path: path.flatten(),
            fingerprint: cua_grpo_model::checkpoint::fingerprint(folder)?,
        })
    }

    /// The name to open the base by: its own, or its folder in full where the name leads nowhere from here.
    pub fn found_as(&self) -> String {
        match &self.path {
            Some(path) if !Path::new(&self.name).is_dir() && path.is_dir() => path.display().to_string(),
            _ => self.name.clone(),
        }
    }
}

impl Provenance {
    /// Reads the file of an adapter folder; `None` where there is none, as in PEFT's own.
    ///
    /// # Errors
    /// When it is broken.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(PROVENANCE);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let read = serde_json::from_slice(&text);
        read.with_context(|| {
            format!(
                "{} is broken; remove the file to use the adapter without it",
                path.display()
            )
        })
    }

    /// Writes the file into an adapter folder that is being made.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(PROVENANCE);
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(&path, format!("{text}\n")).with_context(|| format!("cannot write {}", path.display()))
    }
}
