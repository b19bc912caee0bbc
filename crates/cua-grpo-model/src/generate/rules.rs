//! What a `generation_config.json` does to logits before a token is drawn, in the order of transformers.

use crate::ModelError;
use cua_grpo_core::TokenId;

/// Changes of the logits and cuts of the distribution beyond temperature, top-k and top-p. The default changes nothing.
///
/// Each field has the name and the meaning of the key of transformers' `GenerationConfig`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogitRules {
    /// Sequences and what is added to the logit of their last token where the others stand before it.
    pub sequence_bias: Vec<(Vec<TokenId>, f32)>,
    /// Divides positive and multiplies negative logits of tokens of the prompt by its inverse; 1 changes nothing.
    pub encoder_repetition_penalty: f32,
    /// Divides positive and multiplies negative logits of tokens that stand in the conversation; 1 changes nothing.
    pub repetition_penalty: f32,
    /// Runs of so many tokens come once at most; 0 allows all.
    pub no_repeat_ngram_size: usize,
    /// Runs of so many tokens of the prompt do not come again; 0 allows all.
    pub encoder_no_repeat_ngram_size: usize,
    /// Sequences that are not completed.
    pub bad_words_ids: Vec<Vec<TokenId>>,
    /// No stop token before the conversation has so many tokens.
    pub min_length: usize,
    /// No stop token before the reply has so many tokens.
    pub min_new_tokens: usize,
    /// The second token of a conversation that begins with a single one.
    pub forced_bos_token_id: Option<TokenId>,
    /// Where a reply reaches its greatest length, its last token is one of these; empty forces none.
    pub forced_eos_token_id: Vec<TokenId>,
    /// From so many new tokens on, stop tokens gain by this factor, to the power of the tokens beyond.
    pub exponential_decay_length_penalty: Option<(usize, f64)>,
    /// Tokens that never come.
    pub suppress_tokens: Vec<TokenId>,
    /// Tokens that are not the first of a reply.
    pub begin_suppress_tokens: Vec<TokenId>,
    /// Keep the likeliest tokens up to this part of the entropy.
    pub top_h: Option<f64>,
    /// Keep tokens at least this part as likely as the likeliest; 0 keeps all.
    pub min_p: f64,
    /// Keep the tokens whose surprise is nearest to the entropy, up to this mass; 1 keeps all.
    pub typical_p: f64,
    /// Keep tokens of at least this probability; 0 keeps all.
    pub epsilon_cutoff: f64,
    /// As `epsilon_cutoff`, lower where the entropy is high; 0 keeps all.
    pub eta_cutoff: f64,
}

impl Default for LogitRules {
    fn default() -> Self {
        Self {
            sequence_bias: Vec::new(),
            encoder_repetition_penalty: 1.0,
            repetition_penalty: 1.0,
            no_repeat_ngram_size: 0,
            encoder_no_repeat_ngram_size: 0,
            bad_words_ids: Vec::new(),
            min_length: 0,
            min_new_tokens: 0,
            forced_bos_token_id: None,
            forced_eos_token_id: Vec::new(),
            exponential_decay_length_penalty: None,
            suppress_tokens: Vec::new(),
            begin_suppress_tokens: Vec::new(),
            top_h: None,
            min_p: 0.0,
            typical_p: 1.0,
            epsilon_cutoff: 0.0,
            eta_cutoff: 0.0,
        }
    }
}

/// Where in a conversation a token is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// All tokens before it.
    pub tokens: &'a [TokenId],
    /// How many of them stood there before the reply began.
    pub prompt: usize,
    /// Tokens that end a reply.
    pub stop: &'a [TokenId],
    /// It is the last that the reply may have.
    pub last: bool,
}

