//! What a run will need before it starts: the plan of a model by its name, and the check before a run.

mod before;
mod find;
mod turns;

pub use before::before_run;
pub use find::{find_config, is_known};
pub use turns::{turns, turns_by_name};

use cua_grpo_train::TrainError;
use cua_grpo_train::config::{STARTER, TrainConfig};
use cua_grpo_train::plan::Plan;

/// The plan of `config`, against `memory` GiB instead of what the device has when given.
///
/// # Errors
/// [`TrainError::Usage`] when the model is not known or an adapter target matches nothing.
pub fn plan_of(config: &TrainConfig, memory: Option<f64>) -> Result<Plan, TrainError> {
    let (model, sizes_from) = find_config(&config.model_name)?;
    Plan::of(config, &model, sizes_from, memory)
}

/// The same with its turns, and with the settings that fit where something else than the starter is planned.
///
/// # Errors
/// As [`plan_of`], and when screenshots cannot be of the size that is asked for.
pub fn whole_plan(config: &TrainConfig, memory: Option<f64>) -> Result<Plan, TrainError> {
    let plan = |config: &TrainConfig| {
        let mut plan = plan_of(config, memory)?;
        plan.turns = Some(turns_by_name(config)?);
        Ok(plan)
    };
    match config.model_name == STARTER {
        true => plan(config),
        false => Plan::with_settings(config, &plan),
    }
}
