//! The policy seam: tokens and images in, sampled tokens with log-probs and the version that sampled them out.

use crate::{Fault, Image};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// An index into the vocabulary.
pub type TokenId = u32;

/// Counts the updates of the adapter; every sampled token carries the version that sampled it.
pub type PolicyVersion = u64;

/// Tokens to append to a session, with the images whose pad tokens they contain, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prompt {
    /// Token ids; an image of `n` merged patches stands as `n` image-pad ids.
    pub tokens: Vec<TokenId>,
    /// One image per run of image-pad ids.
    pub images: Vec<Image>,
    /// Which of the tokens the policy sampled earlier in the episode: replies that stand again in a context that was cut
    /// back. An image-pad id among them is text.
    pub sampled: Vec<Range<usize>>,
}

impl Prompt {
    /// Tokens without images.
    pub fn new(tokens: Vec<TokenId>) -> Self {
        Self {
            tokens,
            images: Vec::new(),
            sampled: Vec::new(),
        }
    }

    /// The same tokens with the images of their runs of image-pad ids, in order.
    #[must_use]
    pub fn with_images(self, images: Vec<Image>) -> Self {
        Self { images, ..self }
    }

    /// Appends another prompt.
    pub fn push(&mut self, other: &Self) {
        let start = self.tokens.len();
        self.tokens.extend_from_slice(&other.tokens);
        self.images.extend(other.images.iter().cloned());
        let shifted = other.sampled.iter().map(|range| range.start + start..range.end + start);
        self.sampled.extend(shifted);
    }

    /// Appends tokens that the policy sampled.
    pub fn push_sampled(&mut self, tokens: &[TokenId]) {
        let start = self.tokens.len();
        self.tokens.extend_from_slice(tokens);
        self.sampled.push(start..self.tokens.len());
    }

    /// For each token whether the policy sampled it earlier.
    pub fn marks(&self) -> Vec<bool> {
        let mut marks = vec![false; self.tokens.len()];
        for range in &self.sampled {
            if let Some(sampled) = marks.get_mut(range.clone()) {
                sampled.fill(true);
            }
        }
        marks
    }
}

/// How to draw tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SamplingParams {
    /// Divides the logits; 0 means greedy.
    pub temperature: f32,
    /// Keep the smallest set of tokens whose mass reaches this; 1 keeps all.
    pub top_p: f32,
    /// Keep this many tokens; 0 keeps all.
    pub top_k: usize,
    /// At most this many new tokens.
    pub max_new_tokens: usize,
    /// Seed of this one call; equal seeds and logits give equal tokens.
    pub seed: u64,
}

impl SamplingParams {
    /// At most `max_new_tokens`, drawn from the whole vocabulary at temperature 1 with seed 0.
    pub fn new(max_new_tokens: usize) -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            max_new_tokens,
            seed: 0,
        }
    }

    /// At most `max_new_tokens`, each the most probable one.
    pub fn greedy(max_new_tokens: usize) -> Self {
        Self::new(max_new_tokens).with_temperature(0.0)
    }

    /// The same with another temperature; 0 means greedy.
    #[must_use]
    pub fn with_temperature(self, temperature: f32) -> Self {
        Self { temperature, ..self }
    }

    /// The same, cut to the smallest set of tokens whose mass reaches `top_p`; 1 keeps all.
    #[must_use]
    pub fn with_top_p(self, top_p: f32) -> Self {
        Self { top_p, ..self }
    }

    /// The same, cut to the `top_k` most probable tokens; 0 keeps all.
    #[must_use]
    pub fn with_top_k(self, top_k: usize) -> Self {
        Self { top_k, ..self }
    }

    /// The same with another seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// Why sampling stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A stop token was sampled; it is the last token of the completion.
    Stop,
    /// `max_new_tokens` was reached.
    MaxTokens,
    /// The context is full.
    ContextFull,
}

/// What was sampled. The four lists have one entry for each token.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Completion {
    /// Sampled ids, the stop token included.
    pub tokens: Vec<TokenId>,
    /// Natural log-prob of each token under the full vocabulary at the sampling temperature (1 when greedy).
    pub logprobs: Vec<f32>,
    /// Probability mass that top-p and top-k kept when the token was drawn; 1 when nothing was cut.
    pub kept_mass: Vec<f32>,
    /// The policy version that sampled each token.
    pub versions: Vec<PolicyVersion>,
    /// Why it ended.
    pub stop: StopReason,
}

/// A completion that nothing can be learnt from: [`Completion::flaw`] says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CompletionError(pub String);

impl Completion {
    /// No token yet: for samplers that append to the lists as they draw.
    pub fn empty(stop: StopReason) -> Self {
        Self {
            tokens: Vec::new(),
            logprobs: Vec::new(),
            kept_mass: Vec::new(),
            versions: Vec::new(),
            stop,
        }
    }

