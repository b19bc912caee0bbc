//! Bodies of answers, read piece by piece: never more than an answer of its kind can have.

use crate::printable::{MOST_SHOWN, printable};
use crate::wire::{ErrorBody, ErrorMessage};
use cua_grpo_core::Secret;
use reqwest::Response;
use serde_json::Value;
use std::borrow::Cow;
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
/// not come is left out; the key has asterisks in its place.
pub(crate) async fn error_message(mut response: Response, limit: u64, key: &Secret) -> String {
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
    let bytes = without(key, bytes);
    let text = String::from_utf8_lossy(&bytes);
    let message = serde_json::from_str::<ErrorBody>(&text)
        .ok()
        .and_then(|body| match body.message {
            Some(ErrorMessage::One(message)) => Some(message),
            Some(ErrorMessage::Many(messages)) => Some(messages.join("; ")),
            None => body.error,
        });
    printable(message.as_deref().unwrap_or(&text), MOST_SHOWN)
}

/// The body with asterisks in place of the key, also where JSON writes it with escapes (`\u0041`, `\/`). Nothing that is
/// read further holds the key: no message, no output of a command, no label.
pub(crate) fn without(key: &Secret, body: Vec<u8>) -> Vec<u8> {
    let body = key.starred_bytes(&body).unwrap_or(body);
    if !body.contains(&b'\\') {
        return body;
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else {
        // No JSON, but its beginning is shown.
        let plain = unescaped(&String::from_utf8_lossy(&body));
        return key.starred_bytes(plain.as_bytes()).unwrap_or(body);
    };
    match star(key, &mut value) {
        true => value.to_string().into_bytes(),
        false => body,
    }
}

/// `text` without the escapes of JSON.
fn unescaped(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let unit = after.strip_prefix('u').and_then(|digits| digits.get(..4));
        let letter = unit.and_then(|digits| char::from_u32(u32::from_str_radix(digits, 16).ok()?));
        plain.extend(letter);
        rest = if letter.is_some() { &after[5..] } else { after };
    }
    plain + rest
}

/// Stars the key in all texts of `value`; whether there was one.
fn star(key: &Secret, value: &mut Value) -> bool {
    match value {
        Value::String(text) => {
            let Cow::Owned(starred) = key.starred(text) else {
                return false;
            };
            *text = starred;
            true
        }
        Value::Array(values) => values.iter_mut().fold(false, |any, value| star(key, value) | any),
        Value::Object(fields) => {
            let any = fields.values_mut().fold(false, |any, value| star(key, value) | any);
            let named = |name: &str| matches!(key.starred(name), Cow::Owned(_));
            if !fields.keys().any(|name| named(name)) {
                return any;
            }
            let old = std::mem::take(fields).into_iter();
            fields.extend(old.map(|(name, value)| (key.starred(&name).into_owned(), value)));
            true
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
