//! `trainer merge`: an adapter folded into the weights, as a model folder of its own.

use crate::cli::MergeArgs;
use crate::model_folder::ModelFolder;
use crate::output;
use cua_grpo_model::checkpoint::{MergeError, MergeTarget, WeightDtype};
use cua_grpo_model::hub::shown;
use cua_grpo_train::TrainError;
use cua_grpo_train::adapter::Adapter;
use cua_grpo_train::run_dir::check_output;

/// Writes the merged model; a line with the figures goes to standard error.
///
/// # Errors
/// [`TrainError::Usage`] when the output folder is not empty, or model or adapter cannot be used; nothing is left behind.
pub fn merge(arguments: &MergeArgs) -> Result<(), TrainError> {
    let usage = |flag: String, error: &dyn std::fmt::Display| TrainError::Usage(format!("{flag}: {error}"));
    let out = &arguments.out;
    check_output(out, "--out")?;
    let target = MergeTarget::new(out).map_err(|error| usage(format!("--out {}", out.display()), &error))?;
    let found = Adapter::find(&arguments.adapter)?;
    let run = found.config()?;
    let name = match &arguments.model {
        Some(name) => name.clone(),
        None => found.base_of(run.as_ref(), "--model")?,
    };
    let flag = || format!("--model {}", shown(&name));
    let folder = ModelFolder::open(&name).map_err(|error| usage(flag(), &format!("{error:#}")))?;
    if let Some(note) = found.check_folder(&name, folder.path(), "--model")? {
        output::say(format!("note: {note}"));
    }
    if run.is_some_and(|run| run.load_in_4bit) {
        output::say(
            "note: the run trained on this base in 4 bits; merged into the weights as they are, the policy differs by \
             their rounding",
        );
    }
    let dtype = arguments.dtype.as_deref().map(|name| match name {
        "bf16" => WeightDtype::Bf16,
        _ => WeightDtype::F32,
    });
    let merged = target.merge(folder.path(), &found.folder, dtype);
    let merged = merged.map_err(|error| match error {
        MergeError::Out(_) => usage(format!("--out {}", out.display()), &error),
        MergeError::Base(_) => usage(flag(), &error),
        MergeError::Adapter(_) => usage(format!("--adapter {}", arguments.adapter.display()), &error),
        MergeError::Write(_) => TrainError::Failed(error.into()),
    })?;
    if let Err(error) = found.unchanged() {
        cua_grpo_train::files::discard(out)?;
        return Err(error);
    }
    output::say(format!(
        "merged {} modules in {}: {}; use it with --model-name {}",
        merged.modules,
        merged.dtype.config_name(),
        out.display(),
        crate::hint::argument(out)
    ));
    Ok(())
}
