//! Texts that are not shown.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A key or a token: it is sent to one place, and neither printed nor logged.
///
/// It is written only by a serializer, so that a configuration can go from one process to another; what keeps
/// configurations on disk leaves it out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Fewest bytes of a secret that is looked for in texts. A shorter one stands in texts by chance, and keeps nobody out.
    pub const SHORTEST: usize = 8;
    /// What stands in its place.
    const STARS: &str = "***";

    /// `text` with asterisks in place of this secret: for what comes from outside, where whoever got the secret may send it
    /// back. Capitals do not count, as an address is sent back in small letters.
    ///
    /// ```
    /// use cua_grpo_core::Secret;
    /// let key = Secret::new("k-123456789");
    /// assert_eq!(key.starred("bad key Bearer k-123456789"), "bad key Bearer ***");
    /// ```
    pub fn starred<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.starred_bytes(text.as_bytes()) {
            None => Cow::Borrowed(text),
            Some(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// As [`Secret::starred`], of bytes; `None` where they do not hold this secret.
    pub fn starred_bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let secret = self.0.as_bytes();
        let first = secret.first().filter(|_| secret.len() >= Self::SHORTEST)?;
        let (mut starred, mut copied, mut at) = (Vec::new(), 0, 0);
        while at + secret.len() <= bytes.len() {
            let end = at + secret.len();
            if !bytes[at].eq_ignore_ascii_case(first) || !bytes[at..end].eq_ignore_ascii_case(secret) {
                at += 1;
                continue;
            }
            starred.extend_from_slice(&bytes[copied..at]);
            starred.extend_from_slice(Self::STARS.as_bytes());
            (copied, at) = (end, end);
        }
        if copied == 0 {
            return None;
        }
        starred.extend_from_slice(&bytes[copied..]);
        Some(starred)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("s3cr3t");
        assert_eq!(
            format!("{secret:?} {:?}", Some(&secret)),
            "Secret(hidden) Some(Secret(hidden))"
        );
        assert_eq!(secret.reveal(), "s3cr3t");
    }

    #[test]
    fn a_secret_that_comes_back_is_starred_wherever_it_stands() {
        let secret = Secret::new("Key-\u{e9}12345");
        for (text, starred) in [
            ("Key-\u{e9}12345", "***"),
            ("a Key-\u{e9}12345Key-\u{e9}12345 b key-\u{e9}12345", "a ****** b ***"),
            ("Key-Key-\u{e9}12345", "Key-***"),
        ] {
            assert_eq!(secret.starred(text), starred);
        }
        for text in [
            "",
            "Key-\u{e9}1234",
            "Key-\u{e8}12345",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert!(
                matches!(secret.starred(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
        assert_eq!(
            secret.starred_bytes(b"\xff Key-\xc3\xa912345"),
            Some(b"\xff ***".to_vec())
        );
        // Nobody guards a word of everyday texts.
        assert_eq!(Secret::new("sim").starred("sim 1"), "sim 1");
        assert_eq!(Secret::new("").starred("sim 1"), "sim 1");
    }
}
