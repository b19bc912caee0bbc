//! Where training episodes come from.

use super::Setting;
use serde::{Deserialize, Serialize};
use serde_yaml_ng::Value;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What stands before the folder of a run.
const REPLAY: &str = "replay:";

/// Where training episodes come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Environment {
    /// They are played on phones.
    #[default]
    Phone,
    /// From the record of the run in this folder.
    Replay(PathBuf),
}

impl FromStr for Environment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected {}, got `{text}`", Self::expected());
        match text.strip_prefix(REPLAY) {
            Some(run) if !run.trim().is_empty() => Ok(Self::Replay(run.into())),
            None if text == "phone" => Ok(Self::Phone),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Environment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Environment> for String {
    fn from(environment: Environment) -> Self {
        environment.to_string()
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phone => f.write_str("phone"),
            Self::Replay(run) => write!(f, "{REPLAY}{}", run.display()),
        }
    }
}

impl Setting for Environment {
    fn expected() -> String {
        format!("phone, or {REPLAY}RUN with the folder of a run")
    }

    fn from_text(text: &str) -> Option<Value> {
        let read: Self = text.parse().ok()?;
        Some(Value::String(read.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_and_records_are_read_and_nothing_else() {
        assert_eq!("phone".parse(), Ok(Environment::Phone));
        let replay: Environment = "replay:outputs/a:b".parse().unwrap();
        assert_eq!(replay, Environment::Replay("outputs/a:b".into()));
        assert_eq!(replay.to_string(), "replay:outputs/a:b");
        for text in ["", "replay", "replay:", "replay: ", "phones", "sim"] {
            let error = text.parse::<Environment>().unwrap_err();
            assert!(error.contains("replay:RUN"), "{error}");
        }
    }
}
