//! What the generation engine reports of the tokens it samples, against what scoring finds for the same tokens.

use crate::workload::Workload;
use cua_grpo_core::{Prompt, Row, SamplingParams};
use cua_grpo_kernels as kernels;
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::generate::{Generator, Request};
use cua_grpo_model::score::score_rows;

/// The temperature of the tokens.
pub const TEMPERATURE: f32 = 0.8;

/// Distances of log-probs, in nats.
#[derive(Debug, Clone, Copy)]
pub struct Apart {
    pub mean: f32,
    pub largest: f32,
    /// Tokens compared.
    pub tokens: usize,
}

/// A generator that ends replies at token 3, in a context of 400 tokens.
pub fn generator(model: &Qwen3Vl, what: &Workload) -> Generator {
    Generator::new(model.clone(), 1, what.images.clone(), vec![3], 400)
}

/// What session `session` asks for in turn `turn`; prompts and replies are of different lengths.
pub fn request(what: &Workload, session: u64, turn: usize) -> Request {
    Request {
        session,
        prompt: Prompt::new(what.tokens(30 + 7 * session as usize, session as usize + 10 * turn))
            .with_images(vec![what.image.clone()]),
        params: SamplingParams::new(9 + 4 * session as usize)
            .with_temperature(TEMPERATURE)
            .with_seed(session + 100 * turn as u64),
    }
}

/// Runs turns of conversations of different lengths, each turn with the sessions that it lists, and scores the rows. A
/// session that is not listed again is closed, and after each turn the engine is given its weights anew, as rollouts do.
pub fn turns(model: &Qwen3Vl, what: &Workload, turns: &[&[u64]]) -> Apart {
    let sessions = turns.iter().copied().flatten().max();
    let mut generator = generator(model, what);
    let mut rows = vec![Row::new(TEMPERATURE); sessions.map_or(0, |last| *last as usize + 1)];
    for (turn, &sessions) in turns.iter().enumerate() {
        for &session in sessions {
            if rows[session as usize].is_empty() {
                generator.open(session);
            }
        }
        let requests: Vec<Request> = sessions.iter().map(|&session| request(what, session, turn)).collect();
        let completions = generator.generate(&requests).unwrap();
        for (request, completion) in requests.iter().zip(&completions) {
            let row = &mut rows[request.session as usize];
            row.push_prompt(&request.prompt);
            row.push_completion(completion).unwrap();
        }
        let next = turns.get(turn + 1).copied().unwrap_or_default();
        for &session in sessions.iter().filter(|session| !next.contains(session)) {
            generator.close(session);
        }
        generator.set_model(model.clone(), turn as u64 + 2);
    }
    apart(model, what, &rows)
}

/// Turns of two conversations. The second is cut back between its turns: its context goes on in a row of its own, which
/// repeats a reply as what was sampled.
pub fn cut_back(model: &Qwen3Vl, what: &Workload) -> Apart {
    let mut generator = generator(model, what);
    let mut rows = vec![Row::new(TEMPERATURE); 3];
    (0..2).for_each(|session| generator.open(session));
    let first: Vec<Request> = (0..2).map(|session| request(what, session, 0)).collect();
    let replies = generator.generate(&first).unwrap();
    for (row, (request, reply)) in rows.iter_mut().zip(first.iter().zip(&replies)) {
        row.push_prompt(&request.prompt);
        row.push_completion(reply).unwrap();
    }
    generator.forget(1);
    let mut whole = Prompt::new(what.tokens(12, 40)).with_images(vec![what.image.clone()]);
    whole.push_sampled(&replies[1].tokens);
    whole.push(&request(what, 1, 1).prompt);
    let anew = Request {
        prompt: whole,
        ..request(what, 1, 1)
    };
    let second = [request(what, 0, 1), anew];
    let replies = generator.generate(&second).unwrap();
    for (row, (request, reply)) in [0, 2].into_iter().zip(second.iter().zip(&replies)) {
        rows[row].push_prompt(&request.prompt);
        rows[row].push_completion(reply).unwrap();
    }
    apart(model, what, &rows)
}

/// Scores what was sampled in `rows` again.
pub fn apart(model: &Qwen3Vl, what: &Workload, rows: &[Row]) -> Apart {
    let (mut sum, mut tokens, mut largest) = (0.0, 0, 0.0f32);
    for row in rows {
        let again = kernels::host(score_rows(model, &what.images, &[row], TEMPERATURE).unwrap().logprobs);
        let sampled = row
            .logprobs()
            .iter()
            .zip(row.trained())
            .filter(|(_, trained)| **trained);
        for (a, (b, _)) in again.iter().zip(sampled) {
            assert!((a - b).is_finite(), "a log-prob is no number");
            largest = largest.max((a - b).abs());
            (sum, tokens) = (sum + (a - b).abs(), tokens + 1);
        }
    }
    assert!(tokens > 0, "no token was sampled");
    let mean = sum / tokens as f32;
    Apart { mean, largest, tokens }
}
