//! Jinja's filters over items: what Python computes from them, or a generator of some of them.

use super::compare::{equal, keyed, order, short, sorted};
use super::kinds::{Kind, Number, items, kind, name};
use super::lazy::Generator;
use super::limits::{self, wrong};
use super::{arithmetic, kinds, operators, python};
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, Value};
use std::cmp::Ordering;
use std::collections::HashSet;

type Given<'a> = Option<&'a Value>;

/// Puts them in the place of the engine's.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("list", |value: &Value| items(value).map(Value::from));
    environment.add_filter("first", first);
    environment.add_filter("last", last);
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_filter("reverse", reverse);
    environment.add_filter("sort", sort);
    environment.add_filter("unique", unique);
    environment.add_filter(
        "min",
        |value: &Value, cased: Given<'_>, attribute: Given<'_>, options: Kwargs| {
            extreme(value, cased, attribute, options, Ordering::Less)
        },
    );
    environment.add_filter(
        "max",
        |value: &Value, cased: Given<'_>, attribute: Given<'_>, options: Kwargs| {
            extreme(value, cased, attribute, options, Ordering::Greater)
        },
    );
    environment.add_filter("sum", sum);
    environment.add_filter("round", round);
    environment.add_filter("join", join);
}

/// An option of a filter: by its place, else by its name.
fn option(given: Given<'_>, options: &Kwargs, name: &str) -> Result<Option<Value>, Error> {
    let named = options.get::<Option<Value>>(name)?;
    Ok(given.cloned().or(named).filter(|value| !value.is_none()))
}

fn flag(given: Given<'_>, options: &Kwargs, name: &str) -> Result<bool, Error> {
    Ok(option(given, options, name)?.is_some_and(|value| value.is_true()))
}

/// The first item; a generator has one less afterwards.
fn first(value: &Value) -> Result<Value, Error> {
    kinds::each(value)?;
    Ok(value.try_iter()?.next().unwrap_or(Value::UNDEFINED))
}

fn last(value: &Value) -> Result<Value, Error> {
    if matches!(kind(value), Kind::Generator) {
        return Err(wrong(
            "last: a generator has no last item; put `|list` before it".to_owned(),
        ));
    }
    Ok(items(value)?.pop().unwrap_or(Value::UNDEFINED))
}

/// What is undefined has the length 0.
fn length(value: &Value) -> Result<usize, Error> {
    match (kind(value), value.len()) {
        (Kind::Undefined, _) => Ok(0),
        (Kind::None | Kind::Number(_) | Kind::Big | Kind::Generator | Kind::Other, _) | (_, None) => {
            Err(wrong(format!(
                "length: a value of the type {} has none{}",
                name(value),
                if matches!(kind(value), Kind::Generator) {
                    "; put `|list` before it"
                } else {
                    ""
                }
            )))
        }
        (_, Some(length)) => Ok(length),
    }
}

fn reverse(value: &Value) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        limits::spend(text.len())?;
        return Ok(text.chars().rev().collect::<String>().into());
    }
    let listed = matches!(kind(value), Kind::Generator);
    let mut items = items(value)?;
    items.reverse();
    Ok(if listed {
        Value::from(items)
    } else {
        Generator::of(items)
    })
}

/// `sort(reverse=False, case_sensitive=False, attribute=None)`.
fn sort(
    value: &Value,
    reverse: Given<'_>,
    cased: Given<'_>,
    attribute: Given<'_>,
    options: Kwargs,
) -> Result<Value, Error> {
    let reverse = flag(reverse, &options, "reverse")?;
    let cased = flag(cased, &options, "case_sensitive")?;
    let attribute = option(attribute, &options, "attribute")?;
    options.assert_all_used()?;
    let pairs = keyed(value, attribute.as_ref(), cased)?;
    sorted(pairs, reverse).map(Value::from)
}