    /// Tokens that one `version` drew from the whole vocabulary, so that nothing was cut.
    ///
    /// # Errors
    /// [`CompletionError`] unless there is one log-prob for each token.
    pub fn new(
        tokens: Vec<TokenId>,
        logprobs: Vec<f32>,
        version: PolicyVersion,
        stop: StopReason,
    ) -> Result<Self, CompletionError> {
        let count = tokens.len();
        let completion = Self {
            tokens,
            logprobs,
            kept_mass: vec![1.0; count],
            versions: vec![version; count],
            stop,
        };
        completion.check().map(|()| completion)
    }

    /// The same completion with the mass that top-p and top-k kept for each token.
    ///
    /// # Errors
    /// [`CompletionError`] unless there is one mass for each token.
    pub fn with_kept_mass(self, kept_mass: Vec<f32>) -> Result<Self, CompletionError> {
        let completion = Self { kept_mass, ..self };
        completion.check().map(|()| completion)
    }

    /// The same completion with the version that drew each token, for a policy that changes in between.
    ///
    /// # Errors
    /// [`CompletionError`] unless there is one version for each token.
    pub fn with_versions(self, versions: Vec<PolicyVersion>) -> Result<Self, CompletionError> {
        let completion = Self { versions, ..self };
        completion.check().map(|()| completion)
    }

    /// Whether it can be trained on.
    ///
    /// # Errors
    /// [`CompletionError`] with [`Completion::flaw`] when it has one.
    pub fn check(&self) -> Result<(), CompletionError> {
        self.flaw().map_or(Ok(()), |flaw| Err(CompletionError(flaw)))
    }

    /// What is wrong with it, if anything: lists of different lengths, or a log-prob or kept mass that is no finite
    /// number, which is what weights or activations that overflowed sample. Nothing can be learnt from such tokens.
    pub fn flaw(&self) -> Option<String> {
        let count = self.tokens.len();
        let lengths = [self.logprobs.len(), self.kept_mass.len(), self.versions.len()];
        if lengths.iter().any(|&length| length != count) {
            return Some(format!(
                "expected one log-prob, kept mass and version for each token, got {lengths:?} for {count} tokens"
            ));
        }
        let wrong = |values: &[f32]| values.iter().position(|value| !value.is_finite());
        let (what, values) = match (wrong(&self.logprobs), wrong(&self.kept_mass)) {
            (Some(place), _) => ("log-prob", (place, self.logprobs[place])),
            (None, Some(place)) => ("kept mass", (place, self.kept_mass[place])),
            (None, None) => return None,
        };
        let (place, value) = values;
        Some(format!(
            "expected a finite {what} of every token, got {value} at token {} of {count} (id {}, policy version {}); \
             weights or activations are not finite",
            place + 1,
            self.tokens[place],
            self.versions[place]
        ))
    }
}

/// A policy that holds many conversations at once.
pub trait Sampler: Send + Sync {
    /// Opens the conversation of a slot. It counts as live until the session is dropped: a deterministic sampler waits
    /// until every live session asks for tokens, so drop sessions that will not ask again.
    ///
    /// `slot` is the number that [`EnvironmentFactory::create`](crate::EnvironmentFactory::create) was given for the
    /// environment that this session talks to; a deterministic sampler orders its batches by it.
    fn open(&self, slot: usize) -> Box<dyn SamplerSession>;

    /// The version that would sample the next token.
    fn version(&self) -> PolicyVersion;
}

/// One conversation; it keeps what was said, so only new tokens are given.
#[async_trait]
pub trait SamplerSession: Send {
    /// Appends `prompt` to the conversation, samples, and appends what was sampled.
    async fn sample(&mut self, prompt: &Prompt, params: &SamplingParams) -> Result<Completion, Fault>;

    /// Takes the conversation back to its start: the next prompt is all of it. Whoever cuts a context back says so by this;
    /// what is cached of the conversation is given up. A session that reads no prompts has nothing to do.
    fn forget(&mut self);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(logprobs: Vec<f32>) -> Completion {
        Completion {
            tokens: vec![7, 8, 9],
            logprobs,
            kept_mass: vec![1.0; 3],
            versions: vec![4; 3],
            stop: StopReason::Stop,
        }
    }

    #[test]
    fn a_log_prob_that_is_no_number_is_named_with_its_token() {
        assert_eq!(completion(vec![-0.5, 0.0, -90.0]).flaw(), None);
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let text = completion(vec![-0.5, wrong, f32::NAN]).flaw().unwrap();
            for word in [&format!("got {wrong} at token 2 of 3"), "id 8", "version 4", "log-prob"] {
                assert!(text.contains(word), "{word} in {text}");
            }
        }
        let mut cut = completion(vec![-0.5; 3]);
        cut.kept_mass[2] = f32::NAN;
        assert!(cut.flaw().unwrap().contains("kept mass"));
        assert!(completion(vec![-0.5]).flaw().unwrap().contains("for 3 tokens"));
    }
}
