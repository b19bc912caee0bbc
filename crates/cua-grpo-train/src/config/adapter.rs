//! How values of the adapter's keys are written: names or a pattern, and maps from names to numbers.

use super::{Bounds, Setting};
use cua_grpo_model::lora::{Patterns, Targets};
use serde_yaml_ng::Value;

impl Setting for Targets {
    fn expected() -> String {
        "a list of names, or one pattern".into()
    }

    /// Names with commas between them; a text with signs that no name has is one pattern.
    fn from_text(text: &str) -> Option<Value> {
        let plain = |sign: char| sign.is_alphanumeric() || "_-.,[]\"' ".contains(sign);
        if text.chars().all(plain) {
            Vec::<String>::from_text(text)
        } else {
            Some(Value::String(text.into()))
        }
    }
}

impl<T: Setting> Setting for Patterns<T> {
    fn expected() -> String {
        format!("a map from names to {}", T::expected())
    }

    fn expected_within(bounds: &Bounds) -> String {
        format!("a map from names to {}", T::expected_within(bounds))
    }
}