/// `unique(case_sensitive=False, attribute=None)`: the first of each.
fn unique(value: &Value, cased: Given<'_>, attribute: Given<'_>, options: Kwargs) -> Result<Value, Error> {
    let cased = flag(cased, &options, "case_sensitive")?;
    let attribute = option(attribute, &options, "attribute")?;
    options.assert_all_used()?;
    let (mut texts, mut others, mut out): (HashSet<String>, Vec<Value>, Vec<Value>) = Default::default();
    for (key, item) in keyed(value, attribute.as_ref(), cased)? {
        let new = match (key.as_str(), kind(&key)) {
            (Some(text), _) => texts.insert(text.to_owned()),
            (None, Kind::List | Kind::Dict) => {
                return Err(wrong(format!(
                    "unique: values of the type {} cannot be told apart",
                    name(&key)
                )));
            }
            _ => {
                let mut known = false;
                for other in &others {
                    known = known || equal(other, &key)?;
                }
                if !known {
                    others.push(key);
                }
                !known
            }
        };
        if new {
            out.push(item);
        }
    }
    Ok(Generator::of(out))
}

/// The item whose key is the smallest or the largest; of equal ones the first.
fn extreme(
    value: &Value,
    cased: Given<'_>,
    attribute: Given<'_>,
    options: Kwargs,
    wanted: Ordering,
) -> Result<Value, Error> {
    let cased = flag(cased, &options, "case_sensitive")?;
    let attribute = option(attribute, &options, "attribute")?;
    options.assert_all_used()?;
    let mut best: Option<(Value, Value)> = None;
    for (key, item) in keyed(value, attribute.as_ref(), cased)? {
        let better = match &best {
            Some((other, _)) => order(&key, other)? == Some(wanted),
            None => true,
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Value::UNDEFINED, |(_, item)| item))
}

/// `sum(attribute=None, start=0)`.
fn sum(value: &Value, attribute: Given<'_>, start: Given<'_>, options: Kwargs) -> Result<Value, Error> {
    let attribute = option(attribute, &options, "attribute")?;
    let start = option(start, &options, "start")?.unwrap_or_else(|| Value::from(0));
    options.assert_all_used()?;
    if start.as_str().is_some() {
        return Err(wrong("sum: texts are not summed; use join".to_owned()));
    }
    let pairs = keyed(value, attribute.as_ref(), true)?;
    pairs.iter().try_fold(start, |sum, (key, _)| operators::sum(&sum, key))
}

/// `round(precision=0, method='common')`.
fn round(value: &Value, precision: Given<'_>, method: Given<'_>, options: Kwargs) -> Result<Value, Error> {
    let places = option(precision, &options, "precision")?.unwrap_or_else(|| Value::from(0));
    let method = option(method, &options, "method")?.map_or_else(|| "common".to_owned(), |method| python::str(&method));
    options.assert_all_used()?;
    let (Kind::Number(number), Kind::Number(Number::Whole(places))) = (kind(value), kind(&places)) else {
        return Err(wrong(format!(
            "round: expected a number and a whole number of digits, found {} and {}",
            short(value),
            short(&places)
        )));
    };
    let places = places.clamp(-400, 400) as i32;
    let scaled = || number.float() * 10_f64.powi(places);
    let whole = match method.as_str() {
        "common" => return arithmetic::round(number, places),
        "ceil" => scaled().ceil(),
        "floor" => scaled().floor(),
        other => {
            return Err(wrong(format!(
                "round: expected 'common', 'ceil' or 'floor', found '{other}'"
            )));
        }
    };
    if !whole.is_finite() {
        return Err(wrong(format!("round: {} is no whole number", short(value))));
    }
    // Under Python it is a whole number here, and so has no 0 with a sign.
    Ok(Value::from((whole + 0.0) / 10_f64.powi(places)))
}

/// `join(d='', attribute=None)`: texts of the items, or of one attribute of each.
fn join(value: &Value, separator: Given<'_>, attribute: Given<'_>, options: Kwargs) -> Result<String, Error> {
    let separator = option(separator, &options, "d")?.unwrap_or_else(|| Value::from(""));
    let attribute = option(attribute, &options, "attribute")?;
    options.assert_all_used()?;
    let separator = python::str(&separator);
    let mut out = String::new();
    for (index, (key, _)) in keyed(value, attribute.as_ref(), true)?.iter().enumerate() {
        limits::spend(separator.len())?;
        if index > 0 {
            out.push_str(&separator);
        }
        out.push_str(&kinds::text(key)?);
        limits::length(out.len())?;
    }
    Ok(out)
}
