//! The generator: who is open, who draws, and the decoding that suits the device.

use super::decode::Decode;
use super::host::Host;
use super::own::Own;
use super::rules::LogitRules;
use super::shared::Shared;
use super::state::{Conversation, Prefilled, Request, State};
use crate::batch::{ImageCache, RowInput};
use crate::placement::Decoding;
use crate::{ModelError, Qwen3Vl};
use burn::tensor::Device;
use cua_grpo_core::{Completion, PolicyVersion, TokenId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Sees every token as it is drawn: the number of its session, and the token.
pub type Observer = Box<dyn FnMut(u64, TokenId) + Send>;

/// Samples for many conversations at once.
///
/// A batch is [`Generator::generate`]. Callers that let conversations come and go admit and release them one by one, and
/// advance the rest in between.
pub struct Generator {
    state: State,
    /// Where tokens are kept, while a conversation is open that asked.
    decode: Option<Box<dyn Decode>>,
    observer: Option<Observer>,
    /// Admitted conversations, and how many tokens of each the observer saw.
    admitted: Vec<(u64, usize)>,
}

impl Generator {
    /// A generator for `model`. Sampling ends at any of `stop_tokens`; a context holds `max_context` tokens.
    pub fn new(
        model: Qwen3Vl,
        version: PolicyVersion,
        images: Arc<ImageCache>,
        stop_tokens: Vec<TokenId>,
        max_context: usize,
    ) -> Self {
        let state = State {
            model,
            version,
            weights: 0,
            images,
            stop_tokens,
            max_context,
            rules: LogitRules::default(),
            conversations: HashMap::new(),
            prefilled: Prefilled::default(),
            apart: false,
        };
        Self {
            state,
            decode: None,
            observer: None,
            admitted: Vec::new(),
        }
    }

    /// The pictures that it reads.
    pub(super) fn images(&self) -> &Arc<ImageCache> {
        &self.state.images
    }

    /// Shows every token to `observer` as it is drawn, e.g. to print a reply while it grows.
    #[must_use]
    pub fn observed(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Draws tokens by `rules`. With any, tokens are drawn on the host, layer by layer on a card.
    #[must_use]
    pub fn ruled(mut self, rules: LogitRules) -> Self {
        self.state.rules = rules;
        self
    }

    /// Replaces the weights. Conversations that are open keep their cache, which the old weights filled, unless
    /// [`Generator::refill`] follows.
    pub fn set_model(&mut self, model: Qwen3Vl, version: PolicyVersion) {
        (self.state.model, self.state.version) = (model, version);
        self.state.weights += 1;
        if let Some(decode) = &mut self.decode {
            decode.refresh();
        }
    }

    /// Computes every conversation by itself on a CPU, although others begin like it: to compare with.
    #[must_use]
    pub fn apart(mut self) -> Self {
        self.state.apart = true;
        self
    }

    /// Where the model is.
    pub fn device(&self) -> Device {
        self.state.model.device()
    }

    /// What was appended so far, and how much of it was computed.
    pub fn prefilled(&self) -> Prefilled {
        self.state.prefilled
    }

    /// Lets every conversation that is open be fed again, from its first token on, before its next reply: what the weights
    /// before have put into its cache is dropped then. A reply that is under way goes on with what is there.
    ///
    /// A turn of such a conversation costs the forward pass of all that was said before, pictures included.
    pub fn refill(&mut self) {
        let spoken = self.state.conversations.values_mut();
        spoken
            .filter(|conversation| !conversation.said.tokens.is_empty())
            .for_each(|conversation| conversation.stale = true);
    }

    /// Opens a conversation. One that was open under this number is closed.
    pub fn open(&mut self, session: u64) {
        if self.state.conversations.contains_key(&session) {
            self.close(session);
        }
        self.state.conversations.insert(session, Conversation::default());
    }

    /// Takes an open conversation back to its start: what was said is forgotten, and its place in the cache is given up. States
    /// of recurrent layers begin anew with it.
    pub fn forget(&mut self, session: u64) {
        // Nobody wants what was drawn; a card that failed says so at the next call.
        let _ = self.release(session);
        if let Some(conversation) = self.state.conversations.get_mut(&session) {
            *conversation = Conversation::default();
        }
        if let Some(decode) = &mut self.decode {
            decode.close(session);
        }
    }

    /// Closes a conversation, admitted or not; its place in the cache is given up when the next one is admitted. The
    /// last one to close frees the cache.
    pub fn close(&mut self, session: u64) {
        // Nobody wants what was drawn; a card that failed says so at the next call.
        let _ = self.release(session);
        self.state.conversations.remove(&session);
        if let Some(decode) = &mut self.decode {
            decode.close(session);
        }
        if self.state.conversations.is_empty() {
            self.decode = None;
        }
    }

    /// Appends the prompts and samples, all requests as one batch. Results stand in the order of the requests.
    ///
    /// # Errors
    /// When a prompt does not fit the model. No conversation is changed then.
    pub fn generate(&mut self, requests: &[Request]) -> Result<Vec<Completion>, ModelError> {
        self.admit(requests)?;
        let finished = self.run(requests);
        // All are taken out, also after a failure.
        let completions: Vec<_> = requests.iter().map(|request| self.release(request.session)).collect();
        finished?;
        completions.into_iter().collect()
    }

    fn run(&mut self, requests: &[Request]) -> Result<(), ModelError> {
        loop {
            let finished = self.finished()?;
            if requests.iter().all(|request| finished.contains(&request.session)) {
                return Ok(());
            }
            self.advance()?;
        }
    }

    /// Appends the prompts and draws the first token of each, while conversations that were admitted before go on.
    ///
    /// # Errors
    /// When a prompt does not fit the model, or a session is closed or already admitted. No conversation is changed then.
    pub fn admit(&mut self, requests: &[Request]) -> Result<(), ModelError> {
        let mut taken: HashSet<u64> = self.admitted.iter().map(|(session, _)| *session).collect();
        if let Some(twice) = requests.iter().find(|request| !taken.insert(request.session)) {
            return Err(ModelError::Input {
                operation: "sample",
                expected: "one request at a time of a session".to_owned(),
                got: format!("another one of session {}", twice.session),
            });
        }
        requests.iter().try_for_each(|request| self.check(request))?;
        let whole: Vec<Request> = requests.iter().map(|request| self.whole(request)).collect();
        let inputs = whole.iter().map(|request| self.state.input(request));
        let inputs: Vec<RowInput> = inputs.collect::<Result<_, _>>()?;
        let Self { state, decode, .. } = self;
        let decode = decode.get_or_insert_with(|| suitable(state));
        decode.admit(state, &whole, &inputs)?;
        for request in requests {
            if let Some(conversation) = state.conversations.get_mut(&request.session) {
                conversation.said.push(&request.prompt);
                conversation.stale = false;
            }
        }
        let tokens: usize = inputs.iter().map(|input| input.tokens.len()).sum();
        state.prefilled.tokens += tokens as u64;
        self.admitted
            .extend(requests.iter().map(|request| (request.session, 0)));
        self.show()
    }

    /// What a request feeds: where what is in the cache is of older weights, all that was said and then its prompt, and
    /// the conversation stands at its start.
    fn whole(&mut self, request: &Request) -> Request {
        let mut whole = request.clone();
        let conversation = self.state.conversations.get_mut(&request.session);
        if let Some(conversation) = conversation.filter(|conversation| conversation.stale) {
            whole.prompt = conversation.said.clone();
            whole.prompt.push(&request.prompt);
            conversation.rewind();
            if let Some(decode) = &mut self.decode {
                decode.close(request.session);
            }
        }
        whole
    }

    /// Draws on for all that are admitted and not finished: a token each, or a few.
    ///
    /// # Errors
    /// When a card fails.
    pub fn advance(&mut self) -> Result<(), ModelError> {
        if let Some(decode) = &mut self.decode {
            decode.advance(&mut self.state)?;
        }
        self.show()
    }

    /// The admitted sessions whose reply is finished.
    ///
    /// # Errors
    /// When a card fails.
    pub fn finished(&mut self) -> Result<Vec<u64>, ModelError> {
        self.decode
            .as_mut()
            .map_or_else(|| Ok(Vec::new()), |decode| decode.finished())
    }

    /// Takes an admitted session out and gives its reply: what was drawn so far, where it is not finished.
    ///
    /// # Errors
    /// When the session was not admitted, or a card fails.
    pub fn release(&mut self, session: u64) -> Result<Completion, ModelError> {
        self.admitted.retain(|(admitted, _)| *admitted != session);
        let released = match &mut self.decode {
            Some(decode) => decode.release(&mut self.state, session)?,
            None => None,
        };
        let reply = released.ok_or_else(|| ModelError::Input {
            operation: "sample",
            expected: "an admitted session".to_owned(),
            got: format!("session {session}"),
        })?;
        if let Some(conversation) = self.state.conversations.get_mut(&session) {
            conversation.said.push_sampled(&reply.tokens);
        }
        Ok(reply)
    }

    /// Whether `request` can be sampled. One request that cannot fails the whole batch of [`Generator::generate`].
    ///
    /// # Errors
    /// When the session is closed, the context has no room, or the prompt does not fit the model.
    pub fn check(&self, request: &Request) -> Result<(), ModelError> {
        self.state.input(request).map(|_| ())
    }

    /// Shows the observer what is new.
    fn show(&mut self) -> Result<(), ModelError> {
        let (Some(decode), Some(observer)) = (&mut self.decode, &mut self.observer) else {
            return Ok(());
        };
        for (session, shown) in &mut self.admitted {
            let tokens = decode.drawn(*session, *shown)?;
            *shown += tokens.len();
            tokens.into_iter().for_each(|token| observer(*session, token));
        }
        Ok(())
    }
}

/// The decoding that suits the model, its device and the rules.
fn suitable(state: &State) -> Box<dyn Decode> {
    let layers = state.model.language_model.num_layers();
    match Decoding::of(&state.model, state.rules.is_neutral()) {
        #[cfg(feature = "cuda")]
        Decoding::Graph => Box::new(super::card::Card::default()),
        Decoding::Conversations => Box::new(Host::new(Box::new(Own::new(layers)))),
        _ => Box::new(Host::new(Box::new(Shared::new(layers)))),
    }
}
