//! One field of a format as Python fills it: width, sign, digits, and the forms of numbers.

use super::kinds::{self, Kind, Number, kind, name};
use super::limits::wrong;
use minijinja::{Error, Value};

/// How a field is written.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) fill: char,
    /// One of `<`, `>`, `^` and `=`.
    pub(super) align: Option<char>,
    /// `+` or a space before numbers that are not below 0.
    pub(super) sign: Option<char>,
    pub(super) alternate: bool,
    pub(super) width: usize,
    pub(super) grouping: Option<char>,
    pub(super) precision: Option<usize>,
    pub(super) form: Option<char>,
}

impl Spec {
    /// A field without any of it.
    pub(super) const PLAIN: Self = Self {
        fill: ' ',
        align: None,
        sign: None,
        alternate: false,
        width: 0,
        grouping: None,
        precision: None,
        form: None,
    };

    /// The part of `{:...}` after the colon.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut spec = Self::PLAIN;
        let mut rest = text;
        let mut letters = text.chars();
        let (first, second) = (letters.next(), letters.next());
        let is_align = |letter: Option<char>| letter.is_some_and(|letter| "<>^=".contains(letter));
        let mut filled = false;
        if let (Some(fill), true) = (first, is_align(second)) {
            filled = true;
            spec.fill = fill;
            spec.align = second;
            rest = &rest[fill.len_utf8() + 1..];
        } else if is_align(first) {
            spec.align = first;
            rest = &rest[1..];
        }
        if let Some(sign) = rest.chars().next().filter(|sign| "+- ".contains(*sign)) {
            spec.sign = Some(sign).filter(|sign| *sign != '-');
            rest = &rest[1..];
        }
        if let Some(after) = rest.strip_prefix('#') {
            spec.alternate = true;
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('0') {
            if !filled {
                spec.fill = '0';
            }
            spec.align = spec.align.or(Some('='));
            rest = after;
        }
        (spec.width, rest) = digits(rest);
        if let Some(grouping) = rest.chars().next().filter(|sign| ",_".contains(*sign)) {
            spec.grouping = Some(grouping);
            rest = &rest[1..];
        }
        if let Some(after) = rest.strip_prefix('.') {
            if !after.starts_with(|letter: char| letter.is_ascii_digit()) {
                return Err(wrong(format!("format: `{text}` has no precision after its point")));
            }
            let (precision, after) = digits(after);
            spec.precision = Some(precision);
            rest = after;
        }
        let mut letters = rest.chars();
        spec.form = letters.next();
        match letters.next() {
            None => Ok(spec),
            Some(_) => Err(wrong(format!("format: `{text}` is no form of a field"))),
        }
    }

    /// The text with what fills it up to its width; a number has its sign before the zeros.
    pub(super) fn padded(&self, sign: &str, body: &str, default: char) -> String {
        let missing = self.width.saturating_sub(sign.chars().count() + body.chars().count());
        let fill = |count: usize| self.fill.to_string().repeat(count);
        match self.align.unwrap_or(default) {
            '<' => format!("{sign}{body}{}", fill(missing)),
            '^' => format!("{}{sign}{body}{}", fill(missing / 2), fill(missing - missing / 2)),
            '=' => format!("{sign}{}{body}", fill(missing)),
            _ => format!("{}{sign}{body}", fill(missing)),
        }
    }

    /// `format(value, spec)`.
    ///
    /// # Errors
    /// When a value of this type has no such form.
    pub(super) fn write(&self, value: &Value) -> Result<String, Error> {
        let wrong_form = || {
            let form = self.form.map(String::from).unwrap_or_default();
            Err(wrong(format!(
                "format: the form `{form}` of a value of the type {}",
                name(value)
            )))
        };
        match (kind(value), self.form) {
            (Kind::Text, None | Some('s')) if self.sign.is_none() && self.grouping.is_none() => {
                if self.align == Some('=') && self.fill != '0' {
                    return wrong_form();
                }
                let text = value.as_str().unwrap_or_default();
                let text: String = text.chars().take(self.precision.unwrap_or(usize::MAX)).collect();
                let align = Self {
                    align: self.align.filter(|align| *align != '='),
                    ..self.clone()
                };
                Ok(align.padded("", &text, '<'))
            }
            (Kind::Number(Number::Whole(whole)), None | Some('b' | 'c' | 'd' | 'o' | 'x' | 'X' | 'n'))
                if self.precision.is_none() =>
            {
                self.whole(whole)
            }
            (Kind::Number(Number::Whole(_)), None) => wrong_form(),
            (Kind::Number(number), None | Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')) => {
                Ok(self.float(number.float()))
            }
            (Kind::Text | Kind::Number(_), _) => wrong_form(),
            _ if self.is_plain() => kinds::text(value),
            _ => wrong_form(),
        }
    }

