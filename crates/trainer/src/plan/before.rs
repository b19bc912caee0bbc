//! The plan before a run: one line with the need, an error when not even the weights fit.

use super::{is_known, plan_of};
use cua_grpo_train::TrainError;
use cua_grpo_train::config::TrainConfig;
use cua_grpo_train::plan::Need;

/// Plans the run of `config` from sizes alone: no weights are read and nothing is fetched. `None` for a model of the Hub
/// whose sizes are not known by its name.
///
/// # Errors
/// [`TrainError::Usage`] when an adapter target matches nothing, or when the weights alone need more than is free.
pub fn before_run(config: &TrainConfig) -> Result<Option<Need>, TrainError> {
    if !is_known(&config.model_name) {
        return Ok(None);
    }
    plan_of(config, None)?.need(config).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cua_grpo_train::config::{Sources, load};

    #[test]
    fn a_model_that_only_the_hub_knows_is_not_planned() {
        let mut config: TrainConfig = load(&Sources::default()).unwrap();
        config.model_name = "someone/own-model".into();
        assert_eq!(before_run(&config).unwrap(), None);
    }
}
