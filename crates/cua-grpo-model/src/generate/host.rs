//! Decoding layer by layer on any device: tokens are drawn here, and a [`Cache`] keeps what was said.
//!
//! What was sampled last is not in the cache yet: it is fed with the next token, or at the start of the next turn.

use super::decode::Decode;
use super::reuse::{borrow, give_back};
use super::rules::Moment;
use super::sampling::{Draw, draw};
use super::state::{Request, State};
use super::warp::draw_by_rules;
use crate::ModelError;
use crate::batch::RowInput;
use burn::tensor::Tensor;
use cua_grpo_core::{Completion, SamplingParams, StopReason, TokenId};
use cua_grpo_kernels as kernels;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a conversation takes over from another one: whose, and how many tokens.
pub(super) type Loan = Option<(u64, usize)>;

/// Keeps what conversations have said, in every layer.
pub(super) trait Cache: Send {
    /// Whether it has something of a conversation.
    fn has(&self, session: u64) -> bool;

    /// Makes room for `sessions`, new ones or not, beside those that are `admitted`. A new one begins with its loan.
    fn place(&mut self, state: &State, admitted: &[u64], sessions: &[u64], loans: &[Loan]);

    /// Feeds what conversations append that are placed; those that are equal are computed once. Gives the state of the
    /// last token of each.
    ///
    /// # Errors
    /// When the model refuses an input. Nothing is changed then.
    fn feed(&mut self, state: &mut State, sessions: &[u64], inputs: &[RowInput]) -> Result<Tensor<2>, ModelError>;

    /// Feeds a token to each of `sessions` that has one. Gives the states of these tokens, in that order.
    ///
    /// # Errors
    /// As `feed`.
    fn step(
        &mut self,
        state: &mut State,
        sessions: &[u64],
        tokens: &[Option<TokenId>],
    ) -> Result<Tensor<2>, ModelError>;

    /// Nobody draws any more.
    fn settle(&mut self) {}

    /// Gives up what it has of a conversation.
    fn close(&mut self, session: u64);
}

/// A cache, and who draws.
pub(super) struct Host {
    cache: Box<dyn Cache>,
    /// Who is admitted.
    seats: Vec<Seat>,
}

impl Host {
    /// Nobody draws yet.
    pub fn new(cache: Box<dyn Cache>) -> Self {
        let seats = Vec::new();
        Self { cache, seats }
    }
}

/// A completion in the making.
struct Seat {
    session: u64,
    params: SamplingParams,
    prompt: Vec<TokenId>,
    completion: Completion,
    rng: ChaCha8Rng,
    done: bool,
}

impl Seat {
    fn new(request: &Request) -> Self {
        Self {
            session: request.session,
            params: request.params.clone(),
            prompt: request.prompt.tokens.clone(),
            completion: Completion::empty(StopReason::MaxTokens),
            rng: ChaCha8Rng::seed_from_u64(request.params.seed),
            done: false,
        }
    }

    /// Draws a token and decides whether the reply is done.
    fn extend(&mut self, state: &State, logits: &[f32]) -> Result<(), ModelError> {
        let drawn = if state.rules.is_neutral() {
            draw(logits, &self.params, &mut self.rng)
        } else {
            self.draw_ruled(state, logits)?
        };
        let completion = &mut self.completion;
        completion.tokens.push(drawn.token);
        completion.logprobs.push(drawn.logprob);
        completion.kept_mass.push(drawn.kept_mass);
        completion.versions.push(state.version);
        let conversation = state.conversations.get(&self.session);
        let used = conversation.map_or(0, |conversation| conversation.length);
        // Nothing that follows a log-prob that is no number can be used: whoever asked finds it in the completion.
        self.done = !drawn.logprob.is_finite();
        let stop = if state.stop_tokens.contains(&drawn.token) {
            Some(StopReason::Stop)
        } else if completion.tokens.len() >= self.params.max_new_tokens {
            Some(StopReason::MaxTokens)
        } else if used + self.prompt.len() + completion.tokens.len() >= state.max_context {
            Some(StopReason::ContextFull)
        } else {
            None
        };
        if let Some(stop) = stop {
            completion.stop = stop;
            self.done = true;
        }
        Ok(())
    }

