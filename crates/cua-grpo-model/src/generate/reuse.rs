//! What conversations have in common is computed once.
//!
//! The attempts at one task begin with the same prompt, and often reply alike. The keys and values of a token follow from
//! the weights, and from the tokens and pictures up to it, so equal beginnings have equal ones.
//! - A new conversation takes over what it has in common with one that is open ([`borrow`]). Where layers keep a state, that
//!   is all of the other one or nothing: a state cannot be taken back to an earlier token.
//! - Of conversations that are equal and are fed the same, one is fed, and the others get what it got ([`alike`]).

use super::history::History;
use super::state::State;
use crate::ModelError;
use crate::batch::{Batch, RowInput};
use crate::processor::{Pixels, PositionState};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Lets the new ones among `sessions` begin with what a conversation that is cached has in common with them: their state
/// says so then, and `inputs` have the rest. Gives for each session from whom it takes how many tokens.
///
/// A token is always left to be fed, for what comes after it is wanted.
///
/// # Errors
/// When pad tokens and pictures disagree. Nothing is changed then.
pub(super) fn borrow(
    state: &mut State,
    sessions: &[u64],
    inputs: &mut [RowInput],
    cached: &dyn Fn(u64) -> bool,
) -> Result<Vec<Option<(u64, usize)>>, ModelError> {
    let config = &state.model.config;
    let mut loans = Vec::with_capacity(sessions.len());
    for (session, input) in sessions.iter().zip(inputs.iter()) {
        let new = state.conversations.get(session);
        loans.push(match new.filter(|conversation| conversation.history.len() == 0) {
            Some(conversation) => loan(state, input, conversation.positions, cached)?,
            None => None,
        });
    }
    let mut moves = Vec::with_capacity(loans.len());
    for (loan, input) in loans.iter().zip(inputs.iter()) {
        moves.push(match loan {
            Some((_, history)) => {
                let (count, pictures) = (history.len(), history.pictures());
                let beginning = RowInput {
                    tokens: input.tokens[..count].to_vec(),
                    sampled: input.sampled[..count.min(input.sampled.len())].to_vec(),
                    pixels: input.pixels[..pictures].to_vec(),
                };
                Some(beginning.place(config, PositionState::default())?.state)
            }
            None => None,
        });
    }
    let each = sessions.iter().zip(inputs).zip(loans.into_iter().zip(moves));
    let borrowed = each.map(|((session, input), (loan, positions))| {
        let ((from, history), positions) = loan.zip(positions)?;
        let conversation = state.conversations.get_mut(session)?;
        let count = history.len();
        input.tokens.drain(..count);
        input.sampled.drain(..count.min(input.sampled.len()));
        input.pixels.drain(..history.pictures());
        (conversation.history, conversation.positions) = (history, positions);
        Some((from, count))
    });
    Ok(borrowed.collect())
}

/// The cached conversation that has most in common with a new one, and what they have in common.
fn loan(
    state: &State,
    input: &RowInput,
    positions: PositionState,
    cached: &dyn Fn(u64) -> bool,
) -> Result<Option<(u64, History)>, ModelError> {
    let mut whole = History::default();
    whole.feed(&state.model.config, input, positions, state.weights)?;
    let open = state.conversations.iter().filter(|(session, _)| cached(**session));
    let common = open.map(|(&session, other)| (whole.common(&other.history), session));
    // Among equals the lowest number: the order of the map is random.
    let whole_only = state.model.config.text.hybrid.is_some();
    let common = common.filter(|(count, session)| {
        let other = state.conversations.get(session).map_or(0, |other| other.history.len());
        !whole_only || *count == other && *count < input.tokens.len()
    });
    let best = common.max_by_key(|&(count, session)| (count, std::cmp::Reverse(session)));
    Ok(best.and_then(|(count, session)| {
        let beginning = whole.beginning(count.min(input.tokens.len().saturating_sub(1)));
        let taken = beginning.len();
        (taken > 0 && (!whole_only || taken == count)).then_some((session, beginning))
    }))
}

