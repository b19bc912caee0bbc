//! JSON as values of the template engine, which show themselves as Python shows them.

use super::python;
use crate::processor::big_integer;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, Value};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The value that a template sees for `json`.
pub(super) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::from(whole),
            (_, Some(whole)) => Value::from(whole),
            _ => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from_object(List {
            items: items.iter().map(from_json).collect(),
            tuple: false,
        }),
        Json::Object(fields) => match big_integer(json) {
            Some(digits) => digits
                .parse::<i128>()
                .map_or_else(|_| Value::from_object(BigInteger(digits.to_owned())), Value::from),
            None => Value::from_object(Dict(
                fields
                    .iter()
                    .map(|(key, value)| (key.as_str().into(), from_json(value)))
                    .collect(),
            )),
        },
    }
}

/// A list, or a tuple, which shows itself in round brackets.
#[derive(Debug)]
pub(super) struct List {
    items: Vec<Value>,
    tuple: bool,
}

impl List {
    /// A tuple.
    pub(super) fn tuple(items: Vec<Value>) -> Value {
        Value::from_object(Self { items, tuple: true })
    }

    /// Whether it is a tuple.
    pub(super) fn is_tuple(&self) -> bool {
        self.tuple
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&python::repr(&Value::from_dyn_object(self.clone())))
    }
}

/// What `range` gives: its numbers, but shown as the call.
#[derive(Debug)]
pub(super) struct Range {
    start: i64,
    stop: i64,
    step: i64,
    length: usize,
}

/// Most numbers of a range in transformers' environment.
const MOST: i128 = 100_000;

impl Range {
    /// `range(stop)`, `range(start, stop)` or `range(start, stop, step)`.
    pub(super) fn call(first: i64, second: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
        let (start, stop) = second.map_or((0, first), |stop| (first, stop));
        let step = step.unwrap_or(1);
        let wrong = |message: String| Error::new(ErrorKind::InvalidOperation, message);
        if step == 0 {
            return Err(wrong("range: the step must not be 0".to_owned()));
        }
        let (from, to, by) = if step > 0 {
            (start, stop, step)
        } else {
            (stop, start, -step)
        };
        let length = (i128::from(to) - i128::from(from) + i128::from(by) - 1).max(0) / i128::from(by);
        if length > MOST {
            return Err(wrong(format!("range: expected at most {MOST} numbers, found {length}")));
        }
        Ok(Value::from_object(Self {
            start,
            stop,
            step,
            length: length as usize,
        }))
    }

    /// `count` of its numbers from the one at `start` on, so many places apart, before the one at `stop`.
    pub(super) fn slice(&self, (start, stop): (i128, i128), step: i128, count: i128) -> Result<Value, Error> {
        let number = |place: i128| i128::from(self.start) + i128::from(self.step) * place;
        let wide = |number: i128| {
            let message = "range: a slice with a step that is too large";
            i64::try_from(number).map_err(|_| Error::new(ErrorKind::InvalidOperation, message))
        };
        let step = i128::from(self.step).saturating_mul(step);
        Ok(Value::from_object(Self {
            start: wide(number(start))?,
            stop: wide(number(stop))?,
            step: wide(step)?,
            length: usize::try_from(count).unwrap_or(0),
        }))
    }

    /// As Python shows it.
    pub(super) fn shown(&self) -> String {
        match self.step {
            1 => format!("range({}, {})", self.start, self.stop),
            step => format!("range({}, {}, {step})", self.start, self.stop),
        }
    }
}

impl Object for Range {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let index = key.as_usize().filter(|index| *index < self.length)?;
        Some(Value::from(self.start + self.step * index as i64))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.length)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// A dictionary, in the order of its keys.
#[derive(Debug)]
pub(super) struct Dict(Vec<(Arc<str>, Value)>);

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let found = self.0.iter().find(|(name, _)| &**name == key);
        found.map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.iter().map(|(key, _)| Value::from(key.clone())).collect())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&python::repr(&Value::from_dyn_object(self.clone())))
    }
}

/// A whole number of more than 127 bits: its digits are kept, arithmetic is refused.
#[derive(Debug)]
pub(super) struct BigInteger(String);

impl BigInteger {
    /// A whole number with these digits.
    pub(super) fn new(digits: &str) -> Self {
        Self(digits.to_owned())
    }

    /// The digits, with their sign.
    pub(super) fn digits(&self) -> &str {
        &self.0
    }
}

impl Object for BigInteger {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn custom_cmp(self: &Arc<Self>, other: &minijinja::value::DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        let key = |digits: &str| (digits.len(), digits.to_owned());
        match (self.0.strip_prefix('-'), other.0.strip_prefix('-')) {
            (None, None) => Some(key(&self.0).cmp(&key(&other.0))),
            (Some(a), Some(b)) => Some(key(b).cmp(&key(a))),
            (Some(_), None) => Some(Ordering::Less),
            (None, Some(_)) => Some(Ordering::Greater),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
