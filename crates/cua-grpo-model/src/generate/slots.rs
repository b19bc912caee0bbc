//! Conversations on a card: each has a row of a decoder's cache for as long as it is open.
//!
//! The prompts of a turn go into the rows by the ordinary forward pass; the tokens are drawn by the decoder's graph, from
//! a stream of random numbers that depends on the request's seed and the step alone.

use super::card::Prefill;
use super::engine::{Generator, Request};
use crate::batch::{Batch, Prefix, RowInput, ints};
use crate::{ModelError, Qwen3Vl};
use burn::tensor::{DType, Device, Tensor};
use cua_grpo_core::{Completion, StopReason, TokenId};
use cua_grpo_kernels::cuda::{CudaError, Decoder, History, RowStart, Span, decodes};

/// Steps between two looks at whether every row is finished.
const STEPS: usize = 16;
/// Most tokens of a forward pass, padding included: what it holds beside the cache grows with them.
const PREFILL_TOKENS: usize = 1 << 16;

/// A decoder whose rows belong to conversations.
pub(super) struct Slots {
    decoder: Decoder,
    /// The session that each row belongs to.
    owners: Vec<Option<u64>>,
    /// The decoder's weights are older than the model's.
    pub(super) stale: bool,
}

impl From<CudaError> for ModelError {
    fn from(error: CudaError) -> Self {
        Self::Card(error.to_string())
    }
}

/// What a request needs besides its prompt.
struct Seat {
    /// Row, columns and new tokens.
    span: Span,
    /// Most tokens to sample.
    limit: usize,
}

/// Whether the decoder of the card runs this model: plain dense layers in bf16 with heads of 64 or 128, on Hopper or newer.
pub(super) fn runs(model: &Qwen3Vl) -> bool {
    let text = &model.config.text;
    let heads = matches!(text.head_dim, 64 | 128) && text.num_attention_heads / text.num_key_value_heads <= 16;
    let bf16 = model.language_model.embed_tokens.dtype() == DType::BF16;
    model.device() != Device::flex() && bf16 && heads && text.beyond_the_graph().is_none() && decodes(&model.device())
}

impl Generator {
    /// As [`Generator::generate`], through a decoder.
    pub(super) fn generate_on_card(
        &mut self,
        requests: &[Request],
        inputs: &[RowInput],
    ) -> Result<Vec<Completion>, ModelError> {
        let seats = self.seat(requests, inputs)?;
        let hidden = self.prefill_rows(requests, inputs, &seats)?;
        let history = self.draw(requests, &seats, &hidden)?;
        let mut completions = Vec::with_capacity(requests.len());
        for (request, seat) in requests.iter().zip(&seats) {
            let (row, version) = (seat.span.row, self.version);
            let tokens = history.tokens[row].clone();
            let stop = match history.finished[row] {
                1 => StopReason::Stop,
                _ if tokens.len() >= request.params.max_new_tokens => StopReason::MaxTokens,
                _ => StopReason::ContextFull,
            };
            if let Some(conversation) = self.conversations.get_mut(&request.session) {
                // The last token is pending: the decoder has fed the others.
                conversation.positions.next += tokens.len() as i64 - 1;
                conversation.length += request.prompt.tokens.len() + tokens.len();
                conversation.pending = tokens.last().copied().into_iter().collect();
            }
            completions.push(Completion {
                versions: vec![version; tokens.len()],
                logprobs: history.logprobs[row].clone(),
                kept_mass: history.kept_mass[row].clone(),
                tokens,
                stop,
            });
        }
        Ok(completions)
    }

    /// Columns of the conversation's row that hold tokens.
    fn columns(&self, session: u64) -> usize {
        let conversation = self.conversations.get(&session);
        conversation.map_or(0, |conversation| conversation.length - conversation.pending.len())
    }

