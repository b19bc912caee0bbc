//! Decoding on a card: each conversation has a row of a decoder's cache for as long as it is open.
//!
//! New tokens go into the rows by the ordinary forward pass; replies are drawn by the decoder's graph, from a stream of
//! random numbers that depends on the request's seed and the number of the token alone. Where a conversation is admitted
//! while others draw, those are stopped, and start again with the token that they drew last.

use super::decode::Decode;
use super::graph::Prefill;
use super::reuse::{alike, borrow, give_back};
use super::state::{Request, State};
use crate::ModelError;
use crate::batch::{Batch, Prefix, RowInput};
use crate::nn::ints;
use burn::tensor::Tensor;
use cua_grpo_core::{Completion, PolicyVersion, SamplingParams, StopReason, TokenId};
use cua_grpo_kernels::cuda::{CudaError, Decoder, History, RowStart, Span};

/// Steps between two looks at whether rows are finished.
const STEPS: usize = 16;
/// Most tokens of a forward pass, padding included: what it holds beside the cache grows with them.
const PREFILL_TOKENS: usize = 1 << 16;

/// A decoder whose rows belong to conversations, and who draws.
#[derive(Default)]
pub(super) struct Card {
    decoder: Option<Decoder>,
    /// The session that each row belongs to.
    owners: Vec<Option<u64>>,
    /// The decoder's weights are older than the model's.
    stale: bool,
    /// Who is admitted.
    seats: Vec<Seat>,
    /// Steps after which every row is finished.
    left: usize,
    /// What the rows drew, once somebody asked since the last step.
    history: Option<History>,
}

impl From<CudaError> for ModelError {
    fn from(error: CudaError) -> Self {
        Self::Card(error.to_string())
    }
}

/// A completion in the making.
struct Seat {
    session: u64,
    params: SamplingParams,
    version: PolicyVersion,
    /// Number of the weights that draw for it.
    weights: u64,
    /// Tokens of the prompt that the conversation does not count yet.
    prompt: usize,
    /// Most tokens of the reply.
    limit: usize,
    /// Whether its row draws, or drew since the decoder was started.
    drawing: bool,
    done: bool,
    /// What was drawn before the decoder was started last.
    completion: Completion,
}

impl Seat {
    fn new(request: &Request, state: &State) -> Self {
        let length = state.conversations.get(&request.session).map_or(0, |c| c.length);
        let used = length + request.prompt.tokens.len();
        let room = state.max_context.saturating_sub(used).max(1);
        Self {
            session: request.session,
            params: request.params.clone(),
            version: state.version,
            weights: state.weights,
            prompt: request.prompt.tokens.len(),
            limit: request.params.max_new_tokens.clamp(1, room),
            drawing: false,
            done: false,
            completion: Completion::empty(StopReason::MaxTokens),
        }
    }

    /// Tokens that are left to draw.
    fn left(&self) -> usize {
        self.limit - self.completion.tokens.len()
    }
}

/// New tokens on their way into a row.
struct Entry {
    session: u64,
    /// The session that is fed for it, as it is equal; itself, where there is none before it.
    first: u64,
    input: RowInput,
    span: Span,
}

impl Decode for Card {
    fn admit(&mut self, state: &mut State, requests: &[Request], inputs: &[RowInput]) -> Result<(), ModelError> {
        let before = self.seats.len();
        let sessions: Vec<u64> = requests.iter().map(|request| request.session).collect();
        let mut inputs = inputs.to_vec();
        let cached = |session| row(&self.owners, session).is_some();
        let borrowed = borrow(state, &sessions, &mut inputs, &cached)?;
        let admitted = self.try_admit(state, requests, inputs, &borrowed);
        if admitted.is_err() {
            give_back(state, &sessions, &borrowed);
            // A card that failed does not go on either.
            self.seats.truncate(before);
            self.seats.iter_mut().for_each(|seat| seat.done = true);
        }
        admitted
    }

    fn advance(&mut self, _: &mut State) -> Result<(), ModelError> {
        let steps = self.left.min(STEPS);
        if let (1.., Some(decoder)) = (steps, &mut self.decoder) {
            self.history = None;
            decoder.run(steps)?;
            self.left -= steps;
        }
        Ok(())
    }

