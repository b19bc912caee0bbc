//! Prefill and decode of a batch of conversations that share one cache.
//!
//! - Rows of the cache are conversations, columns are moments: all rows append the same number of columns, and a row
//!   hides the columns that are padding for it. So appending is one concatenation, whatever the lengths of the rows.
//! - What was sampled last is not in the cache yet: it is fed at the start of the next turn.
//! - A batch is a pure function of the requests and their order; nothing depends on time.

use super::rules::{LogitRules, Moment};
use super::sampling::{Draw, draw};
use super::warp::draw_by_rules;
use crate::batch::{Batch, ImageCache, Prefix, RowInput, ints};
use crate::processor::PositionState;
use crate::text::LayerCache;
use crate::{ModelError, Qwen3Vl};
use burn::tensor::Tensor;
use cua_grpo_core::{Completion, PolicyVersion, Prompt, SamplingParams, StopReason, TokenId};
use cua_grpo_kernels as kernels;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::sync::Arc;

/// One conversation that wants tokens.
pub struct Request {
    /// Number of the conversation.
    pub session: u64,
    /// Tokens to append before sampling.
    pub prompt: Prompt,
    /// How to sample.
    pub params: SamplingParams,
}

/// State of one conversation.
pub(super) struct Conversation {
    /// Its row in the cache, once it has one.
    pub(super) row: Option<usize>,
    pub(super) positions: PositionState,
    /// Sampled but not yet in the cache.
    pub(super) pending: Vec<TokenId>,
    /// Tokens in the cache or pending.
    pub(super) length: usize,
    /// Those tokens, where rules read them.
    seen: Vec<TokenId>,
}

/// Sees every token as it is drawn: the number of its session, and the token.
pub type Observer = Box<dyn FnMut(u64, TokenId) + Send>;

