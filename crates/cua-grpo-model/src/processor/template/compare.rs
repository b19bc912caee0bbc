//! Python's comparisons: `==` of any values, the order of those that have one, `in`.

use super::kinds::{Kind, Number, items, kind, name};
use super::limits::{self, wrong};
use super::python;
use minijinja::value::Rest;
use minijinja::{Environment, Error, Value};
use std::cmp::Ordering;

/// Adds the operators as filters, and Jinja's tests of the same names.
pub(super) fn add(environment: &mut Environment<'static>) {
    type Operator = fn(&Value, &Value) -> Result<bool, Error>;
    let operators: [(&[&'static str], Operator); 8] = [
        (&["_eq", "eq", "==", "equalto"], equal),
        (&["_ne", "ne", "!="], |a, b| Ok(!equal(a, b)?)),
        (&["_lt", "lt", "<", "lessthan"], |a, b| {
            Ok(order(a, b)?.is_some_and(Ordering::is_lt))
        }),
        (&["_le", "le", "<="], |a, b| {
            Ok(order(a, b)?.is_some_and(Ordering::is_le))
        }),
        (&["_gt", "gt", ">", "greaterthan"], |a, b| {
            Ok(order(a, b)?.is_some_and(Ordering::is_gt))
        }),
        (&["_ge", "ge", ">="], |a, b| {
            Ok(order(a, b)?.is_some_and(Ordering::is_ge))
        }),
        (&["_in", "in"], is_in),
        (&["_not_in"], |a, b| Ok(!is_in(a, b)?)),
    ];
    for (names, operator) in operators {
        environment.add_filter(names[0], operator);
        for test in &names[1..] {
            environment.add_test(*test, operator);
        }
    }
    environment.add_filter("_compare", move |first: Value, parts: Rest<Value>| {
        let mut left = first;
        for part in parts.chunks_exact(2) {
            let wanted = format!("_{}", part[0].as_str().unwrap_or_default());
            let operator = operators.iter().find(|(names, _)| names[0] == wanted);
            let (_, operator) = operator.ok_or_else(|| wrong("a comparison that is not known".to_owned()))?;
            if !operator(&left, &part[1])? {
                return Ok(false);
            }
            left = part[1].clone();
        }
        Ok(true)
    });
}

/// `a == b`.
///
/// # Errors
/// When they have more parts than there is time for.
pub(super) fn equal(a: &Value, b: &Value) -> Result<bool, Error> {
    limits::spend(32)?;
    Ok(match (kind(a), kind(b)) {
        (Kind::Undefined, Kind::Undefined) | (Kind::None, Kind::None) => true,
        (Kind::Number(a), Kind::Number(b)) => compare(a, b) == Some(Ordering::Equal),
        (Kind::Text, Kind::Text) => a.as_str() == b.as_str(),
        (Kind::List, Kind::List) | (Kind::Tuple, Kind::Tuple) | (Kind::Range, Kind::Range) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.try_iter()?.zip(b.try_iter()?) {
                if !equal(&a, &b)? {
                    return Ok(false);
                }
            }
            true
        }
        (Kind::Dict, Kind::Dict) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for key in a.try_iter()? {
                let Some(other) = entry(b, &key) else {
                    return Ok(false);
                };
                if !equal(&a.get_item(&key)?, &other)? {
                    return Ok(false);
                }
            }
            true
        }
        (Kind::Big, Kind::Big)
        | (Kind::View, Kind::View)
        | (Kind::Generator, Kind::Generator)
        | (Kind::Other, Kind::Other) => a == b,
        _ => false,
    })
}

/// The entry of a dictionary. `1`, `1.0` and `true` are one key under Python.
pub(super) fn entry(dict: &Value, key: &Value) -> Option<Value> {
    let object = dict.as_object()?;
    let number = |key: &Value| match kind(key) {
        Kind::Number(number) => Some(number),
        _ => None,
    };
    object.get_value(key).or_else(|| {
        let wanted = number(key)?;
        let same = |key: &Value| number(key).is_some_and(|found| compare(found, wanted) == Some(Ordering::Equal));
        let key = dict.try_iter().ok()?.find(same)?;
        object.get_value(&key)
    })
}

