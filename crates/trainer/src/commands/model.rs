//! What `score` and `generate` share: loading the model that the flags name.

use crate::assemble::ModelFolder;
use crate::cli::ModelArgs;
use crate::config::{DeviceSpec, Dtype};
use crate::error::CliError;
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::lora::load_adapter;
use cua_grpo_model::processor::ChatRenderer;

/// A model that is ready to be used.
pub struct LoadedModel {
    /// Its files.
    pub folder: ModelFolder,
    /// Messages to tokens.
    pub renderer: ChatRenderer,
    /// The weights, with the adapter attached.
    pub model: Qwen3Vl,
}

/// The format that `--dtype` names; the command line admits these two.
pub fn dtype(name: &str) -> Dtype {
    if name == "bf16" {
        Dtype::Bfloat16
    } else {
        Dtype::Float32
    }
}

/// Loads the model and the adapter.
///
/// # Errors
/// [`CliError::Usage`]: what the flags name cannot be used.
pub fn load(arguments: &ModelArgs, dtype: Dtype) -> Result<LoadedModel, CliError> {
    let device: DeviceSpec = arguments
        .device
        .parse()
        .map_err(|error| CliError::Usage(format!("--device: {error}")))?;
    let usage = |flag: &str, error: &dyn std::fmt::Display| CliError::Usage(format!("{flag}: {error}"));
    let device = crate::world::device(device).map_err(|error| usage("--device", &error))?;
    let flag = format!("--model {}", arguments.model);
    let folder = ModelFolder::open(&arguments.model).map_err(|error| usage(&flag, &format!("{error:#}")))?;
    let renderer = ChatRenderer::load(folder.path()).map_err(|error| usage(&flag, &error))?;
    let model = folder.weights(&device, dtype, arguments.load_in_4bit);
    let mut model = model.map_err(|error| usage(&flag, &format!("{error:#}")))?;
    if let Some(adapter) = &arguments.adapter {
        let flag = format!("--adapter {}", adapter.display());
        load_adapter(&mut model, adapter).map_err(|error| usage(&flag, &error))?;
    }
    Ok(LoadedModel {
        folder,
        renderer,
        model,
    })
}

/// Shows warnings on standard error.
pub fn warn(warnings: &[String]) {
    for warning in warnings {
        crate::output::warn(warning);
    }
}
