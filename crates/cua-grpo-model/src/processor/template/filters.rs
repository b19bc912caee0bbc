//! The engine's own filters that make texts or lists, each paying for what it makes; see [`super::limits`].

use super::lazy::Generator;
use super::value::List;
use super::{formats, groups, kinds, limits, methods, python};
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};
use std::borrow::Cow;

/// Most columns, pieces or spaces that an argument may ask for.
const MOST: usize = 10_000;

/// Puts them in the place of the engine's.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("groupby", groups::group);
    environment.add_filter(
        "batch",
        |state: &State, value: Value, count: usize, fill: Option<Value>| {
            few("batch", count)?;
            limits::spend_items(count)?;
            lazy(state, value, |state, value| filters::batch(state, value, count, fill))
        },
    );
    environment.add_filter(
        "slice",
        |state: &State, value: Value, count: usize, fill: Option<Value>| {
            few("slice", count)?;
            limits::spend_items(2 * count)?;
            lazy(state, value, |state, value| filters::slice(state, value, count, fill))
        },
    );
    environment.add_filter("map", |state: &State, value: Value, given: Rest<Value>| {
        picked(state, value, |state, value| {
            filters::map(state, value, given).map(Value::from)
        })
    });
    type Name<'a> = Option<Cow<'a, str>>;
    environment.add_filter(
        "select",
        |state: &State, value: Value, test: Name<'_>, given: Rest<Value>| {
            picked(state, value, |state, value| {
                filters::select(state, value, test, given).map(Value::from)
            })
        },
    );
    environment.add_filter(
        "reject",
        |state: &State, value: Value, test: Name<'_>, given: Rest<Value>| {
            picked(state, value, |state, value| {
                filters::reject(state, value, test, given).map(Value::from)
            })
        },
    );
    environment.add_filter(
        "selectattr",
        |state: &State, value: Value, key: Cow<'_, str>, test: Name<'_>, given: Rest<Value>| {
            picked(state, value, |state, value| {
                filters::selectattr(state, value, key, test, given).map(Value::from)
            })
        },
    );
    environment.add_filter(
        "rejectattr",
        |state: &State, value: Value, key: Cow<'_, str>, test: Name<'_>, given: Rest<Value>| {
            picked(state, value, |state, value| {
                filters::rejectattr(state, value, key, test, given).map(Value::from)
            })
        },
    );
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.add_filter("indent", indent);
    environment.add_filter("format", |format: &Value, given: Rest<Value>, named: Kwargs| {
        let names: Vec<&str> = named.args().collect();
        let pairs = || {
            names
                .iter()
                .map(|name| Ok((Value::from(*name), named.get::<Value>(name)?)))
        };
        let given = match (names.is_empty(), given.is_empty()) {
            (true, _) => List::tuple(given.0),
            (false, true) => pairs().collect::<Result<Vec<_>, Error>>()?.into_iter().collect(),
            (false, false) => {
                return Err(wrong(
                    "format: expected values by place or by name, not both".to_owned(),
                ));
            }
        };
        limits::text(formats::percent(&python::str(format), &given)?)
    });
}

/// What `make` makes of `value`, with as many items at the most.
fn paid(state: &State, value: Value, make: impl FnOnce(&State, Value) -> Result<Value, Error>) -> Result<Value, Error> {
    make(state, Value::from(kinds::items(&value)?))
}

/// As [`paid`], a generator of the items.
fn lazy(state: &State, value: Value, make: impl FnOnce(&State, Value) -> Result<Value, Error>) -> Result<Value, Error> {
    let made = paid(state, value, make)?;
    Ok(Generator::of(made.try_iter()?.collect()))
}

/// As [`lazy`]; Jinja asks whether `value` is true before it goes over it.
fn picked(
    state: &State,
    value: Value,
    make: impl FnOnce(&State, Value) -> Result<Value, Error>,
) -> Result<Value, Error> {
    if !value.is_true() {
        return Ok(Generator::of(Vec::new()));
    }
    lazy(state, value, make)
}

/// That an argument asks for no more than people write.
pub(super) fn few(filter: &str, count: usize) -> Result<(), Error> {
    if count > MOST {
        return Err(wrong(format!("{filter}: expected at most {MOST}, found {count}")));
    }
    Ok(())
}

/// Jinja's `escape`, which a template calls by name: nothing is escaped by itself.
pub(super) fn escape(value: &Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let text = python::str(value);
    limits::spend(5 * text.len())?;
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    limits::text(out).map(Value::from_safe_string)
}

/// `indent(width=4, first=False, blank=False)`, the width a number or a text.
fn indent(
    value: &Value,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<String, Error> {
    let width = width.or(options.get("width")?).unwrap_or_else(|| Value::from(4));
    let first = first.or(options.get("first")?).unwrap_or(false);
    let blank = blank.or(options.get("blank")?).unwrap_or(false);
    options.assert_all_used()?;
    let by = match (width.kind(), width.as_usize()) {
        (ValueKind::String, _) => width.as_str().unwrap_or_default().to_owned(),
        (_, Some(count)) => {
            few("indent", count)?;
            " ".repeat(count)
        }
        _ => return Err(wrong("indent: expected a width that is a number or a text".to_owned())),
    };
    if value.as_str().is_none() {
        return Err(wrong(format!(
            "indent: expected a text, found a {}",
            kinds::name(value)
        )));
    }
    let text = python::str(value);
    let lines = text.chars().filter(|character| character.is_control()).count() + 1;
    let bytes = lines.saturating_mul(by.len()).saturating_add(text.len());
    limits::length(bytes)?;
    limits::spend(bytes)?;
    let mut out = String::with_capacity(bytes);
    // As in Jinja, which adds a line end before it takes the text apart into lines.
    let text = text + "\n";
    for (index, line) in methods::lines(&text, false).into_iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let indented = if index == 0 { first } else { blank || !line.is_empty() };
        if indented {
            out.push_str(&by);
        }
        out.push_str(line);
    }
    Ok(out)
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
