//! Valid files and texts, changed at random: for tests that no input makes a reader panic, hang or take all memory.
//!
//! Everything follows from one seed, which a failure names with the input.

use serde_json::{Map, Value};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

/// Seconds of one target; `FUZZ_SECONDS` says otherwise, for a longer search by hand.
const SECONDS: f64 = 1.0;

/// Longest time of one input. Test builds are slow, and so are busy machines.
const LONGEST: Duration = Duration::from_secs(8);

/// Numbers at which readers go wrong.
const NUMBERS: [&str; 20] = [
    "0",
    "-1",
    "1",
    "2",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "1e308",
    "1e-308",
    "0.5",
    "1e400",
];

/// Changes inputs; a small generator without state beyond its seed (xorshift64*).
#[derive(Debug, Clone)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// A mutator that makes the same changes for the same seed.
    pub fn new(seed: u64) -> Self {
        let mut mutator = Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        };
        // Near seeds begin alike.
        for _ in 0..4 {
            mutator.next();
        }
        mutator
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 11) as usize % end.max(1)
    }

    /// `bytes` with up to eight changes: bits, bytes, numbers of four bytes, runs that are cut, doubled or moved, and `words`
    /// that are put in.
    pub fn bytes(&mut self, bytes: &[u8], words: &[&str]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(8) {
            let at = self.below(out.len() + 1);
            let length = 1 << self.below(8);
            let end = (at + self.below(length)).min(out.len());
            match self.below(9) {
                0 if at < out.len() => out[at] ^= 1 << self.below(8),
                1 if at < out.len() => out[at] = [0, 1, 0x7F, 0x80, 0xFF][self.below(5)],
                2 => drop(out.drain(at..end)),
                3 => {
                    let run = out[at..end].to_vec();
                    let to = self.below(out.len() + 1);
                    out.splice(to..to, run);
                }
                4 => out.truncate(at),
                5 => drop(out.splice(at..end, NUMBERS[self.below(NUMBERS.len())].bytes())),
                6 if !words.is_empty() => drop(out.splice(at..at, words[self.below(words.len())].bytes())),
                7 if at + 4 <= out.len() => {
                    let number = [0, 1, u32::MAX, 1 << 31, 0xFFFF, 1 << 24][self.below(6)];
                    let number: u32 = number;
                    let bytes = if self.below(2) == 0 {
                        number.to_le_bytes()
                    } else {
                        number.to_be_bytes()
                    };
                    out[at..at + 4].copy_from_slice(&bytes);
                }
                _ => {
                    let run = out.get(at..end).unwrap_or_default().repeat(1 + self.below(20));
                    out.splice(at..at, run);
                }
            }
        }
        out
    }

    /// A JSON value with up to four of its values or keys changed.
    pub fn json(&mut self, value: &Value) -> Value {
        let mut out = value.clone();
        for _ in 0..=self.below(4) {
            let mut places = count(&out);
            places = self.below(places);
            self.change(&mut out, &mut places);
        }
        out
    }

    /// Changes the value that is `left` values further on.
    fn change(&mut self, value: &mut Value, left: &mut usize) -> bool {
        if *left == 0 {
            *value = self.other(value);
            return true;
        }
        *left -= 1;
        match value {
            Value::Array(items) => items.iter_mut().any(|item| self.change(item, left)),
            Value::Object(fields) => fields.values_mut().any(|item| self.change(item, left)),
            _ => false,
        }
    }

    fn other(&mut self, value: &Value) -> Value {
        let number = || serde_json::from_str(NUMBERS[0]).unwrap_or_default();
        match self.below(12) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 0),
            2 => Value::Array(Vec::new()),
            3 => Value::Object(Map::new()),
            4 => Value::Array(vec![value.clone(); 1 + self.below(300)]),
            5 => Value::String("x".repeat(self.below(3000))),
            6 => Value::String(
                ["", ".*", "(a+)+$", "\u{0}", "../..", "{{ x }}", "\u{FDD0}integer"][self.below(7)].to_owned(),
            ),
            7 => match value {
                Value::Object(fields) => {
                    let mut fields = fields.clone();
                    let key = fields.keys().nth(self.below(fields.len())).cloned().unwrap_or_default();
                    let item = fields.remove(&key).unwrap_or_default();
                    if self.below(2) == 0 {
                        fields.insert(format!("{key}x"), item);
                    }
                    Value::Object(fields)
                }
                Value::Array(items) if !items.is_empty() => {
                    let mut items = items.clone();
                    items.remove(self.below(items.len()));
                    Value::Array(items)
                }
                _ => Value::String(value.to_string()),
            },
            _ => serde_json::from_str(NUMBERS[self.below(NUMBERS.len())]).unwrap_or_else(|_| number()),
        }
    }
}

/// Values in a value, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Gives `read` what `make` makes of one seed after another, for [`SECONDS`] or so many as `FUZZ_SECONDS` says. Returns how many
/// inputs there were.
///
/// # Panics
/// When `read` panics or takes longer than eight seconds; the message has the target's name, the seed and the input.
pub fn run(target: &str, make: impl Fn(&mut Mutator) -> Vec<u8>, mut read: impl FnMut(&[u8])) -> usize {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let end = Instant::now() + Duration::from_secs_f64(seconds.unwrap_or(SECONDS));
    // A search by hand goes on with other seeds.
    let first = if seconds.is_some() {
        u64::from(std::process::id()) << 32
    } else {
        0
    };
    let mut inputs = 0;
    while inputs == 0 || Instant::now() < end {
        let seed = first + inputs as u64;
        let input = make(&mut Mutator::new(seed));
        if let Err(why) = survives(&input, &mut read) {
            panic!("{target}, seed {seed}: {why}: {}", shown(&input));
        }
        inputs += 1;
    }
    inputs
}

/// That `read` neither panics on `input` nor takes longer than eight seconds.
///
/// # Errors
/// What it did.
pub fn survives(input: &[u8], mut read: impl FnMut(&[u8])) -> Result<(), String> {
    let start = Instant::now();
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| read(input)));
    if done.is_err() {
        return Err("it panics".to_owned());
    }
    let took = start.elapsed();
    if took > LONGEST {
        return Err(format!("it takes {took:?}"));
    }
    Ok(())
}

/// The input as a text where it is one, else as digits; cut where it is long.
fn shown(input: &[u8]) -> String {
    const MOST: usize = 4000;
    match std::str::from_utf8(input) {
        Ok(text) => text.chars().take(MOST).collect(),
        Err(_) => input.iter().take(MOST / 2).map(|byte| format!("{byte:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_one_change_and_seeds_make_many() {
        let value = serde_json::json!({"a": [1, 2, {"b": "c"}], "d": null});
        let text = value.to_string();
        let all: std::collections::BTreeSet<Vec<u8>> = (0..500)
            .map(|seed| Mutator::new(seed).bytes(text.as_bytes(), &["word"]))
            .collect();
        assert!(all.len() > 400, "{}", all.len());
        let all: std::collections::BTreeSet<String> = (0..500)
            .map(|seed| Mutator::new(seed).json(&value).to_string())
            .collect();
        assert!(all.len() > 200, "{}", all.len());
        assert_eq!(Mutator::new(7).json(&value), Mutator::new(7).json(&value));
    }

    #[test]
    fn a_panic_names_its_input() {
        let failed = std::panic::catch_unwind(|| {
            run("digits", |_| b"12".to_vec(), |input| assert!(input.is_empty()));
        });
        let message = failed.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("digits, seed 0: it panics: 12"), "{message}");
    }
}
