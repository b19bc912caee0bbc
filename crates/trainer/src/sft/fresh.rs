//! A tokenizer made for the phone's language, and a processor for its screen.

use anyhow::{Context, Result};
use cua_grpo_android::Prompts;
use cua_grpo_android::tasks::Split;
use cua_grpo_model::processor::{ImageProcessorConfig, PixelBudget, train_tokenizer};
use cua_grpo_sim::corpus;
use cua_grpo_train::config::SftConfig;
use std::path::Path;

/// Writes tokenizer, template and processor of a fresh model into `dir`.
pub fn write_processor(config: &SftConfig, prompts: Prompts, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let tasks = crate::world::tasks(config.seed, Split::Train, config)?;
    let texts = corpus(&*tasks, config.phone, prompts, config.max_turns)?;
    train_tokenizer(texts.into_iter(), config.vocab_size, dir)?;
    // The screenshot of the simulated phone is read at half size: an icon is one patch, two rows are one row of tokens.
    let images = ImageProcessorConfig::qwen3_vl(PixelBudget {
        shortest_edge: 1024,
        longest_edge: 96 * 192,
    });
    Ok(images.save(dir)?)
}

/// Copies tokenizer, template and processor of the model in `from`, whose weights are trained further.
pub fn copy_processor(from: &Path, dir: &Path) -> Result<()> {
    cua_grpo_model::processor::copy_processor(from, dir).context("init_from: cannot copy the model's processor")
}
