//! Methods of Python's texts, lists and dictionaries, counted in characters as Python counts.

use super::kinds::{Kind, kind};
use super::lazy::View;
use super::python::{self, is_space};
use super::value::List;
use super::{case, formats, letters, limits};
use minijinja::value::{Kwargs, Rest, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

/// Calls `value.method(args)`; what is not here is left to minijinja's own Python methods.
pub(super) fn call(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let called = match value.kind() {
        ValueKind::String => text_method(value.as_str().unwrap_or_default(), method, args)?,
        ValueKind::Map => dict_method(value, method, args)?,
        ValueKind::Seq | ValueKind::Iterable => list_method(value, method, args)?,
        _ => None,
    };
    let result = match called {
        Some(result) => result,
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)?,
    };
    if let Some(text) = result.as_str() {
        limits::spend(text.len())?;
        limits::length(text.len())?;
    }
    Ok(result)
}

fn dict_method(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let pairs = || -> Result<Vec<(Value, Value)>, Error> {
        limits::spend_items(4 * value.len().unwrap_or(0))?;
        let keys: Vec<Value> = value.try_iter()?.collect();
        keys.into_iter()
            .map(|key| value.get_item(&key).map(|item| (key, item)))
            .collect()
    };
    Ok(Some(match method {
        "items" => {
            let () = from_args(args)?;
            let pairs = pairs()?.into_iter().map(|(key, item)| tuple(vec![key, item]));
            View::of("dict_items", pairs.collect())
        }
        "keys" => {
            let () = from_args(args)?;
            View::of("dict_keys", pairs()?.into_iter().map(|(key, _)| key).collect())
        }
        "values" => {
            let () = from_args(args)?;
            View::of("dict_values", pairs()?.into_iter().map(|(_, item)| item).collect())
        }
        "copy" => value.clone(),
        _ => return Ok(None),
    }))
}

fn list_method(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "index" => {
            let (wanted,): (&Value,) = from_args(args)?;
            let found = value.try_iter()?.position(|item| item == *wanted);
            Value::from(found.ok_or_else(|| wrong(format!("{} is not in the list", python::repr(wanted))))?)
        }
        "count" => {
            let (wanted,): (&Value,) = from_args(args)?;
            Value::from(value.try_iter()?.filter(|item| item == wanted).count())
        }
        "copy" => value.clone(),
        "append" | "extend" | "insert" | "pop" | "remove" | "clear" | "sort" | "reverse" => {
            return Err(wrong(format!("templates may not change lists (`{method}`)")));
        }
        _ => return Ok(None),
    }))
}

