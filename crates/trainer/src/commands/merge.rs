//! `trainer merge`: an adapter folded into the weights, as a model folder of its own.

use crate::adapter::Adapter;
use crate::assemble::ModelFolder;
use crate::cli::MergeArgs;
use crate::error::CliError;
use crate::output;
use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use cua_grpo_model::checkpoint::{LoadOptions, SaveOptions, WeightDtype, load_model, save_weights};
use cua_grpo_model::lora::load_adapter;
use cua_grpo_model::processor::copy_processor;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Writes the merged model; a line with the figures goes to standard error.
///
/// # Errors
/// [`CliError::Usage`] when the output folder is not empty, or model or adapter cannot be used; nothing is left behind.
pub fn merge(arguments: &MergeArgs) -> Result<(), CliError> {
    let usage = |flag: String, error: &dyn std::fmt::Display| CliError::Usage(format!("{flag}: {error}"));
    let out = &arguments.out;
    let partial = target(out).map_err(|error| usage(format!("--out {}", out.display()), &format!("{error:#}")))?;
    let found = Adapter::find(&arguments.adapter)?;
    let name = match &arguments.model {
        Some(name) => name.clone(),
        None => found.require_base("--model")?,
    };
    let flag = || format!("--model {name}");
    let folder = ModelFolder::open(&name).map_err(|error| usage(flag(), &format!("{error:#}")))?;
    found.check_folder(&name, &folder, "--model")?;
    if found.config()?.is_some_and(|run| run.load_in_4bit) {
        output::say(
            "note: the run trained on this base in 4 bits; merged into the weights as they are, the policy differs by \
             their rounding",
        );
    }
    let mut config = read_config(folder.path()).map_err(|error| usage(flag(), &format!("{error:#}")))?;
    let stored = stored(&config);
    let wanted = match arguments.dtype.as_deref() {
        Some("bf16") => WeightDtype::Bf16,
        Some(_) => WeightDtype::F32,
        None => stored,
    };
    // Weights that are bf16 and stay it are held so: the sum with the update is in f32 and rounded once either way.
    let held = match (stored, wanted) {
        (WeightDtype::Bf16, WeightDtype::Bf16) => WeightDtype::Bf16,
        _ => WeightDtype::F32,
    };
    let model = load_model(folder.path(), &LoadOptions::new(held), &Device::flex());
    let mut model = model.map_err(|error| usage(flag(), &error))?;
    let adapter = format!("--adapter {}", arguments.adapter.display());
    load_adapter(&mut model, &found.folder).map_err(|error| usage(adapter.clone(), &error))?;
    let mut modules = 0;
    model.visit_linear(&mut |_, linear| modules += usize::from(linear.lora.is_some()));
    if modules == 0 {
        return Err(usage(
            adapter,
            &"the adapter has no tensors, so there is nothing to merge",
        ));
    }
    model.merge();
    let written = || -> Result<()> {
        std::fs::create_dir(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
        save_weights(&mut model, &partial, &SaveOptions::new(wanted))?;
        describe(&mut config, wanted, model.config.tie_word_embeddings);
        let path = partial.join("config.json");
        std::fs::write(&path, format!("{config:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
        copy_files(folder.path(), &partial)?;
        std::fs::rename(&partial, out).with_context(|| format!("cannot write {}", out.display()))
    }();
    if let Err(error) = written {
        // The first error is the one to tell; what could not be removed either has a name that says what it is.
        let _ = std::fs::remove_dir_all(&partial);
        return Err(error.into());
    }
    output::say(format!(
        "merged {modules} modules in {}: {}; use it with --model-name {}",
        wanted.config_name(),
        out.display(),
        crate::hint::argument(out)
    ));
    Ok(())
}

/// Checks that `out` can be made and returns the folder beside it that is filled first.
fn target(out: &Path) -> Result<PathBuf> {
    let name = out.file_name().context("expected the name of a folder to make")?;
    if out.exists() {
        let mut entries = std::fs::read_dir(out).context("expected a new or an empty folder")?;
        if entries.next().is_some() {
            bail!("expected a new or an empty folder, found one with files; choose another name");
        }
    }
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    if !parent.is_dir() {
        bail!("expected the folder {} to exist; make it first", parent.display());
    }
    let partial = parent.join(format!(".{}.partial", name.to_string_lossy()));
    if partial.exists() {
        bail!(
            "expected no other merge under way, found {}; remove it if none is",
            partial.display()
        );
    }
    Ok(partial)
}

fn read_config(dir: &Path) -> Result<Value> {
    let path = dir.join("config.json");
    let text = cua_grpo_model::plain_text::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
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
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    copy_processor(from, to)?;
    let (source, path) = (from.join("generation_config.json"), to.join("generation_config.json"));
    if source.is_file() {
        // Read and written, not copied, so that a read-only source makes no read-only file.
        let bytes = std::fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
