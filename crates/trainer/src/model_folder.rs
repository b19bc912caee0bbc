//! The files of a model: the starter's, a folder's, or those of a name on the Hub.

use crate::hub;
use anyhow::{Context, Result};
use burn::tensor::Device;
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::placement::Placement;
use cua_grpo_train::config::STARTER;
use std::path::{Path, PathBuf};

/// Files of the starter model, so that the quickstart works from any folder.
const STARTER_FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../starter/config.json")),
    ("model.safetensors", include_bytes!("../starter/model.safetensors")),
    ("tokenizer.json", include_bytes!("../starter/tokenizer.json")),
    (
        "tokenizer_config.json",
        include_bytes!("../starter/tokenizer_config.json"),
    ),
    ("chat_template.jinja", include_bytes!("../starter/chat_template.jinja")),
    (
        "preprocessor_config.json",
        include_bytes!("../starter/preprocessor_config.json"),
    ),
];

/// The files of a model.
#[derive(Debug)]
pub struct ModelFolder {
    path: PathBuf,
    /// Where the starter model was unpacked; removed when this is dropped.
    _unpacked: Option<tempfile::TempDir>,
}

impl ModelFolder {
    /// The folder of the model `name`: [`STARTER`], a folder in the Hugging Face layout, or a name on the Hub, whose files
    /// are fetched where the cache lacks them.
    ///
    /// # Errors
    /// When there is no such folder and no such model; as [`hub::resolve`].
    pub fn open(name: &str) -> Result<Self> {
        if name == STARTER {
            // Unpacked beside nothing of the user's.
            let what = "cannot unpack the starter model; TMPDIR names the folder for it, which needs 3 MB";
            let folder = tempfile::tempdir().context(what)?;
            for (name, bytes) in STARTER_FILES {
                std::fs::write(folder.path().join(name), bytes).context(what)?;
            }
            return Ok(Self {
                path: folder.path().to_owned(),
                _unpacked: Some(folder),
            });
        }
        let path = hub::resolve(name)?;
        Ok(Self { path, _unpacked: None })
    }

    /// Where the files are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model on `device`, without adapter, laid out as `placement` says.
    ///
    /// # Errors
    /// When a file is missing or wrong.
    pub fn weights(&self, device: &Device, placement: &Placement) -> Result<Qwen3Vl> {
        Ok(placement.load(&self.path, device)?)
    }
}
