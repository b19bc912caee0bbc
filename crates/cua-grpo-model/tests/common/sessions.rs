//! Conversations for the generation engine: turns, and the same turns alone.

use super::{Golden, case_images, images};
use cua_grpo_core::{Completion, Prompt, Row, SamplingParams};
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::generate::{Generator, Request};

/// Absolute tolerance of a sampled log-prob against the scorer's: a ratio of 1 within 1e-5.
pub const RATIO: f32 = 1e-5;

/// The most likely token at every step.
pub fn greedy(max_new_tokens: usize) -> SamplingParams {
    SamplingParams::greedy(max_new_tokens)
}

/// Draws from the whole vocabulary.
pub fn sampled(temperature: f32, max_new_tokens: usize, seed: u64) -> SamplingParams {
    SamplingParams::new(max_new_tokens)
        .with_temperature(temperature)
        .with_seed(seed)
}

/// The prompt of a case of `generate.json`, with its pictures.
pub fn prompt(set: &str, case: &str) -> Prompt {
    Prompt::new(Golden::open(set, "generate").ids(&format!("{case}.input_ids"))).with_images(case_images(set, case))
}

/// A generator of version 7 with room for every test.
pub fn generator(set: &str, model: Qwen3Vl, stop: &[u32]) -> Generator {
    Generator::new(model, 7, images(set), stop.to_vec(), 4096)
}

/// One turn of a conversation: what is appended, and how the reply is drawn.
pub struct Turn {
    /// What is appended before the reply.
    pub prompt: Prompt,
    /// How the reply is drawn.
    pub params: SamplingParams,
}

/// Four conversations of one to three turns, of different lengths, with and without pictures.
pub fn conversations(set: &str) -> Vec<Vec<Turn>> {
    let opening = |case: &str, params| {
        let prompt = prompt(set, case);
        Turn { prompt, params }
    };
    // A later turn that shows a picture: the tokens of the one-image prompt, appended as they are.
    let picture = |params| opening("one_image", params);
    let words = |ids: std::ops::Range<u32>, params| {
        let prompt = Prompt::new(ids.collect());
        Turn { prompt, params }
    };
    vec![
        vec![
            opening("text_only", sampled(1.0, 5, 1)),
            picture(sampled(1.0, 9, 2)),
            words(40..47, sampled(1.0, 4, 3)),
        ],
        vec![
            opening("two_images", sampled(0.7, 12, 4)),
            words(50..53, sampled(0.7, 3, 5)),
        ],
        vec![opening("one_image", sampled(1.0, 3, 6))],
        vec![
            opening("text_only", sampled(1.0, 1, 7)),
            picture(sampled(0.7, 6, 8)),
            picture(sampled(1.0, 8, 9)),
        ],
    ]
}

/// The row that training sees.
pub fn row_of(turns: &[Turn], replies: &[Completion]) -> Row {
    let mut row = Row::new(1.0);
    for (turn, reply) in turns.iter().zip(replies) {
        row.push_prompt(&turn.prompt);
        row.push_completion(reply).unwrap();
    }
    row
}

/// The replies of a conversation that has a generator of its own.
pub fn alone(set: &str, model: &Qwen3Vl, turns: &[Turn], stop: &[u32]) -> Vec<Completion> {
    let mut generator = generator(set, model.clone(), stop);
    generator.open(0);
    let ask = |turn: &Turn| Request {
        session: 0,
        prompt: turn.prompt.clone(),
        params: turn.params.clone(),
    };
    turns
        .iter()
        .map(|turn| generator.generate(&[ask(turn)]).unwrap().remove(0))
        .collect()
}

/// Fails when two replies differ by more than rounding.
#[track_caller]
pub fn same(got: &Completion, want: &Completion, what: &str) {
    assert_eq!(got.tokens, want.tokens, "{what}: tokens");
    assert_eq!(got.stop, want.stop, "{what}: stop");
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
    assert_eq!(bits(&got.logprobs), bits(&want.logprobs), "{what}: log-probs");
    assert_eq!(bits(&got.kept_mass), bits(&want.kept_mass), "{what}: kept mass");
}