impl LogitRules {
    /// Whether nothing is changed.
    pub fn is_neutral(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that the tokens are in a vocabulary of `vocab`.
    ///
    /// # Errors
    /// Names the key and the token that is not.
    pub fn check(&self, vocab: usize) -> Result<(), ModelError> {
        let lists = [
            (
                "sequence_bias",
                self.sequence_bias.iter().flat_map(|(ids, _)| ids).collect::<Vec<_>>(),
            ),
            ("bad_words_ids", self.bad_words_ids.iter().flatten().collect()),
            ("forced_bos_token_id", self.forced_bos_token_id.iter().collect()),
            ("forced_eos_token_id", self.forced_eos_token_id.iter().collect()),
            ("suppress_tokens", self.suppress_tokens.iter().collect()),
            ("begin_suppress_tokens", self.begin_suppress_tokens.iter().collect()),
        ];
        for (key, ids) in lists {
            if let Some(id) = ids.into_iter().find(|id| **id as usize >= vocab) {
                return Err(ModelError::Config(format!(
                    "generation_config.json: {key}: expected ids below {vocab}, found {id}; is the file that of another model?"
                )));
            }
        }
        Ok(())
    }

    /// Changes `logits` (`[vocab]`) for the token that is drawn at `moment`.
    pub fn apply(&self, logits: &mut [f32], moment: &Moment<'_>) {
        let Moment {
            tokens, prompt, stop, ..
        } = *moment;
        self.bias(logits, tokens);
        if self.encoder_repetition_penalty != 1.0 {
            penalise(logits, &tokens[..prompt], 1.0 / self.encoder_repetition_penalty);
        }
        if self.repetition_penalty != 1.0 {
            penalise(logits, tokens, self.repetition_penalty);
        }
        ban(logits, &completions(tokens, tokens, self.no_repeat_ngram_size));
        ban(
            logits,
            &completions(&tokens[..prompt], tokens, self.encoder_no_repeat_ngram_size),
        );
        for word in &self.bad_words_ids {
            // A stop token alone is never a bad word.
            let ends = matches!(&word[..], [token] if stop.contains(token));
            if let Some((last, before)) = word.split_last()
                && !ends
                && tokens.ends_with(before)
            {
                ban(logits, &[*last]);
            }
        }
        if tokens.len() < self.min_length || tokens.len() - prompt < self.min_new_tokens {
            ban(logits, stop);
        }
        if let Some(token) = self.forced_bos_token_id.filter(|_| tokens.len() == 1) {
            force(logits, &[token]);
        }
        if moment.last && !self.forced_eos_token_id.is_empty() {
            force(logits, &self.forced_eos_token_id);
        }
        if let Some((start, factor)) = self.exponential_decay_length_penalty
            && tokens.len() > start + prompt
        {
            let power = i32::try_from(tokens.len() - start - prompt).unwrap_or(i32::MAX);
            let gain = (factor.powi(power) - 1.0) as f32;
            for &token in stop {
                if let Some(logit) = logits.get_mut(token as usize).filter(|logit| logit.is_finite()) {
                    *logit += logit.abs() * gain;
                }
            }
        }
        ban(logits, &self.suppress_tokens);
        // With one token before the reply and a forced second, the reply begins behind that.
        let begin = prompt + usize::from(prompt <= 1 && self.forced_bos_token_id.is_some());
        if tokens.len() == begin {
            ban(logits, &self.begin_suppress_tokens);
        }
    }

    /// Adds the biases, all from the logits as they came.
    fn bias(&self, logits: &mut [f32], tokens: &[TokenId]) {
        for (sequence, bias) in &self.sequence_bias {
            if let Some((last, before)) = sequence.split_last()
                && tokens.ends_with(before)
                && let Some(logit) = logits.get_mut(*last as usize)
            {
                *logit += bias;
            }
        }
    }
}

/// Makes tokens of `seen` less likely by `penalty` (likelier where it is below 1), each once.
fn penalise(logits: &mut [f32], seen: &[TokenId], penalty: f32) {
    let mut seen = seen.to_vec();
    seen.sort_unstable();
    seen.dedup();
    for token in seen {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit = if *logit < 0.0 {
                *logit * penalty
            } else {
                *logit / penalty
            };
        }
    }
}

/// Tokens that would complete a run of `size` tokens that stands in `among`, behind `tokens`.
fn completions(among: &[TokenId], tokens: &[TokenId], size: usize) -> Vec<TokenId> {
    if size == 0 || tokens.len() < size {
        return Vec::new();
    }
    let before = &tokens[tokens.len() + 1 - size..];
    let runs = among.windows(size).filter(|run| run[..size - 1] == *before);
    runs.filter_map(|run| run.last().copied()).collect()
}

fn ban(logits: &mut [f32], tokens: &[TokenId]) {
    for &token in tokens {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

fn force(logits: &mut [f32], tokens: &[TokenId]) {
    logits.fill(f32::NEG_INFINITY);
    for &token in tokens {
        if let Some(logit) = logits.get_mut(token as usize) {
            *logit = 0.0;
        }
    }
}
