//! Rows: the token sequences that are trained on, exactly as they were sampled.

use crate::{Completion, CompletionError, Image, PolicyVersion, Prompt, TokenId};
use std::ops::Range;

/// One conversation as a flat sequence: prompts, screenshots (as pad ids) and replies.
///
/// Where the context of an episode is cut back, a row of its own begins: with the whole context as it is then, earlier
/// replies included. Those were trained on in their own row, and are context here.
///
/// A row only grows, by [`Row::push_prompt`] and [`Row::push_completion`], so its lists always have one entry for each
/// token. All its log-probs were taken at one temperature.
///
/// ```
/// use cua_grpo_core::{Completion, Prompt, Row, StopReason};
/// let mut row = Row::new(0.7);
/// row.push_prompt(&Prompt::new(vec![1, 2, 3]));
/// let reply = Completion::new(vec![4, 5], vec![-0.1, -0.2], 0, StopReason::Stop).unwrap();
/// assert_eq!(row.push_completion(&reply).unwrap(), 3..5);
/// assert_eq!(row.trained(), [false, false, false, true, true]);
/// assert_eq!(row.trained_tokens(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    tokens: Vec<TokenId>,
    trained: Vec<bool>,
    sampled: Vec<bool>,
    logprobs: Vec<f32>,
    kept_mass: Vec<f32>,
    versions: Vec<PolicyVersion>,
    images: Vec<Image>,
    temperature: f32,
}

impl Row {
    /// An empty row whose log-probs will be those at `temperature` (1 for greedy replies).
    pub fn new(temperature: f32) -> Self {
        Self {
            tokens: Vec::new(),
            trained: Vec::new(),
            sampled: Vec::new(),
            logprobs: Vec::new(),
            kept_mass: Vec::new(),
            versions: Vec::new(),
            images: Vec::new(),
            temperature,
        }
    }

    /// Appends tokens that are not trained on here: they were given, or sampled before this row ([`Prompt::sampled`]).
    pub fn push_prompt(&mut self, prompt: &Prompt) {
        let length = self.tokens.len() + prompt.tokens.len();
        self.tokens.extend_from_slice(&prompt.tokens);
        self.trained.resize(length, false);
        self.sampled.extend(prompt.marks());
        self.logprobs.resize(length, 0.0);
        self.kept_mass.resize(length, 1.0);
        self.versions.resize(length, 0);
        self.images.extend(prompt.images.iter().cloned());
    }

    /// Appends sampled tokens and returns their range.
    ///
    /// # Errors
    /// [`CompletionError`] when the lists of `completion` differ in length; the row is then as it was.
    pub fn push_completion(&mut self, completion: &Completion) -> Result<Range<usize>, CompletionError> {
        completion.check()?;
        let start = self.tokens.len();
        self.tokens.extend_from_slice(&completion.tokens);
        self.trained.resize(self.tokens.len(), true);
        self.sampled.resize(self.tokens.len(), true);
        self.logprobs.extend_from_slice(&completion.logprobs);
        self.kept_mass.extend_from_slice(&completion.kept_mass);
        self.versions.extend_from_slice(&completion.versions);
        Ok(start..self.tokens.len())
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// True before the first token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// All token ids; an image of `n` merged patches stands as `n` image-pad ids.
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// True where the policy sampled the token in this row: only these enter the loss.
    pub fn trained(&self) -> &[bool] {
        &self.trained
    }

    /// True where the policy sampled the token, in this row or in an earlier one of the episode.
    pub fn sampled(&self) -> &[bool] {
        &self.sampled
    }

    /// The sampler's log-prob of each sampled token under the full vocabulary, 0 elsewhere.
    pub fn logprobs(&self) -> &[f32] {
        &self.logprobs
    }

    /// Probability mass that top-p and top-k kept when the token was drawn; 1 where nothing was cut or drawn.
    pub fn kept_mass(&self) -> &[f32] {
        &self.kept_mass
    }

    /// The policy version that sampled each token, 0 elsewhere.
    pub fn versions(&self) -> &[PolicyVersion] {
        &self.versions
    }

    /// The images, in the order of their runs of pad ids.
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// The temperature at which [`Row::logprobs`] were taken.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// Number of tokens that enter the loss.
    pub fn trained_tokens(&self) -> usize {
        self.trained.iter().filter(|&&trained| trained).count()
    }
}
