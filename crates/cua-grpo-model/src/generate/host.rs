//! Decoding layer by layer on any device, by one shared cache.
//!
//! - Rows of the cache are conversations, columns are moments: all rows append the same number of columns, and a row
//!   hides the columns that are padding for it. So appending is one concatenation, whatever the lengths of the rows.
//! - What was sampled last is not in the cache yet: it is fed with the next token, or at the start of the next turn.
//! - Results are a pure function of the requests and their order; nothing depends on time.

use super::decode::Decode;
use super::reuse::{alike, borrow, give_back};
use super::rules::Moment;
use super::sampling::{Draw, draw};
use super::state::{Request, State};
use super::warp::draw_by_rules;
use crate::ModelError;
use crate::batch::{Batch, Prefix, RowInput};
use crate::nn::ints;
use crate::processor::PositionState;
use crate::text::{LayerCache, Rows};
use burn::tensor::Tensor;
use cua_grpo_core::{Completion, SamplingParams, StopReason, TokenId};
use cua_grpo_kernels as kernels;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::iter::repeat_n;

/// Columns that a packed cache may have besides, so that small ones are not moved all the time.
const SLACK: usize = 32;

/// The cache, and who draws.
pub(super) struct Host {
    cache: Vec<LayerCache>,
    /// The conversation of each row of the cache; none where it was closed.
    owners: Vec<Option<u64>>,
    /// For each row of the cache, which columns it sees.
    visible: Vec<Vec<bool>>,
    /// Who is admitted.
    seats: Vec<Seat>,
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
            borrow(state, &sessions, &mut inputs, &|session| self.row(session).is_some())?
        };
        self.place(state, &sessions, &borrowed);
        let hidden = self.feed(state, &sessions, &inputs).inspect_err(|_| {
            give_back(state, &sessions, &borrowed);
            sessions
                .iter()
                .zip(&borrowed)
                .filter(|(_, loan)| loan.is_some())
                .for_each(|(session, _)| self.close(*session));
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
        // Who is finished keeps its row until it is released: the sums of the others do not depend on when that is.
        let sessions: Vec<u64> = self.seats.iter().map(|seat| seat.session).collect();
        let next = |seat: &Seat| seat.completion.tokens.last().copied().filter(|_| !seat.done);
        let inputs = self.seats.iter().map(next);
        let inputs: Vec<RowInput> = inputs
            .map(|token| RowInput::sampled(token.into_iter().collect()))
            .collect();
        let hidden = self.step(state, &sessions, &inputs)?;
        let logits = logits(state, hidden);
        let seats = self.seats.iter_mut().zip(&logits);
        for (seat, logits) in seats.filter(|(seat, _)| !seat.done) {
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
            self.settle();
        }
        Ok(Some(seat.completion))
    }

    fn close(&mut self, session: u64) {
        if let Some(row) = self.row(session) {
            self.owners[row] = None;
        }
    }

    fn refresh(&mut self) {}
}

impl Host {
    /// An empty cache for a decoder of `layers` layers.
    pub fn new(layers: usize) -> Self {
        Self {
            cache: vec![LayerCache::default(); layers],
            owners: Vec::new(),
            visible: Vec::new(),
            seats: Vec::new(),
        }
    }

    /// The row of a conversation, where it has one.
    fn row(&self, session: u64) -> Option<usize> {
        self.owners.iter().position(|owner| *owner == Some(session))
    }

    fn settle(&mut self) {
        for layer in &mut self.cache {
            layer.settle();
        }
    }

