//! The rendering seam: messages to tokens, tokens to text. Tokens are never re-made.

use crate::{Fault, Message, Prompt, TokenId};

/// Turns messages into tokens by extension: what was sampled before stays as it was.
pub trait Renderer: Send + Sync {
    /// The tokens that `new` messages add after `history`, ending in the header of the policy's next reply.
    ///
    /// `history` is empty at the start of a conversation; later its last message is the policy's own reply, whose
    /// sampled tokens (`closed` tells whether they end in a stop token) are already part of the conversation.
    fn render(&self, history: &[Message], new: &[Message], closed: bool) -> Result<Prompt, Fault>;

    /// The text of sampled tokens, without the stop token.
    fn decode(&self, tokens: &[TokenId]) -> String;

    /// The tokens of a reply written by hand, stop token included: for demonstrations and scripted policies.
    fn encode_reply(&self, reply: &str) -> Vec<TokenId>;
}
