//! JSON whose numbers keep what they say: whole numbers of any length, and floats that read back as Python reads them.
//!
//! The JSON library holds whole numbers of up to 64 bits and reads long fractions with an error in the last digit.
//! Numbers that it would change are found first. A whole number becomes a stand-in, an object with one reserved key,
//! which [`big_integer`] recognises and which the chat template and [`super::python_json`] write as its digits.

use serde_json::{Map, Value};

/// The key of a stand-in; it starts with a code point that is no character.
const INTEGER: &str = "\u{FDD0}integer";
/// The key under which a long fraction waits to be read.
const FLOAT: &str = "\u{FDD0}float";

/// Digits up to which the library reads a fraction exactly.
const EXACT_DIGITS: usize = 15;

/// Parses JSON text; see the module's text for numbers.
///
/// # Errors
/// Those of the JSON library.
pub fn parse_json(text: &str) -> serde_json::Result<Value> {
    let Some(changed) = with_stand_ins(text) else {
        return serde_json::from_str(text);
    };
    match serde_json::from_str(&changed) {
        Ok(mut value) => {
            read_floats(&mut value);
            Ok(value)
        }
        // The place that an error names is one of the text itself.
        Err(error) => serde_json::from_str::<Value>(text).and(Err(error)),
    }
}

/// The digits, with their sign, of a whole number that stands for more than 64 bits.
pub fn big_integer(value: &Value) -> Option<&str> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let digits = fields.get(INTEGER)?.as_str()?;
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    (!unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// `text` with stand-ins for the numbers that the library would change; none where it changes nothing.
fn with_stand_ins(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut out, mut copied, mut index) = (String::new(), 0, 0);
    while index < bytes.len() {
        match bytes[index] {
            b'"' => index = end_of_string(bytes, index),
            b'-' | b'0'..=b'9' => {
                let length = bytes[index..]
                    .iter()
                    .take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
                let end = index + length.count();
                if let Some(stand_in) = stand_in(&text[index..end]) {
                    out.push_str(&text[copied..index]);
                    out.push_str(&stand_in);
                    copied = end;
                }
                index = end;
            }
            _ => index += 1,
        }
    }
    (copied > 0).then(|| out + &text[copied..])
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut index = start + 1;
    while index < bytes.len() && bytes[index] != b'"' {
        index += if bytes[index] == b'\\' { 2 } else { 1 };
    }
    index + 1
}

fn stand_in(number: &str) -> Option<String> {
    // What is no number is the library's to report.
    serde_json::from_str::<serde::de::IgnoredAny>(number).ok()?;
    let whole = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if whole {
        if number == "-0" {
            return Some("0".to_owned());
        }
        let held = number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
        return (!held).then(|| format!("{{\"{INTEGER}\":\"{number}\"}}"));
    }
    let digits = number.bytes().take_while(|byte| !matches!(byte, b'e' | b'E'));
    let long = digits.filter(u8::is_ascii_digit).count() > EXACT_DIGITS || number.contains(['e', 'E']);
    let finite = number.parse::<f64>().is_ok_and(f64::is_finite);
    (long && finite).then(|| format!("{{\"{FLOAT}\":\"{number}\"}}"))
}

fn read_floats(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(read_floats),
        Value::Object(fields) => match waiting(fields) {
            Some(number) => *value = number,
            None => fields.values_mut().for_each(read_floats),
        },
        _ => {}
    }
}

fn waiting(fields: &Map<String, Value>) -> Option<Value> {
    let text = fields.get(FLOAT).filter(|_| fields.len() == 1)?.as_str()?;
    Some(Value::from(text.parse::<f64>().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{big_integer, parse_json};
    use crate::processor::python_json;

    #[test]
    fn numbers_are_written_as_python_writes_what_it_read() {
        for (json, python) in [
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            (
                "[-9223372036854775809, 18446744073709551616]",
                "[-9223372036854775809, 18446744073709551616]",
            ),
            (
                "[-9223372036854775808, 18446744073709551615]",
                "[-9223372036854775808, 18446744073709551615]",
            ),
            (
                "{\"a\": 0.30000000000000004, \"b\": -0}",
                "{\"a\": 0.30000000000000004, \"b\": 0}",
            ),
            (
                "[2.2250738585072011e-308, 9007199254740993.0]",
                "[2.225073858507201e-308, 9007199254740992.0]",
            ),
            (
                "[1e23, 8.41e21, 123456.7890123456789]",
                "[1e+23, 8.41e+21, 123456.78901234567]",
            ),
            (
                "\"12345678901234567890123 \\\" 1e5\"",
                "\"12345678901234567890123 \\\" 1e5\"",
            ),
        ] {
            assert_eq!(python_json(&parse_json(json).unwrap()), python);
        }
        let digits = "9".repeat(400);
        assert_eq!(big_integer(&parse_json(&digits).unwrap()), Some(digits.as_str()));
        for wrong in [
            "[1, -",
            "[007]",
            "[12345678901234567890123.]",
            "[1.e5]",
            "[1, 12345678901234567890123 4]",
            "1e400",
        ] {
            assert!(parse_json(wrong).unwrap_err().line() == 1, "{wrong}");
        }
        assert!(parse_json("[1, 2").unwrap_err().to_string().contains("line 1"));
    }
}
