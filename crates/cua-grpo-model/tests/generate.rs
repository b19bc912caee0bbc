//! The generation engine: cached decoding equals full recomputation, a batch equals its sessions alone, what was sampled
//! has the log-probs that training computes.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::sessions::*;
use common::*;
use cua_grpo_core::{Completion, Row, StopReason};
use cua_grpo_model::generate::Request;
use cua_grpo_model::lora::load_adapter;
use cua_grpo_model::score::score_rows;

#[test]
fn greedy_tokens_equal_those_of_transformers() {
    for set in SETS {
        let golden = Golden::open(set, "generate");
        let mut together = generator(set, model(set), &[]);
        let mut requests = Vec::new();
        for (number, case) in BATCH.iter().enumerate() {
            let request = |session| Request {
                session,
                prompt: prompt(set, case),
                params: greedy(16),
            };
            let mut alone = generator(set, model(set), &[]);
            alone.open(0);
            let got = alone.generate(&[request(0)]).unwrap().remove(0);
            assert_eq!(
                got.tokens,
                golden.ids(&format!("{case}.generated")),
                "{set} {case} alone"
            );
            assert_eq!((got.stop, &got.versions), (StopReason::MaxTokens, &vec![7; 16]));
            let logits = golden.floats(&format!("{case}.step_logits"));
            let vocab = golden.shape(&format!("{case}.step_logits"))[2];
            let want: Vec<f32> = logits
                .chunks_exact(vocab)
                .zip(&got.tokens)
                .map(|(row, &id)| log_prob(row, id))
                .collect();
            close(
                &got.logprobs,
                &want,
                1e-4,
                &format!("{set} {case}: log-probs of the steps"),
            );
            together.open(number as u64);
            requests.push(request(number as u64));
        }
        let got = together.generate(&requests).unwrap();
        for (case, got) in BATCH.iter().zip(got) {
            assert_eq!(
                got.tokens,
                golden.ids(&format!("{case}.generated")),
                "{set} {case} in a batch"
            );
        }
    }
}

fn log_prob(logits: &[f32], token: u32) -> f32 {
    let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
    (f64::from(logits[token as usize]) - total.ln()) as f32
}

#[test]
fn sessions_in_one_batch_equal_sessions_alone() {
    for set in SETS {
        let model = model(set);
        let conversations = conversations(set);
        // Stop tokens end replies early, at different steps: take some that are really drawn.
        let free: Vec<_> = conversations
            .iter()
            .map(|turns| alone(set, &model, turns, &[]))
            .collect();
        let stop = [free[1][0].tokens[2], free[0][1].tokens[4]];
        let want: Vec<_> = conversations
            .iter()
            .map(|turns| alone(set, &model, turns, &stop))
            .collect();
        assert!(
            want.iter().flatten().any(|reply| reply.stop == StopReason::Stop),
            "{set}: nothing stops early"
        );

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
                    Request {
                        session: member as u64,
                        prompt: prompt.clone(),
                        params: params.clone(),
                    }
                })
                .collect();
            for (&member, got) in members.iter().zip(generator.generate(&requests).unwrap()) {
                let turn = turns_done[member];
                same(
                    &got,
                    &want[member][turn],
                    &format!("{set} batch {batch}, conversation {member}, turn {turn}"),
                );
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
        let want: Vec<_> = conversations
            .iter()
            .map(|turns| alone(set, &model, turns, &[]))
            .collect();
        let mut generator = generator(set, model, &[]);
        (0..4).for_each(|session| generator.open(session));
        // One at a time, turn by turn: the others stay open and silent.
        for turn in [0, 1, 2] {
            for member in [2, 0, 3, 1] {
                if let Some(Turn { prompt, params }) = conversations[member].get(turn) {
                    let (prompt, params) = (prompt.clone(), params.clone());
                    let request = Request {
                        session: member as u64,
                        prompt,
                        params,
                    };
                    let got = generator.generate(&[request]).unwrap().remove(0);
                    same(
                        &got,
                        &want[member][turn],
                        &format!("{set} conversation {member}, turn {turn}"),
                    );
                }
            }
        }
    }
}

/// To the last bit.
#[test]
fn sampled_log_probs_are_those_of_the_scorer() {
    for set in SETS {
        let mut adapted = model(set);
        load_adapter(&mut adapted, &folder(set).join("adapter")).unwrap();
        for (name, model) in [("base", model(set)), ("adapted", adapted)] {
            for temperature in [1.0, 0.7] {
                let mut conversations = conversations(set);
                conversations
                    .iter_mut()
                    .flatten()
                    .for_each(|turn| turn.params.temperature = temperature);
                let mut generator = generator(set, model.clone(), &[]);
                let mut replies: Vec<Vec<Completion>> = vec![Vec::new(); 4];
                (0..4).for_each(|session| generator.open(session));
                for turn in 0..3 {
                    let members: Vec<usize> = (0..4).filter(|&member| turn < conversations[member].len()).collect();
                    let ask = |&member: &usize| {
                        let Turn { prompt, params } = &conversations[member][turn];
                        Request {
                            session: member as u64,
                            prompt: prompt.clone(),
                            params: params.clone(),
                        }
                    };
                    let requests: Vec<Request> = members.iter().map(ask).collect();
                    for (&member, reply) in members.iter().zip(generator.generate(&requests).unwrap()) {
                        replies[member].push(reply);
                    }
                }
                let rows: Vec<Row> = conversations
                    .iter()
                    .zip(&replies)
                    .map(|(turns, said)| row_of(turns, said))
                    .collect();
                let scores = score_rows(&model, &images(set), &rows.iter().collect::<Vec<_>>(), temperature).unwrap();
                let longest = scores.logprobs.dims()[1];
                let scores = values(scores.logprobs);
                for (number, said) in replies.iter().enumerate() {
                    let sampled: Vec<f32> = said.iter().flat_map(|reply| reply.logprobs.clone()).collect();
                    let scored = &scores[number * longest..number * longest + sampled.len()];
                    assert_eq!(
                        sampled, scored,
                        "{set} {name}, temperature {temperature}, conversation {number}"
                    );
                }
            }
        }
    }
}
