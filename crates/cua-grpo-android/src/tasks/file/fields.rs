//! Reading nodes: keys that are known, texts, numbers and lists within bounds.

use super::yaml::{Entry, Node, Place, Value, Wrong, shortened};

/// Characters that a text may have, commands and expressions included.
pub(super) const LONGEST_TEXT: usize = 2_000;

/// The entries of a mapping, all of whose keys are known.
pub(super) struct Fields<'a> {
    at: Place,
    what: &'static str,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// The mapping `node`, which is `what` to the user and has no other keys than `known`.
    pub(super) fn of(node: &'a Node, what: &'static str, known: &[&str]) -> Result<Self, Wrong> {
        let entries = map(node, what)?;
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let near = known
                    .iter()
                    .map(|name| (strsim::jaro_winkler(name, &entry.key), name))
                    .filter(|(near, _)| *near > 0.7)
                    .max_by(|a, b| a.0.total_cmp(&b.0));
                let advice = near.map_or_else(
                    || format!("{what} has {}", known.join(", ")),
                    |(_, name)| format!("did you mean `{name}`?"),
                );
                return Err(Wrong::new(
                    entry.at,
                    format!("unknown key `{}`; {advice}", shortened(&entry.key)),
                ));
            }
        }
        Ok(Self {
            at: node.at,
            what,
            entries,
        })
    }

    /// The value of `key`, where it stands there.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    /// The value of `key`, which is needed.
    pub(super) fn need(&self, key: &str) -> Result<&'a Node, Wrong> {
        let lacks = || Wrong::new(self.at, format!("{} has no `{key}`; add one", self.what));
        self.get(key).ok_or_else(lacks)
    }

    /// Where it begins.
    pub(super) fn at(&self) -> Place {
        self.at
    }
}

fn expected(node: &Node, what: &str, wanted: &str) -> Wrong {
    Wrong::new(node.at, format!("{what}: expected {wanted}, got {}", node.kind()))
}

/// The entries of a mapping.
pub(super) fn map<'a>(node: &'a Node, what: &str) -> Result<&'a [Entry], Wrong> {
    match &node.value {
        Value::Map(entries) => Ok(entries),
        _ => Err(expected(node, what, "a mapping (`key: value` lines)")),
    }
}

/// The items of a list of `least` to `most`.
pub(super) fn list<'a>(node: &'a Node, what: &str, least: usize, most: usize) -> Result<&'a [Node], Wrong> {
    match &node.value {
        Value::List(items) if (least..=most).contains(&items.len()) => Ok(items),
        Value::List(items) => Err(Wrong::new(
            node.at,
            format!("{what}: expected {least} to {most} items, got {}", items.len()),
        )),
        _ => Err(expected(node, what, "a list (`- item` lines, or [a, b])")),
    }
}

/// A text on one line, without control characters, that is not empty.
pub(super) fn text<'a>(node: &'a Node, what: &str) -> Result<&'a str, Wrong> {
    match &node.value {
        Value::Text(text) if text.trim().is_empty() => Err(expected(node, what, "a text")),
        Value::Text(text) if text.chars().count() > LONGEST_TEXT => {
            Err(expected(node, what, &format!("at most {LONGEST_TEXT} characters")))
        }
        Value::Text(text) if text.chars().any(char::is_control) => {
            Err(expected(node, what, "one line without control characters"))
        }
        Value::Text(text) => Ok(text),
        _ => Err(expected(node, what, "a text")),
    }
}

/// A whole number from `least` to `most`.
pub(super) fn whole(node: &Node, what: &str, least: i64, most: i64) -> Result<i64, Wrong> {
    let read = match &node.value {
        Value::Text(text) => text.parse().ok().filter(|number| (least..=most).contains(number)),
        _ => None,
    };
    read.ok_or_else(|| expected(node, what, &format!("a whole number, {least} to {most}")))
}

/// A time of day as minutes.
pub(super) fn time(node: &Node, what: &str) -> Result<i64, Wrong> {
    let part = |part: &str, limit: i64| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<i64>().ok().filter(|value| digits && *value < limit)
    };
    let read = match &node.value {
        Value::Text(text) => text
            .split_once(':')
            .and_then(|(hours, minutes)| Some(60 * part(hours, 24)? + part(minutes, 60)?)),
        _ => None,
    };
    read.ok_or_else(|| expected(node, what, "a time of day such as \"07:30\""))
}

/// A name: small letters, digits and `_`, beginning with a letter, at most 64.
pub(super) fn name<'a>(node: &'a Node, what: &str) -> Result<&'a str, Wrong> {
    match &node.value {
        Value::Text(text) if is_name(text) => Ok(text),
        _ => Err(expected(node, what, NAME)),
    }
}

/// What a name is, for errors.
pub(super) const NAME: &str = "a name of small letters, digits and `_` that begins with a letter, at most 64";

/// Whether a text is a [`name`].
pub(super) fn is_name(text: &str) -> bool {
    let sign = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    text.len() <= 64 && text.starts_with(|letter: char| letter.is_ascii_lowercase()) && text.chars().all(sign)
}

/// One of `words`.
pub(super) fn one_of<'a>(node: &'a Node, what: &str, words: &[&str]) -> Result<&'a str, Wrong> {
    match &node.value {
        Value::Text(text) if words.contains(&text.as_str()) => Ok(text),
        _ => Err(expected(node, what, &format!("one of {}", words.join(", ")))),
    }
}