/// Samples for many conversations at once.
pub struct Generator {
    pub(super) model: Qwen3Vl,
    pub(super) version: PolicyVersion,
    pub(super) images: Arc<ImageCache>,
    pub(super) stop_tokens: Vec<TokenId>,
    pub(super) max_context: usize,
    pub(super) cache: Vec<LayerCache>,
    /// For each row of the cache, which columns it sees.
    pub(super) visible: Vec<Vec<bool>>,
    pub(super) conversations: HashMap<u64, Conversation>,
    pub(super) observer: Option<Observer>,
    /// Changes of the logits before a token is drawn.
    rules: LogitRules,
    /// The rows of a card's decoder, while a conversation is open.
    #[cfg(feature = "cuda")]
    pub(super) slots: Option<super::slots::Slots>,
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
        let cache = vec![LayerCache::default(); model.language_model.num_layers()];
        let (visible, conversations) = (Vec::new(), HashMap::new());
        Self {
            model,
            version,
            images,
            stop_tokens,
            max_context,
            cache,
            visible,
            conversations,
            observer: None,
            rules: LogitRules::default(),
            #[cfg(feature = "cuda")]
            slots: None,
        }
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
        self.rules = rules;
        self
    }

    /// Replaces the weights. Conversations that are open keep their cache, which the old weights filled: close them
    /// first where that matters.
    pub fn set_model(&mut self, model: Qwen3Vl, version: PolicyVersion) {
        self.model = model;
        self.version = version;
        #[cfg(feature = "cuda")]
        if let Some(slots) = &mut self.slots {
            slots.stale = true;
        }
    }

    /// Opens a conversation.
    pub fn open(&mut self, session: u64) {
        let conversation = Conversation {
            row: None,
            positions: PositionState::default(),
            pending: Vec::new(),
            length: 0,
            seen: Vec::new(),
        };
        self.conversations.insert(session, conversation);
    }

    /// Closes a conversation; its row is given up at the next batch. The last one to close frees a card's cache.
    pub fn close(&mut self, session: u64) {
        self.conversations.remove(&session);
        #[cfg(feature = "cuda")]
        if self.conversations.is_empty() {
            self.slots = None;
        }
    }

    /// Appends the prompts and samples, all requests as one batch. Results stand in the order of the requests.
    ///
    /// # Errors
    /// When a prompt does not fit the model. No conversation is changed then.
    pub fn generate(&mut self, requests: &[Request]) -> Result<Vec<Completion>, ModelError> {
        let inputs: Vec<RowInput> = requests
            .iter()
            .map(|request| self.input(request))
            .collect::<Result<_, _>>()?;
        #[cfg(feature = "cuda")]
        if self.rules.is_neutral() && super::slots::runs(&self.model) {
            return self.generate_on_card(requests, &inputs);
        }
        self.place(requests)?;
        let mut outputs = self.prefill(requests, &inputs)?;
        self.decode(requests, &mut outputs)?;
        for layer in &mut self.cache {
            layer.settle();
        }
        for (request, output) in requests.iter().zip(&outputs) {
            if let Some(conversation) = self.conversations.get_mut(&request.session) {
                conversation.length += request.prompt.tokens.len() + output.completion.tokens.len();
                conversation.pending = output.completion.tokens.last().copied().into_iter().collect();
                if !self.rules.is_neutral() {
                    conversation.seen.extend(&request.prompt.tokens);
                    conversation.seen.extend(&output.completion.tokens);
                }
            }
        }
        Ok(outputs.into_iter().map(|output| output.completion).collect())
    }

    /// Whether `request` can be sampled. One request that cannot fails the whole batch of [`Generator::generate`].
    ///
    /// # Errors
    /// When the session is closed, the context has no room, or the prompt does not fit the model.
    pub fn check(&self, request: &Request) -> Result<(), ModelError> {
        self.input(request).map(|_| ())
    }

    /// What a request feeds: the token that is pending, then its prompt.
    fn input(&self, request: &Request) -> Result<RowInput, ModelError> {
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
        input.sampled.resize(input.tokens.len(), false);
        input.pixels = images
            .map(|image| self.images.pixels(image))
            .collect::<Result<_, _>>()?;
        input.place(&self.model.config, conversation.positions)?;
        Ok(input)
    }

    fn conversation(&self, session: u64) -> Result<&Conversation, ModelError> {
        self.conversations.get(&session).ok_or_else(|| ModelError::Input {
            operation: "sample",
            expected: "an open session".to_owned(),
            got: format!("session {session}, which is closed"),
        })
    }

    /// Orders the rows of the cache as the requests stand, with rows of their own for new conversations. Conversations
    /// that are open but do not ask keep theirs, behind.
    fn place(&mut self, requests: &[Request]) -> Result<(), ModelError> {
        let mut order: Vec<u64> = requests.iter().map(|request| request.session).collect();
        let mut idle: Vec<u64> = self
            .conversations
            .iter()
            .filter(|(id, c)| c.row.is_some() && !order.contains(id))
            .map(|(id, _)| *id)
            .collect();
        idle.sort_unstable();
        if !idle.is_empty() {
            // Idle rows would be fed padding: allowed, but a deterministic caller never leaves any.
            order.extend(idle);
        }
        let columns = self.visible.first().map_or(0, Vec::len);
        let old: Vec<Option<usize>> = order
            .iter()
            .map(|id| self.conversation(*id).map(|c| c.row))
            .collect::<Result<_, _>>()?;
        let visible: Vec<Vec<bool>> = old
            .iter()
            .map(|row| row.map_or_else(|| vec![false; columns], |row| self.visible[row].clone()))
            .collect();
        let unchanged = old.len() == self.visible.len() && old.iter().enumerate().all(|(new, old)| *old == Some(new));
        if columns > 0 && !unchanged {
            // A new row borrows the columns of row 0 and hides them all.
            let rows: Vec<i64> = old.iter().map(|row| row.unwrap_or(0) as i64).collect();
            let rows = ints(rows, &self.model.device());
            for layer in &mut self.cache {
                layer.select_rows(&rows);
            }
        }
        self.visible = visible;
        for (row, id) in order.iter().enumerate() {
            if let Some(conversation) = self.conversations.get_mut(id) {
                conversation.row = Some(row);
            }
        }
        self.drop_hidden_columns();
        Ok(())
    }

    /// Drops columns that no row sees, once they are a quarter of the cache.
    fn drop_hidden_columns(&mut self) {
        let columns = self.visible.first().map_or(0, Vec::len);
        let kept: Vec<usize> = (0..columns)
            .filter(|&column| self.visible.iter().any(|row| row[column]))
            .collect();
        if kept.is_empty() {
            self.cache.fill(LayerCache::default());
            self.visible.iter_mut().for_each(Vec::clear);
        } else if kept.len() * 4 <= columns * 3 {
            let index = ints(kept.iter().map(|&column| column as i64).collect(), &self.model.device());
            for layer in &mut self.cache {
                layer.select_columns(&index);
            }
            for row in &mut self.visible {
                *row = kept.iter().map(|&column| row[column]).collect();
            }
        }
    }

    /// Feeds the prompts and draws the first token of each request.
    fn prefill(&mut self, requests: &[Request], inputs: &[RowInput]) -> Result<Vec<Output>, ModelError> {
        let hidden = self.feed(requests, inputs)?;
        let logits = self.logits(hidden);
        let mut outputs: Vec<Output> = requests.iter().map(|request| Output::new(&request.params)).collect();
        for (row, output) in outputs.iter_mut().enumerate() {
            self.extend(output, &requests[row], &logits[row])?;
        }
        Ok(outputs)
    }

    /// One token a step for every request that is not done.
    fn decode(&mut self, requests: &[Request], outputs: &mut [Output]) -> Result<(), ModelError> {
        while outputs.iter().any(|output| !output.done) {
            let inputs: Vec<RowInput> = outputs
                .iter()
                .map(|output| {
                    let token = output.completion.tokens.last().copied().filter(|_| !output.done);
                    RowInput::sampled(token.into_iter().collect())
                })
                .collect();
            let hidden = self.feed(requests, &inputs)?;
            let logits = self.logits(hidden);
            for (row, output) in outputs.iter_mut().enumerate().filter(|(_, output)| !output.done) {
                self.extend(output, &requests[row], &logits[row])?;
            }
        }
        Ok(())
    }

    /// Runs new tokens through the model; rows without any get hidden padding. Gives the state of each request's last new
    /// token (any state for one that has none).
    fn feed(&mut self, requests: &[Request], inputs: &[RowInput]) -> Result<Tensor<2>, ModelError> {
        let mut rows = inputs.to_vec();
        let mut sessions: Vec<Option<u64>> = requests.iter().map(|request| Some(request.session)).collect();
        rows.resize(self.visible.len(), RowInput::default());
        sessions.resize(self.visible.len(), None);
        let positions = sessions.iter().map(|session| {
            session
                .and_then(|session| self.conversations.get(&session))
                .map_or_else(PositionState::default, |c| c.positions)
        });
        let prefix = Prefix {
            visible: self.visible.clone(),
            positions: positions.collect(),
        };
        let batch = Batch::assemble(&self.model, &rows, &prefix)?;
        let last = inputs.iter().zip(&batch.starts);
        let last = last.map(|(input, start)| (start + input.tokens.len().saturating_sub(1)) as i64);
        let last = ints(last.collect(), &self.model.device());
        let hidden = batch.hidden_at(&self.model, Some(&mut self.cache), last);
        for (row, input) in rows.iter().enumerate() {
            let length = self.visible[row].len();
            self.visible[row].resize(length + input.tokens.len(), true);
            self.visible[row].resize(length + batch.time, false);
            if let Some(conversation) = sessions[row].and_then(|session| self.conversations.get_mut(&session)) {
                conversation.positions = batch.positions[row];
            }
        }
        Ok(hidden)
    }

    /// Logits of hidden states `[rows, hidden]`, on the host.
    fn logits(&self, hidden: Tensor<2>) -> Vec<Vec<f32>> {
        let logits = kernels::head(hidden, self.model.head());
        let width = logits.dims()[1];
        kernels::host(logits).chunks_exact(width).map(<[f32]>::to_vec).collect()
    }

    /// Draws a token and decides whether the request is done.
    fn extend(&mut self, output: &mut Output, request: &Request, logits: &[f32]) -> Result<(), ModelError> {
        let drawn = if self.rules.is_neutral() {
            draw(logits, &request.params, &mut output.rng)
        } else {
            self.draw_ruled(output, request, logits)?
        };
        if let Some(observer) = &mut self.observer {
            observer(request.session, drawn.token);
        }
        let completion = &mut output.completion;
        completion.tokens.push(drawn.token);
        completion.logprobs.push(drawn.logprob);
        completion.kept_mass.push(drawn.kept_mass);
        completion.versions.push(self.version);
        let used = self
            .conversations
            .get(&request.session)
            .map_or(0, |conversation| conversation.length);
        // Nothing that follows a log-prob that is no number can be used: whoever asked finds it in the completion.
        output.done = !drawn.logprob.is_finite();
        let stop = if self.stop_tokens.contains(&drawn.token) {
            Some(StopReason::Stop)
        } else if completion.tokens.len() >= request.params.max_new_tokens {
            Some(StopReason::MaxTokens)
        } else if used + request.prompt.tokens.len() + completion.tokens.len() >= self.max_context {
            Some(StopReason::ContextFull)
        } else {
            None
        };
        if let Some(stop) = stop {
            completion.stop = stop;
            output.done = true;
        }
        Ok(())
    }

    /// Draws by the rules, which see the whole conversation.
    fn draw_ruled(&self, output: &mut Output, request: &Request, logits: &[f32]) -> Result<Draw, ModelError> {
        let conversation = self.conversations.get(&request.session);
        let mut tokens = conversation.map_or_else(Vec::new, |conversation| conversation.seen.clone());
        tokens.extend(&request.prompt.tokens);
        let prompt = tokens.len();
        tokens.extend(&output.completion.tokens);
        let moment = Moment {
            tokens: &tokens,
            prompt,
            stop: &self.stop_tokens,
            last: output.completion.tokens.len() + 1 == request.params.max_new_tokens,
        };
        let drawn = draw_by_rules(logits, &self.rules, &moment, &request.params, &mut output.rng);
        drawn.ok_or_else(|| ModelError::Input {
            operation: "draw a token",
            expected: "rules of generation_config.json that leave one".to_owned(),
            got: format!("none that may follow {} tokens", tokens.len()),
        })
    }
}

/// A completion in the making.
pub(super) struct Output {
    pub(super) completion: Completion,
    pub(super) rng: ChaCha8Rng,
    pub(super) done: bool,
}

impl Output {
    fn new(params: &SamplingParams) -> Self {
        let completion = Completion {
            tokens: Vec::new(),
            logprobs: Vec::new(),
            kept_mass: Vec::new(),
            versions: Vec::new(),
            stop: StopReason::MaxTokens,
        };
        Self {
            completion,
            rng: ChaCha8Rng::seed_from_u64(params.seed),
            done: false,
        }
    }
}