    /// Draws by the rules, which see the whole conversation.
    fn draw_ruled(&mut self, state: &State, logits: &[f32]) -> Result<Draw, ModelError> {
        let conversation = state.conversations.get(&self.session);
        let mut tokens = conversation.map_or_else(Vec::new, |conversation| conversation.seen.clone());
        tokens.extend(&self.prompt);
        let prompt = tokens.len();
        tokens.extend(&self.completion.tokens);
        let moment = Moment {
            tokens: &tokens,
            prompt,
            stop: &state.stop_tokens,
            last: self.completion.tokens.len() + 1 == self.params.max_new_tokens,
        };
        let drawn = draw_by_rules(logits, &state.rules, &moment, &self.params, &mut self.rng);
        drawn.ok_or_else(|| ModelError::Input {
            operation: "draw a token",
            expected: "rules of generation_config.json that leave one".to_owned(),
            got: format!("none that may follow {} tokens", tokens.len()),
        })
    }
}

impl Decode for Host {
    fn admit(&mut self, state: &mut State, requests: &[Request], inputs: &[RowInput]) -> Result<(), ModelError> {
        let sessions: Vec<u64> = requests.iter().map(|request| request.session).collect();
        let mut inputs = inputs.to_vec();
        let borrowed = if state.apart {
            vec![None; sessions.len()]
        } else {
            borrow(state, &sessions, &mut inputs, &|session| self.cache.has(session))?
        };
        let admitted: Vec<u64> = self.seats.iter().map(|seat| seat.session).collect();
        self.cache.place(state, &admitted, &sessions, &borrowed);
        let hidden = self.cache.feed(state, &sessions, &inputs).inspect_err(|_| {
            give_back(state, &sessions, &borrowed);
            sessions
                .iter()
                .zip(&borrowed)
                .filter(|(_, loan)| loan.is_some())
                .for_each(|(session, _)| self.cache.close(*session));
        })?;
        let logits = logits(state, hidden);
        let seats = requests.iter().zip(&logits).map(|(request, logits)| {
            let mut seat = Seat::new(request);
            seat.extend(state, logits)?;
            Ok(seat)
        });
        let seats: Vec<Seat> = seats.collect::<Result<_, ModelError>>()?;
        self.seats.extend(seats);
        Ok(())
    }

    fn advance(&mut self, state: &mut State) -> Result<(), ModelError> {
        if self.seats.iter().all(|seat| seat.done) {
            return Ok(());
        }
        let sessions: Vec<u64> = self.seats.iter().map(|seat| seat.session).collect();
        let next = |seat: &Seat| seat.completion.tokens.last().copied().filter(|_| !seat.done);
        let tokens: Vec<Option<TokenId>> = self.seats.iter().map(next).collect();
        let hidden = self.cache.step(state, &sessions, &tokens)?;
        let logits = logits(state, hidden);
        let seats = self.seats.iter_mut().filter(|seat| !seat.done);
        for (seat, logits) in seats.zip(&logits) {
            seat.extend(state, logits)?;
        }
        Ok(())
    }

    fn finished(&mut self) -> Result<Vec<u64>, ModelError> {
        let done = self.seats.iter().filter(|seat| seat.done);
        Ok(done.map(|seat| seat.session).collect())
    }

    fn drawn(&mut self, session: u64, from: usize) -> Result<Vec<TokenId>, ModelError> {
        let seat = self.seats.iter().find(|seat| seat.session == session);
        let tokens = seat.and_then(|seat| seat.completion.tokens.get(from..));
        Ok(tokens.unwrap_or_default().to_vec())
    }

    fn release(&mut self, state: &mut State, session: u64) -> Result<Option<Completion>, ModelError> {
        let Some(number) = self.seats.iter().position(|seat| seat.session == session) else {
            return Ok(None);
        };
        let seat = self.seats.remove(number);
        if let Some(conversation) = state.conversations.get_mut(&session) {
            conversation.append(seat.prompt.len(), &seat.completion.tokens);
            if !state.rules.is_neutral() {
                conversation.seen.extend(&seat.prompt);
                conversation.seen.extend(&seat.completion.tokens);
            }
        }
        if self.seats.is_empty() {
            self.cache.settle();
        }
        Ok(Some(seat.completion))
    }

    fn close(&mut self, session: u64) {
        self.cache.close(session);
    }

    fn refresh(&mut self) {}
}

/// Logits of hidden states `[rows, hidden]`, on the host.
fn logits(state: &State, hidden: Tensor<2>) -> Vec<Vec<f32>> {
    let logits = kernels::head(hidden, state.model.head());
    let width = logits.dims()[1];
    kernels::host(logits).chunks_exact(width).map(<[f32]>::to_vec).collect()
}
