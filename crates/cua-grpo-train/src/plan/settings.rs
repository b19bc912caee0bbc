//! The settings with which a run fits: what is closest to what was asked for.

use super::{Plan, Setting};
use crate::config::TrainConfig;
use crate::error::TrainError;

/// Contexts are advised in multiples of this.
const BLOCK: usize = 256;

impl Plan {
    /// The plan of `config`, which `plan` makes, with the settings that fit.
    ///
    /// # Errors
    /// Those of `plan`.
    pub fn with_settings(
        config: &TrainConfig,
        plan: &dyn Fn(&TrainConfig) -> Result<Self, TrainError>,
    ) -> Result<Self, TrainError> {
        let mut asked = plan(config)?;
        if let Some((now, found)) = fitted(config, plan)? {
            asked.settings = settings(config, &now);
            asked.fitted = Some(Box::new(found));
        }
        Ok(asked)
    }
}

/// The configuration nearest to `config` that fits and in which all turns fit, with its plan; `None` where none does, or where
/// it is not known what is free. In this order: four bits, fewer phones at once, smaller micro-batches, a shorter context; then
/// a longer context or smaller screenshots, so that all turns fit.
///
/// # Errors
/// Those of `plan`.
fn fitted(
    config: &TrainConfig,
    plan: &dyn Fn(&TrainConfig) -> Result<Plan, TrainError>,
) -> Result<Option<(TrainConfig, Plan)>, TrainError> {
    let mut now = config.clone();
    let mut found = plan(&now)?;
    for step in 0..4 {
        let Some(fit) = found.fit else { return Ok(None) };
        if fit.fits {
            break;
        }
        match step {
            0 => now.load_in_4bit = true,
            1 => now.concurrency = now.concurrency.min(fit.max_conversations as usize).max(1),
            2 => {
                now.micro_batch_tokens = now
                    .micro_batch_tokens
                    .min((fit.micro_batch as usize).max(now.context_limit()))
            }
            _ => {
                let most = (fit.context as usize).min(now.context_limit());
                now.max_seq_length = (most / BLOCK * BLOCK).max(now.max_new_tokens + 1);
                now.micro_batch_tokens = now.micro_batch_tokens.min(now.max_seq_length);
            }
        }
        found = plan(&now)?;
    }
    if let Some(turns) = found.turns.filter(super::Turns::too_few) {
        let mut longer = now.clone();
        longer.max_seq_length = turns.needed().next_multiple_of(BLOCK);
        longer.max_context_tokens = None;
        let with = plan(&longer)?;
        if with.fit.is_some_and(|fit| fit.fits) {
            (now, found) = (longer, with);
        } else {
            now.max_pixels = turns.max_pixels(now.context_limit());
            found = plan(&now)?;
        }
    }
    let fits = found.fit.is_some_and(|fit| fit.fits) && !found.turns.is_some_and(|turns| turns.too_few());
    Ok(fits.then_some((now, found)))
}

/// The values of `now` that decide whether it fits, beside those of `asked`.
fn settings(asked: &TrainConfig, now: &TrainConfig) -> Vec<Setting> {
    let pixels = |config: &TrainConfig| config.max_pixels.map_or("null".to_owned(), |pixels| pixels.to_string());
    let of = |config: &TrainConfig| {
        [
            ("model_name", config.model_name.clone()),
            ("device", config.device.to_string()),
            ("dtype", config.dtype.config_name().to_owned()),
            ("load_in_4bit", config.load_in_4bit.to_string()),
            ("max_seq_length", config.max_seq_length.to_string()),
            ("max_pixels", pixels(config)),
            ("max_turns", config.max_turns.to_string()),
            ("max_new_tokens", config.max_new_tokens.to_string()),
            ("concurrency", config.concurrency.to_string()),
            ("micro_batch_tokens", config.micro_batch_tokens.to_string()),
        ]
    };
    let both = of(asked).into_iter().zip(of(now));
    both.map(|((key, before), (_, value))| Setting {
        key,
        instead_of: (before != value).then_some(before),
        value,
    })
    .collect()
}
