//! The range of a key's numbers, declared beside the key: for the check, the error and the documentation.

use serde_yaml_ng::Value;

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// No bound.
    Open,
    /// The number belongs to the range.
    Included(f64),
    /// The number does not belong to the range.
    Excluded(f64),
}

/// The numbers that a key accepts, with the reason where the range is not plain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    low: End,
    high: End,
    why: &'static str,
}

/// Any number.
pub const ANY: Bounds = Bounds {
    low: End::Open,
    high: End::Open,
    why: "",
};

/// `low` or more.
pub const fn at_least(low: f64) -> Bounds {
    Bounds {
        low: End::Included(low),
        ..ANY
    }
}

/// More than `low`.
pub const fn above(low: f64) -> Bounds {
    Bounds {
        low: End::Excluded(low),
        ..ANY
    }
}

impl Bounds {
    /// And at most `high`.
    pub const fn at_most(self, high: f64) -> Self {
        Self {
            high: End::Included(high),
            ..self
        }
    }

    /// And less than `high`.
    pub const fn below(self, high: f64) -> Self {
        Self {
            high: End::Excluded(high),
            ..self
        }
    }

    /// The reason, for the message when a value is outside.
    pub const fn because(self, why: &'static str) -> Self {
        Self { why, ..self }
    }

    /// Whether every number in `value` is finite and in the range; what is no number is not looked at.
    pub fn admit(&self, value: &Value) -> bool {
        match value {
            Value::Number(number) => number.as_f64().is_some_and(|number| self.contains(number)),
            Value::Sequence(items) => items.iter().all(|item| self.admit(item)),
            Value::Mapping(entries) => entries.values().all(|item| self.admit(item)),
            _ => true,
        }
    }

    fn contains(&self, number: f64) -> bool {
        let low = match self.low {
            End::Open => true,
            End::Included(low) => number >= low,
            End::Excluded(low) => number > low,
        };
        let high = match self.high {
            End::Open => true,
            End::Included(high) => number <= high,
            End::Excluded(high) => number < high,
        };
        number.is_finite() && low && high
    }

    /// A bound as it is shown: large ones with an exponent.
    fn shown(bound: f64) -> String {
        if bound.abs() >= 1e9 {
            format!("{bound:e}")
        } else {
            bound.to_string()
        }
    }

    /// The range in words: `1 to 64`, `more than 0 and at most 1`; `None` when any number is accepted.
    pub fn words(&self) -> Option<String> {
        let low = match self.low {
            End::Open => None,
            End::Included(low) => Some(format!("{} or more", Self::shown(low))),
            End::Excluded(low) => Some(format!("more than {}", Self::shown(low))),
        };
        let high = match self.high {
            End::Open => None,
            End::Included(high) => Some(format!("at most {}", Self::shown(high))),
            End::Excluded(high) => Some(format!("less than {}", Self::shown(high))),
        };
        match (self.low, self.high, low, high) {
            (End::Included(low), End::Included(high), ..) => {
                Some(format!("{} to {}", Self::shown(low), Self::shown(high)))
            }
            (.., Some(low), Some(high)) => Some(format!("{low} and {high}")),
            (.., low, high) => low.or(high),
        }
    }

    /// `": reason"`, or nothing.
    pub fn reason(&self) -> String {
        if self.why.is_empty() {
            String::new()
        } else {
            format!(": {}", self.why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Value {
        serde_yaml_ng::from_str(text).unwrap()
    }

    #[test]
    fn ends_are_inside_or_outside_as_declared() {
        let cases = [
            (at_least(1.0).at_most(64.0), "1 to 64", ["1", "64"], ["0", "65"]),
            (
                above(0.0).at_most(1.0),
                "more than 0 and at most 1",
                ["1e-9", "1"],
                ["0", "1.1"],
            ),
            (
                at_least(0.0).below(1.0),
                "0 or more and less than 1",
                ["0", "0.99"],
                ["-1", "1"],
            ),
            (at_least(2.0), "2 or more", ["2", "1e300"], ["1.9", ".inf"]),
            (above(0.0), "more than 0", ["0.1", "3"], ["0", ".nan"]),
        ];
        for (bounds, words, inside, outside) in cases {
            assert_eq!(bounds.words().as_deref(), Some(words));
            assert!(inside.iter().all(|text| bounds.admit(&yaml(text))), "{words}");
            assert!(outside.iter().all(|text| !bounds.admit(&yaml(text))), "{words}");
        }
        assert_eq!(ANY.words(), None);
        assert!(ANY.admit(&yaml("18446744073709551615")) && !ANY.admit(&yaml("-.inf")));
    }

    #[test]
    fn every_number_of_a_list_and_a_map_counts() {
        let bounds = at_least(1.0).at_most(8.0);
        assert!(bounds.admit(&yaml("[1, 8]")) && !bounds.admit(&yaml("[1, 9]")));
        assert!(bounds.admit(&yaml("{a: 2}")) && !bounds.admit(&yaml("{a: 2, b: 0}")));
        assert!(bounds.admit(&yaml("null")) && bounds.admit(&yaml("some text")));
    }
}
