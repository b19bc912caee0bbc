//! Values of JSON objects by key, with errors that name the key.

use super::keys::shown;
use super::ranges;
use serde_json::Value;

/// The tag of a number that JSON has no word for, as transformers writes it: `{"__float__": "-Infinity"}`.
const FLOAT_TAG: &str = "__float__";

/// Parses JSON as Python's `json` does: also `NaN`, `Infinity` and `-Infinity`, which become tagged numbers
/// ([`float`]), and behind a byte order mark.
pub(crate) fn parse(text: &str) -> serde_json::Result<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match serde_json::from_str(text) {
        Err(_) if text.contains("NaN") || text.contains("Infinity") => serde_json::from_str(&tagged(text)),
        parsed => parsed,
    }
}

/// `text` with Python's words for numbers, outside of strings, as tagged numbers.
fn tagged(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    'text: while let Some(first) = rest.chars().next() {
        if !quoted {
            for word in ["-Infinity", "Infinity", "NaN"] {
                if let Some(after) = rest.strip_prefix(word) {
                    out.push_str(&format!("{{\"{FLOAT_TAG}\": \"{word}\"}}"));
                    rest = after;
                    continue 'text;
                }
            }
        }
        let length = match first {
            // What follows a backslash in a string does not end it.
            '\\' if quoted => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => first.len_utf8(),
        };
        quoted ^= first == '"';
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// A number, also one that JSON has no word for.
pub(crate) fn float(value: &Value) -> Option<f64> {
    match value.get(FLOAT_TAG).and_then(Value::as_str) {
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some("NaN") => Some(f64::NAN),
        Some(_) => None,
        None => value.as_f64(),
    }
}

/// A whole number in the range of its key ([`ranges::range`]).
pub(super) fn size(value: &Value, key: &str) -> Result<usize, String> {
    maybe_size(value, key)?.ok_or_else(|| format!("{key} is missing"))
}

/// A whole number in the range of its key, where there is one.
pub(super) fn maybe_size(value: &Value, key: &str) -> Result<Option<usize>, String> {
    let Some(found) = value.get(key).filter(|found| !found.is_null()) else {
        return Ok(None);
    };
    in_range(found, key).map(Some)
}

fn in_range(found: &Value, key: &str) -> Result<usize, String> {
    let number = found
        .as_u64()
        .ok_or_else(|| format!("{key}: expected a whole number, found {}", shown(found)))?;
    let (least, most) = ranges::range(key);
    match usize::try_from(number) {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("{key}: expected {least} to {most}, found {number}")),
    }
}

/// A whole number, or a list of equal ones, as transformers 5 may write the sides of a patch.
pub(super) fn side(value: &Value, key: &str) -> Result<usize, String> {
    match value.get(key) {
        Some(Value::Array(sides)) => match sides.as_slice() {
            [first, rest @ ..] if rest.iter().all(|side| side == first) => {
                size(&serde_json::json!({ key: first }), key)
            }
            _ => Err(format!(
                "{key}: expected equal sides, found {}",
                shown(&Value::Array(sides.clone()))
            )),
        },
        _ => size(value, key),
    }
}

/// A finite number.
pub(super) fn number(value: &Value, key: &str) -> Result<f64, String> {
    maybe_number(value, key)?.ok_or_else(|| format!("{key} is missing"))
}

/// A finite number, where there is one.
pub(super) fn maybe_number(value: &Value, key: &str) -> Result<Option<f64>, String> {
    match value.get(key).filter(|found| !found.is_null()) {
        None => Ok(None),
        Some(found) => match found.as_f64().filter(|number| ranges::is_moderate(*number)) {
            Some(number) => Ok(Some(number)),
            None => Err(format!(
                "{key}: expected a number, 0 or of a size from 1e-15 to 1e15, found {}",
                shown(found)
            )),
        },
    }
}

/// `true` or `false`; `otherwise` where the key is absent.
pub(super) fn flag(value: &Value, key: &str, otherwise: bool) -> Result<bool, String> {
    match value.get(key).filter(|found| !found.is_null()) {
        None => Ok(otherwise),
        Some(found) => found
            .as_bool()
            .ok_or_else(|| format!("{key}: expected true or false, found {}", shown(found))),
    }
}

/// The switch `key`, which may stand at the top of the file or in its `part`. The first counts, as in transformers 5; a
/// warning says where the second differs.
pub(super) fn outer_flag(value: &Value, part: &str, key: &str) -> Result<(bool, Option<String>), String> {
    let read = |place: &str, found: &Value| {
        let wrong = || format!("{place}{key}: expected true or false, found {}", shown(found));
        found.as_bool().ok_or_else(wrong)
    };
    let outer = value.get(key).map(|found| read("", found)).transpose()?;
    let inner = value[part].get(key).filter(|found| !found.is_null());
    let inner = inner.map(|found| read(&format!("{part}."), found)).transpose()?;
    let told = outer.zip(inner).filter(|(outer, inner)| outer != inner);
    let told = told.map(|(outer, inner)| {
        format!("{part}.{key} {inner} is not applied: {key} {outer} at the top of the file counts")
    });
    let flag = outer.or(inner).ok_or_else(|| format!("{key} is missing"))?;
    Ok((flag, told))
}

/// A list of whole numbers, each in the range of its key.
pub(super) fn usizes(value: &Value, key: &str) -> Result<Vec<usize>, String> {
    let found = value.get(key).ok_or_else(|| format!("{key} is missing"))?;
    let list = found.as_array().filter(|list| list.len() <= ranges::MOST_LAYERS);
    let list = list.ok_or_else(|| {
        format!(
            "{key}: expected a list of at most {} whole numbers, found {}",
            ranges::MOST_LAYERS,
            shown(found)
        )
    })?;
    list.iter().map(|number| in_range(number, key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_python_are_numbers() {
        let text =
            "\u{feff}{\"a -Infinity \\\" b\": [-Infinity, Infinity, 1.5, {\"__float__\": \"Infinity\"}], \"c\": NaN}";
        let value = parse(text).unwrap();
        let list = value["a -Infinity \" b"].as_array().unwrap();
        let numbers: Vec<f64> = list.iter().filter_map(float).collect();
        assert_eq!(numbers, [f64::NEG_INFINITY, f64::INFINITY, 1.5, f64::INFINITY]);
        assert!(float(&value["c"]).unwrap().is_nan());
        assert!(parse("{\"a\": -Infinite}").is_err());
    }
}
