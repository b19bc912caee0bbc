//! Arithmetic on numbers as Python does it.

use super::kinds::Number::{self, Float, Whole};
use super::limits::wrong;
use super::value::BigInteger;
use minijinja::{Error, Value};

type Operator = fn(Number, Number) -> Result<Value, Error>;

/// The operators that are for numbers alone: the filter that stands for it, its sign, what it does.
pub(super) const OPERATORS: [(&str, &str, Operator); 4] = [
    ("_subtract", "-", difference),
    ("_divide", "/", quotient),
    ("_floor", "//", floor),
    ("_power", "**", power),
];

fn whole(result: Option<i128>) -> Result<Value, Error> {
    let result = result.ok_or_else(|| wrong("a whole number of more than 127 bits in arithmetic".to_owned()))?;
    Ok(Value::from(result))
}

fn by_zero() -> Error {
    wrong("a division by zero".to_owned())
}

/// `one + other`.
pub(super) fn sum(one: Number, other: Number) -> Result<Value, Error> {
    match (one, other) {
        (Whole(one), Whole(other)) => whole(one.checked_add(other)),
        _ => Ok(Value::from(one.float() + other.float())),
    }
}

fn difference(one: Number, other: Number) -> Result<Value, Error> {
    match (one, other) {
        (Whole(one), Whole(other)) => whole(one.checked_sub(other)),
        _ => Ok(Value::from(one.float() - other.float())),
    }
}

/// `one * other`.
pub(super) fn product(one: Number, other: Number) -> Result<Value, Error> {
    match (one, other) {
        (Whole(one), Whole(other)) => whole(one.checked_mul(other)),
        _ => Ok(Value::from(one.float() * other.float())),
    }
}

fn quotient(one: Number, other: Number) -> Result<Value, Error> {
    match other.float() {
        0.0 => Err(by_zero()),
        other => Ok(Value::from(one.float() / other)),
    }
}

/// The rest has the sign of the divisor.
fn rest_of(one: f64, other: f64) -> f64 {
    let rest = one % other;
    match rest {
        0.0 => 0.0_f64.copysign(other),
        _ if (rest < 0.0) != (other < 0.0) => rest + other,
        _ => rest,
    }
}

/// `one % other`.
pub(super) fn rest(one: Number, other: Number) -> Result<Value, Error> {
    match (one, other) {
        (_, Whole(0)) => Err(by_zero()),
        (Whole(one), Whole(other)) => {
            let rest = one.checked_rem(other).unwrap_or(0);
            let wraps = rest != 0 && (rest < 0) != (other < 0);
            Ok(Value::from(if wraps { rest + other } else { rest }))
        }
        _ if other.float() == 0.0 => Err(by_zero()),
        _ => Ok(Value::from(rest_of(one.float(), other.float()))),
    }
}

/// `one // other`: down to the next whole number.
fn floor(one: Number, other: Number) -> Result<Value, Error> {
    match (one, other) {
        (_, Whole(0)) => Err(by_zero()),
        (Whole(one), Whole(other)) => {
            let down = one.checked_rem(other).unwrap_or(0) != 0 && (one < 0) != (other < 0);
            whole(one.checked_div(other).map(|quotient| quotient - i128::from(down)))
        }
        _ if other.float() == 0.0 => Err(by_zero()),
        _ => {
            let (one, other) = (one.float(), other.float());
            // As Python's `divmod`: the rest as it is, and one less where its sign is not the divisor's.
            let rest = one % other;
            let less = rest != 0.0 && (rest < 0.0) != (other < 0.0);
            let quotient = (one - rest) / other - f64::from(u8::from(less));
            let floor = quotient.floor();
            let near = if quotient - floor > 0.5 { floor + 1.0 } else { floor };
            Ok(Value::from(if near == 0.0 {
                0.0_f64.copysign(one / other)
            } else {
                near
            }))
        }
    }
}

fn power(one: Number, other: Number) -> Result<Value, Error> {
    if let (Whole(base), Whole(exponent @ 0..)) = (one, other) {
        let power = match base {
            0 | 1 => Some(if exponent == 0 { 1 } else { base }),
            -1 => Some(if exponent % 2 == 0 { 1 } else { -1 }),
            _ => u32::try_from(exponent)
                .ok()
                .and_then(|exponent| base.checked_pow(exponent)),
        };
        return whole(power);
    }
    let (base, exponent) = (one.float(), other.float());
    if base == 0.0 && exponent < 0.0 {
        return Err(by_zero());
    }
    if base < 0.0 && base.is_finite() && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(wrong(
            "a power of a number below 0 with a fraction is a complex number".to_owned(),
        ));
    }
    let power = base.powf(exponent);
    if power.is_infinite() && base.is_finite() && exponent.is_finite() {
        return Err(wrong("a power that is too large".to_owned()));
    }
    Ok(Value::from(power))
}

/// A whole number of a float: what is after the point is cut off.
pub(super) fn cut(float: f64) -> Value {
    let float = float.trunc();
    if float.abs() < 1e38 {
        Value::from(float as i128)
    } else {
        // All digits of it are exact.
        Value::from_object(BigInteger::new(&format!("{float:.0}")))
    }
}

/// `round(number, precision)`: ties go to the even digit, of the value as it is stored.
pub(super) fn round(number: Number, precision: i32) -> Result<Value, Error> {
    match number {
        Whole(number) => {
            let Some(unit) = u32::try_from(-i64::from(precision)).ok().filter(|places| *places > 0) else {
                return Ok(Value::from(number));
            };
            let Some(unit) = 10_i128.checked_pow(unit) else {
                return Ok(Value::from(0));
            };
            let below = number.div_euclid(unit);
            let rest = number.rem_euclid(unit);
            let up = rest > unit - rest || (rest == unit - rest && below % 2 != 0);
            whole((below + i128::from(up)).checked_mul(unit))
        }
        Float(number) if precision >= 0 && number.is_finite() => {
            // Beyond these digits a float has none.
            let digits = format!("{number:.*}", precision.min(400).unsigned_abs() as usize);
            Ok(Value::from(digits.parse::<f64>().unwrap_or(number)))
        }
        Float(number) if number.is_finite() => {
            let unit = 10_f64.powi(-precision);
            let rounded = (number / unit).round_ties_even() * unit;
            Ok(Value::from(if unit.is_finite() {
                rounded
            } else {
                0.0_f64.copysign(number)
            }))
        }
        Float(number) => Ok(Value::from(number)),
    }
}
