//! Sampling from a model whose layers keep states: cached decoding equals the whole, conversations in one cache equal
//! conversations alone, and states go on over turns.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::sessions::{Turn, alone, conversations, generator, greedy, prompt, row_of, sampled};
use common::*;
use cua_grpo_core::{Completion, Prompt, Row};
use cua_grpo_model::generate::{Generator, Request};
use cua_grpo_model::score::score_rows;

const SET: &str = "qwen35";
/// Between a conversation alone and among others: weights of the fixture make rounding large.
const ALONE: f32 = 2e-4;

/// Fails when two replies differ by more than rounding.
#[track_caller]
fn same(got: &Completion, want: &Completion, what: &str) {
    assert_eq!((&got.tokens, got.stop), (&want.tokens, want.stop), "{what}");
    assert_eq!(
        (&got.logprobs, &got.kept_mass),
        (&want.logprobs, &want.kept_mass),
        "{what}"
    );
}

fn request(session: u64, turn: &Turn) -> Request {
    Request {
        session,
        prompt: turn.prompt.clone(),
        params: turn.params.clone(),
    }
}

#[test]
fn greedy_tokens_equal_those_of_transformers() {
    let golden = Golden::open(SET, "generate");
    let mut together = generator(SET, model(SET), &[]);
    let mut requests = Vec::new();
    for (session, case) in (0..).zip(BATCH) {
        let turn = Turn {
            prompt: prompt(SET, case),
            params: greedy(16),
        };
        let want = golden.ids(&format!("{case}.generated"));
        let got = alone(SET, &model(SET), std::slice::from_ref(&turn), &[]).remove(0);
        assert_eq!(got.tokens, want, "{case} alone");
        together.open(session);
        requests.push((case, request(session, &turn), want));
    }
    let asked: Vec<Request> = requests.iter().map(|(_, request, _)| request.clone()).collect();
    for ((case, _, want), got) in requests.iter().zip(together.generate(&asked).unwrap()) {
        assert_eq!(got.tokens, *want, "{case} in a batch");
    }
}

/// Each conversation is admitted when another is under way, and leaves before it.
#[test]
fn conversations_that_come_and_go_equal_conversations_alone() {
    let model = model(SET);
    let conversations = conversations(SET);
    let want: Vec<Vec<Completion>> = conversations
        .iter()
        .map(|turns| alone(SET, &model, turns, &[]))
        .collect();
    let mut generator = generator(SET, model.clone(), &[]);
    let mut done = vec![0; conversations.len()];
    let mut waiting: Vec<usize> = (0..conversations.len()).collect();
    let mut running: Vec<usize> = Vec::new();
    (0..conversations.len() as u64).for_each(|session| generator.open(session));
    let mut steps = 0;
    while !waiting.is_empty() || !running.is_empty() {
        if steps % 2 == 0
            && let Some(next) = (!waiting.is_empty()).then(|| waiting.remove(0))
        {
            generator
                .admit(&[request(next as u64, &conversations[next][done[next]])])
                .unwrap();
            running.push(next);
        }
        generator.advance().unwrap();
        for session in generator.finished().unwrap() {
            let (got, number) = (generator.release(session).unwrap(), session as usize);
            same(
                &got,
                &want[number][done[number]],
                &format!("conversation {number}, turn {}", done[number]),
            );
            done[number] += 1;
            running.retain(|running| *running != number);
            if done[number] < conversations[number].len() {
                waiting.push(number);
            } else {
                generator.close(session);
            }
        }
        steps += 1;
    }
}

#[test]
fn what_was_sampled_has_the_log_probs_that_training_computes() {
    let model = model(SET);
    for turns in conversations(SET) {
        let replies = alone(SET, &model, &turns, &[]);
        let row: Row = row_of(&turns, &replies);
        let scores = score_rows(&model, &images(SET), &[&row], turns[0].params.temperature).unwrap();
        if turns
            .iter()
            .any(|turn| turn.params.temperature != turns[0].params.temperature)
        {
            continue; // A row has one temperature.
        }
        let sampled: Vec<f32> = replies.iter().flat_map(|reply| reply.logprobs.clone()).collect();
        close(&sampled, &values(scores.logprobs), ALONE, "sampled and scored");
    }
}

#[test]
fn a_group_is_prefilled_once_and_a_state_is_never_taken_back() {
    let model = model(SET);
    let turn = |seed| Turn {
        prompt: prompt(SET, "one_image"),
        params: sampled(1.0, 6, seed),
    };
    let turns: Vec<Turn> = (0..4).map(turn).collect();
    let want: Vec<Completion> = turns
        .iter()
        .map(|turn| alone(SET, &model, std::slice::from_ref(turn), &[]).remove(0))
        .collect();
    let mut generator = generator(SET, model.clone(), &[]);
    (0..4).for_each(|session| generator.open(session));
    let asked: Vec<Request> = (0..)
        .zip(&turns)
        .map(|(session, turn)| request(session, turn))
        .collect();
    let length = turns[0].prompt.tokens.len() as u64;
    for (number, got) in generator.generate(&asked).unwrap().iter().enumerate() {
        same(got, &want[number], &format!("attempt {number}"));
    }
    assert_eq!(
        generator.prefilled().computed,
        length,
        "one of four equal prompts is computed"
    );
    // One that begins like the others, whose states are beyond that: all of it is computed.
    generator.open(4);
    let got = generator.generate(&[request(4, &turns[1])]).unwrap().remove(0);
    same(&got, &want[1], "a late attempt");
    assert_eq!(generator.prefilled().computed, 2 * length);
    // One that goes on where another stands: the fed tokens of attempt 0 are all but its last.
    let said = [&turns[0].prompt.tokens[..], &want[0].tokens[..5], &[40, 41, 42]].concat();
    let longer = Turn {
        prompt: Prompt::new(said).with_images(turns[0].prompt.images.clone()),
        params: sampled(1.0, 6, 9),
    };
    let expected = alone(SET, &model, std::slice::from_ref(&longer), &[]).remove(0);
    generator.open(5);
    let got = generator.generate(&[request(5, &longer)]).unwrap().remove(0);
    same(&got, &expected, "a continuation");
    assert_eq!(
        generator.prefilled().computed,
        2 * length + 3,
        "what another one has is taken over"
    );
}

#[test]
fn a_conversation_is_fed_again_after_an_update() {
    let model = model(SET);
    let turns = &conversations(SET)[0];
    let want = alone(SET, &model, turns, &[]);
    let mut generator: Generator = generator(SET, model.clone(), &[]);
    generator.open(0);
    for (turn, want) in turns.iter().zip(&want) {
        let got = generator.generate(&[request(0, turn)]).unwrap().remove(0);
        same(&got, want, "refilled");
        generator.set_model(model.clone(), 7);
        generator.refill();
    }
}
