//! From a configuration to a model: its files, its weights, what turns messages into its tokens.

use crate::model_folder::ModelFolder;
use crate::output;
use crate::plan::turns;
use crate::world::device;
use anyhow::{Context, Result};
use cua_grpo_model::Policy;
use cua_grpo_model::batch::ImageCache;
use cua_grpo_model::generate::GenerationConfig;
use cua_grpo_model::processor::ChatRenderer;
use cua_grpo_train::config::{Environment, TrainConfig};
use cua_grpo_train::plan::Turns;
use cua_grpo_train::{Mendable, TrainError};
use std::path::Path;
use std::sync::Arc;

/// A loaded policy and what turns messages into its tokens.
pub struct Loaded {
    /// The policy, without adapter.
    pub policy: Policy,
    /// Messages to tokens.
    pub renderer: Arc<ChatRenderer>,
}

/// The files of the model that `config` names.
pub fn open(config: &TrainConfig) -> Result<ModelFolder> {
    ModelFolder::open(&config.model_name).with_context(|| format!("model_name `{}`", config.model_name))
}

/// Loads the model in `folder` as `config` says, once `check` has seen its turns; nothing is checked where none are played.
///
/// # Errors
/// When a file is missing or wrong; those of `check`.
pub fn load(
    config: &TrainConfig,
    folder: &ModelFolder,
    check: impl FnOnce(&Turns) -> Result<(), TrainError>,
) -> Result<Loaded> {
    let device = device(config.device)?;
    let what = format!("model_name `{}`", config.model_name);
    // The small files first: what is wrong with them is told before gigabytes are read.
    let renderer = ChatRenderer::load(folder.path())
        .and_then(|renderer| renderer.within(config.pixels()))
        .mendable(&what)?;
    if config.environment == Environment::Phone {
        let turns = turns(config, &renderer)?;
        output::say(format!("turns    {}", turns.line()));
        check(&turns)?;
    }
    warn_of_generation_config(folder.path())?;
    let model = folder.weights(&device, &config.placement()).mendable(&what)?;
    let images = config.batches().episodes() * (config.max_staleness + 1) * config.max_turns;
    let images = ImageCache::new(renderer.images().clone(), images.max(256));
    let mut policy = Policy::new(model, Arc::new(images));
    policy.offload_activations(config.activation_offloading);
    Ok(Loaded {
        policy,
        renderer: Arc::new(renderer),
    })
}

/// Warns of what a checkpoint's `generation_config.json` would change: a run draws tokens as its own keys say.
fn warn_of_generation_config(folder: &Path) -> Result<()> {
    let changes = GenerationConfig::load(folder)?
        .map(|file| file.changes)
        .unwrap_or_default();
    if !changes.is_empty() {
        tracing::warn!(
            "generation_config.json is not applied in training and evaluation, whose keys say how tokens are drawn: {}",
            changes.join(", ")
        );
    }
    Ok(())
}
