//! The generation engine at its edges: sampled pad tokens, prompts that do not fit, a full context, and the thread around it.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::sessions::*;
use common::*;
use cua_grpo_core::{Completion, FaultKind, Prompt, Sampler, SamplerSession, StopReason};
use cua_grpo_model::Trainable;
use cua_grpo_model::generate::{Batching, Generator, ModelSampler, OnUpdate, Request};
use cua_grpo_model::lora::load_adapter;
use cua_grpo_model::nn::ParamMut;
use cua_grpo_model::score::score_rows;
use std::time::Duration;

#[test]
fn a_sampled_pad_token_stands_for_itself() {
    let set = "a";
    let model = model(set);
    let pads = [model.config.image_token_id, model.config.video_token_id];
    let opening = Turn {
        prompt: prompt(set, "one_image"),
        params: sampled(1000.0, 80, 0),
    };
    // Near-uniform draws: some seed among these draws a pad token before the last step.
    let mut drawn = 0;
    for seed in 0..12 {
        let params = opening.params.clone().with_seed(seed);
        let next = Turn {
            prompt: prompt(set, "two_images"),
            params: sampled(1000.0, 2, seed),
        };
        let turns = [
            Turn {
                prompt: opening.prompt.clone(),
                params,
            },
            next,
        ];
        let replies = alone(set, &model, &turns, &[]);
        let row = row_of(&turns, &replies);
        let count = row
            .tokens()
            .iter()
            .zip(row.trained())
            .filter(|(token, trained)| **trained && pads.contains(token))
            .count();
        if count > 0 {
            drawn += 1;
            let scores = values(score_rows(&model, &images(set), &[&row], 1000.0).unwrap().logprobs);
            let sampled: Vec<f32> = replies.iter().flat_map(|reply| reply.logprobs.clone()).collect();
            assert_eq!(sampled, scores, "seed {seed}");
        }
    }
    assert!(drawn > 0, "no seed draws a pad token: take more seeds");
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
            let prompt = Prompt::new(vec![1, token]);
            let error = generator
                .generate(&[Request {
                    session: 0,
                    prompt,
                    params: greedy(1),
                }])
                .unwrap_err()
                .to_string();
            assert!(error.contains("pad token") || error.contains("100000"), "{error}");
        }
        let request = Request {
            session: 0,
            prompt: turn.prompt.clone(),
            params: turn.params.clone(),
        };
        same(
            &generator.generate(&[request]).unwrap()[0],
            want,
            "after a refused prompt",
        );
    }
}

#[test]
fn a_full_context_ends_the_reply() {
    let prompt = prompt("a", "text_only");
    let room = 3;
    let mut generator = Generator::new(model("a"), 0, images("a"), Vec::new(), prompt.tokens.len() + room);
    generator.open(0);
    let request = || Request {
        session: 0,
        prompt: prompt.clone(),
        params: greedy(16),
    };
    let got = generator.generate(&[request()]).unwrap().remove(0);
    assert_eq!((got.tokens.len(), got.stop), (room, StopReason::ContextFull));
    assert!(generator.generate(&[request()]).is_err());
    generator.close(0);
    assert!(
        generator
            .generate(&[request()])
            .unwrap_err()
            .to_string()
            .contains("session 0, which is closed")
    );
}

/// Asks each conversation's turns through the sampler seam, pausing some milliseconds before each.
async fn ask(mut session: Box<dyn SamplerSession>, turns: Vec<Turn>, pause: u64) -> Vec<Completion> {
    let mut replies = Vec::new();
    for turn in turns {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        replies.push(session.sample(&turn.prompt, &turn.params).await.unwrap());
    }
    replies
}

#[tokio::test]
async fn sessions_of_the_sampler_equal_sessions_alone() {
    let set = "b";
    let model = model(set);
    for batching in [Batching::Lockstep, Batching::Eager] {
        let sampler = ModelSampler::start(generator(set, model.clone(), &[]), 7, batching).unwrap();
        assert_eq!(sampler.version(), 7);
        let sessions: Vec<_> = (0..4).map(|index| sampler.open(index)).collect();
        let tasks: Vec<_> = sessions
            .into_iter()
            .zip(conversations(set))
            .zip([9, 0, 4, 1])
            .map(|((session, turns), pause)| tokio::spawn(ask(session, turns, pause)))
            .collect();
        for (number, (task, turns)) in tasks.into_iter().zip(conversations(set)).enumerate() {
            let (got, want) = (task.await.unwrap(), alone(set, &model, &turns, &[]));
            assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(&want) {
                same(got, want, &format!("{batching:?}, conversation {number}"));
            }
        }
    }
}

#[tokio::test]
async fn a_refused_request_leaves_its_batch_alone() {
    let set = "a";
    let model = model(set);
    let sampler = ModelSampler::start(generator(set, model.clone(), &[]), 7, Batching::Lockstep).unwrap();
    let (good, mut bad) = (sampler.open(0), sampler.open(0));
    let turns = || conversations(set).remove(2);
    let task = tokio::spawn(ask(good, turns(), 0));
    let prompt = Prompt::new(vec![100_000]);
    let fault = bad.sample(&prompt, &greedy(1)).await.unwrap_err();
    assert!(
        fault.kind == FaultKind::Sampler && fault.message.contains("id 100000"),
        "{fault}"
    );
    drop(bad);
    same(
        &task.await.unwrap()[0],
        &alone(set, &model, &turns(), &[])[0],
        "beside a refused request",
    );
    sampler.set_model(model, 8);
    assert_eq!(sampler.version(), 8);
    let reply = ask(sampler.open(0), turns(), 0).await;
    assert_eq!(reply[0].versions, vec![8; reply[0].tokens.len()]);
}

