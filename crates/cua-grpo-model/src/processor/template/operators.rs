//! Python's operators as filters: arithmetic, sums and products of texts and lists, slices; see [`super::grammar`].

use super::kinds::{Kind, Number, each, kind, name};
use super::lazy::Method;
use super::limits::{self, wrong};
use super::parser::{DICT, METHODS, TUPLE};
use super::value::{BigInteger, List, Range};
use super::{arithmetic, compare, filters, formats, kinds};
use minijinja::value::{Object, Rest};
use minijinja::{Environment, Error, Value};

/// An undefined value on its way into a macro, which takes the default of a parameter where nothing is given.
#[derive(Debug)]
struct Passed;

impl Object for Passed {}

/// Adds them to an environment.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("_as_is", |value: Value| value);
    environment.add_filter("_passed", |value: Value| match value.is_undefined() {
        true => Value::from_object(Passed),
        false => value,
    });
    environment.add_filter("_given", |value: Value| match value.downcast_object_ref::<Passed>() {
        Some(_) => Value::UNDEFINED,
        None => value,
    });
    environment.add_filter("_each", |value: Value| match value.as_str() {
        // Of a list a loop knows the length.
        Some(_) => kinds::items(&value).map(Value::from),
        None => each(&value).map(|()| value),
    });
    environment.add_filter("_add", sum);
    environment.add_filter("_times", product);
    environment.add_filter("_rest", rest);
    for (filter, sign, of) in arithmetic::OPERATORS {
        environment.add_filter(filter, move |left: &Value, right: &Value| {
            match (kind(left), kind(right)) {
                (Kind::Number(one), Kind::Number(other)) => of(one, other),
                _ => Err(unsupported(sign, left, right)),
            }
        });
    }
    environment.add_filter("_negative", |value: &Value| match kind(value) {
        Kind::Number(Number::Whole(whole)) => arithmetic::product(Number::Whole(whole), Number::Whole(-1)),
        Kind::Number(Number::Float(float)) => Ok(Value::from(-float)),
        _ => Err(wrong(format!("`-` before a value of the type {}", name(value)))),
    });
    environment.add_filter("_positive", |value: &Value| match kind(value) {
        Kind::Number(Number::Whole(whole)) => Ok(Value::from(whole)),
        Kind::Number(Number::Float(float)) => Ok(Value::from(float)),
        _ => Err(wrong(format!("`+` before a value of the type {}", name(value)))),
    });
    environment.add_filter("_joined", |first: &Value, others: Rest<Value>| {
        let mut out = kinds::text(first)?;
        for other in others.iter() {
            out.push_str(&kinds::text(other)?);
            limits::length(out.len())?;
        }
        limits::text(out)
    });
    environment.add_filter("_slice", slice);
    environment.add_filter("_whole", |digits: &str| Value::from_object(BigInteger::new(digits)));
    environment.add_filter("_item", item);
    environment.add_filter("_attribute", attribute);
    environment.add_function(DICT, dict);
    environment.add_function(TUPLE, |items: Rest<Value>| {
        limits::spend_items(items.len()).map(|()| List::tuple(items.0))
    });
}

/// A dictionary of keys and values in turns. Of keys that are equal under Python (`1` and `true`) the first stays, with the
/// last of the values.
fn dict(parts: Rest<Value>) -> Result<Value, Error> {
    limits::spend_items(parts.len())?;
    let mut pairs: Vec<(Value, Value)> = Vec::new();
    for part in parts.chunks_exact(2) {
        let [key, value] = part else { continue };
        if matches!(kind(key), Kind::List | Kind::Dict) {
            return Err(wrong(format!("a key of the type {}", name(key))));
        }
        let mut known = None;
        for (at, (other, _)) in pairs.iter().enumerate() {
            if compare::equal(key, other)? {
                known = Some(at);
            }
        }
        match known {
            Some(at) => pairs[at].1 = value.clone(),
            None => pairs.push((key.clone(), value.clone())),
        }
    }
    Ok(pairs.into_iter().collect())
}

fn unsupported(sign: &str, left: &Value, right: &Value) -> Error {
    wrong(format!(
        "`{sign}` between values of the types {} and {}",
        name(left),
        name(right)
    ))
}