fn text_method(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let truth = |holds: bool| Value::from(holds && !text.is_empty());
    Ok(Some(match method {
        "strip" | "lstrip" | "rstrip" => {
            let (characters,): (Option<&str>,) = from_args(args)?;
            Value::from(strip(text, characters, method != "rstrip", method != "lstrip"))
        }
        "split" | "rsplit" => {
            let (separator, most, named): (Option<&str>, Option<i64>, Kwargs) = from_args(args)?;
            let separator = separator.or(named.get("sep")?);
            let most = most.or(named.get("maxsplit")?);
            named.assert_all_used()?;
            limits::spend_items(2 * pieces(text, separator))?;
            let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
            list(split(text, separator, most, method == "rsplit")?)
        }
        "splitlines" => {
            let (keep, named): (Option<bool>, Kwargs) = from_args(args)?;
            let keep = keep.or(named.get("keepends")?).unwrap_or(false);
            named.assert_all_used()?;
            limits::spend_items(2 * text.chars().filter(|character| ends_line(*character)).count())?;
            list(lines(text, keep))
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (first, at) = match method {
                "partition" => (true, text.find(separator)),
                _ => (false, text.rfind(separator)),
            };
            let pieces = match at {
                Some(at) => [&text[..at], separator, &text[at + separator.len()..]],
                None if first => [text, "", ""],
                None => ["", "", text],
            };
            tuple(pieces.into_iter().map(Value::from).collect())
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "find" | "rfind" | "index" | "rindex" | "count" | "startswith" | "endswith" => {
            let (wanted, start, end): (&Value, Option<i64>, Option<i64>) = from_args(args)?;
            search(text, method, wanted, start, end)?
        }
        "replace" => {
            let (old, new, count, named): (&str, &str, Option<i64>, Kwargs) = from_args(args)?;
            let count = count
                .or(named.get("count")?)
                .and_then(|count| usize::try_from(count).ok());
            named.assert_all_used()?;
            Value::from(replace(text, old, new, count)?)
        }
        "format" => {
            let (given, named): (Rest<Value>, Kwargs) = from_args(args)?;
            Value::from(formats::braces(text, &given, &named)?)
        }
        "join" => {
            let (items,): (&Value,) = from_args(args)?;
            let mut pieces = Vec::new();
            for item in items.try_iter()? {
                limits::spend(item.as_str().map_or(0, str::len) + text.len() + 32)?;
                let piece = item.as_str().map(str::to_owned);
                pieces.push(piece.ok_or_else(|| {
                    wrong(format!(
                        "join: expected texts, found {} ({})",
                        python::repr(&item),
                        item.kind()
                    ))
                })?);
            }
            Value::from(pieces.join(text))
        }
        "title" => Value::from(case::title(text)),
        "capitalize" => {
            let mut rest = text.chars();
            let first: String = rest.next().map(case::title_of).unwrap_or_default();
            Value::from(first + &rest.as_str().to_lowercase())
        }
        "swapcase" => Value::from(text.chars().flat_map(swap_case).collect::<String>()),
        "casefold" => Value::from(case::fold(text)),
        "zfill" | "ljust" | "rjust" | "center" => {
            let (width, fill): (usize, Option<&str>) = from_args(args)?;
            let fill = fill.unwrap_or(" ");
            if fill.chars().count() != 1 {
                return Err(wrong(format!("{method}: expected one character to fill with")));
            }
            limits::length(width.saturating_mul(fill.len()))?;
            Value::from(justify(text, method, width, fill))
        }
        "isdigit" => truth(text.chars().all(letters::is_digit)),
        "isdecimal" => truth(text.chars().all(letters::is_decimal)),
        "isnumeric" => truth(text.chars().all(letters::is_numeric)),
        "isalpha" => truth(text.chars().all(letters::is_alpha)),
        "isalnum" => truth(text.chars().all(letters::is_alnum)),
        "isspace" => truth(text.chars().all(is_space)),
        "isupper" => truth(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)),
        "islower" => truth(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)),
        _ => return Ok(None),
    }))
}

/// `text` with up to `count` of `old` replaced.
pub(super) fn replace(text: &str, old: &str, new: &str, count: Option<usize>) -> Result<String, Error> {
    let found = text.matches(old).count().min(count.unwrap_or(usize::MAX));
    let bytes = found.saturating_mul(new.len()).saturating_add(text.len());
    limits::length(bytes)?;
    limits::spend(bytes)?;
    Ok(count.map_or_else(|| text.replace(old, new), |count| text.replacen(old, new, count)))
}

fn tuple(items: Vec<Value>) -> Value {
    List::tuple(items)
}

fn list(pieces: Vec<&str>) -> Value {
    pieces.into_iter().map(Value::from).collect()
}

/// `text` without the given characters (white space where none are given) at its ends.
pub(super) fn strip<'a>(text: &'a str, characters: Option<&str>, left: bool, right: bool) -> &'a str {
    let strips = |character: char| match characters {
        Some(characters) => characters.contains(character),
        None => is_space(character),
    };
    let text = if left { text.trim_start_matches(strips) } else { text };
    if right { text.trim_end_matches(strips) } else { text }
}

fn split<'a>(text: &'a str, separator: Option<&str>, most: usize, right: bool) -> Result<Vec<&'a str>, Error> {
    if let Some(separator) = separator {
        if separator.is_empty() {
            return Err(wrong("split: empty separator".to_owned()));
        }
        let most = most.saturating_add(1);
        return Ok(match right {
            true => {
                let mut pieces: Vec<&str> = text.rsplitn(most, separator).collect();
                pieces.reverse();
                pieces
            }
            false => text.splitn(most, separator).collect(),
        });
    }
    let mut pieces = Vec::new();
    // What is left after the last split keeps the white space at its far end.
    let mut rest = strip(text, None, !right, right);
    while !rest.is_empty() {
        let cut = match right {
            true => rest.char_indices().rfind(|(_, character)| is_space(*character)),
            false => rest.char_indices().find(|(_, character)| is_space(*character)),
        };
        match cut.filter(|_| pieces.len() < most) {
            Some((at, space)) if right => {
                pieces.push(&rest[at + space.len_utf8()..]);
                rest = strip(&rest[..at], None, false, true);
            }
            Some((at, _)) => {
                pieces.push(&rest[..at]);
                rest = strip(&rest[at..], None, true, false);
            }
            None => {
                pieces.push(rest);
                break;
            }
        }
    }
    if right {
        pieces.reverse();
    }
    Ok(pieces)
}