    /// Gives every request a row with room for its tokens.
    fn seat(&mut self, requests: &[Request], inputs: &[RowInput]) -> Result<Vec<Seat>, ModelError> {
        let mut owners: Vec<Option<u64>> = self.slots.as_ref().map_or_else(Vec::new, |slots| slots.owners.clone());
        for owner in &mut owners {
            *owner = owner.filter(|session| self.conversations.contains_key(session));
        }
        // New conversations take free rows; rows that are left over go once they are half of all.
        let mut from: Vec<Option<usize>> = (0..owners.len()).map(Some).collect();
        for request in requests.iter().filter(|request| self.columns(request.session) == 0) {
            if owners.contains(&Some(request.session)) {
                continue;
            }
            match owners.iter_mut().find(|owner| owner.is_none()) {
                Some(free) => *free = Some(request.session),
                None => {
                    owners.push(Some(request.session));
                    from.push(None);
                }
            }
        }
        if owners.iter().flatten().count() * 2 <= owners.len() {
            let kept = owners.iter().zip(&from).filter(|(owner, _)| owner.is_some());
            (owners, from) = kept.map(|(owner, from)| (*owner, *from)).unzip();
        }
        let mut seats = Vec::with_capacity(requests.len());
        for (request, input) in requests.iter().zip(inputs) {
            let row = owners.iter().position(|owner| *owner == Some(request.session));
            let (start, count) = (self.columns(request.session), input.tokens.len());
            let length = self.conversations.get(&request.session).map_or(0, |c| c.length);
            let room = self
                .max_context
                .saturating_sub(length + request.prompt.tokens.len())
                .max(1);
            seats.push(Seat {
                span: Span {
                    row: row.unwrap_or_else(|| unreachable!("every request has a row")),
                    start,
                    count,
                },
                limit: request.params.max_new_tokens.clamp(1, room),
            });
        }
        self.reserve(owners, &from, &seats)?;
        Ok(seats)
    }

    /// Has a decoder of that many rows, with room for what is asked for and the model's weights.
    fn reserve(&mut self, owners: Vec<Option<u64>>, from: &[Option<usize>], seats: &[Seat]) -> Result<(), ModelError> {
        let needed = seats.iter().map(|seat| seat.span.start + seat.span.count + seat.limit);
        let idle = owners.iter().flatten().map(|&session| self.columns(session));
        // One column is scratch, and one is where an idle row writes.
        let needed = needed.chain(idle).max().unwrap_or(0) + 2;
        let history = seats.iter().map(|seat| seat.limit).max().unwrap_or(1);
        // Half as much again, so that not every turn moves the cache.
        let roomy = (needed + needed / 2)
            .min((self.max_context + 2).max(needed))
            .next_multiple_of(64);
        let lengths: Vec<usize> = owners
            .iter()
            .map(|owner| owner.map_or(0, |session| self.columns(session)))
            .collect();
        match &mut self.slots {
            None => {
                let decoder = Decoder::new(self.model.decode_model()?, owners.len(), roomy, history)?;
                let stale = false;
                self.slots = Some(Slots { decoder, owners, stale });
            }
            Some(slots) => {
                let same = from.len() == slots.owners.len() && (0..).zip(from).all(|(row, from)| *from == Some(row));
                let decoder = &mut slots.decoder;
                if slots.stale {
                    decoder.set_model(self.model.decode_model()?)?;
                    slots.stale = false;
                }
                if !same || decoder.max_len() < needed || decoder.history_len() < history {
                    let from: Vec<Option<(usize, usize)>> = from
                        .iter()
                        .zip(lengths)
                        .map(|(from, length)| from.map(|row| (row, length)))
                        .collect();
                    let max_len = if decoder.max_len() < needed {
                        roomy
                    } else {
                        decoder.max_len()
                    };
                    decoder.rearrange(&from, max_len, history.max(decoder.history_len()))?;
                }
                slots.owners = owners;
            }
        }
        Ok(())
    }

