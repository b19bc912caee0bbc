//! Values as Python's `str()` and `repr()` write them.

use super::lazy::{Generator, View};
use super::limits;
use super::value::{List, Range};
use minijinja::Value;
use minijinja::value::ValueKind;
use regex::Regex;
use std::sync::LazyLock;

/// What `repr` does not write as it is: control, format, unassigned and separating characters.
static UNPRINTABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{C}\p{Z}]$").ok());

/// `str(value)`, as `{{ value }}` writes it; nothing for what is undefined. The text is paid for.
pub(super) fn str(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => String::new(),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            if limits::try_spend(text.len()) {
                text.to_owned()
            } else {
                String::new()
            }
        }
        _ => repr(value),
    }
}

/// `repr(value)`. The text is paid for; beyond a limit it is empty, and the rendering fails.
pub(super) fn repr(value: &Value) -> String {
    let Some(_level) = limits::Level::down() else {
        return String::new();
    };
    if !limits::try_spend(limits::VISIT) {
        return String::new();
    }
    let text = written(value);
    if limits::try_spend(text.len()) {
        text
    } else {
        String::new()
    }
}

fn written(value: &Value) -> String {
    let items = || value.try_iter().into_iter().flatten();
    match value.kind() {
        ValueKind::Undefined => "Undefined".to_owned(),
        ValueKind::None => "None".to_owned(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        ValueKind::Number => number(value),
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            if let Some(range) = value.downcast_object_ref::<Range>() {
                return range.shown();
            }
            if value.downcast_object_ref::<Generator>().is_some() {
                return "<generator object>".to_owned();
            }
            if let Some(view) = value.downcast_object_ref::<View>() {
                let all: Vec<String> = items().map(|item| repr(&item)).collect();
                return format!("{}([{}])", view.name(), all.join(", "));
            }
            let list = value.downcast_object_ref::<List>();
            let group = || {
                value
                    .as_object()
                    .is_some_and(|object| object.type_name().ends_with("GroupTuple"))
            };
            let tuple = list.map_or_else(group, List::is_tuple).then_some(());
            let all: Vec<String> = items().map(|item| repr(&item)).collect();
            match (tuple, all.as_slice()) {
                (Some(_), [one]) => format!("({one},)"),
                (Some(_), all) => format!("({})", all.join(", ")),
                (None, all) => format!("[{}]", all.join(", ")),
            }
        }
        ValueKind::Map => {
            let pair = |key: Value| {
                let item = value.get_item(&key).unwrap_or_default();
                format!("{}: {}", repr(&key), repr(&item))
            };
            let pairs: Vec<String> = items().map(pair).collect();
            let name = value.as_object().map(|object| object.type_name()).unwrap_or_default();
            match name.contains("Namespace") {
                true => format!("<Namespace {{{}}}>", pairs.join(", ")),
                false => format!("{{{}}}", pairs.join(", ")),
            }
        }
        _ => value.to_string(),
    }
}

fn number(value: &Value) -> String {
    match value.is_integer() {
        true => value.to_string(),
        false => f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float),
    }
}

/// `repr(float)`: the shortest digits that read back, in scientific form below 1e-4 and from 1e16 on.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0.0" } else { "0.0" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A text in quotes: single ones, unless the text has those and no double ones.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            character if character == quote => {
                out.push('\\');
                out.push(quote);
            }
            character if !is_printable(character) => {
                let code = u32::from(character);
                out.push_str(&match code {
                    0..=0xFF => format!("\\x{code:02x}"),
                    0x100..=0xFFFF => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                });
            }
            character => out.push(character),
        }
    }
    out.push(quote);
    out
}

/// Whether `repr` writes the character as it is. Those of the private plane 16 are kept though Python escapes them: one
/// of them marks data while a conversation is rendered, see [`crate::processor::Guard`].
fn is_printable(character: char) -> bool {
    if character == ' ' || character >= '\u{100000}' {
        return true;
    }
    let mut bytes = [0; 4];
    let text = character.encode_utf8(&mut bytes);
    !UNPRINTABLE.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// Whether Python counts the character as white space (`str.strip`, `str.split`).
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1C}'..='\u{1F}')
}
