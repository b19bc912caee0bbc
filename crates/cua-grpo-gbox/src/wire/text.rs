//! Text forms inside the JSON: durations (`500ms`, `30s`, `5m`, `1h`) and pictures as data URIs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// A text that does not have its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read {what}: expected {expected}, got {got:?}")]
pub struct WireTextError {
    /// What was read.
    what: &'static str,
    /// The form it should have.
    expected: &'static str,
    /// The beginning of what came.
    got: String,
}

/// What is wrong with an answer in the words of the wire: a reader of JSON names types of this program.
pub(crate) fn in_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let numbers = ["f64", "u64", "i64", "u32"];
    let text = numbers.iter().fold(text, |text, number| {
        text.replace(&format!("expected {number}"), "expected a number")
    });
    text.replace("expected a sequence", "expected a list")
        .replace("expected a map", "expected an object")
        .replace("invalid type: unit value", "invalid type: null")
}

/// A duration in the form of the API: whole hours, minutes, seconds, or else milliseconds.
pub fn duration_text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if milliseconds > 0 && milliseconds.is_multiple_of(size) {
            return format!("{}{unit}", milliseconds / size);
        }
    }
    format!("{milliseconds}ms")
}

/// Reads a number followed by `ms`, `s`, `m` or `h`.
///
/// # Errors
/// When the number or the unit is missing, or the number is negative or absurdly large.
pub fn parse_duration(text: &str) -> Result<Duration, WireTextError> {
    let error = || WireTextError {
        what: "duration",
        expected: "a number followed by ms, s, m or h, e.g. 500ms",
        got: text.chars().take(40).collect(),
    };
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(error)?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(error()),
    };
    let number: f64 = number.parse().map_err(|_| error())?;
    // Through whole microseconds: 0.001 has no exact binary form, and a text must survive the round trip.
    let microseconds = (number * seconds * 1e6).round();
    if !(0.0..1e15).contains(&microseconds) {
        return Err(error());
    }
    Ok(Duration::from_micros(microseconds as u64))
}

/// A picture as `data:<mime>;base64,...`; `mime` is e.g. `image/png`.
pub fn data_uri(mime: &str, bytes: &[u8]) -> String {
    let mut text = format!("data:{mime};base64,");
    STANDARD.encode_string(bytes, &mut text);
    text
}

/// The bytes of a data URI.
///
/// # Errors
/// When it is not a base64 data URI.
pub fn decode_data_uri(uri: &str) -> Result<Vec<u8>, WireTextError> {
    let error = || WireTextError {
        what: "picture",
        expected: "data:<mime>;base64,<data>",
        got: uri.chars().take(40).collect(),
    };
    let (header, data) = uri.split_once(',').ok_or_else(error)?;
    if !(header.starts_with("data:") && header.ends_with(";base64")) {
        return Err(error());
    }
    STANDARD.decode(data.trim()).map_err(|_| error())
}