    /// Orders the rows of the cache: who is admitted, then `sessions` as they stand, with rows of their own for new
    /// conversations, then those that are open but do not ask. Rows of closed conversations go. A new conversation sees
    /// the tokens that it borrowed, in the columns of whom it has them from.
    fn place(&mut self, state: &State, sessions: &[u64], borrowed: &[Option<(u64, usize)>]) {
        if !self.seats.is_empty() {
            self.settle();
        }
        let mut order: Vec<u64> = self.seats.iter().map(|seat| seat.session).collect();
        order.extend(sessions);
        // Idle rows are fed padding: allowed, but a deterministic caller never leaves any.
        let owners = self.owners.iter().flatten().copied();
        let mut idle: Vec<u64> = owners.filter(|session| !order.contains(session)).collect();
        idle.sort_unstable();
        order.extend(idle);
        let columns = self.visible.first().map_or(0, Vec::len);
        let loans: HashMap<u64, (u64, usize)> = sessions
            .iter()
            .copied()
            .zip(borrowed.iter().copied())
            .filter_map(|(session, loan)| Some((session, loan?)))
            .collect();
        // For each row the one that it goes on with, and which of its columns it sees.
        let (old, visible): (Vec<Option<usize>>, Vec<Vec<bool>>) = order
            .iter()
            .map(|session| match (self.row(*session), loans.get(session)) {
                (_, Some((from, count))) => {
                    let from = self.row(*from);
                    (
                        from,
                        from.map_or_else(|| vec![false; columns], |row| first_of(&self.visible[row], *count)),
                    )
                }
                (Some(row), None) => (Some(row), self.visible[row].clone()),
                (None, None) => (None, vec![false; columns]),
            })
            .unzip();
        let unchanged = old.len() == self.visible.len() && old.iter().enumerate().all(|(new, old)| *old == Some(new));
        if columns > 0 && !unchanged {
            let rows = Rows::new(old, &state.model.device());
            for layer in &mut self.cache {
                layer.select_rows(&rows);
            }
        }
        (self.owners, self.visible) = (order.into_iter().map(Some).collect(), visible);
        self.drop_hidden_columns(state);
        if state.packs {
            self.pack(state);
        }
    }

    /// Drops columns that no row sees, once they are a quarter of the cache.
    fn drop_hidden_columns(&mut self, state: &State) {
        let columns = self.visible.first().map_or(0, Vec::len);
        let kept: Vec<usize> = (0..columns)
            .filter(|&column| self.visible.iter().any(|row| row[column]))
            .collect();
        if kept.is_empty() {
            self.cache.fill(LayerCache::default());
            self.visible.iter_mut().for_each(Vec::clear);
        } else if kept.len() * 4 <= columns * 3 {
            let index = kept.iter().map(|&column| column as i64).collect();
            let index = ints(index, &state.model.device());
            for layer in &mut self.cache {
                layer.select_columns(&index);
            }
            for row in &mut self.visible {
                *row = kept.iter().map(|&column| row[column]).collect();
            }
        }
    }

    /// Moves what each row sees to its left, once the columns are half as many again as the longest row needs: rows that
    /// draw at different times leave gaps in all others.
    fn pack(&mut self, state: &State) {
        let columns = self.visible.first().map_or(0, Vec::len);
        let seen: Vec<Vec<i64>> = self
            .visible
            .iter()
            .map(|row| (0..).zip(row).filter_map(|(at, &seen)| seen.then_some(at)).collect())
            .collect();
        let longest = seen.iter().map(Vec::len).max().unwrap_or(0);
        if longest == 0 || columns <= longest + longest / 2 + SLACK {
            return;
        }
        let places = seen
            .iter()
            .flat_map(|row| row.iter().copied().chain(repeat_n(0, longest - row.len())));
        let places = ints(places.collect(), &state.model.device()).reshape([seen.len(), longest]);
        self.settle();
        for layer in &mut self.cache {
            layer.pack(&places);
        }
        for (row, seen) in self.visible.iter_mut().zip(&seen) {
            *row = (0..longest).map(|column| column < seen.len()).collect();
        }
    }

