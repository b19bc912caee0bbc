//! Keys of `generation_config.json`: replies and distributions are those of transformers (`fixtures/keys/make.py`).
//!
//! Mutations tried: the penalty once a place instead of once a token, the begin of the prompt instead of the reply, top-h
//! behind top-k, stop tokens among bad words, `min_length` counted beside `min_new_tokens`: each fails a test here.

#![allow(clippy::unwrap_used)] // Helpers of tests are not seen as tests by the lint.

mod common;

use common::sessions::{generator, greedy, prompt};
use common::*;
use cua_grpo_core::SamplingParams;
use cua_grpo_model::generate::{
    GENERATION_KEYS, GenerationConfig, LogitRules, Moment, Request, distribution, draw_by_rules,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

fn golden() -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder("keys").join("golden.json")).unwrap()).unwrap()
}

#[test]
fn greedy_replies_are_those_of_transformers() {
    let golden = golden();
    for case in ["text_only", "one_image"] {
        let plain = &golden["greedy"][case]["plain"]["ids"];
        for (name, want) in golden["greedy"][case].as_object().unwrap() {
            let file = GenerationConfig::from_json(&want["file"]).unwrap();
            assert!(file.not_applied.is_empty(), "{name}");
            let prompt = prompt("a", case);
            let most = file.max_length.map_or(12, |length| length - prompt.tokens.len());
            let mut generator = generator("a", model("a"), &file.eos_token_id).ruled(file.rules);
            generator.open(0);
            let request = Request {
                session: 0,
                prompt,
                params: greedy(most),
            };
            let got = generator.generate(&[request]).unwrap().remove(0);
            assert_eq!(got.tokens, ids(&want["ids"]), "{case} {name}");
            // Each key counts: without it the reply is another.
            assert_eq!(json!(got.tokens) == *plain, name == "plain", "{case} {name}");
        }
    }
}

#[test]
fn distributions_are_those_of_transformers() {
    for case in golden()["kept"].as_array().unwrap() {
        let file = GenerationConfig::from_json(&case["file"]).unwrap();
        let logits: Vec<f32> = serde_json::from_value(case["logits"].clone()).unwrap();
        let (prompt, reply) = (ids(&case["prompt"]), ids(&case["reply"]));
        let tokens = [&prompt[..], &reply[..]].concat();
        let moment = Moment {
            tokens: &tokens,
            prompt: prompt.len(),
            stop: &file.eos_token_id,
            last: false,
        };
        let params = SamplingParams::new(100)
            .with_temperature(file.temperature)
            .with_top_p(file.top_p)
            .with_top_k(file.top_k);
        let got = distribution(&logits, &file.rules, &moment, &params);
        let want = case["left"].as_object().unwrap();
        let mut tokens: Vec<u32> = got.iter().map(|(token, _)| *token).collect();
        tokens.sort_unstable();
        let mut expected: Vec<u32> = want.keys().map(|token| token.parse().unwrap()).collect();
        expected.sort_unstable();
        assert_eq!(tokens, expected, "{case}");
        for (token, weight) in got {
            let want = want[&token.to_string()].as_f64().unwrap();
            assert!(
                (weight.ln() - want).abs() < 1e-4,
                "{case}: {token}: {} {want}",
                weight.ln()
            );
        }
    }
}

#[test]
fn draws_follow_the_distribution() {
    let logits = [1.0f32, 0.5, 0.0, -0.5, 2.0];
    let rules = LogitRules {
        suppress_tokens: vec![4],
        sequence_bias: vec![(vec![3], 1.0)],
        ..LogitRules::default()
    };
    let moment = Moment {
        tokens: &[0, 1],
        prompt: 1,
        stop: &[],
        last: false,
    };
    let params = SamplingParams::new(4);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut counts = [0usize; 5];
    for _ in 0..20_000 {
        let drawn = draw_by_rules(&logits, &rules, &moment, &params, &mut rng).unwrap();
        counts[drawn.token as usize] += 1;
        // The log-prob is that of the model, and the mass is what the model gives to what may come.
        let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        let want = f64::from(logits[drawn.token as usize]) - total.ln();
        assert!((f64::from(drawn.logprob) - want).abs() < 1e-5);
        assert!((f64::from(drawn.kept_mass) - (1.0 - 2f64.exp() / total)).abs() < 1e-5);
    }
    for (token, weight) in distribution(&logits, &rules, &moment, &params) {
        assert!(
            (counts[token as usize] as f64 / 20_000.0 - weight).abs() < 0.015,
            "{token}"
        );
    }
    assert_eq!(counts[4], 0);
    let all = LogitRules {
        suppress_tokens: (0..5).collect(),
        ..LogitRules::default()
    };
    assert!(draw_by_rules(&logits, &all, &moment, &params, &mut rng).is_none());
}

/// A reply of an earlier turn stands in the conversation: rules see it.
#[test]
fn rules_see_the_whole_conversation() {
    let rules = LogitRules {
        no_repeat_ngram_size: 1,
        ..LogitRules::default()
    };
    let mut generator = generator("a", model("a"), &[]).ruled(rules);
    generator.open(0);
    let mut seen: Vec<u32> = Vec::new();
    for turn in 0..3 {
        let mut prompt = prompt("a", "text_only");
        if turn > 0 {
            prompt.tokens = vec![40 + turn];
        }
        seen.extend(&prompt.tokens);
        let request = Request {
            session: 0,
            prompt,
            params: greedy(8),
        };
        let got = generator.generate(&[request]).unwrap().remove(0);
        for token in got.tokens {
            assert!(!seen.contains(&token), "turn {turn}: {token} came before");
            seen.push(token);
        }
    }
    let nothing = LogitRules {
        suppress_tokens: (0..512).collect(),
        ..LogitRules::default()
    };
    let mut generator = common::sessions::generator("a", model("a"), &[]).ruled(nothing);
    generator.open(0);
    let request = Request {
        session: 0,
        prompt: prompt("a", "text_only"),
        params: greedy(2),
    };
    let error = generator.generate(&[request]).unwrap_err().to_string();
    assert!(error.contains("rules of generation_config.json"), "{error}");
}