    /// Feeds the prompts, rows of like length together; gives the states that predict the first tokens, one a row of the
    /// decoder.
    fn prefill_rows(
        &mut self,
        requests: &[Request],
        inputs: &[RowInput],
        seats: &[Seat],
    ) -> Result<Tensor<2>, ModelError> {
        let mut order: Vec<usize> = (0..requests.len()).collect();
        order.sort_by_key(|&number| std::cmp::Reverse(inputs[number].tokens.len()));
        let mut parts = Vec::new();
        let mut rest = order.as_slice();
        while let Some(&longest) = rest.first() {
            let most = (PREFILL_TOKENS / inputs[longest].tokens.len().max(1)).clamp(1, rest.len());
            let (group, later) = rest.split_at(most);
            rest = later;
            let rows: Vec<RowInput> = group.iter().map(|&number| inputs[number].clone()).collect();
            let spans: Vec<Span> = group.iter().map(|&number| seats[number].span).collect();
            let sessions: Vec<u64> = group.iter().map(|&number| requests[number].session).collect();
            let positions = sessions.iter().map(|session| {
                let conversation = self.conversations.get(session);
                conversation
                    .map(|conversation| conversation.positions)
                    .unwrap_or_default()
            });
            let prefix = Prefix {
                visible: Vec::new(),
                positions: positions.collect(),
            };
            let batch = Batch::assemble(&self.model, &rows, &prefix)?;
            let Some(Slots { decoder, .. }) = &mut self.slots else {
                unreachable!("reserved before");
            };
            let last = spans
                .iter()
                .zip(&batch.starts)
                .map(|(span, start)| (start + span.count - 1) as i64);
            let last = ints(last.collect(), &self.model.device());
            let mut cache = Prefill { decoder, spans: &spans };
            parts.push(batch.hidden_at(&self.model, Some(&mut cache), last));
            for (session, positions) in sessions.iter().zip(&batch.positions) {
                if let Some(conversation) = self.conversations.get_mut(session) {
                    conversation.positions = *positions;
                }
            }
        }
        let rows = self.slots.as_ref().map_or(0, |slots| slots.owners.len());
        // Idle rows are given any state: they draw nothing.
        let mut places = vec![0i64; rows];
        for (place, &number) in order.iter().enumerate() {
            places[seats[number].span.row] = place as i64;
        }
        Ok(Tensor::cat(parts, 0).select(0, ints(places, &self.model.device())))
    }

    /// Draws until every request is done.
    fn draw(&mut self, requests: &[Request], seats: &[Seat], hidden: &Tensor<2>) -> Result<History, ModelError> {
        let owners = self.slots.as_ref().map_or_else(Vec::new, |slots| slots.owners.clone());
        // A row without a request is finished from the start, and writes behind what it holds.
        let mut starts: Vec<RowStart> = owners
            .iter()
            .map(|owner| RowStart {
                length: owner.map_or(0, |session| self.columns(session)) + 1,
                position: 0,
                temperature: 1.0,
                top_k: 0,
                top_p: 1.0,
                seed: 0,
                max_new_tokens: 0,
            })
            .collect();
        for (request, seat) in requests.iter().zip(seats) {
            let (params, conversation) = (&request.params, self.conversations.get(&request.session));
            starts[seat.span.row] = RowStart {
                length: seat.span.start + seat.span.count,
                position: conversation.map_or(0, |conversation| conversation.positions.next) - 1,
                temperature: params.temperature,
                top_k: params.top_k,
                top_p: params.top_p,
                seed: params.seed,
                max_new_tokens: seat.limit,
            };
        }
        let stops: Vec<i32> = self.stop_tokens.iter().map(|&token| token as i32).collect();
        let Some(Slots { decoder, .. }) = &mut self.slots else {
            unreachable!("reserved before");
        };
        decoder.start(&starts, &stops, 0, hidden)?;
        let mut left = seats.iter().map(|seat| seat.limit).max().unwrap_or(1) - 1;
        let mut shown = vec![0; requests.len()];
        loop {
            if let Some(observer) = &mut self.observer {
                let history = decoder.history()?;
                for ((request, seat), shown) in requests.iter().zip(seats).zip(&mut shown) {
                    let tokens: &[TokenId] = &history.tokens[seat.span.row];
                    tokens[*shown..]
                        .iter()
                        .for_each(|&token| observer(request.session, token));
                    *shown = tokens.len();
                }
            }
            if left == 0 || decoder.active()? == 0 {
                return Ok(decoder.history()?);
            }
            let steps = left.min(STEPS);
            decoder.run(steps)?;
            left -= steps;
        }
    }
}
