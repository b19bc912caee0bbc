//! `trainer score`: log-probs of every token of a conversation.

use super::messages;
use super::model::LoadedModel;
use crate::cli::ScoreArgs;
use crate::output;
use cua_grpo_model::processor::Grid;
use cua_grpo_model::score::score_sequence;
use cua_grpo_train::TrainError;
use serde::Serialize;

/// The file that is written.
#[derive(Debug, Serialize)]
struct Scores {
    /// Tokens of the conversation, pads of pictures included.
    input_ids: Vec<u32>,
    /// Natural log-prob of each token given all before it, at temperature 1; the first has none.
    logprobs: Vec<Option<f32>>,
    /// `[time, height, width]`, a position a token each.
    position_ids: [Vec<i64>; 3],
    /// `[time, height, width]` of each picture, in patches.
    image_grid_thw: Vec<[usize; 3]>,
    /// The same of each clip; absent without clips.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    video_grid_thw: Vec<[usize; 3]>,
}

/// Scores the conversation and writes the file; a line with the figures goes to standard error.
pub fn score(arguments: &ScoreArgs) -> Result<(), TrainError> {
    output::check_target("--out", &arguments.out)?;
    let conversation = messages::read(&arguments.messages)?;
    let options = &arguments.model;
    let LoadedModel {
        folder,
        renderer,
        model,
    } = super::model::load(options)?;
    let encoded = messages::encode(&conversation, folder.path(), &renderer, options, false)?;
    let (tokens, context) = (encoded.row.tokens.len(), model.config.text.max_position_embeddings);
    if tokens > context {
        return Err(TrainError::Usage(format!(
            "{}: the conversation has {tokens} tokens, and the model a context of {context} tokens (max_position_embeddings)",
            arguments.messages.display()
        )));
    }
    let start = std::time::Instant::now();
    let scored = score_sequence(&model, &encoded.row).map_err(|error| TrainError::Usage(error.to_string()))?;
    let sum: f64 = scored.logprobs.iter().map(|&value| f64::from(value)).sum();
    let tokens = encoded.row.tokens;
    let grids = |grids: &[Grid]| grids.iter().map(|grid| grid.thw()).collect();
    let scores = Scores {
        logprobs: std::iter::once(None)
            .chain(scored.logprobs.into_iter().map(Some))
            .collect(),
        position_ids: scored.positions,
        image_grid_thw: grids(&encoded.images),
        video_grid_thw: grids(&encoded.videos),
        input_ids: tokens,
    };
    output::write_json(&arguments.out, &scores)?;
    let count = scores.input_ids.len();
    let seconds = start.elapsed().as_secs_f64();
    output::say(format!(
        "{count} tokens, log-prob {sum:.4}, {seconds:.2} s: {}",
        arguments.out.display()
    ));
    Ok(())
}
