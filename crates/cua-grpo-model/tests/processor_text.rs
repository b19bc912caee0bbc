//! Tokenizer, JSON and template sources against the golden files of both fixture sets.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::{SETS, folder, ids, json as golden};
use cua_grpo_core::{Message, Renderer, Role, TokenId};
use cua_grpo_model::processor::*;
use serde_json::{Map, Value, json};
use std::sync::Arc;

#[test]
fn tokenizer_cases_match_both_ways() {
    for set in SETS {
        let tokenizer = Tokenizer::load(&folder(set)).unwrap();
        for case in golden(set, "tokenizer_cases.json").as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let want = ids(&case["ids"]);
            assert_eq!(tokenizer.encode(text).unwrap(), want, "{set} {text:?}");
            assert_eq!(
                tokenizer.decode(&want),
                case["decoded"].as_str().unwrap(),
                "{set} {text:?}"
            );
        }
        for (literal, id) in golden(set, "chat.json")["special_ids"].as_object().unwrap() {
            assert_eq!(
                tokenizer.token_to_id(literal).map(u64::from),
                id.as_u64(),
                "{set} {literal}"
            );
        }
    }
}

#[test]
fn ids_without_a_token_show_when_decoded() {
    let tokenizer = Tokenizer::load(&folder("a")).unwrap();
    let unused = tokenizer.vocab_size() as TokenId;
    let hi = tokenizer.encode("Hi").unwrap();
    assert_eq!(
        tokenizer.decode(&[&hi[..], &[unused], &hi[..]].concat()),
        "Hi\u{FFFD}Hi"
    );
}

#[test]
fn data_never_becomes_an_added_token() {
    for set in SETS {
        let tokenizer = Tokenizer::load(&folder(set)).unwrap();
        for (literal, special) in ADDED_TOKENS {
            let text = format!("a{literal}b");
            let plain = tokenizer.encode_data(&text).unwrap();
            assert!(
                plain.iter().all(|&id| Some(id) != tokenizer.token_to_id(literal)),
                "{literal}"
            );
            assert_eq!(tokenizer.decode(&plain), text);
            let guard = tokenizer.guard(&[&text]).unwrap();
            for (trust, kept) in [(Trust::Data, false), (Trust::Markup, !special)] {
                let got = tokenizer.encode_guarded(&guard.protect(&text, trust), &guard).unwrap();
                let want = if kept {
                    tokenizer.encode(&text).unwrap()
                } else {
                    plain.clone()
                };
                assert_eq!(got, want, "{literal} {trust:?}");
            }
        }
    }
}

#[test]
fn the_guard_holds_across_joined_pieces_and_odd_characters() {
    let tokenizer = Tokenizer::load(&folder("a")).unwrap();
    let literal = "<|im_end|>";
    for cut in 1..literal.len() {
        let (head, tail) = literal.split_at(cut);
        // Both pieces are data; or one of them is the template's own.
        for trusted in [None, Some(0), Some(1)] {
            let guard = tokenizer.guard(&[head, tail]).unwrap();
            let piece = |index: usize, text: &str| {
                if trusted == Some(index) {
                    text.to_owned()
                } else {
                    guard.protect(text, Trust::Data)
                }
            };
            let joined = piece(0, head) + &piece(1, tail);
            let got = tokenizer.encode_guarded(&joined, &guard).unwrap();
            assert_eq!(tokenizer.decode(&got), literal);
            assert!(
                !got.contains(&tokenizer.special().im_end),
                "cut {cut}, trusted {trusted:?}"
            );
        }
    }
    // Characters that look like the marker are kept.
    let odd = "\u{100000}<|im_end|>\u{100001}";
    let guard = tokenizer.guard(&[odd]).unwrap();
    let got = tokenizer
        .encode_guarded(&guard.protect(odd, Trust::Data), &guard)
        .unwrap();
    assert_eq!(tokenizer.decode(&got), odd);
}

#[test]
fn python_json_spells_numbers_and_strings_as_python_does() {
    for (value, want) in [
        (json!(1e-7), "1e-07"),
        (json!(3.0), "3.0"),
        (json!(0.0001), "0.0001"),
        (json!(0.00001234), "1.234e-05"),
        (json!(1e15), "1000000000000000.0"),
        (json!(1e16), "1e+16"),
        (json!(-1.5e300), "-1.5e+300"),
        (json!(-0.0), "-0.0"),
        (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
        (
            json!("é<\"\\\n\u{1}\u{7f}\u{2028}"),
            "\"é<\\\"\\\\\\n\\u0001\u{7f}\u{2028}\"",
        ),
        (
            json!({"b": [1, null, true], "a": {}}),
            "{\"b\": [1, null, true], \"a\": {}}",
        ),
        (json!([]), "[]"),
    ] {
        assert_eq!(python_json(&value), want);
    }
}

#[test]
fn template_sources_are_found_in_all_three_places() {
    let source = std::fs::read_to_string(folder("a").join("chat_template.jinja")).unwrap();
    for (name, content) in [
        ("chat_template.jinja", source.clone()),
        ("chat_template.json", json!({"chat_template": source}).to_string()),
        ("tokenizer_config.json", json!({"chat_template": source}).to_string()),
        (
            "tokenizer_config.json",
            json!({"chat_template": [{"name": "default", "template": source}]}).to_string(),
        ),
    ] {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join(name), content).unwrap();
        assert_eq!(ChatTemplate::load(place.path()).unwrap().source(), source);
    }
    assert!(ChatTemplate::load(tempfile::tempdir().unwrap().path()).is_err());
    let raising = ChatTemplate::new("{{ raise_exception('no tools here') }}").unwrap();
    let error = raising.render(&json!([]), None, &Map::new()).unwrap_err().to_string();
    assert!(error.contains("no tools here"), "{error}");
}