    fn finished(&mut self) -> Result<Vec<u64>, ModelError> {
        if let (Some(decoder), true) = (&self.decoder, self.seats.iter().any(|seat| !seat.done)) {
            let finished = decoder.finished()?;
            for seat in self.seats.iter_mut().filter(|seat| !seat.done) {
                seat.done = row(&self.owners, seat.session).is_none_or(|row| finished[row] != 0);
            }
        }
        let done = self.seats.iter().filter(|seat| seat.done);
        Ok(done.map(|seat| seat.session).collect())
    }

    fn drawn(&mut self, session: u64, from: usize) -> Result<Vec<TokenId>, ModelError> {
        let Some(number) = self.seats.iter().position(|seat| seat.session == session) else {
            return Ok(Vec::new());
        };
        let mut tokens = self.seats[number].completion.tokens.clone();
        if self.seats[number].drawing {
            let row = self.row(session);
            let new = self.history()?.tokens[row].get(tokens.len()..);
            let new = new.unwrap_or_default().to_vec();
            tokens.extend(new);
        }
        Ok(tokens.split_off(from.min(tokens.len())))
    }

    fn release(&mut self, state: &mut State, session: u64) -> Result<Option<Completion>, ModelError> {
        let Some(number) = self.seats.iter().position(|seat| seat.session == session) else {
            return Ok(None);
        };
        let collected = self.collect(state, number);
        let seat = self.seats.remove(number);
        collected?;
        Ok(Some(seat.completion))
    }

    fn close(&mut self, session: u64) {
        for owner in &mut self.owners {
            *owner = owner.filter(|owner| *owner != session);
        }
    }

    fn refresh(&mut self) {
        self.stale = true;
    }
}

impl Card {
    fn try_admit(
        &mut self,
        state: &mut State,
        requests: &[Request],
        inputs: Vec<RowInput>,
        borrowed: &[Option<(u64, usize)>],
    ) -> Result<(), ModelError> {
        if !self.seats.is_empty() {
            self.finished()?;
        }
        for number in 0..self.seats.len() {
            self.collect(state, number)?;
        }
        let (mut sessions, mut all) = (Vec::new(), Vec::new());
        for seat in self.seats.iter_mut().filter(|seat| !seat.done) {
            (seat.version, seat.weights) = (state.version, state.weights);
            sessions.push(seat.session);
            all.push(RowInput::sampled(state.conversation(seat.session)?.pending.clone()));
        }
        sessions.extend(requests.iter().map(|request| request.session));
        all.extend(inputs);
        let seats = requests.iter().map(|request| Seat::new(request, state));
        self.seats.extend(seats);
        self.reserve(state, &sessions, &all)?;
        let beginnings = requests.iter().zip(borrowed);
        let beginnings: Vec<_> = beginnings
            .filter_map(|(request, loan)| loan.map(|(from, count)| (self.row(from), self.row(request.session), count)))
            .collect();
        if let (Some(decoder), false) = (&mut self.decoder, beginnings.is_empty()) {
            decoder.copy(&beginnings)?;
        }
        let first = alike(state, &sessions, &all, &|_, _| true);
        let entries = sessions.iter().zip(all).zip(first);
        let entries = entries.map(|((&session, input), first)| Entry {
            session,
            first: sessions[first],
            span: Span {
                row: self.row(session),
                start: state.columns(session),
                count: input.tokens.len(),
            },
            input,
        });
        let entries: Vec<Entry> = entries.collect();
        let hidden = self.prefill(state, &entries)?;
        self.start(state, &entries, &hidden)
    }

    /// The row of a conversation that has one.
    fn row(&self, session: u64) -> usize {
        row(&self.owners, session).unwrap_or_else(|| unreachable!("every admitted conversation has a row"))
    }

    /// What the rows drew since the decoder was started.
    fn history(&mut self) -> Result<&History, ModelError> {
        let history = match (self.history.take(), &self.decoder) {
            (Some(history), _) => history,
            (None, Some(decoder)) => decoder.history()?,
            (None, None) => History::default(),
        };
        Ok(self.history.insert(history))
    }

