//! Jinja's filters `int` and `float`: numbers of texts as Python reads them.

use super::kinds::{self, Kind, Number};
use super::limits::wrong;
use super::value::BigInteger;
use super::{arithmetic, letters, python};
use minijinja::value::{Kwargs, Rest};
use minijinja::{Error, Value};

/// The value given at `place`, else by `name`; also where it is none.
fn given(places: &Rest<Value>, place: usize, options: &Kwargs, name: &str) -> Result<Option<Value>, Error> {
    match (places.get(place), options.has(name)) {
        (Some(_), true) => Err(wrong(format!("`{name}` is given twice"))),
        (Some(value), false) => Ok(Some(value.clone())),
        (None, true) => options.get(name).map(Some),
        (None, false) => Ok(None),
    }
}

/// `int(default=0, base=10)`: what is no number becomes the default.
pub(super) fn int(value: &Value, places: Rest<Value>, options: Kwargs) -> Result<Value, Error> {
    let default = given(&places, 0, &options, "default")?.unwrap_or_else(|| Value::from(0));
    let base = given(&places, 1, &options, "base")?.unwrap_or_else(|| Value::from(10));
    options.assert_all_used()?;
    let base = match (kinds::kind(&base), places.len()) {
        (Kind::Number(Number::Whole(base)), 0..=2) => base,
        _ => {
            return Err(wrong(
                "int: expected a default and a base that is a whole number".to_owned(),
            ));
        }
    };
    let text = match kinds::kind(value) {
        Kind::Undefined => return Err(wrong("int: an undefined value".to_owned())),
        Kind::Big => return Ok(value.clone()),
        Kind::Number(Number::Whole(whole)) => return Ok(Value::from(whole)),
        Kind::Number(Number::Float(float)) if float.is_finite() => return Ok(arithmetic::cut(float)),
        Kind::Text => value.as_str().unwrap_or_default(),
        _ => return Ok(default),
    };
    let float = || read_float(text).filter(|number| number.is_finite());
    Ok(read_whole(text, base)?
        .or_else(|| float().map(arithmetic::cut))
        .unwrap_or(default))
}

/// `float(default=0.0)`: what is no number becomes the default.
pub(super) fn float(value: &Value, places: Rest<Value>, options: Kwargs) -> Result<Value, Error> {
    let default = given(&places, 0, &options, "default")?.unwrap_or_else(|| Value::from(0.0));
    options.assert_all_used()?;
    Ok(match kinds::kind(value) {
        Kind::Undefined => return Err(wrong("float: an undefined value".to_owned())),
        Kind::Number(number) => Value::from(number.float()),
        Kind::Text => read_float(value.as_str().unwrap_or_default()).map_or(default, Value::from),
        _ => default,
    })
}

/// `int(text, base)`; none where Python has no number for it.
///
/// # Errors
/// For a number that is too long to be read in this base.
fn read_whole(text: &str, base: i128) -> Result<Option<Value>, Error> {
    let text = plain(text);
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text.as_str()),
    };
    let prefixed = |letter: char, of: u32| {
        let rest = digits
            .strip_prefix('0')?
            .strip_prefix([letter, letter.to_ascii_uppercase()])?;
        (base == i128::from(of) || base == 0).then(|| (rest.strip_prefix('_').unwrap_or(rest), of))
    };
    let found = prefixed('x', 16)
        .or_else(|| prefixed('o', 8))
        .or_else(|| prefixed('b', 2));
    let radix = u32::try_from(base).ok().filter(|base| (2..=36).contains(base));
    let (digits, radix) = match (found, base, radix) {
        (Some(found), _, _) => found,
        // Without a prefix the base is ten, and a number does not begin with 0.
        (None, 0, _) if digits.starts_with('0') && !digits.chars().all(|letter| "0_".contains(letter)) => {
            return Ok(None);
        }
        (None, 0, _) => (digits, 10),
        (None, _, Some(radix)) => (digits, radix),
        (None, _, None) => return Ok(None),
    };
    let Some(digits) = without_marks(digits, char::is_ascii_alphanumeric) else {
        return Ok(None);
    };
    if digits.is_empty() || !digits.chars().all(|letter| letter.is_digit(radix)) {
        return Ok(None);
    }
    let sign = if negative { "-" } else { "" };
    match i128::from_str_radix(&format!("{sign}{digits}"), radix) {
        Ok(whole) => Ok(Some(Value::from(whole))),
        Err(_) if radix == 10 => {
            let digits = digits.trim_start_matches('0');
            Ok(Some(Value::from_object(BigInteger::new(&format!("{sign}{digits}")))))
        }
        Err(_) => Err(wrong(format!("int: a number of more than 127 bits in base {radix}"))),
    }
}

/// `float(text)`.
fn read_float(text: &str) -> Option<f64> {
    without_marks(&plain(text), char::is_ascii_digit)?.parse::<f64>().ok()
}

/// Without white space around it, which in ASCII is only that of C, and with the digits of ASCII.
fn plain(text: &str) -> String {
    let space = |letter: char| match text.is_ascii() {
        true => matches!(letter, ' ' | '\t'..='\r'),
        false => python::is_space(letter),
    };
    letters::with_ascii_digits(text.trim_matches(space))
}

/// The digits without the `_` between them; none where one stands elsewhere.
fn without_marks(text: &str, is_digit: fn(&char) -> bool) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    let digit = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(is_digit);
    let fits = |at: usize| digit(at.checked_sub(1)) && digit(at.checked_add(1));
    let mut marks = (0..letters.len()).filter(|at| letters[*at] == '_');
    marks.all(fits).then(|| text.replace('_', ""))
}