    fn is_plain(&self) -> bool {
        let numbers = self.sign.is_some() || self.alternate || self.grouping.is_some() || self.precision.is_some();
        !numbers && self.form.is_none() && self.width == 0 && self.align.is_none()
    }

    fn sign_of(&self, negative: bool) -> String {
        match (negative, self.sign) {
            (true, _) => "-".to_owned(),
            (false, Some(sign)) => sign.to_string(),
            (false, None) => String::new(),
        }
    }

    fn whole(&self, number: i128) -> Result<String, Error> {
        let size = number.unsigned_abs();
        let (prefix, digits, group) = match self.form {
            Some('b') => ("0b", format!("{size:b}"), 4),
            Some('o') => ("0o", format!("{size:o}"), 4),
            Some('x') => ("0x", format!("{size:x}"), 4),
            Some('X') => ("0X", format!("{size:X}"), 4),
            Some('c') => {
                let character = u32::try_from(number).ok().and_then(char::from_u32);
                let character = character.ok_or_else(|| wrong(format!("format: {number} is no character")))?;
                return Ok(self.padded("", &character.to_string(), '<'));
            }
            _ => ("", size.to_string(), 3),
        };
        let sign = self.sign_of(number < 0) + if self.alternate { prefix } else { "" };
        Ok(self.padded(&sign, &self.grouped(&sign, &digits, group), '>'))
    }

    fn float(&self, number: f64) -> String {
        let sign = self.sign_of(number.is_sign_negative() && !number.is_nan());
        let mut body = float(number.abs(), self.form, self.precision, self.alternate);
        if number.is_finite() {
            let cut = body.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(body.len());
            let rest = body.split_off(cut);
            let width = Self {
                width: self.width.saturating_sub(rest.len()),
                ..self.clone()
            };
            body = width.grouped(&sign, &body, 3) + &rest;
        }
        self.padded(&sign, &body, '>')
    }

    /// Digits with a sign between groups, and with the zeros that fill the width in groups as well.
    fn grouped(&self, sign: &str, digits: &str, size: usize) -> String {
        let Some(grouping) = self.grouping else {
            return digits.to_owned();
        };
        let group = |digits: &str| {
            let mut out = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index).is_multiple_of(size) {
                    out.push(grouping);
                }
                out.push(digit);
            }
            out
        };
        let mut digits = digits.to_owned();
        if self.fill == '0' && self.align == Some('=') {
            while group(&format!("0{digits}")).len() + sign.len() <= self.width {
                digits.insert(0, '0');
            }
            if group(&digits).len() + sign.len() < self.width {
                digits.insert(0, '0');
            }
        }
        group(&digits)
    }
}

/// The number at the head of `text`, 0 for none.
fn digits(text: &str) -> (usize, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().unwrap_or(0), &text[end..])
}

/// A float that is not below 0, in a form of Python's.
pub(super) fn float(number: f64, form: Option<char>, precision: Option<usize>, alternate: bool) -> String {
    let capital = form.is_some_and(char::is_uppercase);
    // The other form has a point where nothing follows it, too.
    let point = if alternate && precision == Some(0) { "." } else { "" };
    let text = match form.map(|form| form.to_ascii_lowercase()) {
        _ if number.is_nan() => "nan".to_owned(),
        _ if number.is_infinite() => "inf".to_owned() + if form == Some('%') { "%" } else { "" },
        Some('f') => format!("{number:.*}{point}", precision.unwrap_or(6)),
        Some('%') => format!("{:.*}{point}%", precision.unwrap_or(6), number * 100.0),
        Some('e') => scientific(number, precision.unwrap_or(6))
            .0
            .replace('e', &format!("{point}e")),
        Some('g') => general(number, precision.unwrap_or(6).max(1), 0, alternate),
        _ => match precision {
            None => super::python::float(number),
            Some(precision) => {
                let text = general(number, precision.max(1), 1, alternate);
                let whole = text.chars().all(|letter| letter.is_ascii_digit());
                if whole { text + ".0" } else { text }
            }
        },
    };
    if capital { text.to_uppercase() } else { text }
}

/// Scientific form, and its exponent.
fn scientific(number: f64, precision: usize) -> (String, i32) {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    (format!("{digits}e{sign}{:02}", exponent.abs()), exponent)
}

/// The form `g`: so many digits, without zeros at their end.
fn general(number: f64, precision: usize, sooner: i32, alternate: bool) -> String {
    let (text, exponent) = scientific(number, precision - 1);
    let limit = i32::try_from(precision).unwrap_or(i32::MAX) - sooner;
    let trim = |text: &str| match text.contains('.') && !alternate {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= limit {
        let (digits, power) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{power}", trim(digits));
    }
    let after = i32::try_from(precision).unwrap_or(i32::MAX) - 1 - exponent;
    trim(&format!("{number:.*}", usize::try_from(after).unwrap_or(0)))
}
