//! From flags that were given to values of configuration keys.

use cua_grpo_train::config::{ConfigError, Flag};

/// Collects the flags that were given, in the order of calls.
#[derive(Default)]
pub(super) struct Given(Vec<Flag>);

impl Given {
    pub(super) fn value(mut self, key: &str, value: &Option<impl ToString>) -> Self {
        self.0
            .extend(value.as_ref().map(|value| Flag::new(key, value.to_string())));
        self
    }

    /// A value whose flag is not called as the key.
    pub(super) fn named(mut self, key: &str, value: &Option<String>, flag: &str) -> Self {
        self.0.extend(value.as_ref().map(|value| Flag {
            key: key.into(),
            value: value.clone(),
            flag: flag.into(),
        }));
        self
    }

    pub(super) fn switch(mut self, given: bool, key: &str, value: bool, flag: &str) -> Self {
        if given {
            self.0.push(Flag {
                key: key.into(),
                value: value.to_string(),
                flag: flag.into(),
            });
        }
        self
    }

    pub(super) fn assignments(mut self, texts: &[String]) -> Result<Vec<Flag>, ConfigError> {
        for text in texts {
            self.0.push(Flag::assignment(text)?);
        }
        Ok(self.0)
    }
}
