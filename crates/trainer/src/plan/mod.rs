//! What a run will need before it starts: the plan of a model by its name, and the check before a run.

mod before;
mod find;

pub use before::{Need, before_run};
pub use find::{find_config, is_known};

use cua_grpo_train::TrainError;
use cua_grpo_train::config::TrainConfig;
use cua_grpo_train::plan::Plan;

/// The plan of `config`, against `memory` GiB instead of what the device has when given.
///
/// # Errors
/// [`TrainError::Usage`] when the model is not known or an adapter target matches nothing.
pub fn plan_of(config: &TrainConfig, memory: Option<f64>) -> Result<Plan, TrainError> {
    let (model, sizes_from) = find_config(&config.model_name)?;
    Plan::of(config, &model, sizes_from, memory)
}
