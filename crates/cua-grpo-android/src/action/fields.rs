//! Reads the fields of a JSON object one by one and complains about what is missing, wrong or left over.

use super::error::GrammarError;
use serde_json::{Map, Value};

/// The fields of one object that are not read yet.
pub(super) struct Fields {
    /// Name of the object in error messages.
    what: String,
    rest: Map<String, Value>,
    known: Vec<&'static str>,
}

/// The kind of a JSON value, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl Fields {
    pub(super) fn new(what: impl Into<String>, value: Value) -> Result<Self, GrammarError> {
        let what = what.into();
        match value {
            Value::Object(rest) => Ok(Self {
                what,
                rest,
                known: Vec::new(),
            }),
            other => Err(GrammarError::Type {
                what,
                expected: "an object",
                got: kind(&other),
            }),
        }
    }

    pub(super) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.rest.shift_remove(name)
    }

    pub(super) fn wrong(&self, name: &str, expected: &'static str, got: &Value) -> GrammarError {
        GrammarError::Type {
            what: format!("{}.{name}", self.what),
            expected,
            got: kind(got),
        }
    }

    pub(super) fn missing(&self, name: &'static str) -> GrammarError {
        GrammarError::Missing {
            what: self.what.clone(),
            field: name,
        }
    }

    pub(super) fn value(&self, name: &str, expected: String, got: impl ToString) -> GrammarError {
        GrammarError::Value {
            what: format!("{}.{name}", self.what),
            expected,
            got: got.to_string(),
        }
    }

    pub(super) fn optional_string(&mut self, name: &'static str) -> Result<Option<String>, GrammarError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, "a string", &other)),
        }
    }

    pub(super) fn string(&mut self, name: &'static str) -> Result<String, GrammarError> {
        self.optional_string(name)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn bool(&mut self, name: &'static str) -> Result<bool, GrammarError> {
        match self.take(name) {
            None => Err(self.missing(name)),
            Some(Value::Bool(value)) => Ok(value),
            Some(other) => Err(self.wrong(name, "true or false", &other)),
        }
    }

    pub(super) fn optional_number(&mut self, name: &'static str) -> Result<Option<f64>, GrammarError> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(name, "a number", &value)),
            },
        }
    }

    /// The one of `choices` whose word the field holds.
    pub(super) fn optional_choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<Option<T>, GrammarError> {
        let Some(text) = self.optional_string(name)? else {
            return Ok(None);
        };
        match choices.iter().find(|&&choice| word(choice) == text) {
            Some(&choice) => Ok(Some(choice)),
            None => {
                let words: Vec<&str> = choices.iter().map(|&choice| word(choice)).collect();
                Err(self.value(name, format!("one of {}", words.join(", ")), text))
            }
        }
    }

    /// Every field must have been read.
    pub(super) fn finish(self) -> Result<(), GrammarError> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(field) => Err(GrammarError::Unknown {
                what: self.what,
                field: field.clone(),
                known: self.known.join(", "),
            }),
        }
    }
}
