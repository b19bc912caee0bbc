//! What `score` and `generate` share: loading the model that the flags name.

use crate::cli::ModelArgs;
use crate::model_folder::ModelFolder;
use crate::output;
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::hub::shown;
use cua_grpo_model::placement::Placement;
use cua_grpo_model::processor::{ChatRenderer, PixelLimits};
use cua_grpo_train::TrainError;
use cua_grpo_train::adapter::Adapter;
use cua_grpo_train::config::{DeviceSpec, TrainConfig, WeightDtype};

/// A model that is ready to be used.
pub struct LoadedModel {
    /// Its files.
    pub folder: ModelFolder,
    /// Messages to tokens.
    pub renderer: ChatRenderer,
    /// The weights, with the adapter attached.
    pub model: Qwen3Vl,
}

/// Loads the model and the adapter. What flags do not say is as in the adapter's run, where it has one.
///
/// # Errors
/// [`TrainError::Usage`]: what the flags name cannot be used.
pub fn load(arguments: &ModelArgs) -> Result<LoadedModel, TrainError> {
    let adapter = arguments.adapter.as_deref().map(Adapter::find).transpose()?;
    let run = adapter.as_ref().map(Adapter::config).transpose()?.flatten();
    let spec: DeviceSpec = match (&arguments.device, &run) {
        (Some(name), _) => name
            .parse()
            .map_err(|error| TrainError::Usage(format!("--device: {error}")))?,
        (None, run) => run.as_ref().map_or(DeviceSpec::Cpu, |run| run.device),
    };
    let dtype = match (arguments.dtype.as_deref(), &run) {
        (Some("bf16"), _) => WeightDtype::Bf16,
        (None, Some(run)) => run.dtype,
        _ => WeightDtype::F32,
    };
    let trained_in_4bit = run.as_ref().is_some_and(|run| run.load_in_4bit);
    let four_bits = arguments.load_in_4bit || (trained_in_4bit && !arguments.no_4bit);
    let name = match (&arguments.model, &adapter) {
        (Some(name), _) => name.clone(),
        (None, Some(adapter)) => adapter.base_of(run.as_ref(), "--model")?,
        (None, None) => return Err(TrainError::Usage("expected a model: name it with --model".into())),
    };
    let usage = |flag: &str, error: &dyn std::fmt::Display| TrainError::Usage(format!("{flag}: {error}"));
    let device = crate::world::device(spec).map_err(|error| usage("--device", &error))?;
    let flag = format!("--model {}", shown(&name));
    let folder = ModelFolder::open(&name).map_err(|error| usage(&flag, &format!("{error:#}")))?;
    let pixels = run.as_ref().map(TrainConfig::pixels).unwrap_or_default();
    let pixels = PixelLimits {
        min_pixels: arguments.min_pixels.or(pixels.min_pixels),
        max_pixels: arguments.max_pixels.or(pixels.max_pixels),
    };
    let renderer = ChatRenderer::load(folder.path())
        .and_then(|renderer| renderer.within(pixels))
        .map_err(|error| usage(&flag, &error))?;
    if let Some(adapter) = &adapter {
        if let Some(note) = adapter.check_folder(&name, folder.path(), "--model")? {
            output::say(format!("note: {note}"));
        }
        if let Some(run) = &run {
            output::say(format!(
                "adapter {}: base {name}, {}{}",
                adapter.describe(),
                dtype.config_name(),
                if four_bits { ", linear maps in 4 bits" } else { "" }
            ));
            if trained_in_4bit && !four_bits {
                output::say("note: --no-4bit in place of the run's load_in_4bit: true");
            } else if !run.load_in_4bit && four_bits {
                output::say("note: --load-in-4bit in place of the run's load_in_4bit: false");
            }
        }
    }
    let placement = Placement {
        device: spec,
        dtype,
        four_bits,
    };
    let model = folder.weights(&device, &placement);
    let mut model = model.map_err(|error| usage(&flag, &format!("{error:#}")))?;
    if let Some(adapter) = &adapter {
        adapter.load_onto(&mut model)?;
    }
    Ok(LoadedModel {
        folder,
        renderer,
        model,
    })
}
