//! The generation engine: cached decoding equals full recomputation, a batch equals its sessions alone, what was sampled
//! has the log-probs that training computes.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::*;
use cua_grpo_core::{Completion, Image, Prompt, Row, SamplingParams, StopReason};
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::generate::{Generator, Request};
use cua_grpo_model::lora::load_adapter;
use cua_grpo_model::score::score_rows;

/// Absolute tolerance of a sampled log-prob against the scorer's: a ratio of 1 within 1e-5.
const RATIO: f32 = 1e-5;

fn greedy(max_new_tokens: usize) -> SamplingParams {
    SamplingParams { temperature: 0.0, top_p: 1.0, top_k: 0, max_new_tokens, seed: 0 }
}

fn sampled(temperature: f32, max_new_tokens: usize, seed: u64) -> SamplingParams {
    SamplingParams { temperature, top_p: 1.0, top_k: 0, max_new_tokens, seed }
}

fn prompt(set: &str, case: &str) -> Prompt {
    Prompt { tokens: Golden::open(set, "generate").ids(&format!("{case}.input_ids")), images: case_images(set, case) }
}

fn generator(set: &str, model: Qwen3Vl, stop: &[u32]) -> Generator {
    Generator::new(model, 7, images(set), stop.to_vec(), 4096)
}

#[test]
fn greedy_tokens_equal_those_of_transformers() {
    for set in SETS {
        let golden = Golden::open(set, "generate");
        let mut together = generator(set, model(set), &[]);
        let mut requests = Vec::new();
        for (number, case) in BATCH.iter().enumerate() {
            let request = |session| Request { session, prompt: prompt(set, case), params: greedy(16) };
            let mut alone = generator(set, model(set), &[]);
            alone.open(0);
            let got = alone.generate(&[request(0)]).unwrap().remove(0);
            assert_eq!(got.tokens, golden.ids(&format!("{case}.generated")), "{set} {case} alone");
            assert_eq!((got.stop, &got.versions), (StopReason::MaxTokens, &vec![7; 16]));
            let logits = golden.floats(&format!("{case}.step_logits"));
            let vocab = golden.shape(&format!("{case}.step_logits"))[2];
            let want: Vec<f32> = logits.chunks_exact(vocab).zip(&got.tokens).map(|(row, &id)| log_prob(row, id)).collect();
            close(&got.logprobs, &want, 1e-4, &format!("{set} {case}: log-probs of the steps"));
            together.open(number as u64);
            requests.push(request(number as u64));
        }
        let got = together.generate(&requests).unwrap();
        for (case, got) in BATCH.iter().zip(got) {
            assert_eq!(got.tokens, golden.ids(&format!("{case}.generated")), "{set} {case} in a batch");
        }
    }
}

fn log_prob(logits: &[f32], token: u32) -> f32 {
    let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
    (f64::from(logits[token as usize]) - total.ln()) as f32
}

/// One turn of a conversation: what is appended, and how the reply is drawn.
struct Turn {
    prompt: Prompt,
    params: SamplingParams,
}

fn turn(set: &str, tokens: Vec<u32>, images: Vec<Image>, params: SamplingParams) -> Turn {
    assert!(!tokens.is_empty(), "{set}: a turn has tokens");
    Turn { prompt: Prompt { tokens, images }, params }
}

/// Four conversations of one to three turns, of different lengths, with and without pictures.
fn conversations(set: &str) -> Vec<Vec<Turn>> {
    let opening = |case: &str, params| {
        let Prompt { tokens, images } = prompt(set, case);
        turn(set, tokens, images, params)
    };
    // A later turn that shows a picture: the tokens of the one-image prompt, appended as they are.
    let picture = |params| opening("one_image", params);
    let words = |ids: std::ops::Range<u32>, params| turn(set, ids.collect(), Vec::new(), params);
    vec![
        vec![opening("text_only", sampled(1.0, 5, 1)), picture(sampled(1.0, 9, 2)), words(40..47, sampled(1.0, 4, 3))],
        vec![opening("two_images", sampled(0.7, 12, 4)), words(50..53, sampled(0.7, 3, 5))],
        vec![opening("one_image", sampled(1.0, 3, 6))],
        vec![opening("text_only", sampled(1.0, 1, 7)), picture(sampled(0.7, 6, 8)), picture(sampled(1.0, 8, 9))],
    ]
}

