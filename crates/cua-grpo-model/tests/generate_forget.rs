//! A conversation whose context was replaced: it goes on as one that began with the new context, in sampling and training.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::sessions::*;
use common::*;
use cua_grpo_core::{Completion, Prompt, Row, Sampler, SamplerSession};
use cua_grpo_model::generate::{Batching, ModelSampler, OnUpdate};
use cua_grpo_model::score::score_rows;

/// Asks the turns of a conversation, and forgets it before those in `anew`.
async fn ask(mut session: Box<dyn SamplerSession>, turns: &[Turn], anew: &[usize]) -> Vec<Completion> {
    let mut replies = Vec::new();
    for (number, turn) in turns.iter().enumerate() {
        if anew.contains(&number) {
            session.forget();
        }
        replies.push(session.sample(&turn.prompt, &turn.params).await.unwrap());
    }
    replies
}

/// A context that was cut back: a picture that stays, a reply in which the policy had drawn the pad of one, and a question.
fn cut_back(set: &str, pad: u32) -> Prompt {
    let mut whole = Prompt::new((40..47).collect());
    whole.push_sampled(&[51, pad, 52, pad]);
    whole.push(&prompt(set, "one_image"));
    whole.push_sampled(&[pad]);
    whole.push(&Prompt::new(vec![60, 61]));
    whole
}

#[tokio::test]
async fn a_conversation_that_was_cut_back_is_one_that_began_there() {
    for set in ["a", "b", "qwen35"] {
        let model = model(set);
        let tolerance = if set == "qwen35" { 2e-4 } else { RATIO };
        let pad = model.config.image_token_id;
        let turn = |prompt, seed| Turn {
            prompt,
            params: sampled(1.0, 6, seed),
        };
        let words = |seed| turn(Prompt::new((50..53).collect()), seed);
        let cut: Vec<Turn> = vec![
            turn(prompt(set, "two_images"), 1),
            words(2),
            turn(cut_back(set, pad), 3),
            words(4),
            turn(cut_back(set, pad), 5),
        ];
        let whole: Vec<Turn> = vec![
            turn(prompt(set, "one_image"), 6),
            words(7),
            words(8),
            words(9),
            words(10),
        ];
        let parts = [0..2, 2..4, 4..5].map(|part| alone(set, &model, &cut[part], &[]));
        let want = [parts.concat(), alone(set, &model, &whole, &[])];
        for (batching, on_update) in [
            (Batching::Lockstep, OnUpdate::Keep),
            (Batching::Eager, OnUpdate::Keep),
            (Batching::Eager, OnUpdate::Refill),
        ] {
            let sampler = ModelSampler::start_with(generator(set, model.clone(), &[]), 7, batching, on_update).unwrap();
            let sessions = [sampler.open(0), sampler.open(1)];
            let [first, second] = sessions;
            let got = tokio::join!(ask(first, &cut, &[2, 4]), ask(second, &whole, &[]));
            for (number, (got, want)) in [got.0, got.1].iter().zip(&want).enumerate() {
                for (turn, (got, want)) in got.iter().zip(want).enumerate() {
                    let what = format!("{set} {batching:?} {on_update:?}, conversation {number}, turn {turn}");
                    assert_eq!(got.tokens, want.tokens, "{what}");
                    close(&got.logprobs, &want.logprobs, tolerance, &what);
                }
            }
        }
        // What was sampled behind the cut has the log-probs that training computes of the row.
        let replies = &want[0][2..4];
        let row: Row = row_of(&cut[2..4], replies);
        assert_eq!(row.trained_tokens(), 12);
        let scores = values(score_rows(&model, &images(set), &[&row], 1.0).unwrap().logprobs);
        let sampled: Vec<f32> = replies.iter().flat_map(|reply| reply.logprobs.clone()).collect();
        close(&sampled, &scores, tolerance, &format!("{set}, sampled and scored"));
    }
}

#[test]
fn what_is_forgotten_is_not_fed_again_to_new_weights() {
    for set in ["a", "qwen35"] {
        let mut generator = generator(set, model(set), &[]);
        generator.open(0);
        let ask = |turn: &Turn| cua_grpo_model::generate::Request {
            session: 0,
            prompt: turn.prompt.clone(),
            params: turn.params.clone(),
        };
        let params = sampled(1.0, 6, 1);
        let first = Turn {
            prompt: prompt(set, "two_images"),
            params: params.clone(),
        };
        generator.generate(&[ask(&first)]).unwrap();
        generator.set_model(model(set), 8);
        generator.refill();
        generator.forget(0);
        let pad = model(set).config.image_token_id;
        let prompt = cut_back(set, pad);
        let anew = Turn { prompt, params };
        let before = generator.prefilled().tokens;
        let got = generator.generate(&[ask(&anew)]).unwrap().remove(0);
        let fed = generator.prefilled().tokens - before;
        assert_eq!(fed, anew.prompt.tokens.len() as u64, "{set}");
        let want = alone(set, &model(set), &[anew], &[]).remove(0);
        assert_eq!(got.tokens, want.tokens, "{set}");
    }
}
