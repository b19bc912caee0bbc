//! What conversations have in common is computed once, and changes nothing.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::sessions::*;
use common::*;
use cua_grpo_core::{Image, Prompt};
use cua_grpo_model::Qwen3Vl;
use cua_grpo_model::generate::{Generator, Prefilled, Request};
use cua_grpo_model::lora::load_adapter;

/// The same prompt, asked with a seed of its own by each attempt.
fn attempt(set: &str, case: &str, seed: u64) -> Turn {
    // As from another phone: equal bytes at another place.
    let copied = |image: Image| Image::new(image.bytes.to_vec());
    let mut prompt = prompt(set, case);
    prompt.images = prompt.images.into_iter().map(copied).collect();
    Turn {
        prompt,
        params: sampled(1.0, 6, seed),
    }
}

fn request(session: u64, turn: &Turn) -> Request {
    Request {
        session,
        prompt: turn.prompt.clone(),
        params: turn.params.clone(),
    }
}

/// Tokens that were computed of what was appended since `before`.
fn since(generator: &Generator, before: Prefilled) -> [u64; 2] {
    let now = generator.prefilled();
    [now.tokens - before.tokens, now.computed - before.computed]
}

fn adapted(set: &str) -> Qwen3Vl {
    let mut adapted = model(set);
    load_adapter(&mut adapted, &folder(set).join("adapter")).unwrap();
    adapted
}

#[test]
fn attempts_at_one_task_prefill_its_prompt_once() {
    for set in SETS {
        let model = model(set);
        let cases = [
            "one_image",
            "text_only",
            "one_image",
            "two_images",
            "one_image",
            "text_only",
        ];
        let opening: Vec<Turn> = (0..).zip(cases).map(|(seed, case)| attempt(set, case, seed)).collect();
        // Greedy replies are equal, so their second turns are.
        let second = |seed| Turn {
            prompt: Prompt::new((40..47).collect()),
            params: sampled(1.0, 4, seed),
        };
        for greedily in [false, true] {
            let turns: Vec<[Turn; 2]> = (0..)
                .zip(&opening)
                .map(|(seed, turn)| {
                    let params = if greedily { greedy(6) } else { turn.params.clone() };
                    let prompt = turn.prompt.clone();
                    [Turn { prompt, params }, second(seed)]
                })
                .collect();
            let mut generator = generator(set, model.clone(), &[]);
            (0..6).for_each(|session| generator.open(session));
            let ask = |generator: &mut Generator, turn: usize| {
                let requests: Vec<Request> = (0..)
                    .zip(&turns)
                    .map(|(session, turns)| request(session, &turns[turn]))
                    .collect();
                generator.generate(&requests).unwrap()
            };
            let replies = [ask(&mut generator, 0), ask(&mut generator, 1)];
            for (session, turns) in turns.iter().enumerate() {
                let want = alone(set, &model, turns, &[]);
                for (turn, want) in want.iter().enumerate() {
                    let what = format!("{set}, greedy: {greedily}, session {session}, turn {turn}");
                    same(&replies[turn][session], want, &what);
                }
            }
            let length = |case: &str| prompt(set, case).tokens.len() as u64;
            let openings = length("one_image") + length("text_only") + length("two_images");
            let later = if greedily { 3 * 8 } else { 6 * 8 };
            assert_eq!(
                generator.prefilled().computed,
                openings + later,
                "{set}, greedy: {greedily}"
            );
            let all: u64 = cases.iter().map(|case| length(case)).sum();
            assert_eq!(generator.prefilled().tokens, all + 6 * 8);
        }
    }
}

#[test]
fn who_comes_later_takes_over_the_beginning() {
    for set in SETS {
        let model = adapted(set);
        let turns: Vec<Turn> = (0..3).map(|seed| attempt(set, "two_images", seed)).collect();
        let want: Vec<_> = turns
            .iter()
            .map(|turn| alone(set, &model, std::slice::from_ref(turn), &[]).remove(0))
            .collect();
        let mut generator = generator(set, model, &[]);
        (0..3).for_each(|session| generator.open(session));
        // The second comes while the first one draws, the third when both have ended.
        generator.admit(&[request(0, &turns[0])]).unwrap();
        generator.advance().unwrap();
        let before = generator.prefilled();
        generator.admit(&[request(1, &turns[1])]).unwrap();
        let length = turns[0].prompt.tokens.len() as u64;
        assert_eq!(since(&generator, before)[0], length);
        let fed = since(&generator, before)[1];
        // The last token, and on a CPU none but it.
        assert_eq!(fed, 1, "{set}");
        while generator.finished().unwrap().len() < 2 {
            generator.advance().unwrap();
        }
        let replies = [0, 1].map(|session| generator.release(session).unwrap());
        let third = generator.generate(&[request(2, &turns[2])]).unwrap().remove(0);
        assert_eq!(since(&generator, before), [2 * length, 2], "{set}");
        for (number, (got, want)) in replies.iter().chain([&third]).zip(&want).enumerate() {
            same(got, want, &format!("{set}, attempt {number}"));
        }
        // And it goes on as one that was fed all.
        let next = Turn {
            prompt: prompt(set, "one_image"),
            params: sampled(0.7, 5, 9),
        };
        let got = generator.generate(&[request(1, &next)]).unwrap().remove(0);
        let both = [
            Turn {
                prompt: turns[1].prompt.clone(),
                params: turns[1].params.clone(),
            },
            next,
        ];
        same(
            &got,
            &alone(set, &adapted(set), &both, &[])[1],
            &format!("{set}, its second turn"),
        );
    }
}