/// The row that training sees, and the log-probs that were sampled at each temperature.
fn row_of(turns: &[Turn], replies: &[Completion]) -> Row {
    let mut row = Row::default();
    for (turn, reply) in turns.iter().zip(replies) {
        row.push_prompt(&turn.prompt);
        row.push_completion(reply);
    }
    row
}

fn alone(set: &str, model: &Qwen3Vl, turns: &[Turn], stop: &[u32]) -> Vec<Completion> {
    let mut generator = generator(set, model.clone(), stop);
    generator.open(0);
    let ask = |turn: &Turn| Request { session: 0, prompt: turn.prompt.clone(), params: turn.params.clone() };
    turns.iter().map(|turn| generator.generate(&[ask(turn)]).unwrap().remove(0)).collect()
}

fn same(got: &Completion, want: &Completion, what: &str) {
    assert_eq!(got.tokens, want.tokens, "{what}: tokens");
    assert_eq!(got.stop, want.stop, "{what}: stop");
    close(&got.logprobs, &want.logprobs, RATIO, what);
    close(&got.kept_mass, &want.kept_mass, RATIO, what);
}

#[test]
fn sessions_in_one_batch_equal_sessions_alone() {
    for set in SETS {
        let model = model(set);
        let conversations = conversations(set);
        // Stop tokens end replies early, at different steps: take some that are really drawn.
        let free: Vec<_> = conversations.iter().map(|turns| alone(set, &model, turns, &[])).collect();
        let stop = [free[1][0].tokens[2], free[0][1].tokens[4]];
        let want: Vec<_> = conversations.iter().map(|turns| alone(set, &model, turns, &stop)).collect();
        assert!(want.iter().flatten().any(|reply| reply.stop == StopReason::Stop), "{set}: nothing stops early");

        let mut generator = generator(set, model, &stop);
        // Conversation 3 joins at the second batch, when the others have a cache already.
        let mut turns_done = [0usize; 4];
        for (batch, members) in [vec![0, 1, 2], vec![3, 0, 1], vec![0, 3], vec![3]].iter().enumerate() {
            for &member in members.iter().filter(|&&member| turns_done[member] == 0) {
                generator.open(member as u64);
            }
            let requests: Vec<Request> = members
                .iter()
                .map(|&member| {
                    let Turn { prompt, params } = &conversations[member][turns_done[member]];
                    Request { session: member as u64, prompt: prompt.clone(), params: params.clone() }
                })
                .collect();
            for (&member, got) in members.iter().zip(generator.generate(&requests).unwrap()) {
                let turn = turns_done[member];
                same(&got, &want[member][turn], &format!("{set} batch {batch}, conversation {member}, turn {turn}"));
                turns_done[member] += 1;
                if turns_done[member] == conversations[member].len() {
                    generator.close(member as u64);
                }
            }
        }
        assert_eq!(turns_done, [3, 2, 1, 3]);
    }
}

#[test]
fn sessions_that_do_not_ask_keep_their_place() {
    for set in SETS {
        let model = model(set);
        let conversations = conversations(set);
        let want: Vec<_> = conversations.iter().map(|turns| alone(set, &model, turns, &[])).collect();
        let mut generator = generator(set, model, &[]);
        (0..4).for_each(|session| generator.open(session));
        // One at a time, turn by turn: the others stay open and silent.
        for turn in 0..3 {
            for member in [2, 0, 3, 1] {
                if let Some(Turn { prompt, params }) = conversations[member].get(turn) {
                    let (prompt, params) = (prompt.clone(), params.clone());
                    let request = Request { session: member as u64, prompt, params };
                    let got = generator.generate(&[request]).unwrap().remove(0);
                    same(&got, &want[member][turn], &format!("{set} conversation {member}, turn {turn}"));
                }
            }
        }
    }
}

