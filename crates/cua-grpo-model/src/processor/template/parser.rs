//! A tag that is being read, and expressions as they are written for the engine.

use super::lexer::Kind;
use std::collections::BTreeSet;

/// The function that stands for round brackets around several values.
pub(super) const TUPLE: &str = "_tuple";

/// The function that stands for a dictionary whose keys are not all texts.
pub(super) const DICT: &str = "_dict";

/// Methods of dictionaries, lists, tuples and texts, which are found before entries of the same name.
pub(super) const METHODS: [&str; 63] = [
    "append",
    "capitalize",
    "casefold",
    "center",
    "clear",
    "copy",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "extend",
    "find",
    "format",
    "format_map",
    "fromkeys",
    "get",
    "index",
    "insert",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "items",
    "join",
    "keys",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "pop",
    "popitem",
    "remove",
    "removeprefix",
    "removesuffix",
    "replace",
    "reverse",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "setdefault",
    "sort",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "update",
    "upper",
    "values",
];

/// Most levels of brackets, a few less than the engine's.
const MOST_DEPTH: usize = 120;

/// Most bytes that a tag is written with.
const MOST_WRITTEN: usize = 1 << 20;

/// What may stand behind an expression as it is written.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) enum Level {
    /// Operators of low precedence: brackets first.
    Open,
    /// A filter.
    Filtered,
    /// A dot, a bracket or a filter.
    Primary,
}

/// An expression as it is written for the engine.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) level: Level,
    /// Whether the engine would compute with it while it compiles.
    pub(super) constant: bool,
}

impl Piece {
    pub(super) fn new(level: Level, text: String) -> Self {
        Self {
            text,
            level,
            constant: false,
        }
    }

    pub(super) fn constant(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            level: Level::Primary,
            constant: true,
        }
    }

    /// With brackets where something of this level would bind to a part of it.
    pub(super) fn at(self, level: Level) -> String {
        if self.level < level {
            format!("({})", self.text)
        } else {
            self.text
        }
    }

    /// With a filter behind it.
    pub(super) fn filter(self, filter: &str) -> Self {
        let mut text = self.at(Level::Filtered);
        text.push('|');
        text.push_str(filter);
        Self::new(Level::Filtered, text)
    }
}

/// A tag that is being read.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    tokens: std::vec::IntoIter<Kind<'a>>,
    depth: usize,
    /// Macros that tell what is not given from what is undefined.
    pub(super) macros: &'a BTreeSet<String>,
}

pub(super) type Read<T> = Result<T, String>;

impl<'a> Parser<'a> {
    /// The last of the tokens is [`Kind::End`].
    pub(super) fn new(tokens: Vec<Kind<'a>>, macros: &'a BTreeSet<String>) -> Self {
        Self {
            tokens: tokens.into_iter(),
            depth: 0,
            macros,
        }
    }

    /// One level of brackets down.
    pub(super) fn down(&mut self) -> Read<()> {
        self.depth += 1;
        match self.depth {
            0..=MOST_DEPTH => Ok(()),
            _ => Err(format!("more than {MOST_DEPTH} levels of brackets")),
        }
    }

    pub(super) fn up(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn peek(&self) -> &Kind<'a> {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, count: usize) -> &Kind<'a> {
        self.tokens.as_slice().get(count).unwrap_or(&Kind::End(""))
    }

    pub(super) fn next(&mut self) -> Kind<'a> {
        self.tokens.next().unwrap_or(Kind::End(""))
    }

    pub(super) fn at_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Kind::Sign(found) if *found == sign)
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Kind::Name(found) if *found == word)
    }

    pub(super) fn skip_sign(&mut self, sign: &str) -> bool {
        let found = self.at_sign(sign);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn skip_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Read<()> {
        if self.skip_sign(sign) {
            return Ok(());
        }
        Err(format!("expected `{sign}`, found {}", self.peek()))
    }

    pub(super) fn name(&mut self) -> Read<&'a str> {
        match self.next() {
            Kind::Name(name) => Ok(name),
            other => Err(format!("expected a name, found {other}")),
        }
    }
}

/// That an expression is no longer than one may be.
pub(super) fn long(piece: &Piece) -> Read<()> {
    match piece.text.len() {
        0..=MOST_WRITTEN => Ok(()),
        _ => Err("an expression that is too long".to_owned()),
    }
}
