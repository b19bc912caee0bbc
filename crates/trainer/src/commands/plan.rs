//! `trainer plan`: parameters and memory before a run.

use crate::cli::PlanArgs;
use crate::output;
use crate::plan::whole_plan;
use cua_grpo_train::TrainError;

/// Prints the plan on standard output, as a table or as JSON.
pub fn plan(arguments: &PlanArgs) -> Result<(), TrainError> {
    if arguments.memory.is_some_and(|gib| !(gib > 0.0 && gib.is_finite())) {
        return Err(TrainError::Usage("--memory: expected a number of GiB above 0".into()));
    }
    let (resolved, keys_from) = arguments.load()?;
    let mut plan = whole_plan(&resolved.config, arguments.memory)?;
    plan.keys_from = keys_from;
    let text = if arguments.json {
        serde_json::to_string(&plan).map_err(anyhow::Error::from)?
    } else {
        plan.to_string().trim_end().to_owned()
    };
    Ok(output::line(&text)?)
}
