//! The format of `.env` files, with the rules of python-dotenv, which the original reads them by: quotes, escapes,
//! comments, `export`, `${NAME:-default}`. Other readers differ where it hurts: they expand `$NAME` inside a key, or stop
//! at a value with a space.

use std::path::Path;

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dotenv {
    /// Names and values in the order of the file; the last of a name counts.
    pub values: Vec<(String, String)>,
    /// Numbers of the lines that could not be read.
    pub unreadable: Vec<usize>,
    /// Why nothing of it could be read.
    pub failed: Option<String>,
}

impl Dotenv {
    /// A file of which nothing could be read.
    pub(super) fn failed(why: String) -> Self {
        Self {
            failed: Some(why),
            ..Self::default()
        }
    }

    /// A line for whatever of the file `path` was left out.
    pub fn warnings(&self, path: &Path) -> Vec<String> {
        let path = path.display();
        let failed = self.failed.iter();
        let failed = failed.map(|why| format!("{path} cannot be read and was left out: {why}"));
        let lines = self.unreadable.iter();
        let lines = lines.map(|line| format!("{path}: line {line} is no NAME=value and was left out"));
        failed.chain(lines).collect()
    }
}

/// Reads the text of a file. `variable` gives the environment's own values, which win over the file's in expansions, as
/// they win over the file's altogether.
pub fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Dotenv {
    let text = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let mut found = Dotenv::default();
    let mut rest = text.as_str();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return found;
        }
        let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
        match binding(rest) {
            Some((name, value, after)) => {
                if let (Some(name), Some(value)) = (name, value) {
                    let value = expand(&value, &found.values, variable);
                    found.values.retain(|(known, _)| *known != name);
                    found.values.push((name, value));
                }
                rest = after;
            }
            None => {
                found.unreadable.push(line);
                rest = rest.split_once('\n').map_or("", |(_, after)| after);
            }
        }
    }
}

/// Name, value and what follows of the statement at the start of `text`: a comment has no name, a name alone no value.
fn binding(text: &str) -> Option<(Option<String>, Option<String>, &str)> {
    let blank = |letter: char| letter.is_whitespace() && letter != '\n';
    if let Some(comment) = text.strip_prefix('#') {
        return Some((None, None, comment.split_once('\n').map_or("", |(_, after)| after)));
    }
    let exported = text.strip_prefix("export").filter(|rest| rest.starts_with(blank));
    let text = exported.map_or(text, |rest| rest.trim_start_matches(blank));
    let (name, rest) = match text.strip_prefix('\'') {
        Some(quoted) => quoted.split_once('\'').filter(|(name, _)| !name.is_empty())?,
        None => {
            let end = text.find(|letter: char| "=#".contains(letter) || letter.is_whitespace());
            let parts = text.split_at(end.unwrap_or(text.len()));
            Some(parts).filter(|(name, _)| !name.is_empty())?
        }
    };
    let rest = rest.trim_start_matches(blank);
    let (value, rest) = match rest.strip_prefix('=') {
        None => (None, rest),
        Some(after) => {
            let start = after.trim_start_matches(blank);
            let (value, rest) = match start.chars().next() {
                Some('#') if start.len() < after.len() => (String::new(), start),
                Some(quote @ ('\'' | '"')) => quoted(&start[1..], quote)?,
                _ => plain(start),
            };
            (Some(value), rest)
        }
    };
    // Only a comment may follow on the line.
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    let line = line.trim_start_matches(blank);
    (line.is_empty() || line.starts_with('#')).then(|| (Some(name.to_owned()), value, after))
}

/// A value without quotes goes to the end of the line or to a comment.
fn plain(text: &str) -> (String, &str) {
    let end = text.find('\n').unwrap_or(text.len());
    let (line, rest) = text.split_at(end);
    let comment = line
        .char_indices()
        .zip(line.chars().skip(1))
        .find(|((_, letter), next)| letter.is_whitespace() && *next == '#')
        .map_or(line.len(), |((at, _), _)| at);
    (line[..comment].trim_end().to_owned(), rest)
}

/// A value up to its closing quote, over several lines if need be; in double quotes with the escapes of Python.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == quote {
            return Some((value, &text[at + 1..]));
        }
        if letter != '\\' {
            value.push(letter);
            continue;
        }
        let (_, next) = letters.next()?;
        let known = match (quote, next) {
            (_, '\\' | '\'') | ('"', '"') => Some(next),
            ('"', 'a') => Some('\u{7}'),
            ('"', 'b') => Some('\u{8}'),
            ('"', 'f') => Some('\u{c}'),
            ('"', 'n') => Some('\n'),
            ('"', 'r') => Some('\r'),
            ('"', 't') => Some('\t'),
            ('"', 'v') => Some('\u{b}'),
            _ => None,
        };
        if known.is_none() {
            value.push('\\');
        }
        value.push(known.unwrap_or(next));
    }
    None
}

/// Puts values in place of `${NAME}` and `${NAME:-default}`.
fn expand(value: &str, before: &[(String, String)], variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let mut rest = value;
    while let Some((head, tail)) = rest.split_once("${") {
        let reference = tail.split_once('}').and_then(|(inside, after)| {
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, default),
                None => (inside, ""),
            };
            (!name.contains(':')).then_some((name, default, after))
        });
        text.push_str(head);
        let Some((name, default, after)) = reference else {
            text.push_str("${");
            rest = tail;
            continue;
        };
        let earlier = || {
            before
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
        };
        text.push_str(&variable(name).or_else(earlier).unwrap_or_else(|| default.to_owned()));
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    //! The expected values are those of python-dotenv 1.2.4 (`dotenv_values` with the same environment).

    use super::*;

    #[test]
    fn values_are_those_of_python_dotenv() {
        let text = include_str!("fixtures/python.env");
        let expected: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(include_str!("fixtures/python.env.json")).unwrap();
        let variable = |name: &str| (name == "FROM_OUTSIDE").then(|| "outside".to_owned());
        let found = parse(text, &variable);
        let names: Vec<&str> = found.values.iter().map(|(name, _)| name.as_str()).collect();
        for (name, value) in &expected {
            let own = found
                .values
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str());
            assert_eq!(own, value.as_str(), "{name}");
        }
        let values = expected.values().filter(|value| !value.is_null()).count();
        assert_eq!(names.len(), values, "{names:?}");
        assert!(!found.unreadable.is_empty());
    }
}
