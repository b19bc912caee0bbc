//! JSON text exactly as Python's `json.dumps` writes it, with its options.

use super::kinds::{Kind, kind, name};
use super::value::{self, BigInteger};
use super::{filters, limits, python};
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// The options of `json.dumps` that the filter `tojson` takes.
#[derive(Debug)]
struct Layout {
    ascii: bool,
    /// What a line starts with a level; none for one line.
    indent: Option<String>,
    between: String,
    after_key: String,
    sorted: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            ascii: false,
            indent: None,
            between: ", ".to_owned(),
            after_key: ": ".to_owned(),
            sorted: false,
        }
    }
}

/// Renders `value` as `json.dumps(value, ensure_ascii=False)` does: `", "` and `": "`, insertion order, no HTML escapes,
/// floats as Python's `repr`. Whole numbers of any length are written with all digits (see [`super::super::parse_json`]).
pub fn python_json(value: &serde_json::Value) -> String {
    let mut out = String::new();
    // JSON has no value that cannot be written.
    let _ = write(&value::from_json(value), &Layout::default(), 0, &mut out);
    out
}

/// The filter `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(super) fn to_json(value: &Value, given: Rest<Value>, options: Kwargs) -> Result<String, Error> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    if given.len() > names.len() {
        return Err(wrong(format!("tojson: expected at most {} options", names.len())));
    }
    let mut layout = Layout::default();
    for (index, name) in names.into_iter().enumerate() {
        let named: Option<Value> = options.get(name)?;
        let Some(option) = given.get(index).cloned().or(named) else {
            continue;
        };
        match name {
            "ensure_ascii" => layout.ascii = option.is_true(),
            "indent" => layout.indent = indent(&option)?,
            "separators" if option.is_none() => {}
            "separators" => {
                let pair: Vec<Value> = option.try_iter()?.collect();
                let [between, after_key] = pair.as_slice() else {
                    return Err(wrong("tojson: separators: expected two texts".to_owned()));
                };
                layout.between = python::str(between);
                layout.after_key = python::str(after_key);
            }
            _ => layout.sorted = option.is_true(),
        }
    }
    options.assert_all_used()?;
    if layout.indent.is_some() && layout.between == ", " {
        let separators: Option<Value> = options.get("separators")?;
        if given.get(2).cloned().or(separators).is_none_or(|given| given.is_none()) {
            layout.between = ",".to_owned();
        }
    }
    let mut out = String::new();
    write(value, &layout, 0, &mut out)?;
    limits::length(out.len())?;
    Ok(out)
}

fn indent(option: &Value) -> Result<Option<String>, Error> {
    if option.is_none() {
        return Ok(None);
    }
    if let Some(text) = option.as_str() {
        return Ok(Some(text.to_owned()));
    }
    // As in Python: true is 1, no spaces for a number below 0, and no fraction, whole or not.
    let spaces = match option.kind() {
        ValueKind::Bool => i128::from(option.is_true()),
        _ if option.is_integer() => i128::try_from(option.clone())?,
        _ => {
            let found = python::repr(option);
            return Err(wrong(format!(
                "tojson: indent: expected a whole number or a text, found {found}"
            )));
        }
    };
    let spaces = usize::try_from(spaces.max(0)).unwrap_or(usize::MAX);
    filters::few("tojson: indent", spaces)?;
    Ok(Some(" ".repeat(spaces)))
}

fn write(value: &Value, layout: &Layout, depth: usize, out: &mut String) -> Result<(), Error> {
    let _level = limits::Level::down().ok_or_else(|| wrong("tojson: a value that is nested too deeply".to_owned()))?;
    // A sign or two, what stands between it and the next, and the start of its line.
    let indent = layout.indent.as_ref().map_or(0, |indent| indent.len() * (depth + 1));
    limits::spend(limits::VISIT + layout.between.len() + layout.after_key.len() + 2 * indent)?;
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push_str(&number(value)),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            limits::spend(2 * text.len())?;
            write_text(text, layout, out);
        }
        ValueKind::Seq | ValueKind::Iterable => {
            if matches!(kind(value), Kind::Range | Kind::View | Kind::Generator) {
                return Err(wrong(format!(
                    "tojson: a {} is not JSON serializable; put `|list` before it",
                    name(value)
                )));
            }
            limits::items(value)?;
            let items: Vec<Value> = value.try_iter()?.collect();
            write_all(&items, ['[', ']'], layout, depth, out, &mut |item, out| {
                write(item, layout, depth + 1, out)
            })?;
        }
        ValueKind::Map if matches!(kind(value), Kind::Dict) => {
            let mut fields = Vec::new();
            for key in value.try_iter()? {
                let item = value.get_item(&key)?;
                fields.push((key_text(&key)?, item));
            }
            if layout.sorted {
                fields.sort_by(|a, b| a.0.cmp(&b.0));
            }
            write_all(&fields, ['{', '}'], layout, depth, out, &mut |(key, item), out| {
                write_text(key, layout, out);
                out.push_str(&layout.after_key);
                write(item, layout, depth + 1, out)
            })?;
        }
        _ => match value.downcast_object_ref::<BigInteger>() {
            Some(integer) => out.push_str(integer.digits()),
            None => return Err(wrong(format!("tojson: {} is not JSON serializable", shown(value)))),
        },
    }
    Ok(())
}

fn shown(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => "an undefined value".to_owned(),
        kind => format!("a value of the kind {kind}"),
    }
}

fn write_all<T>(
    items: &[T],
    brackets: [char; 2],
    layout: &Layout,
    depth: usize,
    out: &mut String,
    write: &mut dyn FnMut(&T, &mut String) -> Result<(), Error>,
) -> Result<(), Error> {
    out.push(brackets[0]);
    let line = |depth: usize, out: &mut String| {
        if let Some(indent) = &layout.indent {
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
    };
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(&layout.between);
        }
        line(depth + 1, out);
        write(item, out)?;
    }
    if !items.is_empty() {
        line(depth, out);
    }
    out.push(brackets[1]);
    Ok(())
}

/// A key as Python writes it: numbers and constants become texts.
fn key_text(key: &Value) -> Result<String, Error> {
    Ok(match key.kind() {
        ValueKind::String => key.as_str().unwrap_or_default().to_owned(),
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.to_owned(),
        ValueKind::Number => number(key),
        kind => {
            return Err(wrong(format!(
                "tojson: keys must be texts or numbers, found one of the kind {kind}"
            )));
        }
    })
}

fn number(value: &Value) -> String {
    match python::repr(value).as_str() {
        "nan" => "NaN".to_owned(),
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        other => other.to_owned(),
    }
}

fn write_text(text: &str, layout: &Layout, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{C}' => out.push_str("\\f"),
            '\0'..='\u{1F}' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            // The private plane 16 is kept, see `python::repr`.
            '\u{7F}'..='\u{FFFFF}' if layout.ascii => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
