//! Texts of the simulated phone's tasks: what a tokenizer for its language is made from.

use crate::demonstrator::{DemonstratorError, Skill};
use crate::rehearse::demonstrate;
use cua_grpo_android::action::to_reply;
use cua_grpo_android::{PhoneKind, Prompts};
use cua_grpo_core::TaskSource;
use std::num::NonZeroUsize;

/// Tasks whose words are taken.
const TASKS: u64 = 2000;

/// What a policy reads and writes at `tasks` within `turns`: instructions, prompts, replies of the expert.
///
/// Replies weigh most in the choice of merges, because every one of their tokens is sampled.
///
/// # Errors
/// [`DemonstratorError`] when a task has no expert.
pub fn corpus(
    tasks: &dyn TaskSource,
    phone: PhoneKind,
    prompts: Prompts,
    turns: usize,
) -> Result<Vec<String>, DemonstratorError> {
    let mut texts = vec![format!("system\n{}", prompts.system())];
    texts.extend((1..=turns).map(|turn| format!("user\n{}", prompts.turn(turn, turns, None))));
    let skill = Skill {
        target: prompts.targets,
        ..Skill::default()
    };
    for cursor in 0..TASKS {
        let task = tasks.task(cursor);
        texts.push(format!("user\n{}", prompts.task(&task.instruction, turns)));
        let most = task.max_turns.map_or(turns, NonZeroUsize::get);
        let played = demonstrate(&task, phone, (skill, cursor), most)?;
        let replies = played.actions.iter().map(to_reply);
        texts.extend(replies.map(|reply| format!("assistant\n{reply}")));
    }
    Ok(texts)
}
