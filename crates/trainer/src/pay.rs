//! What episodes are paid for, with a judge where a reward asks one.

use cua_grpo_core::Reward;
use cua_grpo_judge::{Judge, JudgeConfig, Shown};
use cua_grpo_train::{TrainError, config::TrainConfig, reward::reward};
use std::{sync::Arc, time::Duration};

/// The reward of a configuration.
///
/// # Errors
/// [`TrainError::Usage`] when the address of the judge cannot be used.
pub fn pay(config: &TrainConfig) -> Result<Arc<dyn Reward>, TrainError> {
    let (true, Some(url), Some(model)) = (config.is_judged(), &config.judge_base_url, &config.judge_model) else {
        return Ok(reward(config, None));
    };
    let judge = Judge::new(JudgeConfig {
        api_key: config.judge_api_key.clone(),
        timeout: Duration::from_secs_f64(config.judge_timeout),
        shown: Shown {
            screenshots: config.judge_screenshots,
            transcript: config.judge_transcript,
        },
        ..JudgeConfig::new(url, model)
    });
    let judge = judge.map_err(|error| TrainError::Usage(error.to_string()))?;
    Ok(reward(config, Some(Arc::new(judge))))
}
