//! An adapter folded into the weights, as a model folder of its own that appears whole or not at all.

use super::{LoadOptions, SaveOptions, WeightDtype, load_model, save_weights};
use crate::lora::load_adapter;
use crate::plain_text;
use crate::processor::copy_processor;
use burn::tensor::Device;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Why nothing was merged; nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The folder cannot be made.
    #[error("{0}")]
    Out(String),
    /// The base cannot be used.
    #[error("{0}")]
    Base(String),
    /// The adapter cannot be used.
    #[error("{0}")]
    Adapter(String),
    /// A file could not be written.
    #[error("{0}")]
    Write(String),
}

/// What was merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// Modules whose weights changed.
    pub modules: usize,
    /// The format of the merged weights.
    pub dtype: WeightDtype,
}

/// The folder that a merged model is written to.
#[derive(Debug)]
pub struct MergeTarget {
    out: PathBuf,
    /// The folder beside it that is filled first.
    partial: PathBuf,
}

impl MergeTarget {
    /// Checks that `out` can be made: it is new or empty, and the folder above it exists. Nothing is written.
    ///
    /// # Errors
    /// [`MergeError::Out`] that says what to choose.
    pub fn new(out: &Path) -> Result<Self, MergeError> {
        let refuse = |message: String| Err(MergeError::Out(message));
        let Some(name) = out.file_name() else {
            return refuse("expected the name of a folder to make".into());
        };
        if out.exists() {
            let entries = std::fs::read_dir(out);
            let mut entries =
                entries.map_err(|error| MergeError::Out(format!("expected a new or an empty folder: {error}")))?;
            if entries.next().is_some() {
                return refuse("expected a new or an empty folder, found one with files; choose another name".into());
            }
        }
        let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        if !parent.is_dir() {
            return refuse(format!(
                "expected the folder {} to exist; make it first",
                parent.display()
            ));
        }
        let partial = parent.join(format!(".{}.partial", name.to_string_lossy()));
        if partial.exists() {
            return refuse(format!(
                "expected no other merge under way, found {}; remove it if none is",
                partial.display()
            ));
        }
        let out = out.to_owned();
        Ok(Self { out, partial })
    }

    /// Folds the adapter folder `adapter` into the weights of the model folder `base` and writes the result with the
    /// processor and the generation settings of `base`, on the CPU. Weights are in `dtype`, or as `base` stores them.
    ///
    /// # Errors
    /// [`MergeError`] when a file cannot be read or written, or the adapter does not fit or has no tensors.
    pub fn merge(self, base: &Path, adapter: &Path, dtype: Option<WeightDtype>) -> Result<Merged, MergeError> {
        let mut config = read_config(base).map_err(MergeError::Base)?;
        let stored = stored(&config);
        let dtype = dtype.unwrap_or(stored);
        // Weights that are bf16 and stay it are held so: the sum with the update is in f32 and rounded once either way.
        let held = match (stored, dtype) {
            (WeightDtype::Bf16, WeightDtype::Bf16) => WeightDtype::Bf16,
            _ => WeightDtype::F32,
        };
        let model = load_model(base, &LoadOptions::new(held), &Device::flex());
        let mut model = model.map_err(|error| MergeError::Base(error.to_string()))?;
        load_adapter(&mut model, adapter).map_err(|error| MergeError::Adapter(error.to_string()))?;
        let mut modules = 0;
        model.visit_linear(&mut |_, linear| modules += usize::from(linear.lora.is_some()));
        if modules == 0 {
            return Err(MergeError::Adapter(
                "the adapter has no tensors, so there is nothing to merge".into(),
            ));
        }
        model.merge();
        describe(&mut config, dtype, model.config.tie_word_embeddings);
        let written = || -> Result<(), String> {
            let partial = &self.partial;
            std::fs::create_dir(partial).map_err(cannot("create", partial))?;
            let saved = save_weights(&model, partial, &SaveOptions::new(dtype));
            saved.map_err(|error| error.to_string())?;
            let path = partial.join("config.json");
            std::fs::write(&path, format!("{config:#}\n")).map_err(cannot("write", &path))?;
            copy_files(base, partial)?;
            std::fs::rename(partial, &self.out).map_err(cannot("write", &self.out))
        }();
        if let Err(message) = written {
            // The first error is the one to tell; what could not be removed either has a name that says what it is.
            let _ = std::fs::remove_dir_all(&self.partial);
            return Err(MergeError::Write(message));
        }
        Ok(Merged { modules, dtype })
    }
}