/// Most pieces that `split` makes.
fn pieces(text: &str, separator: Option<&str>) -> usize {
    match separator {
        Some(separator) if !separator.is_empty() => text.matches(separator).count() + 1,
        _ => text.chars().filter(|character| is_space(*character)).count() + 1,
    }
}

/// Whether Python ends a line there.
fn ends_line(character: char) -> bool {
    matches!(
        character,
        '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{1C}'..='\u{1E}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

pub(super) fn lines(text: &str, keep: bool) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(at) = rest.find(ends_line) else {
            pieces.push(rest);
            break;
        };
        let width = match rest[at..].starts_with("\r\n") {
            true => 2,
            false => rest[at..].chars().next().map_or(1, char::len_utf8),
        };
        pieces.push(if keep { &rest[..at + width] } else { &rest[..at] });
        rest = &rest[at + width..];
    }
    pieces
}

/// The byte at which the character of a Python index stands; negative indices count from the end.
fn byte_of(text: &str, index: i64) -> usize {
    let characters = text.chars().count() as i64;
    let index = if index < 0 { (index + characters).max(0) } else { index };
    text.char_indices().nth(index as usize).map_or(text.len(), |(at, _)| at)
}

fn search(text: &str, method: &str, wanted: &Value, start: Option<i64>, end: Option<i64>) -> Result<Value, Error> {
    let from = start.map_or(0, |start| byte_of(text, start));
    let to = end.map_or(text.len(), |end| byte_of(text, end));
    let part = text.get(from..to.max(from)).unwrap_or_default();
    if matches!(method, "startswith" | "endswith") {
        let options: Vec<Value> = match wanted.as_str() {
            Some(_) => vec![wanted.clone()],
            None if matches!(kind(wanted), Kind::Tuple) => wanted.try_iter()?.collect(),
            None => return Err(wrong(format!("{method}: expected a text or a tuple of texts"))),
        };
        let mut holds = false;
        for option in &options {
            let option = option
                .as_str()
                .ok_or_else(|| wrong(format!("{method}: expected a text")))?;
            holds |= match method {
                "startswith" => part.starts_with(option),
                _ => part.ends_with(option),
            };
        }
        return Ok(Value::from(holds));
    }
    let wanted = wanted
        .as_str()
        .ok_or_else(|| wrong(format!("{method}: expected a text")))?;
    if method == "count" {
        return Ok(Value::from(part.matches(wanted).count()));
    }
    let at = if method.starts_with('r') {
        part.rfind(wanted)
    } else {
        part.find(wanted)
    };
    match at {
        Some(at) => Ok(Value::from(text[..from + at].chars().count())),
        None if method.ends_with("find") => Ok(Value::from(-1)),
        None => Err(wrong(format!(
            "{method}: {} is not in the text",
            python::repr(&Value::from(wanted))
        ))),
    }
}

fn swap_case(character: char) -> Box<dyn Iterator<Item = char>> {
    match character.is_uppercase() {
        true => Box::new(character.to_lowercase()),
        false => Box::new(character.to_uppercase()),
    }
}

fn justify(text: &str, method: &str, width: usize, fill: &str) -> String {
    let missing = width.saturating_sub(text.chars().count());
    match method {
        "ljust" => text.to_owned() + &fill.repeat(missing),
        "rjust" => fill.repeat(missing) + text,
        "center" => {
            // Python puts the odd one to the left where both the width and what is missing are odd.
            let left = missing / 2 + (missing & width & 1);
            fill.repeat(left) + text + &fill.repeat(missing - left)
        }
        _ => {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let sign = &text[..text.len() - digits.len()];
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
