//! Tables of the keys of a JSON file: what each key may say, so that none that changes arithmetic is passed over.

use serde_json::Value;

/// A key of a JSON file and what becomes of it.
pub type Key = (&'static str, Rule);

/// What becomes of a key. A key that is absent or null is always neutral.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// The reader of the file reads it, and checks its value.
    Read,
    /// It says nothing about what is computed here.
    Free,
    /// Another value than these is an error, with the advice behind it.
    Only(&'static [Neutral], &'static str),
    /// Another value than these is a warning, with what follows from it.
    Warn(&'static [Neutral], &'static str),
}

/// A value that changes nothing.
#[derive(Debug, Clone, Copy)]
pub enum Neutral {
    /// `false`
    False,
    /// `true`
    True,
    /// A number.
    Number(f64),
    /// A text.
    Text(&'static str),
    /// A list or map without entries.
    Empty,
    /// A list whose entries are all among these texts.
    Each(&'static [&'static str]),
}

impl Neutral {
    fn is(&self, value: &Value) -> bool {
        match self {
            Self::False => *value == Value::Bool(false),
            Self::True => *value == Value::Bool(true),
            Self::Number(number) => value.as_f64() == Some(*number),
            Self::Text(text) => value.as_str() == Some(text),
            Self::Empty => {
                value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(|map| map.is_empty())
            }
            Self::Each(texts) => value.as_array().is_some_and(|list| {
                list.iter()
                    .all(|entry| entry.as_str().is_some_and(|text| texts.contains(&text)))
            }),
        }
    }
}

impl std::fmt::Display for Neutral {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::False => f.write_str("false"),
            Self::True => f.write_str("true"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Empty => f.write_str("an empty list"),
            Self::Each(texts) => write!(f, "a list of \"{}\"", texts.join("\" or \"")),
        }
    }
}

/// The rule of `name` in `tables`; the first that has it counts.
pub fn rule(name: &str, tables: &[&[Key]]) -> Option<Rule> {
    tables
        .iter()
        .flat_map(|table| table.iter())
        .find(|(key, _)| *key == name)
        .map(|(_, rule)| *rule)
}

/// Checks the keys of `object` by `tables`, and returns the warnings. `place` stands before each key: `text_config.`.
///
/// # Errors
/// Names the first key whose value means something that is not computed here.
pub fn check(place: &str, object: &Value, tables: &[&[Key]]) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for (name, value) in object
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
    {
        let expected = |neutral: &[Neutral]| {
            let neutral: Vec<String> = neutral.iter().map(Neutral::to_string).collect();
            if neutral.is_empty() {
                "none".to_owned()
            } else {
                neutral.join(" or ")
            }
        };
        let found = shown(value);
        match rule(name, tables) {
            Some(Rule::Read | Rule::Free) => {}
            Some(Rule::Only(neutral, advice)) => {
                if !neutral.iter().any(|neutral| neutral.is(value)) {
                    return Err(format!(
                        "{place}{name}: expected {}, found {found}; {advice}",
                        expected(neutral)
                    ));
                }
            }
            Some(Rule::Warn(neutral, effect)) => {
                if !neutral.iter().any(|neutral| neutral.is(value)) {
                    warnings.push(format!("{place}{name} {found} is not applied: {effect}"));
                }
            }
            None => {
                let near = nearest(name, tables).map_or_else(String::new, |near| format!(" (is `{near}` meant?)"));
                warnings.push(format!(
                    "{place}{name} {found} is not applied: no such key is known here{near}"
                ));
            }
        }
    }
    Ok(warnings)
}

/// The key that `name` may be a misspelling of.
fn nearest(name: &str, tables: &[&[Key]]) -> Option<&'static str> {
    let keys = tables.iter().flat_map(|table| table.iter()).map(|(key, _)| *key);
    let scored = keys.map(|key| (strsim::jaro_winkler(name, key), key));
    let best = scored.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (best.0 > 0.92).then_some(best.1)
}

/// A value as JSON, cut where it is long.
pub fn shown(value: &Value) -> String {
    const MOST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TABLE: &[Key] = &[
        ("width", Rule::Read),
        ("dtype", Rule::Free),
        ("bias", Rule::Only(&[Neutral::False], "there is none")),
        ("dropout", Rule::Warn(&[Neutral::Number(0.0)], "nothing is dropped")),
        (
            "kinds",
            Rule::Only(&[Neutral::Each(&["full"]), Neutral::Empty], "all are full"),
        ),
    ];

    #[test]
    fn neutral_values_pass_and_others_are_named() {
        let neutral = json!({"width": 7, "dtype": "x", "bias": false, "dropout": 0, "kinds": ["full", "full"]});
        assert_eq!(check("", &neutral, &[TABLE]).unwrap(), Vec::<String>::new());
        let absent = json!({"bias": null, "dropout": null, "kinds": []});
        assert_eq!(check("", &absent, &[TABLE]).unwrap(), Vec::<String>::new());
        let error = check("text.", &json!({"bias": true}), &[TABLE]).unwrap_err();
        assert_eq!(error, "text.bias: expected false, found true; there is none");
        assert!(check("", &json!({"kinds": ["full", "half"]}), &[TABLE]).is_err());
        let warnings = check("", &json!({"dropout": 0.5, "widht": 3, "other": 1}), &[TABLE]).unwrap();
        assert_eq!(
            warnings,
            [
                "dropout 0.5 is not applied: nothing is dropped",
                "widht 3 is not applied: no such key is known here (is `width` meant?)",
                "other 1 is not applied: no such key is known here",
            ]
        );
    }
}
