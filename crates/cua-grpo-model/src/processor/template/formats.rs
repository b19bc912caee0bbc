//! `'...' % values` and `'...'.format(...)`, as Python fills them.

use super::kinds::{Kind, Number, kind, name};
use super::limits::{length, spend, wrong};
use super::spec::{self, Spec};
use super::{kinds, python};
use minijinja::value::Kwargs;
use minijinja::{Error, Value};

/// That the fields of a format have widths that people write, and that all fields together fit in a text.
fn check(format: &str, mark: char, arguments: &[Value]) -> Result<(), Error> {
    /// Digits of a width or precision.
    const DIGITS: usize = 4;
    let (mut run, mut fields, mut longest) = (0, 0, 0);
    for character in format.chars() {
        run = if character.is_ascii_digit() { run + 1 } else { 0 };
        if run > DIGITS {
            return Err(wrong(format!("format: expected widths of at most {DIGITS} digits")));
        }
        fields += usize::from(character == mark);
    }
    for argument in arguments {
        let bytes = match argument.as_str() {
            Some(text) => text.len(),
            None => python::str(argument).len(),
        };
        longest = longest.max(bytes + 10_000);
    }
    let bytes = fields.saturating_mul(longest).saturating_add(format.len());
    if fields > 1 {
        length(bytes)?;
    }
    spend(bytes)
}

/// `format % given`, where a tuple holds several values and a dictionary those with names.
///
/// # Errors
/// When they do not fit.
pub(super) fn percent(format: &str, given: &Value) -> Result<String, Error> {
    let values: Vec<Value> = match kind(given) {
        Kind::Tuple => given.try_iter()?.collect(),
        _ => vec![given.clone()],
    };
    check(format, '%', &values)?;
    let mut values = values.into_iter();
    let mut next = || {
        values
            .next()
            .ok_or_else(|| wrong("format: not enough values for its fields".to_owned()))
    };
    let mut named = false;
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut value = None;
        if let Some(after) = rest.strip_prefix('(') {
            let (key, after) = after
                .split_once(')')
                .ok_or_else(|| wrong("format: a name without its `)`".to_owned()))?;
            if !matches!(kind(given), Kind::Dict) {
                return Err(wrong("format: fields with names need a dictionary".to_owned()));
            }
            let entry = given.get_item(&Value::from(key))?;
            if entry.is_undefined() {
                return Err(wrong(format!("format: the dictionary has no `{key}`")));
            }
            (value, rest, named) = (Some(entry), after, true);
        }
        let end = rest.find(|letter: char| letter.is_ascii_alphabetic() || letter == '%');
        let end = end.ok_or_else(|| wrong("format: a field that does not end".to_owned()))?;
        let form = rest.as_bytes()[end];
        let layout = &rest[..end];
        rest = &rest[end + 1..];
        if form == b'%' {
            out.push('%');
            continue;
        }
        let value = value.map_or_else(&mut next, Ok)?;
        out.push_str(&field(layout, char::from(form), &value)?);
    }
    out.push_str(rest);
    let left = values.next().is_some() && !named;
    if left && !matches!(kind(given), Kind::Dict | Kind::List | Kind::Range | Kind::Undefined) {
        return Err(wrong("format: not all values are used by its fields".to_owned()));
    }
    Ok(out)
}

/// One field of [`percent`]: flags, width and precision in `layout`.
fn field(layout: &str, form: char, value: &Value) -> Result<String, Error> {
    let flags = layout
        .find(|letter: char| !"#0- +".contains(letter))
        .unwrap_or(layout.len());
    let (flags, sizes) = layout.split_at(flags);
    let (width, precision) = sizes
        .split_once('.')
        .map_or((sizes, None), |(width, after)| (width, Some(after)));
    let size = |text: &str| match text {
        "" => Ok(0),
        _ => text.parse::<usize>().map_err(|_| {
            wrong(format!(
                "format: `%{layout}{form}` is no field with a width and precision that are written out"
            ))
        }),
    };
    let left = flags.contains('-');
    let zeros = flags.contains('0') && !left;
    let sign = if flags.contains('+') {
        Some('+')
    } else {
        Some(' ').filter(|_| flags.contains(' '))
    };
    let mut spec = Spec {
        align: Some(if left { '<' } else { '>' }),
        sign,
        alternate: flags.contains('#'),
        width: size(width)?,
        precision: precision.map(size).transpose()?,
        form: Some(form),
        ..Spec::PLAIN
    };
    let found = kind(value);
    let shown = match (form, found) {
        ('s', _) => Some(kinds::text(value)?),
        ('r', _) => Some(python::repr(value)),
        ('c', Kind::Text) if python::str(value).chars().count() == 1 => Some(python::str(value)),
        ('c', Kind::Number(Number::Whole(code))) => {
            let character = u32::try_from(code).ok().and_then(char::from_u32);
            Some(
                character
                    .ok_or_else(|| wrong(format!("format: {code} is no character")))?
                    .to_string(),
            )
        }
        _ => None,
    };
    if let Some(text) = shown {
        let text: String = text.chars().take(spec.precision.unwrap_or(usize::MAX)).collect();
        return Ok(spec.padded("", &text, '>'));
    }
    if zeros {
        (spec.fill, spec.align) = ('0', Some('='));
    }
    match (form, found) {
        ('d' | 'i' | 'u', Kind::Number(number)) => {
            let whole = match number {
                Number::Whole(whole) => whole,
                Number::Float(float) if float.abs() < 1e38 => float as i128,
                Number::Float(_) => return Err(wrong("format: a number that is too large for `%d`".to_owned())),
            };
            whole_field(spec, whole, 'd')
        }
        ('x' | 'X' | 'o', Kind::Number(Number::Whole(whole))) => whole_field(spec, whole, form),
        ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Kind::Number(number)) => {
            let number = number.float();
            let body = spec::float(number.abs(), Some(form), spec.precision, spec.alternate);
            let sign = if number.is_sign_negative() {
                "-".to_owned()
            } else {
                sign.map(String::from).unwrap_or_default()
            };
            Ok(spec.padded(&sign, &body, '>'))
        }
        _ => Err(wrong(format!(
            "format: `%{layout}{form}` of a value of the type {}",
            name(value)
        ))),
    }
}

