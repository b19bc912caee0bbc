//! YAML of a file, within bounds: references that repeat each other grow without end in a parser that follows them.

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde_yaml_ng::{Mapping, Value};
use std::cell::Cell;
use std::fmt::{Formatter, Result as Formatted};

/// Values that a configuration may have, references followed; ours have a few hundred.
const MOST_VALUES: usize = 20_000;
/// Brackets that may be open at once.
const MOST_DEEP: usize = 256;
/// Bytes of all its texts.
const MOST_BYTES: usize = 4 << 20;

/// The value that `text` describes; null where it is empty.
///
/// # Errors
/// What the parser says; when there are more values than a configuration can have.
pub(super) fn value(text: &str) -> Result<Value, String> {
    if deepest(text) > MOST_DEEP {
        return Err(format!("brackets within more than {MOST_DEEP} others"));
    }
    let room = Room {
        values: Cell::new(MOST_VALUES),
        bytes: Cell::new(MOST_BYTES),
    };
    let parser = serde_yaml_ng::Deserializer::from_str(text);
    Bounded(&room)
        .deserialize(parser)
        .map_err(|error| without_value(&error))
}

/// What the parser says. Where a value is not what its tag says (`!!int WORD`) the parser quotes it, and it may be a secret:
/// then only its place is told.
fn without_value(error: &serde_yaml_ng::Error) -> String {
    let text = error.to_string();
    if !["invalid value", "invalid type"]
        .iter()
        .any(|quoting| text.contains(quoting))
    {
        return text;
    }
    let place = error.location();
    let place = place.map(|place| format!(" at line {} column {}", place.line(), place.column()));
    format!("a value is not what its tag says{}", place.unwrap_or_default())
}

/// How many brackets stand open at most; those in texts count too. The parser looks at all open ones with each word.
fn deepest(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// What may still come.
struct Room {
    values: Cell<usize>,
    bytes: Cell<usize>,
}

impl Room {
    fn take<E: Error>(&self, bytes: usize) -> Result<(), E> {
        let less = |left: &Cell<usize>, by: usize| left.get().checked_sub(by).map(|rest| left.set(rest));
        if less(&self.values, 1).is_none() || less(&self.bytes, bytes).is_none() {
            return Err(E::custom(format!(
                "more than {MOST_VALUES} values or {MOST_BYTES} bytes of text, counting what references repeat"
            )));
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Bounded<'a>(&'a Room);

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Value, D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> Formatted {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.0.take(0).map(|()| value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.0.take(0).map(|()| value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.0.take(0).map(|()| value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.0.take(0).map(|()| value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.0.take(value.len()).map(|()| value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.0.take(0).map(|()| Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, parser: D) -> Result<Value, D::Error> {
        self.deserialize(parser)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.take(0)?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Sequence(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.0.take(0)?;
        let mut mapping = Mapping::new();
        while let Some(key) = entries.next_key_seed(self)? {
            if mapping.contains_key(&key) {
                let name = key.as_str().unwrap_or_default();
                return Err(A::Error::custom(format!("duplicate entry with key \"{name}\"")));
            }
            let value = entries.next_value_seed(self)?;
            mapping.insert(key, value);
        }
        Ok(Value::Mapping(mapping))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(A::Error::custom("a tag (`!...`) means nothing in a configuration"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn values_are_those_of_the_parser() {
        let texts = [
            "",
            "a: 1\nb: [1, -2, 1.5, x, null, ~, true]\nc: {d: 'e', 3: |\n  f\n  }",
            "a: &x {b: 1}\nc: *x",
            "a: .nan",
            "18446744073709551615",
            include_str!("../../../../configs/grpo_single_gpu.yaml"),
        ];
        for text in texts {
            let plain: Result<Value, _> = serde_yaml_ng::from_str(text);
            match plain {
                Ok(plain) => assert_eq!(format!("{:?}", value(text).unwrap()), format!("{plain:?}"), "{text}"),
                Err(_) => assert!(value(text).is_err(), "{text}"),
            }
        }
        for text in ["a: 1\na: 2", "a: [", "a: !tag b"] {
            assert!(value(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_grows_without_end_ends_soon() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let refer = vec![format!("*a{}", level - 1); 10].join(", ");
            laughs += &format!("a{level}: &a{level} [{refer}]\n");
        }
        let wide = format!(
            "a: &a [{}]\nb: [{}]",
            vec!["1"; 10_000].join(","),
            vec!["*a"; 10_000].join(",")
        );
        let long = format!("a: &a '{}'\nb: [{}]", "x".repeat(100_000), vec!["*a"; 1000].join(","));
        let deep = "[".repeat(200_000);
        let keys = "? ".repeat(200_000);
        let maps = "{a: ".repeat(200_000);
        let dashes = "- ".repeat(200_000);
        let selves = "a: &a [*a]".to_owned();
        let many = "1\n".repeat(300_000) + "a: 1";
        for text in [laughs, wide, long, deep, keys, maps, dashes, selves, many] {
            let (started, start) = (Instant::now(), text.get(..12).unwrap_or(&text).to_owned());
            let _ = value(&text).map(|value| assert!(value.as_str().is_some(), "{start}"));
            assert!(started.elapsed().as_secs() < 20, "{start}: {:?}", started.elapsed());
        }
    }
}
