//! `generation_config.json`: how a checkpoint wants to be sampled.

use super::keys::{GENERATION_KEYS, set_keys};
use super::rules::LogitRules;
use crate::ModelError;
use crate::config::keys::{check, shown};
use crate::config::read::{float, parse};
use cua_grpo_core::TokenId;
use serde_json::Value;
use std::path::Path;

/// A `generation_config.json`. Keys that are absent have the values of transformers.
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
    /// Most tokens of prompt and reply together, where the file says so and has no `max_new_tokens`.
    pub max_length: Option<usize>,
    /// Changes of the logits.
    pub rules: LogitRules,
    /// Keys of the file that change what is drawn beyond temperature, top-k and top-p, with their values.
    pub changes: Vec<String>,
    /// A warning for each key that has no effect here though its value says something.
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
            max_length: None,
            rules: LogitRules::default(),
            changes: Vec::new(),
            not_applied: Vec::new(),
        }
    }
}

impl GenerationConfig {
    /// Reads `generation_config.json` of a model folder; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or a key has the wrong type.
    pub fn load(dir: &Path) -> Result<Option<Self>, ModelError> {
        let path = dir.join("generation_config.json");
        if !crate::plain_text::is_there(&path) {
            return Ok(None);
        }
        let text = crate::plain_text::read(&path).map_err(ModelError::io("read", &path))?;
        let value = parse(&text).map_err(|error| ModelError::format(&path, error))?;
        Self::from_json(&value)
            .map(Some)
            .map_err(|message| ModelError::format(&path, message))
    }

    /// The tokens that end a reply by `config.json` of the folder, which transformers takes where there is no
    /// `generation_config.json`; none where it has none.
    ///
    /// # Errors
    /// When the file cannot be read, or the key has no token ids.
    pub fn stop_of_model(dir: &Path) -> Result<Vec<TokenId>, ModelError> {
        let path = dir.join("config.json");
        let text = crate::plain_text::read(&path).map_err(ModelError::io("read", &path))?;
        let wrong = |message: String| ModelError::format(&path, message);
        let value = parse(&text).map_err(|error| wrong(error.to_string()))?;
        let whole = Reader(&value).ids("eos_token_id").map_err(wrong)?;
        let part = value.get("text_config").map_or(Ok(Vec::new()), |text| {
            Reader(text)
                .ids("eos_token_id")
                .map_err(|message| wrong(format!("text_config.{message}")))
        })?;
        Ok(if whole.is_empty() { part } else { whole })
    }

    /// Parses the JSON of the file.
    ///
    /// # Errors
    /// Names the key whose value has the wrong type or range.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        if !value.is_object() {
            return Err(format!("expected an object, found {}", shown(value)));
        }
        let default = Self::default();
        let reader = Reader(value);
        let count = |key: &str| reader.count(key);
        Ok(Self {
            do_sample: match reader.get("do_sample") {
                None => default.do_sample,
                Some(found) => found
                    .as_bool()
                    .ok_or_else(|| format!("do_sample: expected true or false, found {found}"))?,
            },
            temperature: reader.number("temperature", f64::from(default.temperature), |t| t >= 0.0)? as f32,
            top_k: count("top_k")?.unwrap_or(default.top_k),
            top_p: reader.number("top_p", f64::from(default.top_p), |p| p > 0.0 && p <= 1.0)? as f32,
            eos_token_id: reader.ids("eos_token_id")?,
            max_new_tokens: match count("max_new_tokens")? {
                Some(0) => return Err("max_new_tokens: expected at least 1, found 0".to_owned()),
                most => most,
            },
            max_length: count("max_length")?,
            rules: LogitRules {
                sequence_bias: reader.biases("sequence_bias")?,
                encoder_repetition_penalty: reader.number("encoder_repetition_penalty", 1.0, |p| p > 0.0)? as f32,
                repetition_penalty: reader.number("repetition_penalty", 1.0, |p| p > 0.0)? as f32,
                no_repeat_ngram_size: count("no_repeat_ngram_size")?.unwrap_or(0),
                encoder_no_repeat_ngram_size: count("encoder_no_repeat_ngram_size")?.unwrap_or(0),
                bad_words_ids: reader.sequences("bad_words_ids")?,
                // As in transformers, min_new_tokens counts where both are there.
                min_length: match reader.get("min_new_tokens") {
                    None => count("min_length")?.unwrap_or(0),
                    Some(_) => 0,
                },
                min_new_tokens: count("min_new_tokens")?.unwrap_or(0),
                forced_bos_token_id: match reader.ids("forced_bos_token_id")?[..] {
                    [] => None,
                    [id] => Some(id),
                    _ => return Err("forced_bos_token_id: expected one token id, found several".to_owned()),
                },
                forced_eos_token_id: reader.ids("forced_eos_token_id")?,
                exponential_decay_length_penalty: reader.decay("exponential_decay_length_penalty")?,
                suppress_tokens: reader.ids("suppress_tokens")?,
                begin_suppress_tokens: reader.ids("begin_suppress_tokens")?,
                top_h: match reader.get("top_h") {
                    None => None,
                    Some(_) => Some(reader.number("top_h", 1.0, |h| h > 0.0 && h <= 1.0)?),
                },
                min_p: reader.number("min_p", 0.0, |p| (0.0..=1.0).contains(&p))?,
                typical_p: reader.number("typical_p", 1.0, |p| p > 0.0 && p <= 1.0)?,
                epsilon_cutoff: reader.number("epsilon_cutoff", 0.0, |p| (0.0..1.0).contains(&p))?,
                eta_cutoff: reader.number("eta_cutoff", 0.0, |p| (0.0..1.0).contains(&p))?,
            },
            changes: set_keys(&beyond_sampling(value)),
            not_applied: check("", value, &[GENERATION_KEYS])?,
        })
    }
}

