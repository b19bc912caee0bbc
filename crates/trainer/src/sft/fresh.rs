//! A tokenizer made for the phone's language, and a processor for its screen.

use anyhow::{Context, Result};
use cua_grpo_android::Prompts;
use cua_grpo_android::action::to_reply;
use cua_grpo_android::tasks::Split;
use cua_grpo_core::TaskSource;
use cua_grpo_model::processor::{ImageProcessorConfig, PixelBudget, train_tokenizer};
use cua_grpo_sim::{Skill, demonstrate};
use cua_grpo_train::config::SftConfig;
use std::num::NonZeroUsize;
use std::path::Path;

/// Tasks whose words the tokenizer is made from.
const CORPUS_TASKS: u64 = 2000;

/// Writes tokenizer, template and processor of a fresh model into `dir`.
pub fn write_processor(config: &SftConfig, prompts: Prompts, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    train_tokenizer(corpus(config, prompts)?.into_iter(), config.vocab_size, dir)?;
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

/// What the policy reads and writes: instructions, prompts, replies.
///
/// Replies weigh most in the choice of merges, because every one of their tokens is sampled.
fn corpus(config: &SftConfig, prompts: Prompts) -> Result<Vec<String>> {
    let tasks = crate::world::tasks(config.seed, Split::Train, config)?;
    let mut texts = vec![format!("system\n{}", prompts.system())];
    let turns = config.max_turns;
    texts.extend((1..=turns).map(|turn| format!("user\n{}", prompts.turn(turn, turns, None))));
    let skill = Skill {
        target: config.target,
        ..Skill::default()
    };
    for cursor in 0..CORPUS_TASKS {
        let task = tasks.task(cursor);
        texts.push(format!("user\n{}", prompts.task(&task.instruction, turns)));
        let most = task.max_turns.map_or(config.max_turns, NonZeroUsize::get);
        let played = demonstrate(&task, config.phone, (skill, cursor), most)?;
        let replies = played.actions.iter().map(to_reply);
        texts.extend(replies.map(|reply| format!("assistant\n{reply}")));
    }
    Ok(texts)
}