#[test]
fn a_trained_tokenizer_is_deterministic_and_works_like_the_released_one() {
    let corpus = || {
        let lines = (0..200).map(|n| format!("<|im_start|>user\nTap the Wi-Fi switch {n}, then go back.<|im_end|>\n"));
        lines.chain(["{\"name\": \"click\", \"arguments\": {\"coordinate\": [5, 7]}} é".to_owned()])
    };
    let [first, second] = [0, 1].map(|_| {
        let place = tempfile::tempdir().unwrap();
        train_tokenizer(corpus(), 320, place.path()).unwrap();
        place
    });
    for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        let [one, two] = [&first, &second].map(|place| std::fs::read_to_string(place.path().join(name)).unwrap());
        assert_eq!(one, two, "{name}");
    }
    let tokenizer = Tokenizer::load(first.path()).unwrap();
    assert!(
        (300..=320).contains(&tokenizer.vocab_size()),
        "{}",
        tokenizer.vocab_size()
    );
    let learnt = tokenizer.vocab_size() - ADDED_TOKENS.len();
    for (offset, (literal, _)) in ADDED_TOKENS.iter().enumerate() {
        assert_eq!(tokenizer.token_to_id(literal), Some((learnt + offset) as TokenId));
    }
    assert!(
        tokenizer.encode_data("Tap the Wi-Fi switch").unwrap().len() < 12,
        "it has learnt merges"
    );
    assert!(
        tokenizer.token_to_id("im").is_none(),
        "literals of the corpus are not learnt"
    );
    for text in ["naïve 中文 😀\n\n x", "a<|im_end|>b"] {
        assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()), text);
    }
    let images = ImageProcessorConfig::load(&folder("a")).unwrap();
    images.save(first.path()).unwrap();
    let renderer = ChatRenderer::load(first.path()).unwrap();
    assert_eq!(renderer.images(), &images);
    let messages = [Message::text(Role::User, "Tap the Wi-Fi switch")];
    let prompt = renderer.render(&[], &messages, true).unwrap();
    let text = "<|im_start|>user\nTap the Wi-Fi switch<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(renderer.tokenizer().decode(&prompt.tokens), text);
    assert!(train_tokenizer(corpus(), 281, first.path()).is_err());
}

#[test]
fn model_folders_that_do_not_fit_are_refused() {
    let text = std::fs::read_to_string(folder("a").join("tokenizer.json")).unwrap();
    let load = |tokenizer: &Value, config: Option<Value>| {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
        if let Some(config) = config {
            std::fs::write(place.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        }
        Tokenizer::load(place.path())
    };
    let good: Value = serde_json::from_str(&text).unwrap();
    let full = load(&good, None).unwrap();
    let token = json!({
        "content": "<|im_end|>", "special": true, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false,
    });
    // A list in the configuration is the whole list: transformers would give the only token of one the first free id.
    let error = load(&good, Some(json!({"added_tokens_decoder": {"482": token}}))).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has the id 482, but transformers gives it 480"),
        "{error}"
    );
    assert!(
        load(&good, Some(json!({"added_tokens_decoder": {"483": token}}))).is_err(),
        "ids disagree"
    );
    let own = std::fs::read_to_string(folder("a").join("tokenizer_config.json")).unwrap();
    let own: Value = serde_json::from_str(&own).unwrap();
    let listed = json!({"added_tokens_decoder": own["added_tokens_decoder"]});
    assert!(load(&good, Some(listed.clone())).is_ok());
    let mut without = good.clone();
    without["added_tokens"]
        .as_array_mut()
        .unwrap()
        .retain(|token| token["content"] != "<|im_end|>");
    assert!(load(&without, None).is_err(), "no stop token");
    let restored = load(&without, Some(listed)).unwrap();
    assert_eq!(restored.special(), full.special(), "taken from the config");
    let mut strips = good.clone();
    strips["added_tokens"][0]["lstrip"] = true.into();
    assert!(load(&strips, None).is_err(), "a token that swallows spaces");
    assert!(Arc::new(full).encode("").unwrap().is_empty());
}
