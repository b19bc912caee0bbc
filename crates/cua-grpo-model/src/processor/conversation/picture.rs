//! Where a picture of a conversation comes from: a file, or base64 in the text itself.

use crate::plain_text;
use crate::processor::decode::MOST_BYTES;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::io::ErrorKind;
use std::path::Path;

/// Base64 with or without padding at its end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Fewest characters of base64 without a `data:` address; shorter ones are more likely a wrong path.
const BARE: usize = 64;

/// Characters of a path that a message shows.
const MOST_SHOWN: usize = 400;

/// The encoded picture that `source` names: a path below `folder`, a `file://` address, a `data:` address, or base64 alone.
/// White space and line breaks inside base64 are passed over.
///
/// # Errors
/// What is wrong with `source`, without its name.
pub(super) fn read(source: &str, folder: &Path) -> Result<Vec<u8>, String> {
    let trimmed = source.trim_start();
    // The scheme of an address is read without regard to case.
    let address = trimmed.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:"));
    if let Some(data) = address.and(trimmed.get(5..)) {
        let form = "expected data:image/png;base64,...";
        let (head, body) = data.split_once(',').ok_or(form)?;
        if !head.trim_end().to_ascii_lowercase().ends_with("base64") {
            return Err(form.to_owned());
        }
        let wrong = || format!("no base64 of at most {MOST_BYTES} bytes after the comma; {form}");
        return decode(&unescape(body)).ok_or_else(wrong);
    }
    if trimmed.starts_with("http://") || trimmed.starts_with("https://") {
        return Err("nothing is downloaded; save the picture and give its path".to_owned());
    }
    let path = folder.join(source.strip_prefix("file://").unwrap_or(source));
    match plain_text::bytes(&path, MOST_BYTES) {
        Ok(bytes) => Ok(bytes),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::FileTooLarge) && path.exists() => {
            Err(format!("{error} ({})", path.display()))
        }
        Err(error) => {
            let bare = decode(source).filter(|_| source.len() >= BARE);
            let path: String = path.display().to_string().chars().take(MOST_SHOWN).collect();
            bare.ok_or_else(|| format!("{error}; expected the path of a picture, {path}"))
        }
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_ascii_whitespace().collect();
    if text.len() as u64 / 4 * 3 > MOST_BYTES {
        return None;
    }
    BASE64.decode(text).ok().filter(|bytes| !bytes.is_empty())
}

/// The text with `%2B` and the like as the characters that they stand for.
fn unescape(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => {
                out.push(char::from(code));
                out.push_str(&piece[2..]);
            }
            None => {
                out.push('%');
                out.push_str(piece);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::read;
    use std::path::Path;

    #[test]
    fn base64_may_have_line_breaks_and_come_without_padding() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bytes);
        let lines = |end: &str| {
            let lines: Vec<&str> = text
                .as_bytes()
                .chunks(76)
                .map(|line| std::str::from_utf8(line).unwrap())
                .collect();
            lines.join(end) + end
        };
        for source in [
            format!("data:image/png;base64,{text}"),
            format!("data:image/png;base64,{}", lines("\n")),
            format!("data:;base64,{}", lines("\r\n  ")),
            format!("data:image/png;charset=utf-8;BASE64, {}", text.trim_end_matches('=')),
            format!(
                "data:image/png;base64,{}",
                text.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D")
            ),
            lines("\n"),
        ] {
            assert_eq!(read(&source, Path::new("")).unwrap(), bytes, "{source}");
        }
        for (wrong, hint) in [
            ("data:image/png,abc", "base64"),
            ("data:image/png;base64,", "base64"),
            ("data:image/png;base64,a?b", "base64"),
            ("https://example.org/a.png", "save the picture"),
            ("missing.png", "missing.png"),
        ] {
            let error = read(wrong, Path::new("")).unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
    }
}