#[test]
fn only_what_is_equal_is_taken_over() {
    let set = "a";
    let (old, new) = (model(set), adapted(set));
    let first = attempt(set, "two_images", 1);
    let length = first.prompt.tokens.len() as u64;
    let pad = old.config.image_token_id;
    let starts = |skip: usize| {
        let pads = first
            .prompt
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| **token == pad);
        pads.map(|(place, _)| place).nth(skip).unwrap() as u64
    };
    // The second picture from another file: shared up to its first token.
    let mut picture = attempt(set, "two_images", 2);
    let mut file = picture.prompt.images[1].bytes.to_vec();
    file.push(0);
    picture.prompt.images[1] = Image::new(file);
    let grid = images(set).pixels(&picture.prompt.images[0]).unwrap().grid;
    let first_pads = grid.tokens(old.config.vision.spatial_merge_size);
    // Another word behind the pictures, and one before them.
    let mut late = attempt(set, "two_images", 3);
    *late.prompt.tokens.last_mut().unwrap() = 45;
    let mut early = attempt(set, "two_images", 4);
    early.prompt.tokens[2] = 45;
    for (turn, computed) in [(late, 1), (early, length - 2), (picture, length - starts(first_pads))] {
        let mut generator = generator(set, old.clone(), &[]);
        generator.open(0);
        generator.open(1);
        generator.generate(&[request(0, &first)]).unwrap();
        let before = generator.prefilled();
        let got = generator.generate(&[request(1, &turn)]).unwrap().remove(0);
        assert_eq!(since(&generator, before)[1], computed);
        same(&got, &alone(set, &old, &[turn], &[])[0], "what differs is computed");
    }
    // New weights compute all again, also of who has the old ones' cache.
    let mut generator = generator(set, old, &[]);
    generator.open(0);
    generator.open(1);
    generator.generate(&[request(0, &first)]).unwrap();
    generator.set_model(new.clone(), 8);
    let before = generator.prefilled();
    let second = attempt(set, "two_images", 5);
    let got = generator.generate(&[request(1, &second)]).unwrap().remove(0);
    assert_eq!(since(&generator, before)[1], length);
    same(&got, &alone(set, &new, &[second], &[])[0], "after new weights");
}

#[test]
fn a_picture_is_forgotten_when_it_was_not_used_for_longest() {
    let set = "a";
    let cache = cua_grpo_model::batch::ImageCache::new(
        cua_grpo_model::processor::ImageProcessorConfig::load(&folder(set)).unwrap(),
        2,
    );
    let pictures = case_images(set, "two_images");
    let [first, second] = [0, 1].map(|number| cache.pixels(&pictures[number]).unwrap());
    let copied = Image::new(pictures[0].bytes.to_vec());
    assert!(std::sync::Arc::ptr_eq(&first, &cache.pixels(&copied).unwrap()));
    let mut third = pictures[0].bytes.to_vec();
    // What follows the end of a picture is no part of it, but another file.
    third.push(0);
    cache.pixels(&Image::new(third)).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &cache.pixels(&pictures[0]).unwrap()));
    assert!(!std::sync::Arc::ptr_eq(&second, &cache.pixels(&pictures[1]).unwrap()));
}

#[test]
fn pictures_are_kept_within_some_memory() {
    let config = cua_grpo_model::processor::ImageProcessorConfig::load(&folder("a")).unwrap();
    let pictures = case_images("a", "two_images");
    let fresh = || cua_grpo_model::batch::ImageCache::new(config.clone(), 100);
    let sizes = [0, 1].map(|number| 4 * fresh().pixels(&pictures[number]).unwrap().values.len());
    for (bytes, both) in [
        (sizes[0] + sizes[1], true),
        (sizes[0] + sizes[1] - 1, false),
        (0, false),
    ] {
        let cache = fresh().within(bytes);
        let [first, second] = [0, 1].map(|number| cache.pixels(&pictures[number]).unwrap());
        assert!(
            std::sync::Arc::ptr_eq(&second, &cache.pixels(&pictures[1]).unwrap()),
            "{bytes}: the last is kept"
        );
        let kept = std::sync::Arc::ptr_eq(&first, &cache.pixels(&pictures[0]).unwrap());
        assert_eq!(kept, both, "within {bytes} of {sizes:?}");
    }
}

#[test]
fn what_is_shared_is_the_same_to_the_last_digit() {
    for set in SETS {
        let model = adapted(set);
        let cases = ["one_image", "text_only", "one_image", "two_images", "one_image"];
        let opening: Vec<Turn> = (0..).zip(cases).map(|(seed, case)| attempt(set, case, seed)).collect();
        let second = |seed| Turn {
            prompt: Prompt::new((40..47).collect()),
            params: sampled(1.0, 4, seed),
        };
        let played = |mut generator: Generator| {
            (0..5).for_each(|session| generator.open(session));
            let first: Vec<Request> = (0..).zip(&opening).map(|(at, turn)| request(at, turn)).collect();
            let later: Vec<Request> = (0..5).map(|at| request(at, &second(at))).collect();
            let replies = [first, later].map(|requests| generator.generate(&requests).unwrap());
            (
                replies.map(|turn| {
                    turn.into_iter()
                        .map(|reply| (reply.tokens, reply.logprobs))
                        .collect::<Vec<_>>()
                }),
                generator.prefilled(),
            )
        };
        let (together, prefilled) = played(generator(set, model.clone(), &[]));
        assert!(prefilled.computed < prefilled.tokens, "set {set}: something is shared");
        let (apart, prefilled) = played(generator(set, model.clone(), &[]).apart());
        assert_eq!(prefilled.computed, prefilled.tokens, "set {set}: nothing is shared");
        assert_eq!(together, apart, "set {set}");
    }
}
