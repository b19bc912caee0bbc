//! Texts of others: a name in a file, an answer of a service and a reply of a model may hold signs that a terminal obeys,
//! or that show a line in another order than it has.

use std::borrow::Cow;
use std::fmt::Write;

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
