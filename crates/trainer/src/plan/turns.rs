//! The turns of a run: its screen, and the text of its prompts in tokens.

use crate::model_folder::ModelFolder;
use crate::world::tasks;
use cua_grpo_android::Prompts;
use cua_grpo_android::tasks::Split;
use cua_grpo_core::{Message, Role, TaskSource};
use cua_grpo_model::processor::{ChatRenderer, ImageProcessorConfig};
use cua_grpo_sim::PhoneSpec;
use cua_grpo_train::TrainError;
use cua_grpo_train::config::{STARTER, TrainConfig};
use cua_grpo_train::plan::{Text, Turns};
use std::path::Path;

/// Instructions of which the longest is counted.
const LOOKED_AT: u64 = 64;

/// The turns of `config` with the tokens that `renderer` makes.
///
/// # Errors
/// [`TrainError::Usage`] when a screen of this size cannot be seen; when tasks or prompts cannot be read.
pub fn turns(config: &TrainConfig, renderer: &ChatRenderer) -> Result<Turns, TrainError> {
    of(config, renderer.images(), Some(renderer))
}

/// The turns of `config` before the model is there: its processor where its folder is known, else that of the released
/// models with an estimate of the text.
///
/// # Errors
/// As [`turns`].
pub fn turns_by_name(config: &TrainConfig) -> Result<Turns, TrainError> {
    let name = &config.model_name;
    if name == STARTER || Path::new(name).is_dir() {
        let folder = ModelFolder::open(name)?;
        // A folder may have sizes alone.
        if let Ok(renderer) = ChatRenderer::load(folder.path()) {
            return turns(config, &renderer);
        }
    }
    of(config, &ImageProcessorConfig::released(), None)
}

fn of(
    config: &TrainConfig,
    images: &ImageProcessorConfig,
    renderer: Option<&ChatRenderer>,
) -> Result<Turns, TrainError> {
    let (width, height) = PhoneSpec::from(config.phone).size();
    let screen = match config.simulated() {
        true => [width as usize, height as usize],
        false => [config.screen_width, config.screen_height],
    };
    let most = config.max_turns;
    let prompts = Prompts {
        style: config.prompt_style,
        targets: config.target,
    };
    // An evaluation may be of held-out templates alone.
    let drawn = tasks(config.seed, Split::Train, config).or_else(|_| tasks(config.seed, Split::Eval, config))?;
    let instructions = (0..LOOKED_AT).map(|cursor| drawn.task(cursor).instruction);
    let instruction = instructions.max_by_key(String::len).unwrap_or_default();
    let task = prompts.task(&instruction, most) + &prompts.turn(1, most, None);
    let first = [
        Message::text(Role::System, prompts.system()),
        Message::text(Role::User, task),
    ];
    let later = [Message::text(Role::User, prompts.turn(most, most, None))];
    let text = match renderer {
        Some(renderer) => Text::counted(renderer, &first, &later).map_err(anyhow::Error::from)?,
        None => Text::estimated(&first, &later),
    };
    Turns::of(config, screen, images, text).map_err(|error| TrainError::Usage(format!("screenshots: {error}")))
}