#[test]
fn sampled_log_probs_are_those_of_the_scorer() {
    for set in SETS {
        let mut adapted = model(set);
        load_adapter(&mut adapted, &folder(set).join("adapter")).unwrap();
        for (name, model) in [("base", model(set)), ("adapted", adapted)] {
            for temperature in [1.0, 0.7] {
                let mut conversations = conversations(set);
                conversations.iter_mut().flatten().for_each(|turn| turn.params.temperature = temperature);
                let mut generator = generator(set, model.clone(), &[]);
                let mut replies: Vec<Vec<Completion>> = vec![Vec::new(); 4];
                (0..4).for_each(|session| generator.open(session));
                for turn in 0..3 {
                    let members: Vec<usize> = (0..4).filter(|&member| turn < conversations[member].len()).collect();
                    let ask = |&member: &usize| {
                        let Turn { prompt, params } = &conversations[member][turn];
                        Request { session: member as u64, prompt: prompt.clone(), params: params.clone() }
                    };
                    let requests: Vec<Request> = members.iter().map(ask).collect();
                    for (&member, reply) in members.iter().zip(generator.generate(&requests).unwrap()) {
                        replies[member].push(reply);
                    }
                }
                let rows: Vec<Row> = conversations.iter().zip(&replies).map(|(turns, said)| row_of(turns, said)).collect();
                let scores = score_rows(&model, &images(set), &rows.iter().collect::<Vec<_>>(), temperature).unwrap();
                let longest = scores.logprobs.dims()[1];
                let scores = values(scores.logprobs);
                for (number, said) in replies.iter().enumerate() {
                    let sampled: Vec<f32> = said.iter().flat_map(|reply| reply.logprobs.clone()).collect();
                    let scored = &scores[number * longest..number * longest + sampled.len()];
                    close(&sampled, scored, RATIO, &format!("{set} {name} at {temperature}, conversation {number}"));
                }
            }
        }
    }
}

#[test]
fn a_prompt_that_does_not_fit_changes_nothing() {
    let set = "a";
    let conversations = conversations(set);
    let want = alone(set, &model(set), &conversations[0], &[]);
    let mut generator = generator(set, model(set), &[]);
    generator.open(0);
    for (turn, want) in conversations[0].iter().zip(&want) {
        // A pad token without its picture, and a token beyond the vocabulary.
        for token in [model(set).config.image_token_id, 100_000] {
            let prompt = Prompt { tokens: vec![1, token], images: Vec::new() };
            let error = generator.generate(&[Request { session: 0, prompt, params: greedy(1) }]).unwrap_err().to_string();
            assert!(error.contains("pad token") || error.contains("100000"), "{error}");
        }
        let request = Request { session: 0, prompt: turn.prompt.clone(), params: turn.params.clone() };
        same(&generator.generate(&[request]).unwrap()[0], want, "after a refused prompt");
    }
}

#[test]
fn a_full_context_ends_the_reply() {
    let prompt = prompt("a", "text_only");
    let room = 3;
    let mut generator = Generator::new(model("a"), 0, images("a"), Vec::new(), prompt.tokens.len() + room);
    generator.open(0);
    let request = || Request { session: 0, prompt: prompt.clone(), params: greedy(16) };
    let got = generator.generate(&[request()]).unwrap().remove(0);
    assert_eq!((got.tokens.len(), got.stop), (room, StopReason::ContextFull));
    assert!(generator.generate(&[request()]).is_err());
    generator.close(0);
    assert!(generator.generate(&[request()]).unwrap_err().to_string().contains("session 0, which is closed"));
}
