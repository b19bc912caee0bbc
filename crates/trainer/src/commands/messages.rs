//! What `score` and `generate` share: the conversation that the flags name.

use crate::cli::ModelArgs;
use crate::output;
use cua_grpo_model::processor::{ChatRenderer, Conversation, ConversationError, Encoded};
use cua_grpo_train::TrainError;
use std::path::Path;

/// Reads the file of `--messages`; what was passed over is shown on standard error.
///
/// # Errors
/// [`TrainError::Usage`] that names the place in the file and what to write there.
pub fn read(path: &Path) -> Result<Conversation, TrainError> {
    let conversation = Conversation::read(path).map_err(|error| TrainError::Usage(format!("--messages {error}")))?;
    for warning in conversation.warnings() {
        output::warn(warning);
    }
    Ok(conversation)
}

/// Encodes `conversation` for the model in `folder`, as `options` say.
///
/// # Errors
/// [`TrainError::Usage`] when a picture is missing or broken, or the template does not take the conversation.
pub fn encode(
    conversation: &Conversation,
    folder: &Path,
    renderer: &ChatRenderer,
    options: &ModelArgs,
    add_generation_prompt: bool,
) -> Result<Encoded, TrainError> {
    let literals = options.special_tokens.literals();
    let encoded = conversation.encode(folder, renderer, literals, add_generation_prompt);
    encoded.map_err(|error| {
        let hint = match error {
            ConversationError::Placeholder { .. } => ", --special-tokens escape makes it text",
            _ => "",
        };
        TrainError::Usage(format!("{error}{hint}"))
    })
}