/// A whole number, whose precision is the number of its digits.
fn whole_field(spec: Spec, whole: i128, form: char) -> Result<String, Error> {
    let digits = Spec {
        form: Some(form),
        ..Spec::PLAIN
    };
    let digits = digits.write(&Value::from(whole.checked_abs().unwrap_or(whole)))?;
    let digits = format!("{digits:0>0$}", spec.precision.unwrap_or(0));
    let sign = match (whole < 0, spec.sign) {
        (true, _) => "-".to_owned(),
        (false, sign) => sign.map(String::from).unwrap_or_default(),
    };
    let prefix = if spec.alternate && form != 'd' {
        format!("0{form}")
    } else {
        String::new()
    };
    Ok(spec.padded(&(sign + &prefix), &digits, '>'))
}

/// `format.format(*given, **named)`.
///
/// # Errors
/// When they do not fit.
pub(super) fn braces(format: &str, given: &[Value], named: &Kwargs) -> Result<String, Error> {
    let mut all = given.to_vec();
    for name in named.args() {
        all.push(named.get(name)?);
    }
    check(format, '{', &all)?;
    let mut numbered = 0;
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let sign = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(sign) {
            out.push_str(sign);
            rest = after;
            continue;
        }
        let field = rest
            .split_once('}')
            .filter(|(field, _)| sign == "{" && !field.contains('{'));
        let (field, after) = field
            .ok_or_else(|| wrong("format: expected fields `{...}` that are closed and hold no others".to_owned()))?;
        rest = after;
        let (field, layout) = field.split_once(':').unwrap_or((field, ""));
        let (field, conversion) = field
            .split_once('!')
            .map_or((field, None), |(field, how)| (field, Some(how)));
        let mut value = named_value(field, given, named, &mut numbered)?;
        match conversion {
            None => {}
            Some("s") => value = Value::from(kinds::text(&value)?),
            Some("r") => value = Value::from(python::repr(&value)),
            Some(other) => return Err(wrong(format!("format: `!{other}`: expected `!s` or `!r`"))),
        }
        out.push_str(&match layout {
            "" => kinds::text(&value)?,
            layout => Spec::parse(layout)?.write(&value)?,
        });
    }
    out.push_str(rest);
    Ok(out)
}

/// The value that a field names: by its place or its name, with attributes and items behind it.
fn named_value(field: &str, given: &[Value], named: &Kwargs, numbered: &mut usize) -> Result<Value, Error> {
    let end = field.find(['.', '[']).unwrap_or(field.len());
    let (head, mut path) = field.split_at(end);
    let place = match head {
        "" => {
            *numbered += 1;
            Some(*numbered - 1)
        }
        _ => head.parse().ok(),
    };
    let missing = || wrong(format!("format: there is no value for the field `{{{field}}}`"));
    let mut value = match place {
        Some(place) => given.get(place).cloned().ok_or_else(missing)?,
        None if named.has(head) => named.get(head)?,
        None => return Err(missing()),
    };
    while !path.is_empty() {
        let (key, after) = match path.strip_prefix('[') {
            Some(inside) => inside.split_once(']').ok_or_else(missing)?,
            None => {
                let inside = path.strip_prefix('.').ok_or_else(missing)?;
                inside.split_at(inside.find(['.', '[']).unwrap_or(inside.len()))
            }
        };
        let attribute = path.starts_with('.');
        value = match key.parse::<usize>() {
            Ok(index) if !attribute => value.get_item(&Value::from(index))?,
            _ if attribute && matches!(kind(&value), Kind::Dict) => return Err(missing()),
            _ => value.get_item(&Value::from(key))?,
        };
        if value.is_undefined() {
            return Err(missing());
        }
        path = after;
    }
    Ok(value)
}
