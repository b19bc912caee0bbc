//! The seam between the generator and what draws tokens for it.

use super::state::{Request, State};
use crate::ModelError;
use crate::batch::RowInput;
use cua_grpo_core::{Completion, TokenId};

/// Draws tokens for the conversations that were admitted, until they are released. Between two turns it keeps what a
/// conversation has in its cache, for as long as the conversation is open.
pub(super) trait Decode: Send {
    /// Feeds what `requests` append to their conversations, and draws the first token of each. Conversations that were
    /// admitted before and are not finished go on. `inputs` are those of [`State::input`], one for each request.
    ///
    /// # Errors
    /// When the model refuses an input, or a card fails. None of the requests is admitted then.
    fn admit(&mut self, state: &mut State, requests: &[Request], inputs: &[RowInput]) -> Result<(), ModelError>;

    /// Draws on for every conversation that is admitted and not finished: one token each, or a few.
    ///
    /// # Errors
    /// When a card fails.
    fn advance(&mut self, state: &mut State) -> Result<(), ModelError>;

    /// The admitted conversations that are finished, by a stop token or for want of room.
    ///
    /// # Errors
    /// When a card fails.
    fn finished(&mut self) -> Result<Vec<u64>, ModelError>;

    /// The tokens drawn for an admitted conversation, from number `from` on.
    ///
    /// # Errors
    /// When a card fails.
    fn drawn(&mut self, session: u64, from: usize) -> Result<Vec<TokenId>, ModelError>;

    /// Takes a conversation out and gives what was drawn for it; `None` where it was not admitted. One that is not
    /// finished ends where it is.
    ///
    /// # Errors
    /// When a card fails.
    fn release(&mut self, state: &mut State, session: u64) -> Result<Option<Completion>, ModelError>;

    /// Gives up what a conversation has in the cache.
    fn close(&mut self, session: u64);

    /// The weights of the state are new. What is in the cache stays, though the old weights filled it.
    fn refresh(&mut self);
}