/// `left + right`.
///
/// # Errors
/// When Python has no sum of them.
pub(super) fn sum(left: &Value, right: &Value) -> Result<Value, Error> {
    match (kind(left), kind(right)) {
        (Kind::Number(one), Kind::Number(other)) => arithmetic::sum(one, other),
        (Kind::Text, Kind::Text) if left.is_safe() || right.is_safe() => {
            // Markup escapes what is added to it.
            let (one, other) = (filters::escape(left)?, filters::escape(right)?);
            let both = [one.as_str().unwrap_or_default(), other.as_str().unwrap_or_default()].concat();
            limits::text(both).map(Value::from_safe_string)
        }
        (Kind::Text, Kind::Text) => {
            let (one, other) = (left.as_str().unwrap_or_default(), right.as_str().unwrap_or_default());
            limits::length(one.len() + other.len())?;
            limits::spend(one.len() + other.len())?;
            Ok(Value::from([one, other].concat()))
        }
        (Kind::List, Kind::List) => both(left, right).map(Value::from),
        (Kind::Tuple, Kind::Tuple) => both(left, right).map(List::tuple),
        _ => Err(unsupported("+", left, right)),
    }
}

fn both(left: &Value, right: &Value) -> Result<Vec<Value>, Error> {
    limits::items(left)?;
    limits::items(right)?;
    Ok(left.try_iter()?.chain(right.try_iter()?).collect())
}

/// `left * right`.
fn product(left: &Value, right: &Value) -> Result<Value, Error> {
    let (one, other) = (kind(left), kind(right));
    if let (Kind::Number(one), Kind::Number(other)) = (one, other) {
        return arithmetic::product(one, other);
    }
    let (repeated, count) = match (one, other) {
        (Kind::Number(Number::Whole(count)), _) => (right, count),
        (_, Kind::Number(Number::Whole(count))) => (left, count),
        _ => return Err(unsupported("*", left, right)),
    };
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    match kind(repeated) {
        Kind::Text => {
            let repeated = repeated.as_str().unwrap_or_default();
            let bytes = repeated.len().saturating_mul(count);
            limits::length(bytes)?;
            limits::spend(bytes)?;
            Ok(Value::from(if bytes == 0 {
                String::new()
            } else {
                repeated.repeat(count)
            }))
        }
        of @ (Kind::List | Kind::Tuple) => {
            let length = repeated.len().unwrap_or(0).saturating_mul(count);
            limits::spend_items(length)?;
            let items: Vec<Value> = repeated.try_iter()?.collect();
            let items: Vec<Value> = items.iter().cycle().take(length).cloned().collect();
            Ok(match of {
                Kind::Tuple => List::tuple(items),
                _ => Value::from(items),
            })
        }
        _ => Err(unsupported("*", left, right)),
    }
}

/// `left % right`: the rest of a division, or a text with values put in.
fn rest(left: &Value, right: &Value) -> Result<Value, Error> {
    match (kind(left), kind(right)) {
        (Kind::Number(one), Kind::Number(other)) => arithmetic::rest(one, other),
        (Kind::Text, _) => limits::text(formats::percent(left.as_str().unwrap_or_default(), right)?).map(Value::from),
        _ => Err(unsupported("%", left, right)),
    }
}

