//! Text files as editors save them: UTF-8, with or without a byte order mark, or UTF-16 where the mark says so.

use std::io::{Error, ErrorKind};
use std::path::Path;

/// The text in `bytes`, without a byte order mark.
///
/// # Errors
/// A message that says which encoding was expected.
pub fn decode(bytes: &[u8]) -> Result<String, String> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        let text = String::from_utf16(&units).ok().filter(|_| rest.len().is_multiple_of(2));
        text.ok_or_else(|| "the byte order mark says UTF-16, but the bytes are not; save the file as UTF-8".to_owned())
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        _ => utf8(bytes),
    }
}

/// Reads a text file, without its byte order mark.
///
/// # Errors
/// Those of reading; bytes that are no text are [`ErrorKind::InvalidData`].
pub fn read(path: &Path) -> std::io::Result<String> {
    decode(&std::fs::read(path)?).map_err(|message| Error::new(ErrorKind::InvalidData, message))
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned)
        .map_err(|error| format!("expected UTF-8 text ({error}); save the file as UTF-8"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::decode;

    #[test]
    fn byte_order_marks_are_passed_over() {
        for bytes in [
            &b"{\"a\": \"\xC3\xA9\"}"[..],
            b"\xEF\xBB\xBF{\"a\": \"\xC3\xA9\"}",
            b"\xFF\xFE{\0\"\0a\0\"\0:\0 \0\"\0\xE9\0\"\0}\0",
            b"\xFE\xFF\0{\0\"\0a\0\"\0:\0 \0\"\0\xE9\0\"\0}",
        ] {
            assert_eq!(decode(bytes).unwrap(), "{\"a\": \"é\"}");
        }
        assert_eq!(
            decode(b"x\xEF\xBB\xBF").unwrap(),
            "x\u{FEFF}",
            "inside a text it is a character"
        );
        assert!(decode(b"\xFF\xFEa").unwrap_err().contains("UTF-16"));
        assert!(decode(b"\xE9").unwrap_err().contains("UTF-8"));
    }
}
