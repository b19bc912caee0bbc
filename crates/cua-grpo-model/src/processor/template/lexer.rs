//! The words and signs of a tag, as Jinja's lexer takes them apart; texts in quotes are read as Python reads them.

/// Most digits of a whole number, as in Python.
const MOST_DIGITS: usize = 4300;

/// Signs, the longer ones first.
const SIGNS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind<'a> {
    Name(&'a str),
    /// A text, without its quotes and escapes.
    Text(String),
    /// The decimal digits of a whole number.
    Whole(String),
    Float(f64),
    Sign(&'static str),
    /// The delimiter that ends the tag, with the sign for white space before it.
    End(&'a str),
}

impl std::fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}`"),
            Self::Text(_) => f.write_str("a text"),
            Self::Whole(_) | Self::Float(_) => f.write_str("a number"),
            Self::Sign(sign) => write!(f, "`{sign}`"),
            Self::End(end) => write!(f, "`{end}`, the end of the tag"),
        }
    }
}

/// The tokens of the tag that `source` starts with, whose closing delimiter is `end`, and how many bytes the tag has.
///
/// # Errors
/// When it does not end, has more than `most` tokens, or a sign, number or escape that Jinja does not know.
pub(super) fn tokens<'a>(source: &'a str, end: &str, most: usize) -> Result<(Vec<Kind<'a>>, usize), String> {
    let mut tokens = Vec::new();
    let mut brackets: Vec<&str> = Vec::new();
    let mut at = opening(source).len();
    loop {
        at += source[at..].len() - source[at..].trim_start().len();
        let rest = &source[at..];
        if brackets.is_empty() {
            let control = usize::from(rest.starts_with('-') || (end == "%}" && rest.starts_with('+')));
            if rest[control..].starts_with(end) {
                let length = control + end.len();
                tokens.push(Kind::End(&rest[..length]));
                return Ok((tokens, at + length));
            }
        }
        let Some(first) = rest.chars().next() else {
            return Err(format!("a tag without its `{end}`"));
        };
        let (token, length) = match first {
            '"' | '\'' => text(rest, first)?,
            _ if first.is_ascii_digit() => number(rest)?,
            _ if is_word(first) => {
                let length = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
                (Kind::Name(&rest[..length]), length)
            }
            _ => sign(rest, first, &mut brackets)?,
        };
        tokens.push(token);
        if tokens.len() > most {
            return Err(format!("a tag of more than {most} words and signs"));
        }
        at += length;
    }
}

/// The opening delimiter, with the sign for white space.
pub(super) fn opening(source: &str) -> &str {
    let control = matches!(source.as_bytes().get(2), Some(b'-' | b'+'));
    source.get(..2 + usize::from(control)).unwrap_or(source)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn sign<'a>(rest: &str, first: char, brackets: &mut Vec<&'static str>) -> Result<(Kind<'a>, usize), String> {
    let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
    let sign = sign.ok_or_else(|| format!("a sign that Jinja does not know: {first:?}"))?;
    match sign {
        "(" => brackets.push(")"),
        "[" => brackets.push("]"),
        "{" => brackets.push("}"),
        ")" | "]" | "}" => match brackets.pop() {
            Some(wanted) if wanted == sign => {}
            Some(wanted) => return Err(format!("expected `{wanted}`, found `{sign}`")),
            None => return Err(format!("a `{sign}` that closes nothing")),
        },
        _ => {}
    }
    Ok((Kind::Sign(sign), sign.len()))
}

/// Digits, single ones of `_` between them.
fn digits(text: &str, radix: u32) -> usize {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(|byte| char::from(*byte).is_digit(radix));
    let mut at = 0;
    while is_digit(at) || (at > 0 && bytes.get(at) == Some(&b'_') && is_digit(at + 1)) {
        at += 1;
    }
    at
}

fn number<'a>(rest: &str) -> Result<(Kind<'a>, usize), String> {
    let bytes = rest.as_bytes();
    let radix = match bytes.get(1).filter(|_| bytes[0] == b'0') {
        Some(b'x' | b'X') => 16,
        Some(b'o' | b'O') => 8,
        Some(b'b' | b'B') => 2,
        _ => 10,
    };
    if radix != 10 {
        let length = digits(rest[2..].trim_start_matches('_'), radix);
        let skipped = rest[2..].len() - rest[2..].trim_start_matches('_').len();
        let text = rest[2 + skipped..2 + skipped + length].replace('_', "");
        let whole = i128::from_str_radix(&text, radix).map_err(|_| "a number that is too long or has no digits")?;
        return Ok((Kind::Whole(whole.to_string()), 2 + skipped + length));
    }
    let whole = digits(rest, 10);
    let mut length = whole;
    if bytes.get(length) == Some(&b'.') {
        let fraction = digits(&rest[length + 1..], 10);
        length += if fraction > 0 { fraction + 1 } else { 0 };
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(&rest[length + 1 + sign..], 10);
        length += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    let text = rest[..length].replace('_', "");
    if length > whole {
        let float = text.parse().map_err(|_| format!("`{text}` is no number"))?;
        return Ok((Kind::Float(float), length));
    }
    if text.len() > MOST_DIGITS {
        return Err(format!(
            "a number of {} digits; expected at most {MOST_DIGITS}",
            text.len()
        ));
    }
    match text.trim_start_matches('0') {
        "" => Ok((Kind::Whole("0".to_owned()), length)),
        plain if plain.len() == text.len() => Ok((Kind::Whole(text), length)),
        _ => Err(format!("`{text}`: a number that starts with 0")),
    }
}

/// The text in quotes that `rest` starts with.
fn text<'a>(rest: &str, quote: char) -> Result<(Kind<'a>, usize), String> {
    let mut out = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Ok((Kind::Text(out), at + 1)),
            '\\' => {
                let length = escape(&rest[at..], &mut out)?;
                let after = at + length;
                while characters.clone().next().is_some_and(|(next, _)| next < after) {
                    characters.next();
                }
            }
            _ => out.push(character),
        }
    }
    Err(format!("a text without its closing {quote}"))
}

/// Writes what the escape stands for that `rest` starts with, and returns how long it is.
fn escape(rest: &str, out: &mut String) -> Result<usize, String> {
    let Some(letter) = rest[1..].chars().next() else {
        return Err("a text that ends after a backslash".to_owned());
    };
    let plain = match letter {
        // A line that goes on.
        '\n' => return Ok(2),
        '\\' | '\'' | '"' => letter,
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{C}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{B}',
        '0'..='7' => {
            let octal = rest[1..]
                .bytes()
                .take(3)
                .take_while(|byte| (b'0'..=b'7').contains(byte));
            let length = octal.count();
            push(&rest[..=length], &rest[1..=length], 8, out)?;
            return Ok(1 + length);
        }
        'x' | 'u' | 'U' => {
            let length = match letter {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let code = rest
                .get(2..2 + length)
                .filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let code = code.ok_or_else(|| format!("`\\{letter}` without its {length} hexadecimal digits"))?;
            push(&rest[..2 + length], code, 16, out)?;
            return Ok(2 + length);
        }
        'N' => return Err("`\\N{...}`: names of characters are not known here; write the character".to_owned()),
        // What Python does not know stays as it is.
        other => {
            out.push('\\');
            out.push(other);
            return Ok(1 + other.len_utf8());
        }
    };
    out.push(plain);
    Ok(1 + letter.len_utf8())
}

fn push(escape: &str, code: &str, radix: u32, out: &mut String) -> Result<(), String> {
    let code = u32::from_str_radix(code, radix).ok().and_then(char::from_u32);
    out.push(code.ok_or_else(|| format!("`{escape}` is no character"))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Kind, tokens};

    #[test]
    fn a_tag_ends_outside_texts_and_brackets() {
        for (source, length) in [
            ("{{ a }}b", 7),
            ("{{ {'a': {'b': 1}}.a }}}}", 23),
            ("{{ {}}}}}", 7),
            ("{{- '}}' -}} }}", 12),
            ("{{ a[{'b': '%}'}] }}", 20),
        ] {
            assert_eq!(tokens(source, "}}", 100).unwrap().1, length, "{source}");
        }
        let kinds = tokens("{%+ set a=b.c+%}", "%}", 100).unwrap().0;
        assert_eq!(kinds.first(), Some(&Kind::Name("set")));
        assert_eq!(kinds.last(), Some(&Kind::End("+%}")));
        for wrong in [
            "{{ a",
            "{{ 'a }}",
            "{{ (a] }}",
            "{{ a) }}",
            "{{ a ! }}",
            "{{ 007 }}",
            "{{ 0x }}",
        ] {
            assert!(tokens(wrong, "}}", 100).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_are_read_as_python_reads_them() {
        for (source, want) in [
            (r"'\U0001f600'", "\u{1F600}"),
            (r"'\q\/'", "\\q\\/"),
            (r"'\a\v\101\x41\0'", "\u{7}\u{B}AA\0"),
            ("'a\\\nb'", "ab"),
            (r#""it's \"é\"""#, "it's \"é\""),
        ] {
            let source = format!("{{{{ {source} }}}}");
            let kinds = tokens(&source, "}}", 100).unwrap().0;
            assert_eq!(kinds[0], Kind::Text(want.to_owned()), "{source}");
        }
        for wrong in [r"'\x4'", r"'\ud83d'", r"'\N{BULLET}'", r"'\U00110000'", r"'\u12é4'"] {
            assert!(tokens(&format!("{{{{ {wrong} }}}}"), "}}", 100).is_err(), "{wrong}");
        }
    }
}
