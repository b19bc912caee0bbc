//! The policy seam: tokens and images in, sampled tokens with log-probs and the version that sampled them out.

use crate::{Fault, Image};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// An index into the vocabulary.
pub type TokenId = u32;

/// Counts the updates of the adapter; every sampled token carries the version that sampled it.
pub type PolicyVersion = u64;

/// Tokens to append to a session, with the images whose pad tokens they contain, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Token ids; an image of `n` merged patches stands as `n` image-pad ids.
    pub tokens: Vec<TokenId>,
    /// One image per run of image-pad ids.
    pub images: Vec<Image>,
}

/// How to draw tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// What was sampled. The four lists have one entry a token.
#[derive(Debug, Clone, PartialEq)]
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

impl Completion {
    /// What is wrong with it, if anything: lists of different lengths, or a log-prob or kept mass that is no finite
    /// number, which is what weights or activations that overflowed sample. Nothing can be learnt from such tokens.
    pub fn flaw(&self) -> Option<String> {
        let count = self.tokens.len();
        let lengths = [self.logprobs.len(), self.kept_mass.len(), self.versions.len()];
        if lengths.iter().any(|&length| length != count) {
            return Some(format!(
                "expected one log-prob, kept mass and version a token, got {lengths:?} for {count} tokens"
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

/// Who samples: lets a scripted policy see which task and device it plays for. A real policy ignores it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionContext {
    /// Id of the task.
    pub task: String,
    /// Name of the device, where there is one.
    pub device: Option<String>,
    /// Position of the session in its batch of work; a deterministic sampler orders its batches by it.
    pub index: usize,
}

/// A policy that holds many conversations at once.
pub trait Sampler: Send + Sync {
    /// Opens a conversation. It counts as live until the session is dropped: a deterministic sampler waits until every
    /// live session asks for tokens, so drop sessions that will not ask again.
    fn open(&self, context: SessionContext) -> Box<dyn SamplerSession>;

    /// The version that would sample the next token.
    fn version(&self) -> PolicyVersion;
}

/// One conversation; it keeps what was said, so only new tokens are given.
#[async_trait]
pub trait SamplerSession: Send {
    /// Appends `prompt` to the conversation, samples, and appends what was sampled.
    async fn sample(&mut self, prompt: &Prompt, params: &SamplingParams) -> Result<Completion, Fault>;
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