    /// Moves what the row of a seat drew into the completion, and counts it. The row does not draw for it any more.
    fn collect(&mut self, state: &mut State, number: usize) -> Result<(), ModelError> {
        if !std::mem::take(&mut self.seats[number].drawing) {
            return Ok(());
        }
        let (row, before) = (
            self.row(self.seats[number].session),
            self.seats[number].completion.tokens.len(),
        );
        let history = self.history()?;
        let tokens = history.tokens[row][before..].to_vec();
        let (logprobs, kept_mass) = (
            history.logprobs[row][before..].to_vec(),
            history.kept_mass[row][before..].to_vec(),
        );
        let finished = history.finished[row];
        let seat = &mut self.seats[number];
        if let Some(conversation) = state.conversations.get_mut(&seat.session) {
            // The last token is pending: the decoder has fed the others.
            let fed = tokens.len().saturating_sub(1);
            conversation.positions.next += fed as i64;
            conversation.history.draw(&tokens[..fed], seat.weights);
            conversation.append(std::mem::take(&mut seat.prompt), &tokens);
        }
        let completion = &mut seat.completion;
        completion
            .versions
            .extend(std::iter::repeat_n(seat.version, tokens.len()));
        completion.tokens.extend(tokens);
        completion.logprobs.extend(logprobs);
        completion.kept_mass.extend(kept_mass);
        completion.stop = match finished {
            1 => StopReason::Stop,
            2 | 3 if completion.tokens.len() < seat.params.max_new_tokens => StopReason::ContextFull,
            _ => StopReason::MaxTokens,
        };
        Ok(())
    }

    /// Has a decoder with a row for every conversation that is open or in `inputs`, room for what is asked for, and the
    /// model's weights.
    fn reserve(&mut self, state: &State, sessions: &[u64], inputs: &[RowInput]) -> Result<(), ModelError> {
        let mut owners = self.owners.clone();
        // New conversations take free rows; rows that are left over go once they are half of all.
        let mut from: Vec<Option<usize>> = (0..owners.len()).map(Some).collect();
        for session in sessions.iter().filter(|session| row(&self.owners, **session).is_none()) {
            match owners.iter_mut().find(|owner| owner.is_none()) {
                Some(free) => *free = Some(*session),
                None => {
                    owners.push(Some(*session));
                    from.push(None);
                }
            }
        }
        if owners.iter().flatten().count() * 2 <= owners.len() {
            let kept = owners.iter().zip(&from).filter(|(owner, _)| owner.is_some());
            (owners, from) = kept.map(|(owner, from)| (*owner, *from)).unzip();
        }
        let length = |owner: &Option<u64>| owner.map_or(0, |session| state.columns(session));
        let seat = |session: u64| self.seats.iter().find(|seat| seat.session == session);
        let needed = sessions.iter().zip(inputs).map(|(session, input)| {
            let left = seat(*session).map_or(0, Seat::left);
            state.columns(*session) + input.tokens.len() + left
        });
        // One column is scratch, and one is where an idle row writes.
        let needed = needed.chain(owners.iter().map(length)).max().unwrap_or(0) + 2;
        let history = sessions.iter().filter_map(|session| seat(*session));
        let history = history.map(|seat| seat.limit).max().unwrap_or(1);
        // Half as much again, so that not every turn moves the cache.
        let roomy = (needed + needed / 2)
            .min((state.max_context + 2).max(needed))
            .next_multiple_of(64);
        match &mut self.decoder {
            None => {
                self.decoder = Some(Decoder::new(state.model.decode_model()?, owners.len(), roomy, history)?);
                self.stale = false;
            }
            Some(decoder) => {
                if std::mem::take(&mut self.stale) {
                    decoder.set_model(state.model.decode_model()?)?;
                }
                let same = from.len() == self.owners.len() && (0..).zip(&from).all(|(row, from)| *from == Some(row));
                if !same || decoder.max_len() < needed || decoder.history_len() < history {
                    let moved = from.iter().zip(owners.iter().map(length));
                    let moved: Vec<_> = moved.map(|(from, length)| from.map(|row| (row, length))).collect();
                    let max_len = if decoder.max_len() < needed {
                        roomy
                    } else {
                        decoder.max_len()
                    };
                    decoder.rearrange(&moved, max_len, history.max(decoder.history_len()))?;
                    // The rows that were left are of a size that is not asked for again.
                    state.model.device().memory_cleanup();
                }
            }
        }
        self.owners = owners;
        Ok(())
    }