/// Takes back what [`borrow`] said of `sessions`, when they were not admitted.
pub(super) fn give_back(state: &mut State, sessions: &[u64], borrowed: &[Option<(u64, usize)>]) {
    for (session, _) in sessions.iter().zip(borrowed).filter(|(_, loan)| loan.is_some()) {
        if let Some(conversation) = state.conversations.get_mut(session) {
            (conversation.history, conversation.positions) = (History::default(), PositionState::default());
        }
    }
}

/// For each of `sessions` the first one whose conversation is equal, and is fed the same: itself, where there is none
/// before it. `also` says what else must be equal of two of them.
pub(super) fn alike(
    state: &State,
    sessions: &[u64],
    inputs: &[RowInput],
    also: &dyn Fn(usize, usize) -> bool,
) -> Vec<usize> {
    let history = |number: usize| Some(&state.conversations.get(&sessions[number])?.history);
    let same_pixels =
        |a: &[Arc<Pixels>], b: &[Arc<Pixels>]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b));
    let equal = |a: usize, b: usize| {
        let [x, y] = [a, b].map(|number| &inputs[number]);
        (&x.tokens, &x.sampled) == (&y.tokens, &y.sampled)
            && same_pixels(&x.pixels, &y.pixels)
            && history(a) == history(b)
            && also(a, b)
    };
    let mut firsts: HashMap<u64, Vec<usize>> = HashMap::new();
    let first = (0..sessions.len()).map(|number| {
        let mut hasher = DefaultHasher::new();
        (&inputs[number].tokens, history(number).map(History::len)).hash(&mut hasher);
        let firsts = firsts.entry(hasher.finish()).or_default();
        let found = firsts.iter().copied().find(|&first| equal(first, number));
        found.unwrap_or_else(|| {
            firsts.push(number);
            number
        })
    });
    first.collect()
}

/// The rows of a batch that feeds sessions, of which equal ones are computed once.
pub(super) struct Computed {
    /// As [`alike`] says.
    first: Vec<usize>,
    /// The number of the session that each row is of.
    pub numbers: Vec<usize>,
}

impl Computed {
    /// The rows by what [`alike`] says.
    pub fn of(first: Vec<usize>) -> Self {
        let numbers = (0..first.len()).filter(|&number| first[number] == number).collect();
        Self { first, numbers }
    }

    /// For each session that another one is computed for: its number, and that of the other.
    pub fn spared(&self) -> impl Iterator<Item = (usize, usize)> {
        let all = self.first.iter().copied().enumerate();
        all.filter(|(number, first)| number != first)
    }

    /// The row that has what session `number` needs.
    pub fn row(&self, number: usize) -> usize {
        self.numbers.binary_search(&self.first[number]).unwrap_or_default()
    }

    /// What each row is fed.
    pub fn inputs(&self, inputs: &[RowInput]) -> Vec<RowInput> {
        self.numbers.iter().map(|&number| inputs[number].clone()).collect()
    }

    /// The last token of each session, in the flattened batch: also of equal ones, for on a card products of few rows round in
    /// another way than those of many.
    pub fn last(&self, batch: &Batch, inputs: &[RowInput]) -> Vec<i64> {
        let inputs = inputs.iter().enumerate();
        let last = inputs.map(|(number, input)| batch.starts[self.row(number)] + input.tokens.len() - 1);
        last.map(|token| token as i64).collect()
    }

    /// Counts what was fed, and what of it was computed.
    ///
    /// # Errors
    /// When pad tokens and pictures disagree.
    pub fn count(
        &self,
        state: &mut State,
        sessions: &[u64],
        inputs: &[RowInput],
        batch: &Batch,
    ) -> Result<(), ModelError> {
        let computed = self.numbers.iter().map(|&number| inputs[number].tokens.len() as u64);
        state.prefilled.computed += computed.sum::<u64>();
        for (number, (&session, input)) in sessions.iter().zip(inputs).enumerate() {
            state.fed(session, input, batch.positions[self.row(number)])?;
        }
        Ok(())
    }
}
