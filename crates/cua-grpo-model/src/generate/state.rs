//! What every way of decoding needs to know: the weights, and where each open conversation stands.

use super::history::History;
use super::rules::LogitRules;
use crate::batch::{ImageCache, RowInput};
use crate::processor::PositionState;
use crate::{ModelError, Qwen3Vl};
use cua_grpo_core::{PolicyVersion, Prompt, SamplingParams, TokenId};
use std::collections::HashMap;
use std::sync::Arc;

/// One conversation that wants tokens.
#[derive(Clone)]
pub struct Request {
    /// Number of the conversation.
    pub session: u64,
    /// Tokens to append before sampling.
    pub prompt: Prompt,
    /// How to sample.
    pub params: SamplingParams,
}

/// Tokens that were appended to conversations, the sampled ones that were pending among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prefilled {
    /// All of them.
    pub tokens: u64,
    /// Those that went through the model; what others had in common with them was taken over.
    pub computed: u64,
}

/// Where one conversation stands.
#[derive(Default)]
pub(super) struct Conversation {
    /// Of its next token.
    pub positions: PositionState,
    /// Sampled but not yet in a cache.
    pub pending: Vec<TokenId>,
    /// What is in a cache.
    pub history: History,
    /// Tokens in a cache or pending.
    pub length: usize,
    /// Those tokens, where rules read them.
    pub seen: Vec<TokenId>,
    /// All that was said, to be fed again. Pictures are kept as they came: their pixels are many times as large.
    pub said: Prompt,
    /// What is in the cache is of older weights, and is fed again before the next reply.
    pub stale: bool,
}

impl Conversation {
    /// Takes it back to its start, to be fed again; what was said stays.
    pub fn rewind(&mut self) {
        (self.positions, self.history) = (PositionState::default(), History::default());
        (self.length, self.pending, self.seen) = (0, Vec::new(), Vec::new());
    }

    /// Counts what was fed and drawn: `prompt` tokens, then `tokens`, of which the last is not in a cache yet.
    pub fn append(&mut self, prompt: usize, tokens: &[TokenId]) {
        self.length += prompt + tokens.len();
        self.pending = tokens.last().copied().into_iter().collect();
    }
}

/// The weights, and the conversations that are open.
pub(super) struct State {
    pub model: Qwen3Vl,
    pub version: PolicyVersion,
    /// Counts the weights that there were: what one of them computed is not what the next one would have.
    pub weights: u64,
    pub images: Arc<ImageCache>,
    pub stop_tokens: Vec<TokenId>,
    pub max_context: usize,
    /// Changes of the logits before a token is drawn.
    pub rules: LogitRules,
    pub conversations: HashMap<u64, Conversation>,
    pub prefilled: Prefilled,
    /// On a CPU nothing is taken over from others.
    pub apart: bool,
}

impl State {
    /// What a request feeds: the token that is pending, then its prompt.
    pub fn input(&self, request: &Request) -> Result<RowInput, ModelError> {
        let conversation = self.conversation(request.session)?;
        self.model.check_tokens(&request.prompt.tokens)?;
        let length = conversation.length + request.prompt.tokens.len();
        if request.prompt.tokens.is_empty() || length >= self.max_context {
            return Err(ModelError::Input {
                operation: "sample",
                expected: format!("a prompt that leaves room in a context of {} tokens", self.max_context),
                got: format!("{length} tokens"),
            });
        }
        let images = request.prompt.images.iter();
        let mut input = RowInput::sampled(conversation.pending.clone());
        input.tokens.extend_from_slice(&request.prompt.tokens);
        input.sampled.extend(request.prompt.marks());
        input.pixels = images
            .map(|image| self.images.pixels(image))
            .collect::<Result<_, _>>()?;
        input.place(&self.model.config, conversation.positions)?;
        Ok(input)
    }

    /// An open conversation.
    pub fn conversation(&self, session: u64) -> Result<&Conversation, ModelError> {
        self.conversations.get(&session).ok_or_else(|| ModelError::Input {
            operation: "sample",
            expected: "an open session".to_owned(),
            got: format!("session {session}, which is closed"),
        })
    }

    /// Where a conversation stands; one that is closed stands at its start.
    pub fn positions(&self, session: u64) -> PositionState {
        let conversation = self.conversations.get(&session);
        conversation.map_or_else(PositionState::default, |conversation| conversation.positions)
    }

    /// Tokens of a conversation that are in a cache.
    #[cfg(feature = "cuda")]
    pub fn columns(&self, session: u64) -> usize {
        let conversation = self.conversations.get(&session);
        conversation.map_or(0, |conversation| conversation.history.len())
    }

    /// Counts what was fed to a conversation, which stands at `positions` then.
    ///
    /// # Errors
    /// When pad tokens and pictures disagree.
    pub fn fed(&mut self, session: u64, input: &RowInput, positions: PositionState) -> Result<(), ModelError> {
        if let Some(conversation) = self.conversations.get_mut(&session) {
            let before = std::mem::replace(&mut conversation.positions, positions);
            let config = &self.model.config;
            conversation.history.feed(config, input, before, self.weights)?;
        }
        Ok(())
    }
}
