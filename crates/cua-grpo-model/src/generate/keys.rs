//! The keys of `generation_config.json`: every key of transformers' class (5.24), and those of other engines.

use crate::config::keys::Neutral::{Empty, False, Number};
use crate::config::keys::{Key, Rule, check, rule};
use serde_json::Value;

const BEAMS: &str = "one reply is drawn token by token, without beams";
const HUB: &str = "this way of decoding is not computed here";

/// Keys and what becomes of them.
pub const GENERATION_KEYS: &[Key] = &[
    // How long a reply is.
    ("max_length", Rule::Read),
    ("max_new_tokens", Rule::Read),
    ("min_length", Rule::Read),
    ("min_new_tokens", Rule::Read),
    ("max_time", Rule::Warn(&[], "a reply takes the time that it takes")),
    (
        "stop_strings",
        Rule::Warn(
            &[Empty],
            "a reply ends by tokens; give them as eos_token_id or with --stop-token",
        ),
    ),
    ("eos_token_id", Rule::Read),
    // How it is drawn.
    ("do_sample", Rule::Read),
    ("temperature", Rule::Read),
    ("top_k", Rule::Read),
    ("top_p", Rule::Read),
    ("min_p", Rule::Read),
    ("top_h", Rule::Read),
    ("typical_p", Rule::Read),
    ("epsilon_cutoff", Rule::Read),
    ("eta_cutoff", Rule::Read),
    ("repetition_penalty", Rule::Read),
    ("encoder_repetition_penalty", Rule::Read),
    ("no_repeat_ngram_size", Rule::Read),
    ("encoder_no_repeat_ngram_size", Rule::Read),
    ("bad_words_ids", Rule::Read),
    ("forced_bos_token_id", Rule::Read),
    ("forced_eos_token_id", Rule::Read),
    ("exponential_decay_length_penalty", Rule::Read),
    ("suppress_tokens", Rule::Read),
    ("begin_suppress_tokens", Rule::Read),
    ("sequence_bias", Rule::Read),
    // Logits are finite, and softmax normalises them anyway.
    ("remove_invalid_values", Rule::Free),
    ("renormalize_logits", Rule::Free),
    // Other ways of decoding.
    ("num_beams", Rule::Warn(&[Number(1.0)], BEAMS)),
    ("num_beam_groups", Rule::Warn(&[Number(1.0)], BEAMS)),
    ("diversity_penalty", Rule::Warn(&[Number(0.0)], BEAMS)),
    ("constraints", Rule::Warn(&[Empty], BEAMS)),
    ("force_words_ids", Rule::Warn(&[Empty], BEAMS)),
    ("early_stopping", Rule::Free),
    ("length_penalty", Rule::Free),
    ("num_return_sequences", Rule::Warn(&[Number(1.0)], "one reply is drawn")),
    ("penalty_alpha", Rule::Warn(&[Number(0.0)], HUB)),
    ("dola_layers", Rule::Warn(&[], HUB)),
    (
        "guidance_scale",
        Rule::Warn(&[Number(1.0)], "there is no second, unguided pass"),
    ),
    ("watermarking_config", Rule::Warn(&[], "replies bear no watermark")),
    ("token_healing", Rule::Warn(&[False], "the prompt stays as it is")),
    (
        "assistant_ensemble_weight",
        Rule::Warn(&[], "no draft model is mixed in"),
    ),
    // Those of other engines.
    (
        "presence_penalty",
        Rule::Warn(
            &[Number(0.0)],
            "transformers has no such key; repetition_penalty is applied",
        ),
    ),
    (
        "frequency_penalty",
        Rule::Warn(
            &[Number(0.0)],
            "transformers has no such key; repetition_penalty is applied",
        ),
    ),
    // Speed and memory, and what a call returns.
    ("use_cache", Rule::Free),
    ("cache_implementation", Rule::Free),
    ("cache_config", Rule::Free),
    ("max_cache_len", Rule::Free),
    ("use_mtp", Rule::Free),
    ("prefill_chunk_size", Rule::Free),
    ("low_memory", Rule::Free),
    ("compile_config", Rule::Free),
    ("disable_compile", Rule::Free),
    ("continuous_batching_config", Rule::Free),
    ("is_assistant", Rule::Free),
    ("num_assistant_tokens", Rule::Free),
    ("num_assistant_tokens_schedule", Rule::Free),
    ("assistant_confidence_threshold", Rule::Free),
    ("assistant_early_exit", Rule::Free),
    ("assistant_lookbehind", Rule::Free),
    ("target_lookbehind", Rule::Free),
    ("prompt_lookup_num_tokens", Rule::Free),
    ("max_matching_ngram_size", Rule::Free),
    ("speculation_type", Rule::Free),
    ("output_attentions", Rule::Free),
    ("output_hidden_states", Rule::Free),
    ("output_scores", Rule::Free),
    ("output_logits", Rule::Free),
    ("return_dict_in_generate", Rule::Free),
    ("pad_token_id", Rule::Free),
    ("bos_token_id", Rule::Free),
    ("decoder_start_token_id", Rule::Free),
    ("transformers_version", Rule::Free),
    ("_from_model_config", Rule::Free),
    ("_commit_hash", Rule::Free),
    ("_name_or_path", Rule::Free),
    ("chat_format", Rule::Free),
];

/// Values of the keys that are read with which nothing changes: those that transformers takes where a key is absent.
const DEFAULTS: &[(&str, f64)] = &[
    ("temperature", 1.0),
    ("top_k", 50.0),
    ("top_p", 1.0),
    ("min_p", 0.0),
    ("typical_p", 1.0),
    ("epsilon_cutoff", 0.0),
    ("eta_cutoff", 0.0),
    ("repetition_penalty", 1.0),
    ("encoder_repetition_penalty", 1.0),
    ("no_repeat_ngram_size", 0.0),
    ("encoder_no_repeat_ngram_size", 0.0),
    ("max_length", 20.0),
    ("min_length", 0.0),
    ("min_new_tokens", 0.0),
];

/// Keys of `value` that say something other than the defaults of transformers, each as `key value`.
pub(crate) fn set_keys(value: &Value) -> Vec<String> {
    let keys = value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null());
    let set = keys.filter(|(name, value)| match rule(name, &[GENERATION_KEYS]) {
        Some(Rule::Read) => {
            let default = DEFAULTS.iter().find(|(key, _)| key == name).map(|(_, number)| *number);
            let empty = value.as_array().is_some_and(Vec::is_empty);
            **value != Value::Bool(false) && !empty && (default.is_none() || value.as_f64() != default)
        }
        Some(Rule::Warn(..)) => {
            let one = Value::Object([((*name).clone(), (*value).clone())].into_iter().collect());
            check("", &one, &[GENERATION_KEYS]).is_ok_and(|warnings| !warnings.is_empty())
        }
        _ => false,
    });
    set.map(|(name, value)| format!("{name} {}", crate::config::keys::shown(value)))
        .collect()
}
