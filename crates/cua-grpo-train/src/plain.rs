//! Texts of others: a name in a file, an answer of a service and a reply of a model may hold signs that a terminal obeys,
//! or that show a line in another order than it has.

use serde_json::Value;
use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Write;

/// Most characters of a line of a message. What is wrong stands at its beginning, what to do at its end.
const MOST_OF_LINE: usize = 2_000;
/// Most characters of a message.
const MOST_OF_MESSAGE: usize = 32_000;

/// What a text is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines for people.
    Text,
    /// Lines for people, in which colours stay.
    Coloured,
    /// A line of JSON.
    Json,
}

/// A message as it is shown and logged: as [`plain`] says, and of a bounded length, whatever value, name or path it quotes.
pub fn message(text: &str, form: Form) -> Cow<'_, str> {
    match bounded(text, form) {
        Cow::Borrowed(text) => plain(text, form),
        Cow::Owned(text) => plain(&text, form).into_owned().into(),
    }
}

/// The text without the middle of its long lines, and without its own where they are too many.
fn bounded(text: &str, form: Form) -> Cow<'_, str> {
    if text.len() <= MOST_OF_LINE {
        return text.into();
    }
    if form == Form::Json {
        return match serde_json::from_str(text) {
            Ok(mut value) => {
                shorten(&mut value);
                format!("{value}\n").into()
            }
            Err(_) => text.into(),
        };
    }
    let lines: Vec<_> = text
        .split('\n')
        .map(|line| without_middle(line, MOST_OF_LINE))
        .collect();
    match lines.join("\n") {
        short if short == text => without_middle(text, MOST_OF_MESSAGE),
        short => without_middle(&short, MOST_OF_MESSAGE).into_owned().into(),
    }
}

/// Bounds every text of `value`.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => *text = bounded(text, Form::Text).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

/// `text` as it is where it has at most `most` characters; else its first two thirds of so many, and its end.
pub fn without_middle(text: &str, most: usize) -> Cow<'_, str> {
    let count = if text.len() <= most { 0 } else { text.chars().count() };
    if count <= most {
        return text.into();
    }
    let at = |number: usize| text.char_indices().nth(number).map_or(text.len(), |(at, _)| at);
    let (head, tail) = (at(most - most / 3), at(count - most / 3));
    let left_out = count - most;
    format!(
        "{} … ({left_out} characters left out) … {}",
        &text[..head],
        &text[tail..]
    )
    .into()
}

/// A word of a command line, with a name that none of our flags can have cut: a name that is unknown is compared with all
/// of them, which takes the square of its length.
pub fn brief_flag(word: OsString) -> OsString {
    /// Most characters of a name.
    const LONGEST: usize = 200;
    match word.to_str() {
        Some(text) if text.starts_with("--") && text.split('=').next().is_some_and(|name| name.len() > LONGEST) => {
            without_middle(text, LONGEST).into_owned().into()
        }
        _ => word,
    }
}

/// The text with numbers (`\u{1b}`) in place of what a terminal would obey, but line breaks and tabs, and of what turns the
/// direction of what follows.
pub fn plain(text: &str, form: Form) -> Cow<'_, str> {
    if !text.contains(obeyed) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let colour = (form == Form::Coloured).then(|| colour(rest)).flatten();
        let length = colour.unwrap_or(character.len_utf8());
        match (colour.is_none() && obeyed(character), form) {
            (false, _) => out.push_str(&rest[..length]),
            // Writing to a text does not fail.
            (true, Form::Json) => {
                let _ = write!(out, "\\u{:04x}", character as u32);
            }
            (true, _) => out.extend(character.escape_unicode()),
        }
        rest = &rest[length..];
    }
    out.into()
}

fn obeyed(character: char) -> bool {
    !matches!(character, '\n' | '\t') && cua_grpo_core::obeyed(character)
}

/// The length of the sequence that sets a colour, where `text` begins with one.
fn colour(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("\u{1b}[")?;
    let digits = inner.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    inner[digits..].starts_with('m').then_some(2 + digits + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_bounded_length_and_keeps_its_beginning_and_its_end() {
        let value = "xä".repeat(100_000);
        let told = message(&format!("error: `a` is {value}: expected a number"), Form::Text).into_owned();
        assert!(told.chars().count() < MOST_OF_LINE + 50, "{}", told.len());
        assert!(
            told.starts_with("error: `a` is xä") && told.ends_with("ä: expected a number"),
            "{told}"
        );
        assert!(told.contains(" … (198"), "{told}");
        let lines = "a line that is no news\n".repeat(100_000);
        let told = message(&lines, Form::Text);
        assert!(told.chars().count() < MOST_OF_MESSAGE + 50 && told.ends_with("news\n"));
        // A table of a few hundred rows is whole.
        let table = "a row of a template  12.5 %  37.5 %\n".repeat(300);
        assert_eq!(message(&table, Form::Text), table);
        // A line of JSON stays one.
        let line = serde_json::json!({"level": "ERROR", "message": value, "more": [value, 7]}).to_string();
        let told = message(&line, Form::Json);
        let read: Value = serde_json::from_str(&told).unwrap();
        assert!(
            told.len() < 3 * 3 * MOST_OF_LINE && told.ends_with('\n') && read["more"][1] == 7,
            "{told}"
        );
        assert!(matches!(message("short\n", Form::Json), Cow::Borrowed(_)));
    }

    #[test]
    fn a_flag_without_end_is_cut_and_a_value_is_not() {
        let long = "x".repeat(10_000);
        for word in [
            "--set".to_owned(),
            format!("--set=a={long}"),
            long.clone(),
            "-x".to_owned(),
        ] {
            assert_eq!(brief_flag(word.clone().into()), OsString::from(word));
        }
        let cut = brief_flag(format!("--{long}=1").into()).into_string().unwrap();
        assert!(cut.starts_with("--xxx") && cut.len() < 300, "{cut}");
    }

    #[test]
    fn what_a_terminal_obeys_is_shown_as_its_number() {
        let evil = "a\tb\n\u{1b}[2J\u{1b}]0;x\u{7}\r\u{9b}1m\u{202e}c\u{2066}\u{7f}";
        assert_eq!(
            plain(evil, Form::Text),
            "a\tb\n\\u{1b}[2J\\u{1b}]0;x\\u{7}\\u{d}\\u{9b}1m\\u{202e}c\\u{2066}\\u{7f}"
        );
        // A subscriber colours levels; nothing else stays.
        let coloured = "\u{1b}[33m WARN\u{1b}[0m \u{1b}[2J\u{1b}[3";
        assert_eq!(
            plain(coloured, Form::Coloured),
            "\u{1b}[33m WARN\u{1b}[0m \\u{1b}[2J\\u{1b}[3"
        );
        assert!(!plain(coloured, Form::Text).contains('\u{1b}'));
        // What serde_json leaves as it is stays the same text in JSON.
        let json = serde_json::to_string(evil).unwrap();
        let shown = plain(&json, Form::Json);
        assert!(!shown.contains(obeyed), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), evil);
        assert!(matches!(plain("Schrödinger\n", Form::Text), Cow::Borrowed(_)));
    }
}