/// `value[start:stop:step]`.
fn slice(value: &Value, start: &Value, stop: Option<&Value>, step: Option<&Value>) -> Result<Value, Error> {
    let bound = |bound: Option<&Value>| match bound.map(kind) {
        None | Some(Kind::None) => Ok(None),
        Some(Kind::Number(Number::Whole(whole))) => Ok(Some(whole)),
        Some(_) => Err(wrong(format!(
            "a slice: expected whole numbers, found a value of the type {}",
            bound.map_or("NoneType", name)
        ))),
    };
    let of = kind(value);
    let length = match of {
        Kind::Text => value.as_str().map_or(0, |text| text.chars().count()),
        Kind::List | Kind::Tuple | Kind::Range => value.len().unwrap_or(0),
        _ => return Err(wrong(format!("a slice of a value of the type {}", name(value)))),
    };
    let (start, stop, step) = (bound(Some(start))?, bound(stop)?, bound(step)?.unwrap_or(1));
    if step == 0 {
        return Err(wrong("a slice: the step must not be 0".to_owned()));
    }
    let last = length as i128;
    // Counted from the end where it is below 0, and cut off where the value ends.
    let (low, high) = if step > 0 { (0, last) } else { (-1, last - 1) };
    let place = |bound: i128| if bound < 0 { bound.saturating_add(last) } else { bound }.clamp(low, high);
    let start = start.map_or(if step > 0 { low } else { high }, place);
    let stop = stop.map_or(if step > 0 { high } else { low }, place);
    let distance = if step > 0 { stop - start } else { start - stop }.max(0);
    let stride = step.unsigned_abs().min(u128::from(u64::MAX)) as i128;
    let count = (distance + stride - 1) / stride;
    if let Some(range) = value.downcast_object_ref::<Range>() {
        return range.slice((start, stop), step, count);
    }
    let places = (0..count).map(|index| (start + index * step) as usize);
    match value.as_str() {
        Some(text) => {
            limits::spend(text.len())?;
            if step == 1 {
                return Ok(text
                    .chars()
                    .skip(start as usize)
                    .take(count as usize)
                    .collect::<String>()
                    .into());
            }
            limits::spend_items(length)?;
            let characters: Vec<char> = text.chars().collect();
            Ok(places.map(|place| characters[place]).collect::<String>().into())
        }
        None => {
            limits::spend_items(count as usize)?;
            let items: Vec<Value> = match step {
                1 => value.try_iter()?.skip(start as usize).take(count as usize).collect(),
                _ => {
                    limits::items(value)?;
                    let all: Vec<Value> = value.try_iter()?.collect();
                    places.map(|place| all[place].clone()).collect()
                }
            };
            Ok(match of {
                Kind::Tuple => List::tuple(items),
                _ => Value::from(items),
            })
        }
    }
}

/// `value[key]`: a method where there is no such item, else what is undefined.
fn item(value: &Value, key: &Value) -> Result<Value, Error> {
    match (kind(value), kind(key)) {
        (Kind::Generator | Kind::View | Kind::None | Kind::Number(_) | Kind::Big, _) => Ok(Value::UNDEFINED),
        (Kind::List | Kind::Tuple | Kind::Range | Kind::Text, Kind::Number(Number::Whole(index))) => {
            value.get_item(&Value::from(index))
        }
        (Kind::List | Kind::Tuple | Kind::Range | Kind::Text, Kind::Number(_)) => Ok(Value::UNDEFINED),
        (Kind::List | Kind::Tuple | Kind::Range | Kind::Text | Kind::Dict, Kind::Text) => {
            let found = value.get_item(key)?;
            match key.as_str().filter(|_| found.is_undefined()) {
                Some(name) if METHODS.contains(&name) => attribute(value, name),
                _ => Ok(found),
            }
        }
        (Kind::Dict, Kind::Number(_)) => Ok(compare::entry(value, key).unwrap_or_default()),
        _ => value.get_item(key),
    }
}

/// `value.name`, where `name` is a method of a text, a list or a dictionary: found before an entry of that name.
fn attribute(value: &Value, method: &str) -> Result<Value, Error> {
    // Those that change what they belong to are kept from templates, as if they were not there.
    const DICT: [&str; 5] = ["copy", "get", "items", "keys", "values"];
    const DICT_CHANGED: [&str; 6] = ["clear", "fromkeys", "pop", "popitem", "setdefault", "update"];
    const LIST: [&str; 3] = ["copy", "count", "index"];
    const LIST_CHANGED: [&str; 8] = [
        "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort",
    ];
    let listed = |names: &[&[&str]]| names.iter().any(|names| names.contains(&method));
    let both = ["count", "index"].contains(&method);
    let has = match kind(value) {
        Kind::Dict if listed(&[&DICT_CHANGED[..]]) && method != "fromkeys" => return Ok(Value::UNDEFINED),
        Kind::List if listed(&[&LIST_CHANGED[..]]) => return Ok(Value::UNDEFINED),
        Kind::Dict => listed(&[&DICT[..], &DICT_CHANGED[..]]),
        Kind::List => listed(&[&LIST[..]]),
        Kind::Tuple | Kind::Range => both,
        Kind::Text => both || !listed(&[&DICT[..], &DICT_CHANGED[..], &LIST[..], &LIST_CHANGED[..]]),
        _ => false,
    };
    match has {
        true => Ok(Method::of(value.clone(), method)),
        false => value.get_attr(method),
    }
}
