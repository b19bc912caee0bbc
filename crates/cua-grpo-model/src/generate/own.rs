//! A cache for each conversation, on the CPU.
//!
//! What a token gets follows from its conversation alone, to the last bit: not from who is computed beside it, who came and
//! went before, or how many tokens were fed at once. So results depend on neither order nor time, in lockstep or not, and a
//! conversation that does not draw costs nothing.

use super::host::{Cache, Loan};
use super::reuse::{Computed, alike};
use super::state::State;
use crate::ModelError;
use crate::batch::{Batch, Prefix, RowInput};
use crate::nn::ints;
use crate::text::{DeltaState, KvCache};
use burn::tensor::Tensor;
use cua_grpo_core::TokenId;
use cua_grpo_kernels::{KeyValues, Mask, attention_cached};
use std::collections::HashMap;

/// What conversations have said.
pub(super) struct Own {
    layers: usize,
    /// A layer each of every conversation.
    said: HashMap<u64, Vec<Layer>>,
}

/// What a layer knows of a conversation: keys and values, or the state of a recurrent one.
#[derive(Clone, Default)]
struct Layer {
    cache: KeyValues,
    state: Option<DeltaState>,
}

impl Own {
    /// Of a decoder of `layers` layers.
    pub fn new(layers: usize) -> Self {
        let said = HashMap::new();
        Self { layers, said }
    }

    /// Runs a batch whose row `i` is of the conversation `sessions[i]`. Gives the states of the tokens `wanted` of the
    /// flattened batch.
    fn run(
        &mut self,
        state: &mut State,
        sessions: &[u64],
        inputs: &[RowInput],
        wanted: &dyn Fn(&Batch) -> Vec<i64>,
    ) -> Result<(Tensor<2>, Batch), ModelError> {
        let prefix = Prefix {
            visible: Vec::new(),
            positions: sessions.iter().map(|&session| state.positions(session)).collect(),
        };
        let batch = Batch::assemble(&state.model, inputs, &prefix)?;
        let nothing = self.nothing();
        let rows = sessions.iter().map(|session| self.said.remove(session));
        let rows = rows.map(|row| row.unwrap_or_else(|| nothing.clone())).collect();
        let mut together = Together::new(rows, inputs, self.layers);
        let wanted = ints(wanted(&batch), &state.model.device());
        let hidden = batch.hidden_at(&state.model, Some(&mut together), wanted);
        self.said.extend(sessions.iter().copied().zip(together.apart()));
        Ok((hidden, batch))
    }

    fn nothing(&self) -> Vec<Layer> {
        vec![Layer::default(); self.layers]
    }
}

impl Cache for Own {
    fn has(&self, session: u64) -> bool {
        self.said.contains_key(&session)
    }

    fn place(&mut self, _: &State, _: &[u64], sessions: &[u64], loans: &[Loan]) {
        for (session, loan) in sessions.iter().zip(loans) {
            let lender = loan.and_then(|(from, count)| Some((self.said.get(&from)?, count)));
            if let Some((lender, count)) = lender {
                // Of a recurrent layer all is lent, or nothing.
                let first = |layer: &Layer| Layer {
                    cache: layer.cache.first(count),
                    state: layer.state.clone(),
                };
                let begun = lender.iter().map(first).collect();
                self.said.insert(*session, begun);
            }
        }
    }

    fn feed(&mut self, state: &mut State, sessions: &[u64], inputs: &[RowInput]) -> Result<Tensor<2>, ModelError> {
        let apart = state.apart;
        let computed = Computed::of(alike(state, sessions, inputs, &|_, _| !apart));
        let of_rows: Vec<u64> = computed.numbers.iter().map(|&number| sessions[number]).collect();
        let last = |batch: &Batch| computed.last(batch, inputs);
        let (hidden, batch) = self.run(state, &of_rows, &computed.inputs(inputs), &last)?;
        for (number, first) in computed.spared() {
            let equal = self.said.get(&sessions[first]).cloned();
            self.said
                .insert(sessions[number], equal.unwrap_or_else(|| self.nothing()));
        }
        computed.count(state, sessions, inputs, &batch)?;
        Ok(hidden)
    }

    fn step(
        &mut self,
        state: &mut State,
        sessions: &[u64],
        tokens: &[Option<TokenId>],
    ) -> Result<Tensor<2>, ModelError> {
        let fed = sessions.iter().zip(tokens);
        let (sessions, inputs): (Vec<u64>, Vec<RowInput>) = fed
            .filter_map(|(&session, token)| Some((session, RowInput::sampled(vec![(*token)?]))))
            .unzip();
        let (hidden, batch) = self.run(state, &sessions, &inputs, &|batch| {
            batch.starts.iter().map(|&start| start as i64).collect()
        })?;
        for ((&session, input), &positions) in sessions.iter().zip(&inputs).zip(&batch.positions) {
            state.fed(session, input, positions)?;
        }
        Ok(hidden)
    }

    fn close(&mut self, session: u64) {
        self.said.remove(&session);
    }
}

/// The conversations of a batch, a row each.
struct Together {
    rows: Vec<Vec<Layer>>,
    /// New tokens of each row.
    lengths: Vec<usize>,
    /// States of the recurrent layers, all rows of a layer as one.
    states: Vec<Option<DeltaState>>,
}

impl Together {
    fn new(mut rows: Vec<Vec<Layer>>, inputs: &[RowInput], layers: usize) -> Self {
        let states = (0..layers).map(|layer| joined(rows.iter_mut().map(|row| row[layer].state.take()).collect()));
        Self {
            states: states.collect(),
            lengths: inputs.iter().map(|input| input.tokens.len()).collect(),
            rows,
        }
    }

    /// Each conversation with its states.
    fn apart(mut self) -> Vec<Vec<Layer>> {
        for (layer, state) in self.states.iter().enumerate() {
            let Some(state) = state else { continue };
            for (number, row) in self.rows.iter_mut().enumerate() {
                row[layer].state = Some(state.between(number, number + 1));
            }
        }
        self.rows
    }
}

/// States of one row each as one; `None` where no row has seen anything.
fn joined(states: Vec<Option<DeltaState>>) -> Option<DeltaState> {
    let nothing = states.iter().flatten().next()?.nothing(1);
    let states = states.into_iter().map(|state| state.unwrap_or_else(|| nothing.clone()));
    states.reduce(DeltaState::followed_by)
}

impl KvCache for Together {
    /// A token sees those of its conversation up to itself; the mask is not read.
    fn attend(&mut self, layer: usize, q: Tensor<4>, kv: [Tensor<4>; 2], _: &Mask) -> Tensor<4> {
        let mut caches: Vec<_> = self.rows.iter_mut().map(|row| &mut row[layer].cache).collect();
        attention_cached(q, kv, &self.lengths, &mut caches)
    }

    fn state(&mut self, layer: usize) -> &mut Option<DeltaState> {
        &mut self.states[layer]
    }
}
