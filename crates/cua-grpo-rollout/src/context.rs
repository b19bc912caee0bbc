//! The conversation as the policy sees it: it grows, and may be cut back to the newest pictures now and then.
//!
//! With `keep_screenshots: K` above 0 it grows until it holds `2K` pictures. An observation that would make it more cuts it
//! back: all but the newest `K` pictures, those of the observation among them, are replaced by a line of text. Between two
//! cuts nothing changes that stands already, so a sampler's cache is filled anew once in `K + 1` turns.

use cua_grpo_core::{Chunk, Completion, Fault, Message, Prompt, Renderer, Role, StopReason, TokenId};
use std::ops::Range;

/// What stands in place of a picture that the policy does not see any more.
pub const DROPPED_SCREENSHOT: &str = "[An earlier screenshot, no longer shown.]\n";

/// The messages so far, and what they are in tokens.
#[derive(Default)]
pub(crate) struct Context {
    /// Pictures that a cut leaves; 0 never cuts.
    keep: usize,
    history: Vec<Message>,
    /// What each turn added, where it may be needed again.
    pieces: Vec<Piece>,
    /// The last reply lacks its stop token.
    open: bool,
}

/// What a turn added.
struct Piece {
    /// The messages before the reply, in the history.
    messages: Range<usize>,
    /// Whether the reply before them ended in a stop token.
    closed: bool,
    /// Their tokens.
    given: Prompt,
    /// The reply, as it was sampled.
    reply: Vec<TokenId>,
}

/// What is asked next.
pub(crate) struct Next {
    messages: Vec<Message>,
    /// What the messages add.
    added: Prompt,
    /// The whole context, where it was cut back.
    whole: Option<Prompt>,
}

impl Next {
    /// What goes to the sampler.
    pub fn prompt(&self) -> &Prompt {
        self.whole.as_ref().unwrap_or(&self.added)
    }

    /// Whether that takes the place of all that stood before.
    pub fn begins_anew(&self) -> bool {
        self.whole.is_some()
    }
}

impl Context {
    /// An empty one that is cut back to `keep` pictures; 0 keeps all.
    pub fn new(keep: usize) -> Self {
        Self {
            keep,
            ..Self::default()
        }
    }

    /// What is asked after `new` messages.
    ///
    /// # Errors
    /// Those of the renderer.
    pub fn next(&mut self, renderer: &dyn Renderer, mut new: Vec<Message>) -> Result<Next, Fault> {
        let mut surplus = self.surplus(&new);
        let cut = surplus > 0 && !self.pieces.is_empty();
        for piece in &mut self.pieces {
            let before = surplus;
            drop_pictures(&mut self.history[piece.messages.clone()], &mut surplus);
            if surplus < before {
                let (history, shown) = self.history.split_at(piece.messages.start);
                piece.given = renderer.render(history, &shown[..piece.messages.len()], piece.closed)?;
            }
        }
        drop_pictures(&mut new, &mut surplus);
        let added = renderer.render(&self.history, &new, !self.open)?;
        let whole = cut.then(|| {
            let mut whole = Prompt::default();
            for piece in &self.pieces {
                whole.push(&piece.given);
                whole.push_sampled(&piece.reply);
            }
            whole.push(&added);
            whole
        });
        Ok(Next {
            messages: new,
            added,
            whole,
        })
    }

    /// Pictures that have to go before `new` messages are said: none, or all but the newest.
    fn surplus(&self, new: &[Message]) -> usize {
        let pictures = self.history.iter().chain(new).flat_map(Message::images).count();
        if self.keep == 0 || pictures <= 2 * self.keep {
            return 0;
        }
        pictures - self.keep
    }

    /// Appends what was asked, and the reply to it, which reads `text`.
    pub fn push(&mut self, next: Next, text: String, reply: &Completion) {
        let start = self.history.len();
        self.history.extend(next.messages);
        if self.keep > 0 {
            self.pieces.push(Piece {
                messages: start..self.history.len(),
                closed: !self.open,
                given: next.added,
                reply: reply.tokens.clone(),
            });
        }
        self.history.push(Message::text(Role::Assistant, text));
        self.open = reply.stop != StopReason::Stop;
    }
}

/// Replaces the first `surplus` pictures of `messages` by a line of text, and counts them.
fn drop_pictures(messages: &mut [Message], surplus: &mut usize) {
    for chunk in messages.iter_mut().flat_map(|message| &mut message.content) {
        if *surplus == 0 {
            return;
        }
        if matches!(chunk, Chunk::Image(_)) {
            *chunk = Chunk::Text(DROPPED_SCREENSHOT.to_owned());
            *surplus -= 1;
        }
    }
}
