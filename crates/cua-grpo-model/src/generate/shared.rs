//! One cache for all conversations, on any device.
//!
//! Rows are conversations, columns are moments: all rows append the same number of columns, and a row hides the columns
//! that are padding for it. So appending is one concatenation, whatever the lengths of the rows. What a token gets depends
//! in its last digits on where its columns stand, so results are a function of the requests and their order.

use super::host::{Cache, Loan};
use super::reuse::{Computed, alike};
use super::state::State;
use crate::ModelError;
use crate::batch::{Batch, Prefix, RowInput};
use crate::nn::ints;
use crate::processor::PositionState;
use crate::text::{LayerCache, Rows};
use burn::tensor::Tensor;
use cua_grpo_core::TokenId;
use std::collections::HashMap;

/// The columns of all conversations.
pub(super) struct Shared {
    cache: Vec<LayerCache>,
    /// The conversation of each row of the cache; none where it was closed.
    owners: Vec<Option<u64>>,
    /// For each row of the cache, which columns it sees.
    visible: Vec<Vec<bool>>,
}

impl Cache for Shared {
    fn has(&self, session: u64) -> bool {
        self.row(session).is_some()
    }

    /// Orders the rows of the cache: who is admitted, then `sessions` as they stand, with rows of their own for new
    /// conversations, then those that are open but do not ask. Rows of closed conversations go. A new conversation sees
    /// the tokens that it borrowed, in the columns of whom it has them from.
    fn place(&mut self, state: &State, admitted: &[u64], sessions: &[u64], loans: &[Loan]) {
        if !admitted.is_empty() {
            self.settle();
        }
        let mut order = admitted.to_vec();
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
            .zip(loans.iter().copied())
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
    }

    fn feed(&mut self, state: &mut State, sessions: &[u64], inputs: &[RowInput]) -> Result<Tensor<2>, ModelError> {
        let places: Vec<usize> = sessions.iter().filter_map(|session| self.row(*session)).collect();
        let see_alike = |a: usize, b: usize| !state.apart && self.visible[places[a]] == self.visible[places[b]];
        let computed = Computed::of(alike(state, sessions, inputs, &see_alike));
        let numbers = &computed.numbers;
        let prefix = Prefix {
            visible: numbers
                .iter()
                .map(|&number| self.visible[places[number]].clone())
                .collect(),
            positions: numbers
                .iter()
                .map(|&number| state.positions(sessions[number]))
                .collect(),
        };
        let batch = Batch::assemble(&state.model, &computed.inputs(inputs), &prefix)?;
        let device = state.model.device();
        let last = ints(computed.last(&batch, inputs), &device);
        let hidden = if numbers.len() == self.visible.len() {
            batch.hidden_at(&state.model, Some(&mut self.cache), last)
        } else {
            let from = numbers.iter().map(|&number| Some(places[number])).collect();
            let from = Rows::new(from, &device);
            let mut part: Vec<LayerCache> = self.cache.iter().map(|layer| layer.of_rows(&from)).collect();
            let hidden = batch.hidden_at(&state.model, Some(&mut part), last);
            let mut rows = vec![None; self.visible.len()];
            for (number, &place) in places.iter().enumerate() {
                rows[place] = Some(computed.row(number));
            }
            let rows = Rows::new(rows, &device);
            for (layer, part) in self.cache.iter_mut().zip(part) {
                layer.append_rows(part, &rows);
            }
            hidden
        };
        self.show(places.iter().copied().zip(inputs), batch.time);
        computed.count(state, sessions, inputs, &batch)?;
        Ok(hidden)
    }

    /// Rows of who has no token, and of conversations that do not ask, get hidden padding.
    fn step(
        &mut self,
        state: &mut State,
        sessions: &[u64],
        tokens: &[Option<TokenId>],
    ) -> Result<Tensor<2>, ModelError> {
        let fed: Vec<(usize, u64, RowInput)> = sessions
            .iter()
            .zip(tokens)
            .filter_map(|(&session, token)| Some((self.row(session)?, session, RowInput::sampled(vec![(*token)?]))))
            .collect();
        let mut rows = vec![RowInput::default(); self.visible.len()];
        let mut positions = vec![PositionState::default(); rows.len()];
        for (row, session, input) in &fed {
            rows[*row] = input.clone();
            positions[*row] = state.positions(*session);
        }
        let prefix = Prefix {
            visible: self.visible.clone(),
            positions,
        };
        let batch = Batch::assemble(&state.model, &rows, &prefix)?;
        let last = fed.iter().map(|(row, ..)| batch.starts[*row] as i64).collect();
        let last = ints(last, &state.model.device());
        let hidden = batch.hidden_at(&state.model, Some(&mut self.cache), last);
        self.show(fed.iter().map(|(row, _, input)| (*row, input)), batch.time);
        for (row, session, input) in &fed {
            state.fed(*session, input, batch.positions[*row])?;
        }
        Ok(hidden)
    }

    fn settle(&mut self) {
        for layer in &mut self.cache {
            layer.settle();
        }
    }

    fn close(&mut self, session: u64) {
        if let Some(row) = self.row(session) {
            self.owners[row] = None;
        }
    }
}

impl Shared {
    /// An empty cache for a decoder of `layers` layers.
    pub fn new(layers: usize) -> Self {
        Self {
            cache: vec![LayerCache::default(); layers],
            owners: Vec::new(),
            visible: Vec::new(),
        }
    }

    /// The row of a conversation, where it has one.
    fn row(&self, session: u64) -> Option<usize> {
        self.owners.iter().position(|owner| *owner == Some(session))
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
