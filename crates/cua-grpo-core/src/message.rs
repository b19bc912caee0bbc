//! Chat messages: text and images in the order in which the policy sees them.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that hold for the whole conversation.
    System,
    /// The environment: task, screenshots, results.
    User,
    /// The policy.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// An encoded picture (PNG or JPEG), exactly the bytes that the device sent.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// The encoded file.
    pub bytes: Arc<[u8]>,
}

impl Image {
    /// Wraps the bytes of an encoded file.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { bytes: bytes.into() }
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({} bytes)", self.bytes.len())
    }
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Plain text; special-token literals inside are data, never control tokens.
    Text(String),
    /// A picture.
    Image(Image),
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub content: Vec<Chunk>,
}

impl Message {
    /// A message of text and images, in order.
    pub fn new(role: Role, content: Vec<Chunk>) -> Self {
        Self { role, content }
    }

    /// A message of text only.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, vec![Chunk::Text(text.into())])
    }

    /// All text of the message, joined with nothing in between.
    pub fn joined_text(&self) -> String {
        let texts = self.content.iter().filter_map(|chunk| match chunk {
            Chunk::Text(text) => Some(text.as_str()),
            Chunk::Image(_) => None,
        });
        texts.collect()
    }

    /// The images of the message, in order.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.content.iter().filter_map(|chunk| match chunk {
            Chunk::Image(image) => Some(image),
            Chunk::Text(_) => None,
        })
    }
}