#[tokio::test]
async fn weights_that_are_no_numbers_are_a_fault_that_names_the_token() {
    let set = "a";
    for batching in [Batching::Lockstep, Batching::Eager] {
        let mut broken = model(set);
        broken.visit_trainable_mut(Trainable::Everything, &mut |name, slot| {
            if let (true, ParamMut::Vector(tensor)) = (name.ends_with("language_model.norm.weight"), slot) {
                *tensor = tensor.clone() * f32::NAN;
            }
        });
        let sampler = ModelSampler::start(generator(set, broken, &[]), 7, batching).unwrap();
        for params in [greedy(5), sampled(1.0, 5, 3)] {
            let mut session = sampler.open(0);
            let fault = session.sample(&prompt(set, "text_only"), &params).await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::Sampler);
            for word in ["log-prob", "NaN", "token 1 of 1", "policy version 7"] {
                assert!(fault.message.contains(word), "{word} in {fault}");
            }
        }
        // The thread goes on, with weights that are numbers.
        sampler.set_model(model(set), 8);
        let mut session = sampler.open(0);
        let reply = session.sample(&prompt(set, "text_only"), &greedy(5)).await.unwrap();
        assert_eq!((reply.tokens.len(), reply.flaw()), (5, None));
    }
}

/// The model of a set with its adapter.
fn adapted(set: &str) -> cua_grpo_model::Qwen3Vl {
    let mut adapted = model(set);
    load_adapter(&mut adapted, &folder(set).join("adapter")).unwrap();
    adapted
}

/// What new weights say to all that was said so far: `turns`, of which the last has no reply yet.
fn fresh(set: &str, turns: &[Turn], replies: &[Completion]) -> Completion {
    let mut prompt = Prompt::default();
    let last = turns.len() - 1;
    for (number, turn) in turns.iter().enumerate() {
        prompt.tokens.extend(&turn.prompt.tokens);
        prompt.images.extend(turn.prompt.images.iter().cloned());
        if number < last {
            prompt.tokens.extend(&replies[number].tokens);
        }
    }
    let params = turns[last].params.clone();
    alone(set, &adapted(set), &[Turn { prompt, params }], &[]).remove(0)
}

#[test]
fn a_refilled_conversation_says_what_the_new_weights_say_to_all_of_it() {
    for set in SETS {
        let conversations = conversations(set);
        let mut generator = generator(set, model(set), &[]);
        let ask = |member: usize, turn: usize| {
            let Turn { prompt, params } = &conversations[member][turn];
            Request {
                session: member as u64,
                prompt: prompt.clone(),
                params: params.clone(),
            }
        };
        (0..4).for_each(|session| generator.open(session));
        let first = generator
            .generate(&[ask(0, 0), ask(1, 0), ask(2, 0), ask(3, 0)])
            .unwrap();
        generator.set_model(adapted(set), 8);
        generator.refill();
        // Some ask at once, one of them twice; another one when the others have a cache of the new weights already.
        let second = generator.generate(&[ask(0, 1), ask(1, 1)]).unwrap();
        let third = generator.generate(&[ask(3, 1), ask(0, 2)]).unwrap();
        let said = |member: usize, replies: &[&Completion], got: &Completion| {
            let replies: Vec<Completion> = replies.iter().map(|reply| (*reply).clone()).collect();
            let want = fresh(set, &conversations[member][..=replies.len()], &replies);
            assert_eq!(got.tokens, want.tokens, "{set} {member}");
            close(&got.logprobs, &want.logprobs, 6e-5, &format!("{set} {member}"));
            assert!(got.versions.iter().all(|version| *version == 8), "{set} {member}");
        };
        said(0, &[&first[0]], &second[0]);
        said(1, &[&first[1]], &second[1]);
        said(3, &[&first[3]], &third[0]);
        said(0, &[&first[0], &second[0]], &third[1]);
        // Left as they are, old keys change what is said.
        let mut kept = self::generator(set, model(set), &[]);
        (0..4).for_each(|session| kept.open(session));
        kept.generate(&[ask(0, 0), ask(1, 0)]).unwrap();
        kept.set_model(adapted(set), 8);
        let mixed = kept.generate(&[ask(0, 1), ask(1, 1)]).unwrap();
        let apart = |one: &Completion, other: &Completion| {
            one.tokens != other.tokens || worst(&one.logprobs, &other.logprobs) > 1e-3
        };
        assert!(apart(&mixed[0], &second[0]) && apart(&mixed[1], &second[1]), "{set}");
    }
}

#[tokio::test]
async fn the_thread_refills_what_is_open_when_new_weights_come() {
    let set = "a";
    let turns = &conversations(set)[1];
    let sampler = ModelSampler::start_with(generator(set, model(set), &[]), 7, Batching::Eager, OnUpdate::Refill);
    let sampler = sampler.unwrap();
    let mut session = sampler.open(0);
    let first = session.sample(&turns[0].prompt, &turns[0].params).await.unwrap();
    sampler.set_model(adapted(set), 8);
    let second = session.sample(&turns[1].prompt, &turns[1].params).await.unwrap();
    let want = fresh(set, turns, &[first]);
    assert_eq!((&second.tokens, second.versions[0]), (&want.tokens, 8));
    close(&second.logprobs, &want.logprobs, 6e-5, "after the update");
}
