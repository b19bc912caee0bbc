//! `generation_config.json`: how a checkpoint wants to be sampled.

use crate::ModelError;
use cua_grpo_core::TokenId;
use serde_json::Value;
use std::path::Path;

/// The part of `generation_config.json` that concerns sampling. Keys that are absent have the values of transformers.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationConfig {
    /// Draw from the distribution; otherwise the likeliest token is taken.
    pub do_sample: bool,
    /// Divides the logits when drawing.
    pub temperature: f32,
    /// Keep this many tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set of tokens whose mass reaches this.
    pub top_p: f32,
    /// Tokens that end a reply; empty when the file names none.
    pub eos_token_id: Vec<TokenId>,
    /// Most tokens of a reply, where the file says.
    pub max_new_tokens: Option<usize>,
    /// Keys of the file that would change the distribution and are not applied, with their values.
    pub not_applied: Vec<String>,
}

impl Default for GenerationConfig {
    /// What transformers does without a file: greedy, and its class defaults once sampling is asked for.
    fn default() -> Self {
        Self {
            do_sample: false,
            temperature: 1.0,
            top_k: 50,
            top_p: 1.0,
            eos_token_id: Vec::new(),
            max_new_tokens: None,
            not_applied: Vec::new(),
        }
    }
}

/// Keys that change the distribution in transformers, with the value that changes nothing.
const OTHERS: [(&str, f64); 8] = [
    ("repetition_penalty", 1.0),
    ("min_p", 0.0),
    ("typical_p", 1.0),
    ("epsilon_cutoff", 0.0),
    ("eta_cutoff", 0.0),
    ("no_repeat_ngram_size", 0.0),
    ("presence_penalty", 0.0),
    ("num_beams", 1.0),
];

impl GenerationConfig {
    /// Reads `generation_config.json` of a model folder; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or a key has the wrong type.
    pub fn load(dir: &Path) -> Result<Option<Self>, ModelError> {
        let path = dir.join("generation_config.json");
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(ModelError::io("read", &path))?;
        let value: Value = serde_json::from_str(&text).map_err(|error| ModelError::format(&path, error))?;
        Self::from_json(&value)
            .map(Some)
            .map_err(|message| ModelError::format(&path, message))
    }

    /// Parses the JSON of the file.
    ///
    /// # Errors
    /// Names the key whose value has the wrong type or range.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let default = Self::default();
        let read = |key: &str| value.get(key).filter(|found| !found.is_null());
        let number = |key: &str, otherwise: f64, valid: fn(f64) -> bool| match read(key) {
            None => Ok(otherwise),
            Some(found) => found
                .as_f64()
                .filter(|&number| valid(number))
                .ok_or_else(|| format!("{key}: expected a number in its range, found {found}")),
        };
        let count = |key: &str, otherwise: Option<usize>| match read(key) {
            None => Ok(otherwise),
            Some(found) => match found.as_u64().and_then(|count| usize::try_from(count).ok()) {
                Some(count) => Ok(Some(count)),
                None => Err(format!("{key}: expected a whole number, found {found}")),
            },
        };
        let do_sample = match read("do_sample") {
            None => default.do_sample,
            Some(found) => found
                .as_bool()
                .ok_or_else(|| format!("do_sample: expected true or false, found {found}"))?,
        };
        let id = |found: &Value| {
            let id = found.as_u64().and_then(|id| TokenId::try_from(id).ok());
            id.ok_or_else(|| format!("eos_token_id: expected token ids, found {found}"))
        };
        let eos_token_id = match read("eos_token_id") {
            None => Vec::new(),
            Some(Value::Array(ids)) => ids.iter().map(id).collect::<Result<_, _>>()?,
            Some(one) => vec![id(one)?],
        };
        let changes = |(key, neutral): &(&str, f64)| {
            let found = read(key)?;
            (found.as_f64() != Some(*neutral)).then(|| format!("{key} {found}"))
        };
        Ok(Self {
            do_sample,
            temperature: number("temperature", f64::from(default.temperature), |t| t >= 0.0)? as f32,
            top_k: count("top_k", Some(default.top_k))?.unwrap_or_default(),
            top_p: number("top_p", f64::from(default.top_p), |p| p > 0.0 && p <= 1.0)? as f32,
            eos_token_id,
            max_new_tokens: count("max_new_tokens", None)?,
            not_applied: OTHERS.iter().filter_map(changes).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_released_file_is_read() {
        let released = json!({"bos_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643], "top_k": 20,
            "top_p": 0.8, "repetition_penalty": 1.0, "temperature": 0.7});
        let got = GenerationConfig::from_json(&released).unwrap();
        assert_eq!(
            (got.do_sample, got.temperature, got.top_k, got.top_p),
            (true, 0.7, 20, 0.8)
        );
        assert_eq!(got.eos_token_id, [151_645, 151_643]);
        assert!(got.not_applied.is_empty());
    }

    #[test]
    fn absent_keys_are_those_of_transformers_and_others_are_named() {
        let value = json!({"eos_token_id": 7, "min_p": 0.1, "temperature": null, "num_beams": 1});
        let got = GenerationConfig::from_json(&value).unwrap();
        assert_eq!((got.do_sample, got.temperature, got.top_k), (false, 1.0, 50));
        assert_eq!(got.eos_token_id, [7]);
        assert_eq!(got.not_applied, ["min_p 0.1"]);
    }

    #[test]
    fn wrong_values_name_their_key() {
        for (value, key) in [
            (json!({"do_sample": "yes"}), "do_sample"),
            (json!({"top_p": 0}), "top_p"),
            (json!({"top_k": -1}), "top_k"),
            (json!({"eos_token_id": ["a"]}), "eos_token_id"),
            (json!({"temperature": -0.5}), "temperature"),
        ] {
            assert!(
                GenerationConfig::from_json(&value).unwrap_err().contains(key),
                "{value}"
            );
        }
    }
}
