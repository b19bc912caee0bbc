//! Bodies of answers, read piece by piece: never more than an answer of its kind can have.

use crate::wire::{ErrorBody, ErrorMessage};
use reqwest::Response;
use std::time::Duration;

/// The most bytes that are read of an answer, by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Boxes, lists of a hundred boxes, coordinates, displays. Default 4 MiB.
    pub json: u64,
    /// What a shell command printed, and layouts of screens. Default 16 MiB.
    pub text: u64,
    /// Answers that carry pictures. Default 48 MiB.
    pub picture: u64,
    /// What an error says; the rest is left unread. Default 64 KiB.
    pub error: u64,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self {
            json: 4 << 20,
            text: 16 << 20,
            picture: 48 << 20,
            error: 64 << 10,
        }
    }
}

/// How long the text of an error may take.
const ERROR_TIME: Duration = Duration::from_secs(5);

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It is larger than the limit.
    TooLarge,
    /// The connection broke, or time ran out.
    Lost(reqwest::Error),
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read(mut response: Response, limit: u64) -> Result<Vec<u8>, BodyError> {
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(BodyError::Lost)? {
        if (bytes.len() + piece.len()) as u64 > limit {
            return Err(BodyError::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// What the service says about an error, at most a few hundred characters. A text that is too long is cut, one that does
/// not come is left out.
pub(crate) async fn error_message(mut response: Response, limit: u64) -> String {
    let mut bytes = Vec::new();
    let all = async {
        while let Ok(Some(piece)) = response.chunk().await {
            let room = (limit as usize).saturating_sub(bytes.len());
            bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() >= room {
                break;
            }
        }
    };
    // Whatever came by then is shown.
    let _ = tokio::time::timeout(ERROR_TIME, all).await;
    let text = String::from_utf8_lossy(&bytes);
    let message = serde_json::from_str::<ErrorBody>(&text)
        .ok()
        .and_then(|body| match body.message {
            Some(ErrorMessage::One(message)) => Some(message),
            Some(ErrorMessage::Many(messages)) => Some(messages.join("; ")),
            None => body.error,
        });
    printable(message.as_deref().unwrap_or(&text), 300)
}

/// The first `most` characters on one line, without control sequences: what a terminal and a log may get.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(most).map(plain).collect()
}
