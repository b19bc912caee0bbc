//! What a value of the engine is under Python, and the items of those that have some.

use super::lazy::{Generator, Method, View};
use super::limits::{self, wrong};
use super::python;
use super::value::{BigInteger, List, Range};
use minijinja::value::ValueKind;
use minijinja::{Error, Value};

/// A number; truth values are whole numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Whole(i128),
    Float(f64),
}

impl Number {
    pub(super) fn float(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }
}

/// The type under Python.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Undefined,
    None,
    Number(Number),
    /// A whole number that is not computed with.
    Big,
    Text,
    List,
    Tuple,
    Range,
    Dict,
    /// What `keys()`, `values()` and `items()` give.
    View,
    Generator,
    Other,
}

/// The type of `value`.
pub(super) fn kind(value: &Value) -> Kind {
    match value.kind() {
        ValueKind::Undefined => Kind::Undefined,
        ValueKind::None => Kind::None,
        ValueKind::Bool => Kind::Number(Number::Whole(i128::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => {
            i128::try_from(value.clone()).map_or(Kind::Big, |whole| Kind::Number(Number::Whole(whole)))
        }
        ValueKind::Number => Kind::Number(Number::Float(f64::try_from(value.clone()).unwrap_or(f64::NAN))),
        ValueKind::String => Kind::Text,
        ValueKind::Seq => match value.downcast_object_ref::<List>() {
            Some(list) if list.is_tuple() => Kind::Tuple,
            // What `groupby` gives.
            None if value
                .as_object()
                .is_some_and(|object| object.type_name().ends_with("GroupTuple")) =>
            {
                Kind::Tuple
            }
            None if value.downcast_object_ref::<Range>().is_some() => Kind::Range,
            _ => Kind::List,
        },
        ValueKind::Iterable if value.downcast_object_ref::<Generator>().is_some() => Kind::Generator,
        ValueKind::Iterable if value.downcast_object_ref::<View>().is_some() => Kind::View,
        ValueKind::Iterable => Kind::List,
        ValueKind::Map => {
            let name = value.as_object().map(|object| object.type_name()).unwrap_or_default();
            match ["Namespace", "Loop", "Macro"].iter().any(|kind| name.contains(kind)) {
                true => Kind::Other,
                false => Kind::Dict,
            }
        }
        _ if value.downcast_object_ref::<BigInteger>().is_some() => Kind::Big,
        _ => Kind::Other,
    }
}

/// The name of the type, as Python's errors have it.
pub(super) fn name(value: &Value) -> &'static str {
    match kind(value) {
        Kind::Undefined => "undefined",
        Kind::None => "NoneType",
        Kind::Number(_) if value.kind() == ValueKind::Bool => "bool",
        Kind::Number(Number::Whole(_)) => "int",
        Kind::Number(Number::Float(_)) => "float",
        Kind::Big => "int of more than 127 bits",
        Kind::Text => "str",
        Kind::List => "list",
        Kind::Tuple => "tuple",
        Kind::Range => "range",
        Kind::Dict => "dict",
        Kind::View => "view of a dict",
        Kind::Generator => "generator",
        Kind::Other => "object",
    }
}

/// That a loop may go over `value`, as Python says: what is undefined has no items.
///
/// # Errors
/// For `none`, numbers and objects.
pub(super) fn each(value: &Value) -> Result<(), Error> {
    match kind(value) {
        Kind::None | Kind::Number(_) | Kind::Big | Kind::Other => {
            Err(wrong(format!("a value of the type {} is not iterable", name(value))))
        }
        _ => Ok(()),
    }
}

/// The items that a loop over `value` goes over, paid for. A generator has none afterwards.
///
/// # Errors
/// As [`each`], and of an item that cannot be had.
pub(super) fn items(value: &Value) -> Result<Vec<Value>, Error> {
    each(value)?;
    match value.as_str() {
        Some(text) => limits::spend_items(text.chars().count())?,
        None => limits::items(value)?,
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    if value.len().is_none() {
        limits::spend_items(items.len())?;
    }
    Ok(items)
}

/// `str(value)`, which of a generator is an address under Python.
///
/// # Errors
/// For a generator.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    match kind(value) {
        Kind::Generator => Err(wrong(
            "a generator (of `select`, `map` and such) is written, which gives an address under Python; put `|list` behind it"
                .to_owned(),
        )),
        Kind::Other if value.downcast_object_ref::<Method>().is_some() => {
            Err(wrong("a method is written; it needs `()` to be called".to_owned()))
        }
        _ => Ok(python::str(value)),
    }
}