    /// Feeds new tokens, rows of like length together and those of equal conversations once; gives the states that predict
    /// the next ones, one for each row of the decoder.
    fn prefill(&mut self, state: &mut State, entries: &[Entry]) -> Result<Tensor<2>, ModelError> {
        let Some(decoder) = &mut self.decoder else {
            unreachable!("reserved before");
        };
        let mut order: Vec<&Entry> = entries.iter().filter(|entry| entry.first == entry.session).collect();
        order.sort_by_key(|entry| std::cmp::Reverse(entry.span.count));
        let mut parts = Vec::new();
        let mut rest = order.as_slice();
        while let Some(longest) = rest.first() {
            let most = (PREFILL_TOKENS / longest.span.count.max(1)).clamp(1, rest.len());
            let (group, later) = rest.split_at(most);
            rest = later;
            let rows: Vec<RowInput> = group.iter().map(|entry| entry.input.clone()).collect();
            let spans: Vec<Span> = group.iter().map(|entry| entry.span).collect();
            let prefix = Prefix {
                visible: Vec::new(),
                positions: group.iter().map(|entry| state.positions(entry.session)).collect(),
            };
            let batch = Batch::assemble(&state.model, &rows, &prefix)?;
            let last = spans.iter().zip(&batch.starts);
            let last = last.map(|(span, start)| (start + span.count - 1) as i64);
            let last = ints(last.collect(), &state.model.device());
            let others: Vec<Vec<&Entry>> = group.iter().map(|entry| others(entries, entry)).collect();
            let most = others.iter().map(Vec::len).max().unwrap_or(0);
            let copies = (0..most).map(|round| {
                let spans = others
                    .iter()
                    .map(|others| others.get(round).map_or_else(Span::default, |entry| entry.span));
                spans.collect()
            });
            let copies: Vec<Vec<Span>> = copies.collect();
            let mut cache = Prefill {
                decoder,
                spans: &spans,
                copies: &copies,
            };
            parts.push(batch.hidden_at(&state.model, Some(&mut cache), last));
            state.prefilled.computed += spans.iter().map(|span| span.count as u64).sum::<u64>();
            for ((entry, others), positions) in group.iter().zip(&others).zip(&batch.positions) {
                for entry in others.iter().chain([entry]) {
                    state.fed(entry.session, &entry.input, *positions)?;
                }
            }
        }
        // Idle rows are given any state: they draw nothing.
        let mut places = vec![0i64; self.owners.len()];
        for entry in entries {
            let place = order.iter().position(|fed| fed.session == entry.first);
            places[entry.span.row] = place.unwrap_or_default() as i64;
        }
        Ok(Tensor::cat(parts, 0).select(0, ints(places, &state.model.device())))
    }

    /// Starts the decoder on the rows that were fed, and draws their next tokens.
    fn start(&mut self, state: &State, entries: &[Entry], hidden: &Tensor<2>) -> Result<(), ModelError> {
        // A row that was not fed is finished from the start, and writes behind what it holds.
        let idle = |owner: &Option<u64>| RowStart {
            length: owner.map_or(0, |session| state.columns(session)) + 1,
            position: 0,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 0,
            drawn: 0,
            max_new_tokens: 0,
        };
        let mut starts: Vec<RowStart> = self.owners.iter().map(idle).collect();
        self.left = 0;
        for Entry { session, span, .. } in entries {
            let Some(seat) = self.seats.iter_mut().find(|seat| seat.session == *session) else {
                unreachable!("every entry has a seat");
            };
            seat.drawing = true;
            self.left = self.left.max(seat.left() - 1);
            starts[span.row] = RowStart {
                length: span.start + span.count,
                position: state.positions(*session).next - 1,
                temperature: seat.params.temperature,
                top_k: seat.params.top_k,
                top_p: seat.params.top_p,
                seed: seat.params.seed,
                drawn: seat.completion.tokens.len(),
                max_new_tokens: seat.left(),
            };
        }
        let stops: Vec<i32> = state.stop_tokens.iter().map(|&token| token as i32).collect();
        self.history = None;
        if let Some(decoder) = &mut self.decoder {
            decoder.start(&starts, &stops, 0, hidden)?;
        }
        Ok(())
    }
}

fn row(owners: &[Option<u64>], session: u64) -> Option<usize> {
    owners.iter().position(|owner| *owner == Some(session))
}

/// Those of `entries` that `entry` is fed for, beside itself.
fn others<'a>(entries: &'a [Entry], entry: &Entry) -> Vec<&'a Entry> {
    let own = entries.iter().filter(|other| other.first == entry.session);
    own.filter(|other| other.session != entry.session).collect()
}