fn cannot(operation: &str, path: &Path) -> impl FnOnce(std::io::Error) -> String {
    move |error| format!("cannot {operation} {}: {error}", path.display())
}

fn read_config(dir: &Path) -> Result<Value, String> {
    let path = dir.join("config.json");
    let text = plain_text::read(&path).map_err(cannot("read", &path))?;
    serde_json::from_str(&text).map_err(|error| format!("{} is no JSON: {error}", path.display()))
}

/// The format that `config.json` says the weights have: `dtype`, or `torch_dtype` as it was called. float16 has more
/// digits than bf16, so it counts as f32.
fn stored(config: &Value) -> WeightDtype {
    let places = [config, &config["text_config"]];
    let mut named = places
        .iter()
        .flat_map(|place| ["dtype", "torch_dtype"].map(|key| place[key].as_str()));
    match named.find_map(|name| name) {
        Some("bfloat16") => WeightDtype::Bf16,
        _ => WeightDtype::F32,
    }
}

/// Makes `config` say how the merged weights are stored: their format wherever it is named, no quantisation, and whether
/// the head is the embedding (a head that differs was stored and is kept).
fn describe(config: &mut Value, dtype: WeightDtype, tied: bool) {
    config["tie_word_embeddings"] = tied.into();
    if let Some(flag) = config["text_config"].get_mut("tie_word_embeddings") {
        *flag = tied.into();
    }
    let name = Value::from(dtype.config_name());
    for part in ["", "text_config", "vision_config"] {
        let part = if part.is_empty() {
            Some(&mut *config)
        } else {
            config.get_mut(part)
        };
        let Some(part) = part.and_then(Value::as_object_mut) else {
            continue;
        };
        part.shift_remove("quantization_config");
        for key in ["dtype", "torch_dtype"] {
            if let Some(value) = part.get_mut(key).filter(|value| value.is_string()) {
                *value = name.clone();
            }
        }
    }
    if config["text_config"]["dtype"].is_null() && config["text_config"]["torch_dtype"].is_null() {
        config["text_config"]["dtype"] = name;
    }
}

/// Copies the processor and the generation settings.
fn copy_files(from: &Path, to: &Path) -> Result<(), String> {
    copy_processor(from, to).map_err(|error| error.to_string())?;
    let (source, path) = (from.join("generation_config.json"), to.join("generation_config.json"));
    if source.is_file() {
        // Read and written, not copied, so that a read-only source makes no read-only file.
        let bytes = plain_text::bytes(&source, plain_text::MOST_TEXT).map_err(cannot("read", &source))?;
        std::fs::write(&path, bytes).map_err(cannot("write", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! Merging itself is held against PEFT's weights by the trainer's tests, through its command.

    use super::*;

    #[test]
    fn a_target_is_new_or_empty_and_nothing_is_written_to_check_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("empty")).unwrap();
        std::fs::create_dir(at("full")).unwrap();
        std::fs::write(at("full/file"), "").unwrap();
        std::fs::create_dir(at(".busy.partial")).unwrap();
        for good in ["new", "empty"] {
            MergeTarget::new(&at(good)).unwrap();
        }
        for (bad, words) in [
            ("full", "found one with files"),
            ("full/file", "a new or an empty folder"),
            ("none/below", "make it first"),
            ("busy", "no other merge under way"),
            ("..", "the name of a folder"),
        ] {
            let error = MergeTarget::new(&at(bad)).unwrap_err();
            assert!(matches!(error, MergeError::Out(_)), "{bad}: {error:?}");
            assert!(error.to_string().contains(words), "{bad}: {error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_configuration_says_how_merged_weights_are_stored() {
        let text =
            r#"{"torch_dtype": "float16", "quantization_config": {}, "text_config": {"tie_word_embeddings": true}}"#;
        let mut config: Value = serde_json::from_str(text).unwrap();
        assert_eq!(stored(&config), WeightDtype::F32);
        describe(&mut config, WeightDtype::Bf16, false);
        assert_eq!(
            config.to_string(),
            r#"{"torch_dtype":"bfloat16","text_config":{"tie_word_embeddings":false,"dtype":"bfloat16"},"tie_word_embeddings":false}"#
        );
        assert_eq!(stored(&config), WeightDtype::Bf16);
    }
}
