//! Expressions, parsed by Jinja's grammar and written for the engine.
//!
//! Operators become filters of ours ([`super::operators`]), so that each does what it does under Python; names, calls, tests,
//! `and`, `or`, `not` and conditions stay the engine's.

use super::lexer::Kind;
use super::parser::{Level, Parser, Piece, Read, TUPLE, long};

impl Parser<'_> {
    /// Expressions with commas between them are a tuple, as in `{{ 1, 2 }}`.
    pub(super) fn tuple(&mut self, conditional: bool) -> Read<Piece> {
        let part = |parser: &mut Self| {
            if conditional {
                parser.expression()
            } else {
                parser.either()
            }
        };
        let first = part(self)?;
        if !self.at_sign(",") {
            return Ok(first);
        }
        let mut items = vec![first.text];
        while self.skip_sign(",") && !matches!(self.peek(), Kind::End(_) | Kind::Sign(")" | "=")) && !self.at_word("in")
        {
            items.push(part(self)?.text);
        }
        Ok(Piece::new(Level::Primary, format!("{TUPLE}({})", items.join(", "))))
    }

    /// An expression, conditions included.
    pub(super) fn expression(&mut self) -> Read<Piece> {
        self.down()?;
        let mut value = self.either()?;
        while self.skip_word("if") {
            let test = self.either()?;
            let mut text = format!("{} if {}", value.at(Level::Filtered), test.text);
            if self.skip_word("else") {
                let other = self.expression()?;
                text = format!("{text} else {}", other.text);
            }
            value = Piece::new(Level::Open, format!("({text})"));
            value.level = Level::Primary;
        }
        self.up();
        long(&value)?;
        Ok(value)
    }

    /// `a or b`.
    fn either(&mut self) -> Read<Piece> {
        let mut value = self.both()?;
        while self.skip_word("or") {
            let right = self.both()?;
            // `and` binds closer.
            value = Piece {
                constant: value.constant && right.constant,
                ..Piece::new(Level::Open, format!("{} or {}", value.text, right.text))
            };
        }
        Ok(value)
    }

    fn both(&mut self) -> Read<Piece> {
        let mut value = self.not()?;
        if !self.at_word("and") {
            return Ok(value);
        }
        if value.constant {
            // The engine would compute it while it compiles, and gives a truth value then.
            value = value.filter("_as_is");
        }
        let mut text = value.text;
        while self.skip_word("and") {
            text.push_str(" and ");
            text.push_str(&self.not()?.text);
        }
        Ok(Piece::new(Level::Open, text))
    }

    fn not(&mut self) -> Read<Piece> {
        let mut count = 0_usize;
        while self.skip_word("not") {
            count += 1;
        }
        let value = self.compare()?;
        Ok(match count {
            0 => value,
            odd if odd % 2 == 1 => Piece {
                constant: value.constant,
                ..Piece::new(Level::Open, format!("not {}", value.text))
            },
            _ => Piece {
                constant: value.constant,
                ..Piece::new(Level::Open, format!("not (not {})", value.text))
            },
        })
    }

    fn compare(&mut self) -> Read<Piece> {
        let value = self.sum()?;
        let mut parts = Vec::new();
        loop {
            let operator = match self.peek() {
                Kind::Sign("==") => "eq",
                Kind::Sign("!=") => "ne",
                Kind::Sign("<") => "lt",
                Kind::Sign("<=") => "le",
                Kind::Sign(">") => "gt",
                Kind::Sign(">=") => "ge",
                Kind::Name("in") => "in",
                Kind::Name("not") if *self.ahead(1) == Kind::Name("in") => "not_in",
                _ => break,
            };
            self.next();
            if operator == "not_in" {
                self.next();
            }
            parts.push((operator, self.sum()?.text));
        }
        Ok(match parts.as_slice() {
            [] => value,
            [(operator, right)] => value.filter(&format!("_{operator}({right})")),
            parts => {
                let parts: Vec<String> = parts.iter().map(|(name, right)| format!("'{name}', {right}")).collect();
                value.filter(&format!("_compare({})", parts.join(", ")))
            }
        })
    }

    /// `value` with `operators` and what `part` reads to the right of each.
    fn chain(&mut self, operators: &[(&str, &str)], part: fn(&mut Self) -> Read<Piece>) -> Read<Piece> {
        let mut value = part(self)?;
        while let Some((_, filter)) = operators.iter().find(|(sign, _)| self.at_sign(sign)) {
            self.next();
            let right = part(self)?;
            value = value.filter(&format!("{filter}({})", right.text));
        }
        Ok(value)
    }

    fn sum(&mut self) -> Read<Piece> {
        self.chain(&[("+", "_add"), ("-", "_subtract")], Self::joined)
    }

    /// `a ~ b`.
    fn joined(&mut self) -> Read<Piece> {
        let value = self.product()?;
        let mut parts = Vec::new();
        while self.skip_sign("~") {
            parts.push(self.product()?.text);
        }
        Ok(match parts.is_empty() {
            true => value,
            false => value.filter(&format!("_joined({})", parts.join(", "))),
        })
    }

    fn product(&mut self) -> Read<Piece> {
        let operators = [("*", "_times"), ("//", "_floor"), ("/", "_divide"), ("%", "_rest")];
        self.chain(&operators, Self::power)
    }

    fn power(&mut self) -> Read<Piece> {
        self.chain(&[("**", "_power")], Self::unary)
    }

    /// Signs bind closer than filters and powers.
    fn unary(&mut self) -> Read<Piece> {
        let (mut signs, mut negative) = (0_usize, 0_usize);
        while self.at_sign("-") || self.at_sign("+") {
            negative += usize::from(self.at_sign("-"));
            signs += 1;
            self.next();
        }
        let mut value = self.primary()?;
        value = self.postfix(value)?;
        if signs > 0 {
            value = value.filter(if negative % 2 == 1 { "_negative" } else { "_positive" });
        }
        loop {
            if self.skip_sign("|") {
                let filter = self.filter_call()?;
                value = value.filter(&filter);
            } else if self.skip_word("is") {
                value = self.test(value)?;
            } else {
                return Ok(value);
            }
        }
    }

    /// A filter with what it is called with, and those behind it.
    pub(super) fn filters(&mut self) -> Read<String> {
        let mut text = self.filter_call()?;
        while self.skip_sign("|") {
            text.push('|');
            text.push_str(&self.filter_call()?);
        }
        Ok(text)
    }

    fn dotted(&mut self) -> Read<String> {
        let mut name = self.name()?.to_owned();
        while self.skip_sign(".") {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name)
    }

    fn filter_call(&mut self) -> Read<String> {
        let name = self.dotted()?;
        Ok(match self.at_sign("(") {
            true => format!("{name}({})", self.arguments()?),
            false => name,
        })
    }

    fn test(&mut self, value: Piece) -> Read<Piece> {
        let not = if self.skip_word("not") { "not " } else { "" };
        let name = self.dotted()?;
        let given = match self.peek() {
            Kind::Sign("(") => format!("({})", self.arguments()?),
            Kind::Name("else" | "or" | "and") => String::new(),
            Kind::Name(_) | Kind::Text(_) | Kind::Whole(_) | Kind::Float(_) | Kind::Sign("[" | "{") => {
                let argument = self.primary()?;
                format!("({})", self.postfix(argument)?.text)
            }
            _ => String::new(),
        };
        let value = value.at(Level::Filtered);
        Ok(Piece::new(Level::Open, format!("{value} is {not}{name}{given}")))
    }
}