    /// Feeds what conversations append that are admitted; those that are equal are computed once. Gives the state of the
    /// last token of each.
    fn feed(&mut self, state: &mut State, sessions: &[u64], inputs: &[RowInput]) -> Result<Tensor<2>, ModelError> {
        let places: Vec<usize> = sessions.iter().filter_map(|session| self.row(*session)).collect();
        let see_alike = |a: usize, b: usize| !state.apart && self.visible[places[a]] == self.visible[places[b]];
        let first = alike(state, sessions, inputs, &see_alike);
        let computed: Vec<usize> = (0..sessions.len()).filter(|&number| first[number] == number).collect();
        let prefix = Prefix {
            visible: computed
                .iter()
                .map(|&number| self.visible[places[number]].clone())
                .collect(),
            positions: computed
                .iter()
                .map(|&number| state.positions(sessions[number]))
                .collect(),
        };
        let rows: Vec<RowInput> = computed.iter().map(|&number| inputs[number].clone()).collect();
        let batch = Batch::assemble(&state.model, &rows, &prefix)?;
        // For each session the row of the batch that has what it needs.
        let row_of = |number: usize| computed.binary_search(&first[number]).unwrap_or_default();
        let device = state.model.device();
        // A state for each session, also of equal ones: products of few rows round in another way than those of many.
        let last = (0..sessions.len()).map(|number| batch.starts[row_of(number)] + inputs[number].tokens.len() - 1);
        let last = ints(last.map(|token| token as i64).collect(), &device);
        let hidden = if computed.len() == self.visible.len() {
            batch.hidden_at(&state.model, Some(&mut self.cache), last)
        } else {
            let from = computed.iter().map(|&number| Some(places[number])).collect();
            let from = Rows::new(from, &device);
            let mut part: Vec<LayerCache> = self.cache.iter().map(|layer| layer.of_rows(&from)).collect();
            let hidden = batch.hidden_at(&state.model, Some(&mut part), last);
            let mut rows = vec![None; self.visible.len()];
            for (number, &place) in places.iter().enumerate() {
                rows[place] = Some(row_of(number));
            }
            let rows = Rows::new(rows, &device);
            for (layer, part) in self.cache.iter_mut().zip(part) {
                layer.append_rows(part, &rows);
            }
            hidden
        };
        self.show(places.iter().copied().zip(inputs), batch.time);
        if state.packs {
            // Tokens are drawn for the rows that draw alone.
            self.settle();
        }
        state.prefilled.computed += rows.iter().map(|row| row.tokens.len() as u64).sum::<u64>();
        for (number, (&session, input)) in sessions.iter().zip(inputs).enumerate() {
            state.fed(session, input, batch.positions[row_of(number)])?;
        }
        Ok(hidden)
    }

    /// Feeds a token, or none, of each of `sessions`; rows among and, in lockstep, behind them get hidden padding. Gives the
    /// state of the token of each (any state for one that has none).
    fn step(&mut self, state: &mut State, sessions: &[u64], inputs: &[RowInput]) -> Result<Tensor<2>, ModelError> {
        let places: Vec<usize> = sessions.iter().filter_map(|session| self.row(*session)).collect();
        let all = self.visible.len();
        let some = match self.cache.iter().find_map(LayerCache::rows_of_tail) {
            _ if !state.packs => all,
            Some(rows) => rows,
            None => places.iter().max().map_or(all, |last| last + 1),
        };
        let mut rows = vec![RowInput::default(); some];
        let mut positions = vec![PositionState::default(); rows.len()];
        for ((&row, session), input) in places.iter().zip(sessions).zip(inputs) {
            rows[row] = input.clone();
            positions[row] = state.positions(*session);
        }
        let prefix = Prefix {
            visible: self.visible[..some].to_vec(),
            positions,
        };
        let batch = Batch::assemble(&state.model, &rows, &prefix)?;
        let last = places.iter().map(|&row| batch.starts[row] as i64).collect();
        let last = ints(last, &state.model.device());
        let hidden = if some == all {
            batch.hidden_at(&state.model, Some(&mut self.cache), last)
        } else {
            let mut part: Vec<LayerCache> = self.cache.iter().map(|layer| layer.first_rows(some)).collect();
            let hidden = batch.hidden_at(&state.model, Some(&mut part), last);
            self.cache
                .iter_mut()
                .zip(part)
                .for_each(|(layer, part)| layer.take_tail(part));
            hidden
        };
        self.show(places.iter().copied().zip(inputs), batch.time);
        for ((&row, &session), input) in places.iter().zip(sessions).zip(inputs) {
            state.fed(session, input, batch.positions[row])?;
        }
        Ok(hidden)
    }

    /// Counts `time` new columns: each of `rows` sees those of its new tokens, the others see none.
    fn show<'a>(&mut self, rows: impl Iterator<Item = (usize, &'a RowInput)>, time: usize) {
        let columns = self.visible.first().map_or(0, Vec::len);
        for (row, input) in rows {
            self.visible[row].resize(columns + input.tokens.len(), true);
        }
        for row in &mut self.visible {
            row.resize(columns + time, false);
        }
    }
}

/// The first `count` of the columns that are seen.
fn first_of(visible: &[bool], count: usize) -> Vec<bool> {
    let mut left = count;
    let seen = visible.iter().map(|&seen| {
        let kept = seen && left > 0;
        left -= usize::from(kept);
        kept
    });
    seen.collect()
}

/// Logits of hidden states `[rows, hidden]`, on the host.
fn logits(state: &State, hidden: Tensor<2>) -> Vec<Vec<f32>> {
    let logits = kernels::head(hidden, state.model.head());
    let width = logits.dims()[1];
    kernels::host(logits).chunks_exact(width).map(<[f32]>::to_vec).collect()
}