#[test]
fn keys_that_are_not_applied_are_named_and_wrong_values_too() {
    for (file, named) in [
        (json!({"num_beams": 4}), "num_beams 4 is not applied"),
        (json!({"guidance_scale": 1.5}), "guidance_scale 1.5 is not applied"),
        (
            json!({"stop_strings": ["END"]}),
            "stop_strings [\"END\"] is not applied",
        ),
        (
            json!({"watermarking_config": {"bias": 2.0}}),
            "watermarking_config {\"bias\":2.0} is not applied",
        ),
        (json!({"penalty_alpha": 0.6}), "penalty_alpha 0.6 is not applied"),
        (json!({"presence_penalty": 1.5}), "presence_penalty 1.5 is not applied"),
        (json!({"repetition_penality": 1.5}), "is `repetition_penalty` meant?"),
    ] {
        let got = GenerationConfig::from_json(&file).unwrap();
        assert!(
            got.not_applied.len() == 1 && got.not_applied[0].contains(named),
            "{:?}",
            got.not_applied
        );
        assert!(got.rules.is_neutral());
    }
    for (file, named) in [
        (json!({"suppress_tokens": [1, -2]}), "suppress_tokens"),
        (json!({"suppress_tokens": "all"}), "suppress_tokens"),
        (json!({"bad_words_ids": [3]}), "bad_words_ids"),
        (json!({"sequence_bias": {"3": 1.0}}), "sequence_bias"),
        (json!({"sequence_bias": [[[3], "x"]]}), "sequence_bias"),
        (json!({"repetition_penalty": 0.0}), "repetition_penalty"),
        (json!({"min_new_tokens": -1}), "min_new_tokens"),
        (json!({"min_p": 1.5}), "min_p"),
        (json!({"typical_p": 0.0}), "typical_p"),
        (json!({"top_h": 2.0}), "top_h"),
        (
            json!({"exponential_decay_length_penalty": 3}),
            "exponential_decay_length_penalty",
        ),
        (json!({"forced_bos_token_id": [1, 2]}), "forced_bos_token_id"),
    ] {
        let error = GenerationConfig::from_json(&file).unwrap_err();
        assert!(error.contains(named), "{file}: {error}");
    }
    // Values that say nothing: those that transformers writes by default.
    let neutral = json!({"do_sample": true, "temperature": 0.7, "repetition_penalty": 1.0, "num_beams": 1, "min_length": 0,
        "bad_words_ids": null, "suppress_tokens": [], "num_return_sequences": 1, "length_penalty": 1.0,
        "transformers_version": "5.24.0", "use_cache": true, "typical_p": 1.0, "encoder_repetition_penalty": 1.0});
    let got = GenerationConfig::from_json(&neutral).unwrap();
    assert!(
        got.not_applied.is_empty() && got.rules.is_neutral() && got.changes.is_empty(),
        "{got:?}"
    );
    let out = LogitRules {
        bad_words_ids: vec![vec![1, 512]],
        ..LogitRules::default()
    };
    assert!(
        out.check(512)
            .unwrap_err()
            .to_string()
            .contains("bad_words_ids: expected ids below 512")
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("generation_config.json");
    std::fs::write(path, "{\"sequence_bias\": [[[3], -Infinity]]}").unwrap();
    let got = GenerationConfig::load(dir.path()).unwrap().unwrap();
    assert_eq!(got.rules.sequence_bias, [(vec![3], f32::NEG_INFINITY)]);
}

/// Every key that transformers' class has is in the table: the list is `vars(GenerationConfig())` of 5.24.
#[test]
fn every_key_of_transformers_is_known() {
    let known: Vec<&str> = GENERATION_KEYS.iter().map(|(key, _)| *key).collect();
    let listed = std::fs::read_to_string(folder("keys").join("generation_keys.txt")).unwrap();
    for key in listed.split_whitespace() {
        assert!(known.contains(&key), "{key}");
    }
}

#[test]
fn without_the_file_a_reply_ends_by_the_keys_of_the_model() {
    let dir = tempfile::tempdir().unwrap();
    for (config, expected) in [
        (json!({"text_config": {"eos_token_id": 303}}), vec![303]),
        (
            json!({"eos_token_id": [7, 9], "text_config": {"eos_token_id": 303}}),
            vec![7, 9],
        ),
        (json!({"text_config": {}}), vec![]),
    ] {
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        assert_eq!(
            GenerationConfig::stop_of_model(dir.path()).unwrap(),
            expected,
            "{config}"
        );
    }
    let error = GenerationConfig::from_json(&json!({"max_new_tokens": 0})).unwrap_err();
    assert!(error.contains("max_new_tokens: expected at least 1"), "{error}");
}

#[test]
fn a_pointer_of_git_lfs_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
    for name in ["generation_config.json", "model.safetensors"] {
        std::fs::write(dir.path().join(name), pointer).unwrap();
    }
    let said = [
        GenerationConfig::load(dir.path()).unwrap_err().to_string(),
        cua_grpo_model::checkpoint::TensorFiles::open(dir.path())
            .err()
            .unwrap()
            .to_string(),
    ];
    for error in said {
        assert!(error.contains("git lfs pull"), "{error}");
    }
}