/// The file without the keys that a configuration of ours has too.
fn beyond_sampling(value: &Value) -> Value {
    let own = [
        "do_sample",
        "temperature",
        "top_k",
        "top_p",
        "max_new_tokens",
        "max_length",
        "eos_token_id",
    ];
    let mut value = value.clone();
    if let Some(keys) = value.as_object_mut() {
        keys.retain(|name, _| !own.contains(&name.as_str()));
    }
    value
}

/// Values by key; null counts as absent.
struct Reader<'a>(&'a Value);

impl Reader<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|found| !found.is_null())
    }

    fn number(&self, key: &str, otherwise: f64, valid: fn(f64) -> bool) -> Result<f64, String> {
        match self.get(key) {
            None => Ok(otherwise),
            Some(found) => float(found)
                .filter(|&number| valid(number))
                .ok_or_else(|| format!("{key}: expected a number in its range, found {}", shown(found))),
        }
    }

    fn count(&self, key: &str) -> Result<Option<usize>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(found) => match found.as_u64().and_then(|count| usize::try_from(count).ok()) {
                Some(count) => Ok(Some(count)),
                None => Err(format!("{key}: expected a whole number, found {}", shown(found))),
            },
        }
    }

    /// A token id, or a list of them.
    fn ids(&self, key: &str) -> Result<Vec<TokenId>, String> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(found @ Value::Array(_)) => sequence(key, found),
            Some(one) => Ok(vec![id(key, one)?]),
        }
    }

    fn sequences(&self, key: &str) -> Result<Vec<Vec<TokenId>>, String> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(|found| sequence(key, found)).collect(),
            Some(found) => Err(format!(
                "{key}: expected a list of lists of token ids, found {}",
                shown(found)
            )),
        }
    }

    /// Pairs of a list of token ids and a number; of two pairs for one list the last counts.
    fn biases(&self, key: &str) -> Result<Vec<(Vec<TokenId>, f32)>, String> {
        let wrong = |found: &Value| {
            format!(
                "{key}: expected pairs of a list of token ids and a number, found {}",
                shown(found)
            )
        };
        let list = match self.get(key) {
            None => return Ok(Vec::new()),
            Some(found) => found.as_array().ok_or_else(|| wrong(found))?,
        };
        let mut biases: Vec<(Vec<TokenId>, f32)> = Vec::new();
        for pair in list {
            let Some([ids, bias]) = pair.as_array().map(Vec::as_slice) else {
                return Err(wrong(pair));
            };
            let ids = sequence(key, ids)?;
            let bias = float(bias).filter(|bias| !bias.is_nan()).ok_or_else(|| wrong(pair))? as f32;
            biases.retain(|(known, _)| *known != ids);
            biases.push((ids, bias));
        }
        Ok(biases)
    }

    /// Where a penalty starts, and its factor.
    fn decay(&self, key: &str) -> Result<Option<(usize, f64)>, String> {
        let Some(found) = self.get(key) else { return Ok(None) };
        let pair = match found.as_array().map(Vec::as_slice) {
            Some([start, factor]) => start.as_u64().zip(float(factor)),
            _ => None,
        };
        match pair.and_then(|(start, factor)| Some((usize::try_from(start).ok()?, factor))) {
            Some(pair) => Ok(Some(pair)),
            None => Err(format!(
                "{key}: expected a whole number and a factor, found {}",
                shown(found)
            )),
        }
    }
}

fn sequence(key: &str, found: &Value) -> Result<Vec<TokenId>, String> {
    match found.as_array() {
        Some(ids) => ids.iter().map(|found| id(key, found)).collect(),
        None => Err(format!("{key}: expected a list of token ids, found {}", shown(found))),
    }
}

fn id(key: &str, found: &Value) -> Result<TokenId, String> {
    let id = found.as_u64().and_then(|id| TokenId::try_from(id).ok());
    id.ok_or_else(|| format!("{key}: expected token ids, found {}", shown(found)))
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
        let value = json!({"eos_token_id": 7, "num_beams": 4, "temperature": null, "num_beam_groups": 1});
        let got = GenerationConfig::from_json(&value).unwrap();
        assert_eq!((got.do_sample, got.temperature, got.top_k), (false, 1.0, 50));
        assert_eq!(got.eos_token_id, [7]);
        assert_eq!(
            got.not_applied,
            ["num_beams 4 is not applied: one reply is drawn token by token, without beams"]
        );
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
