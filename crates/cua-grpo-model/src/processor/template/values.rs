//! Values of expressions and what stands behind them: literals, brackets, attributes, items, slices and calls.

use super::lexer::Kind;
use super::limits::HELD;
use super::parser::{DICT, Level, METHODS, Parser, Piece, Read, TUPLE, long};

/// Bytes from which on a text in quotes pays each time.
const LONG: usize = 256;

/// Words that are no values.
const WORDS: [&str; 8] = ["and", "or", "not", "in", "is", "if", "else", "elif"];

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Read<Piece> {
        match self.next() {
            Kind::Name("true" | "True") => Ok(Piece::constant("true")),
            Kind::Name("false" | "False") => Ok(Piece::constant("false")),
            Kind::Name("none" | "None") => Ok(Piece::constant("none")),
            Kind::Name(word) if WORDS.contains(&word) => Err(format!("expected a value, found `{word}`")),
            Kind::Name(name) => Ok(Piece::new(Level::Primary, name.to_owned())),
            Kind::Text(mut text) => {
                while let Kind::Text(more) = self.peek() {
                    text.push_str(more);
                    self.next();
                }
                let literal = Piece::constant(quoted(&text));
                Ok(if text.len() < LONG {
                    literal
                } else {
                    literal.filter(HELD)
                })
            }
            Kind::Whole(digits) => Ok(match digits.parse::<i128>() {
                Ok(_) => Piece::constant(digits),
                Err(_) => Piece::constant(quoted(&digits)).filter("_whole"),
            }),
            Kind::Float(number) if number.is_finite() => Ok(Piece::constant(format!("{number:?}"))),
            Kind::Float(_) => Ok(Piece::constant("'inf'").filter("float")),
            Kind::Sign("(") => {
                if self.skip_sign(")") {
                    return Ok(Piece::new(Level::Primary, format!("{TUPLE}()")));
                }
                let inside = self.tuple(true)?;
                self.expect(")")?;
                Ok(match inside.level {
                    Level::Open => Piece {
                        constant: inside.constant,
                        ..Piece::new(Level::Primary, format!("({})", inside.text))
                    },
                    _ => inside,
                })
            }
            Kind::Sign("[") => {
                let items = self.items("]", |parser| Ok(parser.expression()?.text))?;
                Ok(Piece::constant(format!("[{items}]")))
            }
            Kind::Sign("{") => {
                let (mut texts, mut parts) = (true, Vec::new());
                let items = self.items("}", |parser| {
                    let key = parser.expression()?;
                    parser.expect(":")?;
                    let value = parser.expression()?;
                    texts &= key.constant && key.text.starts_with('\'');
                    parts.push(format!("{}, {}", key.text, value.text));
                    Ok(format!("{}: {}", key.text, value.text))
                })?;
                // Two brackets on end would be the end of a tag.
                Ok(match texts {
                    true => Piece::constant(format!("{{{items} }}")),
                    false => Piece::new(Level::Primary, format!("{DICT}({})", parts.join(", "))),
                })
            }
            other => Err(format!("expected a value, found {other}")),
        }
    }

    /// What `part` reads, with commas between, up to the sign `close`.
    pub(super) fn items(&mut self, close: &str, mut part: impl FnMut(&mut Self) -> Read<String>) -> Read<String> {
        let mut items = Vec::new();
        while !self.skip_sign(close) {
            if !items.is_empty() {
                self.expect(",")?;
                if self.skip_sign(close) {
                    break;
                }
            }
            items.push(part(self)?);
        }
        Ok(items.join(", "))
    }

    /// What a call is given, in round brackets.
    pub(super) fn arguments(&mut self) -> Read<String> {
        self.given(|piece| piece)
    }

    /// What stands in round brackets behind a name, each value written by `write`.
    fn given(&mut self, write: fn(Piece) -> Piece) -> Read<String> {
        self.expect("(")?;
        self.items(")", |parser| {
            if parser.skip_sign("*") {
                return Ok(format!("*{}", parser.expression()?.filter("_each").text));
            }
            if parser.skip_sign("**") {
                return Ok(format!("**{}", parser.expression()?.text));
            }
            if let (Kind::Name(name), Kind::Sign("=")) = (parser.peek().clone(), parser.ahead(1)) {
                parser.next();
                parser.next();
                return Ok(format!("{name}={}", write(parser.expression()?).text));
            }
            Ok(write(parser.expression()?).text)
        })
    }

    /// Attributes, items, slices and calls behind a value.
    pub(super) fn postfix(&mut self, mut value: Piece) -> Read<Piece> {
        loop {
            value = if self.skip_sign(".") {
                let name = match self.next() {
                    Kind::Name(name) => name.to_owned(),
                    Kind::Whole(digits) => digits,
                    other => return Err(format!("expected a name or a number after the dot, found {other}")),
                };
                // Of a number the dot would be the point.
                if value.text.ends_with(|last: char| last.is_ascii_digit()) && value.constant {
                    value.text = format!("({})", value.text);
                }
                if METHODS.contains(&name.as_str()) && !self.at_sign("(") && value.text != "loop" {
                    value.filter(&format!("_attribute('{name}')"))
                } else {
                    Piece::new(Level::Primary, format!("{}.{name}", value.at(Level::Primary)))
                }
            } else if self.skip_sign("[") {
                self.subscript(value)?
            } else if self.at_sign("(") {
                let given = match self.macros.contains(&value.text) {
                    true => self.given(|piece| if piece.constant { piece } else { piece.filter("_passed") })?,
                    false => self.arguments()?,
                };
                Piece::new(Level::Primary, format!("{}({given})", value.at(Level::Primary)))
            } else {
                return Ok(value);
            };
            long(&value)?;
        }
    }

    fn subscript(&mut self, value: Piece) -> Read<Piece> {
        let mut parts = vec![self.bound()?];
        while parts.len() < 3 && self.skip_sign(":") {
            parts.push(self.bound()?);
        }
        self.expect("]")?;
        match parts.as_slice() {
            // A text in quotes is left to the engine, but for those that may be methods.
            [Some(key)] if !key.starts_with('\'') || METHODS.contains(&key.trim_matches('\'')) => {
                Ok(value.filter(&format!("_item({key})")))
            }
            [Some(key)] => Ok(Piece::new(
                Level::Primary,
                format!("{}[{key}]", value.at(Level::Primary)),
            )),
            [None] => Err("expected a value in `[]`".to_owned()),
            parts => {
                let parts: Vec<&str> = parts.iter().map(|part| part.as_deref().unwrap_or("none")).collect();
                Ok(value.filter(&format!("_slice({})", parts.join(", "))))
            }
        }
    }

    fn bound(&mut self) -> Read<Option<String>> {
        if self.at_sign(":") || self.at_sign("]") {
            return Ok(None);
        }
        Ok(Some(self.expression()?.text))
    }
}

/// A text in quotes, as the engine reads it; on one line.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}