fn compare(a: Number, b: Number) -> Option<Ordering> {
    match (a, b) {
        (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
        (Number::Float(_), Number::Whole(_)) => compare(b, a).map(Ordering::reverse),
        (Number::Whole(whole), Number::Float(float)) => {
            // Above 2^53 the float nearest to a whole number is not always that number.
            let nearest = (whole as f64).partial_cmp(&float)?;
            Some(nearest.then_with(|| whole.cmp(&(float as i128))))
        }
    }
}

/// How `a` and `b` stand; none beside a float that is no number.
///
/// # Errors
/// When Python has no order for them.
pub(super) fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, Error> {
    limits::spend(32)?;
    match (kind(a), kind(b)) {
        (Kind::Number(a), Kind::Number(b)) => Ok(compare(a, b)),
        (Kind::Text, Kind::Text) => Ok(Some(a.as_str().cmp(&b.as_str()))),
        (Kind::Big, Kind::Big) => Ok(a.partial_cmp(b)),
        (Kind::Big, Kind::Number(Number::Whole(_))) => Ok(Some(sign(a))),
        (Kind::Number(Number::Whole(_)), Kind::Big) => Ok(Some(sign(b).reverse())),
        (Kind::List, Kind::List) | (Kind::Tuple, Kind::Tuple) => {
            for (a, b) in a.try_iter()?.zip(b.try_iter()?) {
                if !equal(&a, &b)? {
                    return order(&a, &b);
                }
            }
            Ok(Some(a.len().cmp(&b.len())))
        }
        _ => Err(wrong(format!(
            "values of the types {} and {} have no order (`<`, `>`, sorting); {} beside {}",
            name(a),
            name(b),
            short(a),
            short(b)
        ))),
    }
}

/// Where a whole number beyond 127 bits stands to all others.
fn sign(big: &Value) -> Ordering {
    match python::repr(big).starts_with('-') {
        true => Ordering::Less,
        false => Ordering::Greater,
    }
}

/// A value in an error.
pub(super) fn short(value: &Value) -> String {
    const MOST: usize = 40;
    let text = python::repr(value);
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// `item in container`.
fn is_in(item: &Value, container: &Value) -> Result<bool, Error> {
    match kind(container) {
        Kind::Undefined => Ok(false),
        Kind::Text => match item.as_str() {
            Some(item) => {
                limits::spend(container.as_str().map_or(0, str::len) / 16)?;
                Ok(container.as_str().is_some_and(|text| text.contains(item)))
            }
            None => Err(wrong(format!(
                "`in` a text: expected a text on the left, found {} (type {})",
                short(item),
                name(item)
            ))),
        },
        Kind::Dict => match kind(item) {
            Kind::List | Kind::Dict => Err(wrong(format!("a {} is no key of a dictionary", name(item)))),
            _ => Ok(entry(container, item).is_some()),
        },
        Kind::Generator => {
            for other in container.try_iter()? {
                if equal(&other, item)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Kind::List | Kind::Tuple | Kind::Range | Kind::View => {
            for other in container.try_iter()? {
                if equal(&other, item)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Err(wrong(format!(
            "`in`: a value of the type {} has no items",
            name(container)
        ))),
    }
}

/// `values` in the order of their keys; equal ones stay as they stood, downwards as well.
///
/// # Errors
/// When two keys have no order.
pub(super) fn sorted(pairs: Vec<(Value, Value)>, reverse: bool) -> Result<Vec<Value>, Error> {
    let mut pairs = pairs;
    if reverse {
        pairs.reverse();
    }
    let mut values: Vec<Value> = merge(pairs)?.into_iter().map(|(_, value)| value).collect();
    if reverse {
        values.reverse();
    }
    Ok(values)
}

/// Sorts by merging: whatever order the keys have, it ends.
fn merge(mut pairs: Vec<(Value, Value)>) -> Result<Vec<(Value, Value)>, Error> {
    if pairs.len() < 2 {
        return Ok(pairs);
    }
    let right = merge(pairs.split_off(pairs.len() / 2))?;
    let left = merge(pairs)?;
    let mut out = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let other_first = order(&other.0, &one.0)?.is_some_and(Ordering::is_lt);
        out.extend(if other_first { right.next() } else { left.next() });
    }
    out.extend(left);
    out.extend(right);
    Ok(out)
}

/// The items of `value` with the keys that filters compare: an attribute of each, without its case where that does not count.
///
/// # Errors
/// As [`items`], and where an attribute of what is undefined is asked for.
pub(super) fn keyed(value: &Value, attribute: Option<&Value>, cased: bool) -> Result<Vec<(Value, Value)>, Error> {
    let lower = |key: Value| match key.as_str() {
        Some(text) if !cased => Value::from(text.to_lowercase()),
        _ => key,
    };
    let pair = |item: Value| {
        let Some(attribute) = attribute else {
            return Ok((lower(item.clone()), item));
        };
        let path = python::str(attribute);
        let mut keys = Vec::new();
        for name in path.split(',') {
            let mut key = item.clone();
            for part in name.trim().split('.') {
                key = match part.parse::<usize>() {
                    Ok(index) => key.get_item(&Value::from(index))?,
                    Err(_) => key.get_attr(part)?,
                };
            }
            keys.push(lower(key));
        }
        let key = match keys.len() {
            1 => keys.pop().unwrap_or_default(),
            _ => Value::from(keys),
        };
        Ok((key, item))
    };
    items(value)?.into_iter().map(pair).collect()
}
