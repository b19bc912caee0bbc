//! Rows: the token sequences that are trained on, exactly as they were sampled.

use crate::{Image, PolicyVersion, TokenId};

/// One conversation as a flat sequence. The lists `tokens`, `trained`, `logprobs` and `versions` have equal length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// All token ids: prompts, screenshots (as pad ids) and replies.
    pub tokens: Vec<TokenId>,
    /// True where the policy sampled the token: only these enter the loss.
    pub trained: Vec<bool>,
    /// The sampler's log-prob of each sampled token, 0 elsewhere.
    pub logprobs: Vec<f32>,
    /// The policy version that sampled each token, 0 elsewhere.
    pub versions: Vec<PolicyVersion>,
    /// The images, in the order of their runs of pad ids.
    pub images: Vec<Image>,
}

impl Row {
    /// Appends tokens that were given, not sampled.
    pub fn push_prompt(&mut self, prompt: &crate::Prompt) {
        let length = self.tokens.len() + prompt.tokens.len();
        self.tokens.extend_from_slice(&prompt.tokens);
        self.trained.resize(length, false);
        self.logprobs.resize(length, 0.0);
        self.versions.resize(length, 0);
        self.images.extend(prompt.images.iter().cloned());
    }

    /// Appends sampled tokens and returns their range.
    pub fn push_completion(&mut self, completion: &crate::Completion) -> std::ops::Range<usize> {
        let start = self.tokens.len();
        self.tokens.extend_from_slice(&completion.tokens);
        self.trained.resize(self.tokens.len(), true);
        self.logprobs.extend_from_slice(&completion.logprobs);
        self.versions.extend_from_slice(&completion.versions);
        start..self.tokens.len()
    }

    /// Number of tokens that enter the loss.
    pub fn trained_tokens(&self) -> usize {
        self.trained.iter().filter(|&&trained| trained).count()
    }
}

/// Scores rows under the current policy, with a gradient.
///
/// The type of the log-probs is the implementor's own: core knows no tensors.
pub trait Scorer {
    /// Log-probs `[rows, completion]` that carry a gradient.
    type LogProbs;
    /// What can go wrong.
    type Error: std::error::Error;

    /// Log-prob of every trained token given all before it, at `temperature`, under the policy (`adapter` on) or the
    /// reference (`adapter` off): the trained tokens of each row in order, 0 beyond the last.
    fn score(&self, rows: &[&Row], temperature: f32, adapter: bool) -> Result<Self::LogProbs, Self::Error>;
}
