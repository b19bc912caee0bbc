//! YAML as a tree whose values know their place, within bounds: no references, no tags, one document.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

/// Values that a file may have.
const MOST_VALUES: usize = 50_000;
/// Levels of lists and mappings.
const MOST_DEEP: usize = 16;

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::tasks) struct Place {
    pub line: usize,
    pub column: usize,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tasks) struct Wrong {
    pub at: Place,
    pub what: String,
}

impl Wrong {
    pub(super) fn new(at: Place, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { at, what }
    }
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub at: Place,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Words; the empty value and `null` are nothing.
    Text(String),
    /// No value.
    Nothing,
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub key: String,
    pub at: Place,
    pub value: Node,
}

impl Node {
    /// What stands there, for errors.
    pub(super) fn kind(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("`{}`", shortened(text)),
            Value::Nothing => "nothing".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// The text, or its beginning when it is long, on one line.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    let line: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().count() > MOST {
        line + "..."
    } else {
        line
    }
}

/// The one document of `text`.
///
/// # Errors
/// [`Wrong`] for what is no YAML, and for references, tags, second documents, doubled keys, and more than the bounds.
pub(super) fn parse(text: &str) -> Result<Node, Wrong> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        values: 0,
    };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if root.is_some() => return Err(Wrong::new(place(span.start), "a second document; keep one in a file")),
            event => root = Some(reader.node(event, span, 0)?),
        }
    }
    let nothing = Node {
        at: Place { line: 1, column: 1 },
        value: Value::Nothing,
    };
    Ok(root.unwrap_or(nothing))
}

fn place(mark: Marker) -> Place {
    Place {
        line: mark.line(),
        column: mark.col() + 1,
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Wrong> {
        match self.parser.next_event() {
            None => Ok((Event::StreamEnd, Span::default())),
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(Wrong::new(place(*error.marker()), format!("no YAML: {}", error.info()))),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Wrong> {
        let at = place(span.start);
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(Wrong::new(
                at,
                format!("more than {MOST_VALUES} values; split the file"),
            ));
        }
        if depth > MOST_DEEP {
            return Err(Wrong::new(
                at,
                format!("more than {MOST_DEEP} levels of lists and mappings"),
            ));
        }
        let marked = |anchor: usize, tag: bool| match (anchor, tag) {
            (0, false) => Ok(()),
            (_, true) => Err(Wrong::new(
                at,
                "a tag (`!...`) means nothing in a task file; leave it out",
            )),
            _ => Err(Wrong::new(
                at,
                "an anchor (`&...`) means nothing in a task file; write the value twice",
            )),
        };
        let value = match event {
            Event::Scalar(text, style, anchor, tag) => {
                marked(anchor, tag.is_some())?;
                match (style, &*text) {
                    (ScalarStyle::Plain, "" | "~" | "null") => Value::Nothing,
                    _ => Value::Text(text.into_owned()),
                }
            }
            Event::SequenceStart(anchor, tag) => {
                marked(anchor, tag.is_some())?;
                Value::List(self.list(depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                marked(anchor, tag.is_some())?;
                Value::Map(self.map(depth)?)
            }
            Event::Alias(_) => {
                return Err(Wrong::new(
                    at,
                    "a reference (`*...`) means nothing in a task file; write the value twice",
                ));
            }
            _ => return Err(Wrong::new(at, "the file ends in the middle of a value")),
        };
        Ok(Node { at, value })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Wrong> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(nodes),
                (event, span) => nodes.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Wrong> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys = std::collections::HashSet::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(entries),
                (event, span) => self.node(event, span, depth + 1)?,
            };
            let Value::Text(name) = key.value else {
                return Err(Wrong::new(
                    key.at,
                    format!("expected a name before `:`, got {}", key.kind()),
                ));
            };
            if !keys.insert(name.clone()) {
                return Err(Wrong::new(
                    key.at,
                    format!("`{}` stands there twice; keep one", shortened(&name)),
                ));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            entries.push(Entry {
                key: name,
                at: key.at,
                value,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_place() {
        let root = parse("a: 1\nb:\n  - x\n  - {c: 'on', d: ~}\n").unwrap();
        let Value::Map(entries) = &root.value else {
            panic!("{root:?}")
        };
        assert_eq!(
            (entries[1].key.as_str(), entries[1].at),
            ("b", Place { line: 2, column: 1 })
        );
        let Value::List(items) = &entries[1].value.value else {
            panic!("{root:?}")
        };
        assert_eq!(items[0].at, Place { line: 3, column: 5 });
        let Value::Map(inner) = &items[1].value else {
            panic!("{root:?}")
        };
        assert_eq!(
            inner[0].value,
            Node {
                at: Place { line: 4, column: 9 },
                value: Value::Text("on".into())
            }
        );
        assert_eq!(inner[1].value.value, Value::Nothing);
        assert_eq!(parse("# nothing\n").unwrap().value, Value::Nothing);
    }

    #[test]
    fn what_has_no_place_in_a_task_file_is_refused_where_it_stands() {
        for (text, line, word) in [
            ("a: 1\na: 2", 2, "twice"),
            ("a: &x 1\nb: *x", 1, "anchor"),
            ("a: !tag 1", 1, "tag"),
            ("a: 1\n---\nb: 2", 3, "second document"),
            ("a: [1,", 1, ""),
            ("a: 'x", 1, "no YAML"),
            ("? [a]\n: 1", 1, "expected a name"),
            ("a: b: c", 1, "no YAML"),
        ] {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.what.contains(word), "{text}: {wrong:?}");
            assert!(wrong.at.line >= line, "{text}: {wrong:?}");
        }
    }

    #[test]
    fn what_grows_without_end_ends_soon() {
        let deep = "[".repeat(100_000);
        let maps = "{a: ".repeat(50_000);
        let dashes = "- ".repeat(100_000);
        let keys = "? ".repeat(100_000);
        let many = format!("[{}]", "1,".repeat(60_000));
        for text in [deep, maps, dashes, keys, many] {
            let started = std::time::Instant::now();
            let start: String = text.chars().take(8).collect();
            assert!(parse(&text).is_err(), "{start}");
            assert!(started.elapsed().as_secs() < 20, "{start}: {:?}", started.elapsed());
        }
    }
}
